"""Sums of rank depths in exact whole steps: over cells for each gene, over genes for each cell; and scores of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tamannot.scoring._njit import Array, njit
from tamannot.scoring._pack import Arms
from tamannot.scoring._ranks import RankedBlock, longest_row

# With fewer distinct values in a cell it is faster to count them by bin first.
_FEW_GROUPS = 128


class GeneBins(NamedTuple):
    """Expression bin of each gene, shape ``(n_methods, n_genes)``, and genes of each bin."""

    bin_of: Array
    size: Array


class CellSums(NamedTuple):
    """What scores and their null are made of."""

    sums: Array
    """Weighted sums of depths, shape ``(n_methods, n_cells, n_arms)``."""
    detected: Array
    """Genes of the arm that are not zero, shape ``(n_cells, n_arms)``."""
    moments: Array
    """Sums of depth, depth² and depth³ and genes detected of each bin, ``(n_methods, n_cells, n_bins, 4)``."""


@njit
def add_gene_totals(ranked: RankedBlock, total: Array) -> None:
    """Add to ``total[method, gene]`` the excess of the gene's depth over that of a zero in these cells."""
    indptr, ptr, depth = ranked.indptr, ranked.ptr, ranked.depth
    for i in range(indptr.size - 1):
        groups, genes = ranked.group[indptr[i] : indptr[i + 1]], ranked.indices[indptr[i] : indptr[i + 1]]
        for m in range(depth.shape[0]):
            of_gene, of_group = total[m], depth[m, ptr[i] : ptr[i + 1]]
            zero = of_group[0]
            for j in range(genes.size):
                of_gene[np.uint32(genes[j])] += of_group[np.uint32(groups[j])] - zero


def gene_totals(ranked: RankedBlock, n_genes: int) -> Array:
    """Return how deep each gene ranks in these cells, in steps of each method, less what it would be as a zero."""
    total = np.zeros((ranked.depth.shape[0], n_genes), np.int64)
    add_gene_totals(ranked, total)
    return total


@njit
def places_of(bins: Array, used: Array) -> Array:
    """Return for each gene twice the place where its bin begins in a flat tally, plus whether it is in any arm."""
    places = np.empty(bins.shape, np.int32)
    for m in range(bins.shape[0]):
        for g in range(bins.shape[1]):
            places[m, g] = 2 * _FEW_GROUPS * bins[m, g] + used[g]
    return places


@njit
def count_by_bin(group: Array, genes: Array, places: Array, tally: Array, hits: Array) -> int:
    """Count the genes of each group in each bin, and do what `find_hits` does: together they take less time."""
    tally[:] = 0
    n_hits = 0
    for j in range(genes.size):
        place = places[np.uint32(genes[j])]
        hits[n_hits] = j
        n_hits += place & 1
        tally[np.uint32(place >> 1) + np.uint32(group[j])] += 1
    return n_hits


@njit
def moments_of_tally(tally: Array, depth: Array, high: Array, moments: Array) -> None:
    """Add up depth, depth², depth³ and the genes detected of each bin, from the counts of the groups above zero."""
    for g in range(1, high.size):
        if not high[g]:  # stored zeros
            tally[:, g] = 0
    for b in range(tally.shape[0]):
        counts = tally[b]
        first = second = third = found = np.int64(0)
        for g in range(1, high.size):
            n, d = np.int64(counts[g]), depth[g]
            found += n
            first += n * d
            second += n * d * d
            third += n * d * d * d
        moments[b, 0], moments[b, 1], moments[b, 2], moments[b, 3] = first, second, third, found


@njit
def moments_of_entries(group: Array, genes: Array, bins: Array, depth: Array, high: Array, moments: Array) -> None:
    """Add up the same, entry by entry."""
    moments[:, :] = 0
    for j in range(genes.size):
        g = group[j]
        if high[g]:
            b, d = bins[genes[j]], depth[g]
            moments[b, 0] += d
            moments[b, 1] += d * d
            moments[b, 2] += d * d * d
            moments[b, 3] += 1


@njit
def add_zeros(depth: int, bin_size: Array, moments: Array) -> None:
    """Add what the genes that are zero contribute."""
    if depth == 0:
        return
    for b in range(bin_size.size):
        zeros = bin_size[b] - moments[b, 3]
        moments[b, 0] += zeros * depth
        moments[b, 1] += zeros * depth * depth
        moments[b, 2] += zeros * depth * depth * depth


@njit
def add_up(cell: tuple[Array, Array], hits: Array, depth: Array, arms: Arms, m: int, sums: Array) -> None:
    """Write the weighted sum of depths of each arm in one cell, from the entries whose genes are in some arm."""
    group, genes = cell
    gene_ptr, arm_of, weight_of, arm_weight = arms.gene_ptr, arms.arm_of, arms.weight_of[m], arms.arm_weight[m]
    zero = depth[0]
    for a in range(sums.size):
        sums[a] = arm_weight[a] * zero
    for h in hits:
        d = depth[np.uint32(group[h])] - zero
        gene = np.uint32(genes[h])
        for k in range(np.uint32(gene_ptr[gene]), np.uint32(gene_ptr[gene + np.uint32(1)])):
            sums[np.uint32(arm_of[k])] += weight_of[k] * d


