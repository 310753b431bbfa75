"""The matched null: what a random signature of the same expression would score in a cell.

Genes are cut into bins by their mean rank depth over reference cells. A signature with ``c`` genes in a
bin is compared with ``c`` genes drawn from that bin without replacement, in closed form: mean, variance
and third moment of the weighted sum follow from the moments of the bin in this cell. No random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from tamannot.kernels._njit import njit

Array = NDArray[Any]

N_BINS = 25
FIRST_BIN = 50
# Below these nothing can be said of a signature in a cell.
MIN_GENES = 5
MIN_EXPECTED = 2.0
_NORMAL_SKEW = 0.01
NO_SPREAD = 1e-9


@dataclass(frozen=True)
class Groups:
    """Per signature, the bins merged until each holds enough genes, with the weights that fall in them.

    All arrays run over groups; those of signature ``s`` are ``start[s]`` to ``start[s + 1]``.
    """

    start: Array
    first_bin: Array
    last_bin: Array
    size: Array
    w1: Array
    """Sum of weights: multiplies the mean of the bin."""
    w2: Array
    """Multiplies the population variance of the bin."""
    w3: Array
    """Multiplies the third central moment of the bin."""
    members: Array
    """Genes of the signature in the group."""
    span: Array
    """The first group that has the same bins: what follows from the bins alone is worked out there."""


def expression_bins(depth: Array) -> Array:
    """Return the bin of each gene: log-spaced in the rank of depth, highest expression first.

    Parameters
    ----------
    depth
        Rank depth summed over the reference cells, shape ``(n_genes,)``. Genes of equal depth share a
        bin, so that the order of genes does not matter; above all those never seen.
    """
    n = depth.size
    first = min(FIRST_BIN, n)
    edges = np.unique(np.rint(first * (n / first) ** (np.arange(N_BINS) / (N_BINS - 1))).astype(np.int64))
    descending = np.sort(-depth)
    rank = np.searchsorted(descending, -depth, side="left")
    bins = np.searchsorted(edges, rank, side="right")
    return np.asarray(np.unique(bins, return_inverse=True)[1], np.int32)


def merge_bins(bin_size: Array, columns: list[Array], weights: list[Array], bin_of: Array) -> Groups:
    """Merge, for each signature, neighbouring bins until each holds ``2 c + 10`` genes for its ``c``.

    Parameters
    ----------
    bin_size
        Genes of each bin.
    columns, weights
        Per signature, the columns of its genes in the data and their weights, negative for down genes.
    bin_of
        Bin of each gene.
    """
    start, rows = [0], []
    for cols, w in zip(columns, weights, strict=True):
        rows += _groups_of_one(bin_size, bin_of[cols], w)
        start.append(len(rows))
    table = np.array(rows, float).reshape(-1, 7)
    first_bin, last_bin, size = (table[:, i].astype(np.int64) for i in range(3))
    _, first, span = np.unique(table[:, :2], axis=0, return_index=True, return_inverse=True)
    return Groups(
        start=np.array(start),
        first_bin=first_bin,
        last_bin=last_bin,
        size=size,
        w1=table[:, 3].copy(),
        w2=table[:, 4].copy(),
        w3=table[:, 5].copy(),
        members=table[:, 6].copy(),
        span=first[span.reshape(-1)],
    )


def _groups_of_one(bin_size: Array, gene_bins: Array, weights: Array) -> list[tuple[float, ...]]:
    sizes, counts = bin_size.tolist(), np.bincount(gene_bins, minlength=bin_size.size).tolist()
    return [
        _group_row(
            first, last, float(sum(sizes[first : last + 1])), weights[(gene_bins >= first) & (gene_bins <= last)]
        )
        for first, last in _spans(sizes, counts)
        if any(counts[first : last + 1])
    ]


def _spans(sizes: list[int], counts: list[int]) -> list[list[int]]:
    """Return the first and the last bin of each group, with or without genes of the signature."""

    def large_enough(first: int, last: int) -> bool:
        return sum(sizes[first : last + 1]) >= 2 * sum(counts[first : last + 1]) + 10

    spans: list[list[int]] = []
    first, end = 0, len(sizes)
    for b in range(end):
        if large_enough(first, b):
            spans.append([first, b])
            first = b + 1
    if first < end:  # the lowest bins are left over: they join groups above until there is room
        spans.append([first, end - 1])
        while len(spans) > 1 and not large_enough(*spans[-1]):
            spans[-2:] = [[spans[-2][0], spans[-1][1]]]
    return spans


def _group_row(first: int, last: int, n: float, w: Array) -> tuple[float, ...]:
    s1, s2, s3 = (float((w**p).sum()) for p in (1, 2, 3))
    variance = n / (n - 1) * (s2 - s1**2 / n) if n > 1 else 0.0
    third = n**2 / ((n - 1) * (n - 2)) * (s3 - 3 * s2 * s1 / n + 2 * s1**3 / n**2) if n > 2 else 0.0
    return (first, last, n, s1, variance, third, float(w.size))


@njit
def null_z(
    sums: Array,
    moments: Array,
    step: float,
    start: Array,
    first_bin: Array,
    last_bin: Array,
    size: Array,
    w1: Array,
    w2: Array,
    w3: Array,
    members: Array,
    span: Array,
    z: Array,
    skew: Array,
    expected: Array,
) -> None:
    """Write z, the null's skewness, and how many genes it expects to be detected, of each signature.

    Parameters
    ----------
    sums
        Weighted sums of depths, shape ``(n_cells, n_signatures)``.
    moments
        What `arm_sums` wrote for one method, shape ``(n_cells, n_bins, 4)``, in whole steps.
    step
        Steps in a rank.
    start, first_bin, last_bin, size, w1, w2, w3, members, span
        The fields of `Groups`.
    z, skew, expected
        Output, shape ``(n_cells, n_signatures)``. Where the null has no variance nothing can be said for
        or against: z is 0 and the skewness NaN.
    """
    of_bins = np.empty((span.size, 4))
    for i in range(moments.shape[0]):
        for g in range(span.size):
            if span[g] == g:
                _central_moments(moments[i, first_bin[g] : last_bin[g] + 1], float(size[g]), step, of_bins[g])
        for s in range(start.size - 1):
            mean, variance, third, found = 0.0, 0.0, 0.0, 0.0
            for g in range(start[s], start[s + 1]):
                here = of_bins[span[g]]
                mean += w1[g] * here[0]
                variance += w2[g] * here[1]
                third += w3[g] * here[2]
                found += members[g] * here[3] / size[g]
            expected[i, s] = found
            spread = np.sqrt(max(variance, 0.0))
            if spread > NO_SPREAD:
                z[i, s] = (sums[i, s] - mean) / spread
                skew[i, s] = third / (spread * spread * spread)
            else:
                z[i, s] = 0.0
                skew[i, s] = np.nan


@njit
def _central_moments(moments: Array, size: float, step: float, out: Array) -> None:
    """Write mean, variance and third moment of the depths in some bins of a cell, and how many genes are detected."""
    n1, n2, n3, positive = 0, 0, 0, 0
    for b in range(moments.shape[0]):
        n1 += moments[b, 0]
        n2 += moments[b, 1]
        n3 += moments[b, 2]
        positive += moments[b, 3]
    m1 = n1 / (size * step)
    m2 = n2 / (size * step * step)
    m3 = n3 / (size * step * step * step)
    out[0], out[1] = m1, m2 - m1 * m1
    out[2] = m3 - 3.0 * m1 * m2 + 2.0 * m1 * m1 * m1
    out[3] = positive


def upper_p(z: Array, skew: Array, expected: Array, n_present: Array) -> Array:
    """Return the one-sided upper p of z against its null.

    Parameters
    ----------
    z, skew, expected
        What `null_z` wrote, shape ``(n_cells, n_signatures)``.
    n_present
        Genes of each signature in the data.

    Returns
    -------
    From a Pearson III distribution with the null's skewness (normal where there is next to none); NaN
    where fewer than 5 genes are present or fewer than 2 expected to be detected.
    """
    p = np.full(z.shape, np.nan)
    said = ~np.isnan(skew) & (n_present >= MIN_GENES) & (expected >= MIN_EXPECTED)
    p[said] = _upper_tail(z[said], skew[said])
    return p


def _upper_tail(z: Array, skew: Array) -> Array:
    p = scipy.special.ndtr(-z)
    skewed = skew >= _NORMAL_SKEW
    k = 4.0 / skew[skewed] ** 2
    p[skewed] = scipy.special.gammaincc(k, np.maximum(k + z[skewed] * np.sqrt(k), 0.0))
    return np.asarray(p)
