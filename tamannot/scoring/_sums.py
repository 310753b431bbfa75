"""Sums of rank depths in exact whole steps: over cells for each gene, over genes for each cell; and scores of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tamannot.scoring._njit import Array, njit
from tamannot.scoring._plan import Arms
from tamannot.scoring._ranks import RankedBlock, longest_row

# With fewer distinct values in a cell it is faster to count them by bin first.
_FEW_GROUPS = 128


class GeneBins(NamedTuple):
    """Expression bin of each gene, shape ``(n_methods, n_genes)``, and genes of each bin."""

    bin_of: Array
    size: Array
    first: Array  # the first method that is equal to each: their sums are the same, and only those of the first made


class CellSums(NamedTuple):
    """What scores and their null are made of."""

    sums: Array  # weighted sums of depths, shape (n_methods, n_cells, n_arms)
    detected: Array  # genes of the arm that are not zero, shape (n_cells, n_arms)
    moments: Array  # sums of depth, depth² and depth³ and genes detected of each bin, (n_methods, n_cells, n_bins, 4)


@njit
def gene_totals(ranked: RankedBlock, n_genes: int) -> Array:
    """Return how deep each gene ranks in these cells, in steps of each method, less what it would be as a zero."""
    indptr, ptr, depth = ranked.indptr, ranked.ptr, ranked.depth
    total = np.zeros((depth.shape[0], n_genes), np.int64)
    for i in range(indptr.size - 1):
        groups, genes = ranked.group[indptr[i] : indptr[i + 1]], ranked.indices[indptr[i] : indptr[i + 1]]
        for m in range(depth.shape[0]):
            of_gene, of_group = total[m], depth[m, ptr[i] : ptr[i + 1]]
            zero = of_group[0]
            for j in range(genes.size):
                of_gene[np.uint32(genes[j])] += of_group[np.uint32(groups[j])] - zero
    return total


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
def find_hits(genes: Array, used: Array, hits: Array) -> int:
    """Write the places of the entries whose genes are in some arm; return how many there are."""
    n_hits = 0
    for j in range(genes.size):
        hits[n_hits] = j
        n_hits += used[np.uint32(genes[j])]
    return n_hits


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
    indptr, ptr, depth, gene_ptr, arm_of = ranked.indptr, ranked.ptr, ranked.depth, arms.gene_ptr, arms.arm_of
    sums, detected, moments = out
    tally = np.zeros((bins.size.shape[1], _FEW_GROUPS), np.int32)
    # For each gene twice the place where its bin begins in the flat tally, plus whether it is in any arm.
    places = (2 * _FEW_GROUPS * bins.bin_of + arms.used).astype(np.int32)
    hits = np.empty(longest_row(indptr) + 1, np.int64)
    for i in range(indptr.size - 1):
        groups, genes = ranked.group[indptr[i] : indptr[i + 1]], ranked.indices[indptr[i] : indptr[i + 1]]
        above = ranked.high[ptr[i] : ptr[i + 1]]
        is_tallied = above.size <= _FEW_GROUPS
        n_hits = 0 if is_tallied else find_hits(genes, arms.used, hits)
        for m in range(depth.shape[0]):
            mine, of_bins = depth[m, ptr[i] : ptr[i + 1]], moments[m, i]
            if is_tallied:
                n_hits = count_by_bin(groups, genes, places[m], tally.reshape(-1), hits)
                moments_of_tally(tally, mine, above, of_bins)
            else:
                of_bins[:, :] = 0
                for j in range(genes.size):
                    if above[groups[j]]:
                        b, d = bins.bin_of[m, genes[j]], mine[groups[j]]
                        of_bins[b, 0] += d
                        of_bins[b, 1] += d * d
                        of_bins[b, 2] += d * d * d
                        of_bins[b, 3] += 1
            zero = mine[0]
            if zero:  # what the genes that are zero add
                for b in range(of_bins.shape[0]):
                    zeros = bins.size[m, b] - of_bins[b, 3]
                    of_bins[b, 0] += zeros * zero
                    of_bins[b, 1] += zeros * zero * zero
                    of_bins[b, 2] += zeros * zero * zero * zero
            if bins.first[m] == m:
                add_up((groups, genes), hits[:n_hits], mine, arms, m, sums[m, i])
        detected[i] = 0
        for h in hits[:n_hits]:
            for k in range(gene_ptr[genes[h]], gene_ptr[genes[h] + 1]):
                detected[i, arm_of[k]] += above[groups[h]]


class OutputParts(NamedTuple):
    """How sums of one method become scores of parts, and parts outputs."""

    arm: Array  # arms of each part, up and down, shape (n_parts, 2); -1 where there is none
    offset: Array  # u = (sum + offset) / most where the sum is not zero, else 0; shape (n_parts, 2), in steps
    most: Array
    down_weight: float
    out_ptr: Array  # the parts of output o are entries out_ptr[o] to out_ptr[o + 1] of out_part
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