@njit
def count_detected(cell: tuple[Array, Array], hits: Array, high: Array, arms: Arms, detected: Array) -> None:
    """Count the genes of each arm that are not zero in one cell."""
    group, genes = cell
    gene_ptr, arm_of = arms.gene_ptr, arms.arm_of
    detected[:] = 0
    for h in hits:
        gene = genes[h]
        for k in range(gene_ptr[gene], gene_ptr[gene + 1]):
            detected[arm_of[k]] += high[group[h]]


@njit
def find_hits(genes: Array, used: Array, hits: Array) -> int:
    """Write the places of the entries whose genes are in some arm; return how many there are."""
    n_hits = 0
    for j in range(genes.size):
        hits[n_hits] = j
        n_hits += used[np.uint32(genes[j])]
    return n_hits


@njit
def arm_sums(ranked: RankedBlock, arms: Arms, sums: Array) -> None:
    """Write, from one ranking of each cell, what the scores are made of: `CellSums.sums`."""
    indptr, ptr, depth = ranked.indptr, ranked.ptr, ranked.depth
    hits = np.empty(longest_row(indptr) + 1, np.int64)
    for i in range(indptr.size - 1):
        groups, genes = ranked.group[indptr[i] : indptr[i + 1]], ranked.indices[indptr[i] : indptr[i + 1]]
        n_hits = find_hits(genes, arms.used, hits)
        for m in range(depth.shape[0]):
            add_up((groups, genes), hits[:n_hits], depth[m, ptr[i] : ptr[i + 1]], arms, m, sums[m, i])


@njit
def null_sums(ranked: RankedBlock, arms: Arms, bins: GeneBins, out: CellSums) -> None:
    """Write, from one ranking of each cell, all that the scores and their null are made of."""
    indptr, ptr, depth = ranked.indptr, ranked.ptr, ranked.depth
    sums, detected, moments = out
    tally, places = np.zeros((bins.size.shape[1], _FEW_GROUPS), np.int32), places_of(bins.bin_of, arms.used)
    hits = np.empty(longest_row(indptr) + 1, np.int64)
    for i in range(indptr.size - 1):
        groups, genes = ranked.group[indptr[i] : indptr[i + 1]], ranked.indices[indptr[i] : indptr[i + 1]]
        above = ranked.high[ptr[i] : ptr[i + 1]]
        is_tallied = above.size <= _FEW_GROUPS
        n_hits = 0 if is_tallied else find_hits(genes, arms.used, hits)
        for m in range(depth.shape[0]):
            mine = depth[m, ptr[i] : ptr[i + 1]]
            if is_tallied:
                n_hits = count_by_bin(groups, genes, places[m], tally.reshape(-1), hits)
                moments_of_tally(tally, mine, above, moments[m, i])
            else:
                moments_of_entries(groups, genes, bins.bin_of[m], mine, above, moments[m, i])
            add_zeros(mine[0], bins.size[m], moments[m, i])
            add_up((groups, genes), hits[:n_hits], mine, arms, m, sums[m, i])
        count_detected((groups, genes), hits[:n_hits], above, arms, detected[i])


class OutputParts(NamedTuple):
    """How sums of one method become scores of parts, and parts outputs."""

    arm: Array
    """Arms of each part, up and down, shape ``(n_parts, 2)``; -1 where there is none."""
    offset: Array
    """``u = (sum + offset) / most`` where the sum is not zero, else 0; shape ``(n_parts, 2)``, in steps."""
    most: Array
    down_weight: float
    out_ptr: Array
    """The parts of output ``o`` are entries ``out_ptr[o]`` to ``out_ptr[o + 1]`` of ``out_part``."""
    out_part: Array


@njit
def finish_scores(sums: Array, parts: OutputParts, out: Array) -> None:
    """Write ``max(u(up) - down_weight u(down), 0)`` of each part, and of each output the greatest of its parts.

    ``sums`` are those of one method, whole steps, shape ``(n_cells, n_arms)``; ``out`` is ``(n_cells, n_outputs)``.
    """
    arm, offset, most, w_neg, out_ptr, out_part = parts
    for i in range(sums.shape[0]):
        for o in range(out_ptr.size - 1):
            best = 0.0
            for k in range(out_ptr[o], out_ptr[o + 1]):
                p = out_part[k]
                score = 0.0
                for side in range(2):
                    a = arm[p, side]
                    if a >= 0 and sums[i, a] > 0 and most[p, side] > 0.0:
                        u = (sums[i, a] + offset[p, side]) / most[p, side]
                        score += u if side == 0 else -w_neg * u
                best = max(best, score)
            out[i, o] = best
