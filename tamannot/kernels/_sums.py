"""Sums of rank depths: over cells for each gene, over genes for each cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.kernels._njit import njit
from tamannot.kernels._ranks import rank_depths

Array = NDArray[Any]


@njit
def work_space(longest: int) -> tuple[Array, Array, Array, Array, Array]:
    """Return what `rank_depths` needs for rows of up to ``longest`` entries."""
    size = 2
    while size < 2 * longest + 1:
        size *= 2
    n = max(longest, 1)
    return (
        np.full(size, -1, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.uint64),
        np.empty(n, np.int64),
        np.empty(n, np.float64),
    )


@njit
def longest_row(indptr: Array) -> int:
    """Return the number of entries of the longest row."""
    longest = 0
    for i in range(indptr.size - 1):
        longest = max(longest, indptr[i + 1] - indptr[i])
    return longest


@njit
def add_gene_totals(bits: Array, indices: Array, indptr: Array, k: float, total: Array) -> None:
    """Add to ``total[gene]`` how far its depth stands above a zero's, over these cells.

    The sums are exact: depths are multiples of a half.
    """
    table, group, value, count, depth = work_space(longest_row(indptr))
    for i in range(indptr.size - 1):
        lo, hi = indptr[i], indptr[i + 1]
        zero_depth, _ = rank_depths(bits[lo:hi], k, total.size, table, group, value, count, depth)
        for j in range(lo, hi):
            total[indices[j]] += depth[j - lo] - zero_depth


@njit
def arm_sums(
    bits: Array,
    indices: Array,
    indptr: Array,
    k: float,
    gene_ptr: Array,
    arm_of: Array,
    weight_of: Array,
    arm_weight: Array,
    sums: Array,
    detected: Array,
) -> None:
    """Write for each cell and arm the weighted sum of depths, and how many of its genes are not zero.

    Parameters
    ----------
    bits, indices, indptr, k
        The rows, and the rank cap.
    gene_ptr, arm_of, weight_of
        The arms a gene belongs to: entries ``gene_ptr[g]`` to ``gene_ptr[g + 1]``.
    arm_weight
        Sum of the weights of an arm's genes that are in the data, shape ``(n_arms,)``.
    sums, detected
        Output, shape ``(n_cells, n_arms)``.
    """
    table, group, value, count, depth = work_space(longest_row(indptr))
    for i in range(indptr.size - 1):
        lo, hi = indptr[i], indptr[i + 1]
        zero_depth, _ = rank_depths(bits[lo:hi], k, gene_ptr.size - 1, table, group, value, count, depth)
        for a in range(arm_weight.size):
            sums[i, a] = arm_weight[a] * zero_depth
            detected[i, a] = 0
        for j in range(lo, hi):
            gene = indices[j]
            for m in range(gene_ptr[gene], gene_ptr[gene + 1]):
                sums[i, arm_of[m]] += weight_of[m] * (depth[j - lo] - zero_depth)
                detected[i, arm_of[m]] += group[j - lo] >= 0


@njit
def bin_moments(
    bits: Array, indices: Array, indptr: Array, k: float, bin_of: Array, bin_size: Array, moments: Array
) -> None:
    """Write for each cell and expression bin the sums of depth, depth² and depth³, and the genes detected.

    Parameters
    ----------
    bits, indices, indptr, k
        The rows, and the rank cap.
    bin_of
        Expression bin of each gene, shape ``(n_genes,)``.
    bin_size
        Genes of each bin.
    moments
        Output, shape ``(n_cells, n_bins, 4)``; sums are exact, so no order of genes or threads shows.
    """
    table, group, value, count, depth = work_space(longest_row(indptr))
    for i in range(indptr.size - 1):
        lo, hi = indptr[i], indptr[i + 1]
        zero_depth, _ = rank_depths(bits[lo:hi], k, bin_of.size, table, group, value, count, depth)
        for b in range(bin_size.size):
            moments[i, b, :] = 0.0
        for j in range(lo, hi):
            if group[j - lo] >= 0:
                d = depth[j - lo]
                m = moments[i, bin_of[indices[j]]]
                m[0] += d
                m[1] += d * d
                m[2] += d * d * d
                m[3] += 1.0
        if zero_depth > 0.0:
            for b in range(bin_size.size):
                m = moments[i, b]
                zeros = bin_size[b] - m[3]
                m[0] += zeros * zero_depth
                m[1] += zeros * zero_depth * zero_depth
                m[2] += zeros * zero_depth * zero_depth * zero_depth
