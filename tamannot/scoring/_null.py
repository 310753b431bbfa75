"""The matched null: what a random signature of the same expression would score in a cell.

Genes are cut into bins by their mean rank depth over reference cells. A signature with ``c`` genes in a
bin is compared with ``c`` genes drawn from that bin without replacement, in closed form: mean, variance
and third moment of the weighted sum follow from the moments of the bin in this cell. No random numbers.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

import numpy as np
import scipy.special

from tamannot.scoring._njit import Array, njit
from tamannot.scoring._plan import RankMethod, SignedGenes, pack_arms
from tamannot.scoring._ranks import depths_of, rank_block
from tamannot.scoring._rows import RowBlock
from tamannot.scoring._sums import CellSums, GeneBins, null_sums

N_BINS = 25
FIRST_BIN = 50
# Below these nothing can be said of a signature in a cell.
MIN_GENES = 5
MIN_EXPECTED = 2.0
_NORMAL_SKEW = 0.01
NO_SPREAD = 1e-9
REFERENCE = "559 human cells, the example of the celltypist package"


class Groups(NamedTuple):
    """Bins merged until each holds enough genes: groups ``start[s]`` to ``start[s + 1]`` are of signature ``s``."""

    start: Array
    w1: Array  # sum of weights: multiplies the mean of the bin
    w2: Array  # multiplies the population variance of the bin
    w3: Array  # multiplies the third central moment of the bin
    members: Array  # genes of the signature in the group
    span: Array  # the distinct span of bins of a group: what follows from the bins alone is worked out once a span
    span_first: Array  # the first bin of each distinct span
    span_last: Array  # the last bin of each distinct span
    span_size: Array  # genes of each distinct span


def null_bins(depth: Array) -> Array:
    """Cut genes into expression bins by their depth over the reference cells; return the bin of each, highest first.

    Bins are log-spaced in the rank of depth. Genes of equal summed depth share a bin, so that the order of genes does
    not matter; above all those never seen.
    """
    n = depth.size
    first = min(FIRST_BIN, n)
    edges = np.unique(np.rint(first * (n / first) ** (np.arange(N_BINS) / (N_BINS - 1))).astype(np.int64))
    # A gene lies beyond the edge e if e genes are deeper than it.
    ends = np.sort(depth)[n - edges]
    bins = edges.size - np.searchsorted(ends[::-1], depth, side="right")
    return np.asarray((np.cumsum(np.bincount(bins, minlength=1) > 0) - 1)[bins], np.int32)


def merge_bins(bin_of: Array, parts: Sequence[SignedGenes]) -> Groups:
    """Merge, for each signature, neighbouring bins until each holds ``2 c + 10`` genes for its ``c``."""
    bin_size = np.bincount(bin_of)
    n_bins, sizes = bin_size.size, bin_size.tolist()
    gene = np.concatenate([np.empty(0, np.int64), *(p.columns for p in parts)])
    w = np.concatenate([np.empty(0), *(p.weights for p in parts)])
    place = np.repeat(np.arange(len(parts)), [p.columns.size for p in parts]) * n_bins + bin_of[gene]
    counts = np.bincount(place, minlength=len(parts) * n_bins).reshape(-1, n_bins)
    start, group_of = [0], np.zeros(counts.shape, np.int64)
    ends: list[tuple[int, int]] = []
    for s, mine in enumerate(counts.tolist()):
        for first, last in _spans(sizes, mine):
            if any(mine[first : last + 1]):
                group_of[s, first : last + 1] = len(ends)
                ends.append((first, last))
        start.append(len(ends))
    first_bin, last_bin = np.array(ends, np.int64).reshape(-1, 2).T
    before = np.concatenate([[0], np.cumsum(bin_size)])
    n, group = (before[last_bin + 1] - before[first_bin]).astype(float), group_of.reshape(-1)[place]
    s1, s2, s3 = (np.bincount(group, w**p, minlength=n.size) for p in (1, 2, 3))
    # Of a group of one or two genes there is no variance, or no skewness, to multiply.
    w2 = np.where(n > 1, n / np.maximum(n - 1, 1) * (s2 - s1**2 / n), 0.0)
    third = s3 - 3 * s2 * s1 / n + 2 * s1**3 / n**2
    w3 = np.where(n > 2, n**2 / np.maximum((n - 1) * (n - 2), 1) * third, 0.0)
    members = np.bincount(group, minlength=n.size).astype(float)
    _, head, span = np.unique(first_bin * n_bins + last_bin, return_index=True, return_inverse=True)
    return Groups(
        *(np.array(start), s1, w2, w3, members),
        *(span.reshape(-1).astype(np.int64), first_bin[head], last_bin[head], n[head]),
    )


def _spans(sizes: list[int], counts: list[int]) -> list[list[int]]:
    """Return the first and the last bin of each group, with or without genes of the signature."""
    spans: list[list[int]] = []
    first, end, size, genes = 0, len(sizes), 0, 0
    for b in range(end):
        size, genes = size + sizes[b], genes + counts[b]
        if size >= 2 * genes + 10:
            spans.append([first, b])
            first, size, genes = b + 1, 0, 0
    if first < end:  # the lowest bins are left over: they join groups above until there is room
        spans.append([first, end - 1])
        while len(spans) > 1 and size < 2 * genes + 10:
            above, _ = spans[-2]
            size, genes = sum(sizes[above:]), sum(counts[above:])
            spans[-2:] = [[above, end - 1]]
    return spans


class NullZ(NamedTuple):
    """Scores against their null, each of shape ``(n_cells, n_signatures)``."""

    z: Array
    skew: Array  # skewness of the null; NaN where it has no variance: nothing can be said for or against, and z is 0
    expected: Array  # how many genes are expected to be detected


@njit
def null_z(sums: Array, moments: Array, step: float, groups: Groups, out: NullZ) -> None:
    """Write z of each signature, and the skewness and detected genes that its null expects.

    ``sums`` are weighted sums of depths, shape ``(n_cells, n_signatures)``; ``moments`` those of one method in
    `CellSums`, shape ``(n_cells, n_bins, 4)``, in whole steps, of which a depth of one has ``step``.
    """
    z, skew, expected = out
    start, w1, w2, w3, members, span, span_first, span_last, span_size = groups
    unit1, unit2, unit3 = span_size * step, span_size * step * step, span_size * step * step * step
    of_spans = np.empty((span_first.size, 4))
    for i in range(moments.shape[0]):
        # Mean, variance and third moment of the depths in each span of the cell, and how many genes are detected.
        for h in range(span_first.size):
            n1 = n2 = n3 = positive = np.int64(0)
            for b in range(np.uint64(span_first[h]), np.uint64(span_last[h] + 1)):
                n1 += moments[i, b, 0]
                n2 += moments[i, b, 1]
                n3 += moments[i, b, 2]
                positive += moments[i, b, 3]
            m1, m2, m3 = n1 / unit1[h], n2 / unit2[h], n3 / unit3[h]
            of_spans[h, 0], of_spans[h, 1] = m1, m2 - m1 * m1
            of_spans[h, 2] = m3 - 3.0 * m1 * m2 + 2.0 * m1 * m1 * m1
            of_spans[h, 3] = positive
        for s in range(start.size - 1):
            mean, variance, third, found = 0.0, 0.0, 0.0, 0.0
            for g in range(start[s], start[s + 1]):
                at, here = np.uint64(g), np.uint64(span[np.uint64(g)])
                mean += w1[at] * of_spans[here, 0]
                variance += w2[at] * of_spans[here, 1]
                third += w3[at] * of_spans[here, 2]
                found += members[at] * of_spans[here, 3] / span_size[here]
            expected[i, s] = found
            spread = np.sqrt(max(variance, 0.0))
            if spread > NO_SPREAD:
                z[i, s] = (sums[i, s] - mean) / spread
                skew[i, s] = third / (spread * spread * spread)
            else:
                z[i, s] = 0.0
                skew[i, s] = np.nan


def upper_p(null: NullZ, n_present: Array) -> Array:
    """Return the one-sided upper p of z against its null; ``n_present`` are the genes of each signature in the data.

    From a Pearson III distribution with the null's skewness (normal where there is next to none); NaN
    where fewer than 5 genes are present or fewer than 2 expected to be detected.
    """
    z = null.z
    p = np.full(z.size, np.nan)
    shape, point, place = np.empty(z.size), np.empty(z.size), np.empty(z.size, np.int64)
    n, rest = _tails(null, n_present, shape, point, place)
    p[place[:n]] = scipy.special.gammaincc(shape[:n], point[:n])
    p[place[rest:]] = scipy.special.ndtr(point[rest:])
    return p.reshape(z.shape)


@njit
def _tails(null: NullZ, n_present: Array, shape: Array, point: Array, place: Array) -> tuple[int, int]:
    """Write the tails of gamma distributions from the front, of normal ones at the end; return where both meet."""
    z, skew, expected = null
    front, end = 0, z.size
    for i in range(z.shape[0]):
        for s in range(z.shape[1]):
            asymmetry = skew[i, s]
            if np.isnan(asymmetry) or n_present[s] < MIN_GENES or not expected[i, s] >= MIN_EXPECTED:
                continue
            if asymmetry >= _NORMAL_SKEW:
                k = 4.0 / (asymmetry * asymmetry)
                shape[front], point[front] = k, max(k + z[i, s] * np.sqrt(k), 0.0)
                place[front] = i * z.shape[1] + s
                front += 1
            else:
                end -= 1
                point[end], place[end] = -z[i, s], i * z.shape[1] + s
    return front, end


def null_contributions(
    block: RowBlock, n_vars: int, method: RankMethod, parts: Sequence[SignedGenes], bin_of: Array
) -> list[Array]:
    """Split z into its genes: how far each ranks from what the matched null expects of it.

    A gene adds ``weight * (depth - mean depth of the genes it is matched with) / spread of the null``, so that the
    genes of a signature sum to its z in the cell; a gene that is not detected can take away. Returned are, for each of
    ``parts``, cells by genes; all zero in a cell where the null has no spread.
    """
    how, n_cells = depths_of([method], n_vars), block.indptr.size - 1
    genes = np.unique(np.concatenate([np.empty(0, np.int64), *(p.columns for p in parts)]))
    # Each gene is an arm of its own: the sum of an arm is then the gene's depth.
    arms = pack_arms([np.array([g]) for g in genes], [[np.ones(1, np.int64)] * genes.size], n_vars)
    sums, detected = np.empty((1, n_cells, genes.size), np.int64), np.empty((n_cells, genes.size), np.int16)
    bins = GeneBins(bin_of.astype(np.int32)[None], np.bincount(bin_of).astype(np.int64)[None], np.zeros(1, np.int64))
    totals = np.empty((1, n_cells, bins.size.shape[1], 4), np.int64)
    null_sums(rank_block(block, n_vars, how), arms, bins, CellSums(sums, detected, totals))
    step = float(how.step[0])
    depths, moments = sums[0] / step, totals[0, :, :, :2] / np.array([step, step**2])
    groups, found = merge_bins(bin_of, parts), []
    for s, part in enumerate(parts):
        depth, mine = depths[:, np.searchsorted(genes, part.columns)], bin_of[part.columns]
        expected, variance = np.zeros_like(depth), np.zeros(n_cells)
        for g in range(groups.start[s], groups.start[s + 1]):
            span = groups.span[g]
            first, last, size = groups.span_first[span], groups.span_last[span], groups.span_size[span]
            mean, square = (moments[:, first : last + 1, i].sum(axis=1) / size for i in range(2))
            expected[:, (mine >= first) & (mine <= last)] = mean[:, None]
            variance += groups.w2[g] * (square - mean**2)
        spread = np.sqrt(np.maximum(variance, 0.0))[:, None]
        some = spread > NO_SPREAD
        found.append(np.where(some, part.weights * (depth - expected) / np.where(some, spread, 1.0), 0.0))
    return found


@lru_cache(maxsize=2)
def reference_depths(species: Literal["human", "mouse"]) -> Mapping[str, float]:
    """Return the mean rank depth of each gene that was seen in the reference cells, by symbol."""
    text = gzip.decompress((files("tamannot.scoring") / f"{species}_reference.tsv.gz").read_bytes()).decode()
    return {symbol: float(depth) for symbol, depth in (line.split("\t") for line in text.splitlines()[1:])}


def reference_depth(find: Callable[[str], int], n_vars: int, *, species: Literal["human", "mouse"]) -> Array:
    """Return the mean rank depth of the genes of a data set in the reference cells, in ranks of 1,500 at most.

    ``find`` gives the column of a gene by its symbol, -1 where there is none; genes never seen there have 0.
    The reference cells are human; for mouse their genes are carried over to the orthologues.
    """
    return by_column(reference_depths(species).items(), find, n_vars)


def by_column(depths: Iterable[tuple[str, float]], find: Callable[[str], int], n_vars: int) -> Array:
    """Return the depth of each column from depths by symbol; 0 for a column without one."""
    depth = np.zeros(n_vars)
    for symbol, value in depths:
        if (column := find(symbol)) >= 0:
            depth[column] = value
    return depth
