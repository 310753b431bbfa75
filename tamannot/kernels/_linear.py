"""Weighted sums of expression values, and the sums over cells that they are centred by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.kernels._njit import njit

Array = NDArray[Any]


@njit
def to_log(values: Array, indptr: Array, target: float) -> None:
    """Replace counts by ``log1p(target * count / sum of the cell)``; a cell without counts stays zero."""
    for i in range(indptr.size - 1):
        total = 0.0
        for j in range(indptr[i], indptr[i + 1]):
            total += values[j]
        if total > 0.0:
            for j in range(indptr[i], indptr[i + 1]):
                values[j] = np.log1p(values[j] * target / total)


@njit
def add_gene_sums(values: Array, indices: Array, total: Array, squares: Array) -> None:
    """Add each value, and its square, to those of its gene, in the order of rows."""
    for j in range(values.size):
        total[indices[j]] += values[j]
        squares[indices[j]] += values[j] * values[j]


@njit
def weighted_sums(
    values: Array,
    indices: Array,
    indptr: Array,
    gene_ptr: Array,
    set_of: Array,
    weight_of: Array,
    constant: Array,
    out: Array,
) -> None:
    """Write ``constant + sum of weight * value`` of each set in each cell.

    Parameters
    ----------
    values, indices, indptr
        The rows.
    gene_ptr, set_of, weight_of
        The sets a gene belongs to: entries ``gene_ptr[g]`` to ``gene_ptr[g + 1]``.
    constant
        Shape ``(n_sets,)``.
    out
        Output, shape ``(n_cells, n_sets)``.
    """
    sums = np.empty(constant.size)
    for i in range(indptr.size - 1):
        sums[:] = constant
        for j in range(indptr[i], indptr[i + 1]):
            gene = indices[j]
            for k in range(gene_ptr[gene], gene_ptr[gene + 1]):
                sums[set_of[k]] += weight_of[k] * values[j]
        for s in range(constant.size):
            out[i, s] = sums[s]


@njit
def fold_sums(
    values: Array, indices: Array, indptr: Array, place: Array, weights: Array, fold: Array, out: Array, norm: Array
) -> None:
    """Write the weighted sums of each cell by the weights of its fold, and the norm of its features.

    Parameters
    ----------
    values, indices, indptr
        The rows.
    place
        Place of each gene among the features, -1 for no feature, shape ``(n_genes,)``.
    weights
        Shape ``(n_folds, n_features, n_heads)``.
    fold
        Fold of each cell, shape ``(n_cells,)``.
    out, norm
        Output, shapes ``(n_cells, n_heads)`` and ``(n_cells,)``.
    """
    for i in range(indptr.size - 1):
        mine, sums, squares = weights[fold[i]], out[i], 0.0
        sums[:] = 0.0
        for j in range(indptr[i], indptr[i + 1]):
            f = place[indices[j]]
            if f >= 0:
                v = values[j]
                squares += v * v
                row = mine[f]
                for h in range(sums.size):
                    sums[h] += row[h] * v
        norm[i] = np.sqrt(squares)
