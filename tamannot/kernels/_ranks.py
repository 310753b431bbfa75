"""Ranks of one cell's genes, from its non-zero values alone, and what each method makes of a rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.kernels._njit import njit

Array = NDArray[Any]

# What a tie is worth: the depth of its mean rank, the mean of the depths it could have, or the depth of
# UCell before 2.7.6, which counts rank K as one.
AVERAGE, EXPECTED, LEGACY = 0, 1, 2
# Beyond this rank the cubes of half ranks no longer sum in 64 bits: no null can be had.
LARGEST_NULL_CAP = 46_000
_INSERTION = 48


@dataclass(frozen=True)
class Depths:
    """How ranks become depths, one entry a method: ``max(cap - rank, 0)`` in steps of ``1 / step``.

    Depths are whole numbers of steps, so that their sums are exact and no order can show in a bit.
    """

    cap: Array
    ties: Array
    step: Array


def depths(caps: list[int], ties: list[int]) -> Depths:
    """Return the arrays of `Depths`, with the finest steps whose third moments fit into 64 bits."""
    cap = np.array(caps, np.float64)
    # The cubes of the depths of all genes sum to at most cap^4 / 4, in steps, and that is to stay below 2^63.
    room = (64.0 - 4.0 * np.log2(np.maximum(cap, 2.0))) / 3.0
    fine = np.maximum(np.floor(room), 1)
    # A mean rank is a multiple of a half: finer steps would only cost room.
    power = np.where(np.array(ties) == EXPECTED, fine, 1.0)
    return Depths(cap, np.array(ties, np.int64), 2.0**power)


@njit
def sort_groups(value: Array, order: Array, n: int) -> int:
    """Write the groups whose value is above zero to ``order``, by falling value; return how many they are."""
    sign = np.uint64(1) << np.uint64(8 * value.itemsize - 1)
    n_sorted = 0
    for g in range(1, n + 1):
        if 0 < value[g] < sign:  # the rest are stored zeros, positive or negative
            order[n_sorted] = g
            n_sorted += 1
    if n_sorted > _INSERTION:
        order[:n_sorted] = order[np.argsort(value[order[:n_sorted]])[::-1]]
        return n_sorted
    for i in range(1, n_sorted):
        g = order[i]
        j = i
        while j > 0 and value[order[j - 1]] < value[g]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = g
    return n_sorted


@njit
def depth_of(tie: int, k: float, above: float, size: float) -> float:
    """Return the depth of a tie of ``size`` genes that has ``above`` genes over it."""
    if tie == AVERAGE:
        return max(k - (above + 0.5 * (size + 1.0)), 0.0)
    if tie == LEGACY:
        rank = above + 0.5 * (size + 1.0)
        return k + 1.0 - rank if rank <= k else 0.0
    if above + size <= k:
        return k - (above + 0.5 * (size + 1.0))
    inside = max(k - above - 1.0, 0.0)
    return 0.5 * inside * (inside + 1.0) / size


@njit
def slot_of(bits: np.unsignedinteger[Any], mask: np.uint64) -> np.uint64:
    """Return where a value belongs in the hash table. Unsigned, so that no index is looked at for its sign."""
    return (np.uint64(bits) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)) & mask


@njit
def group_values(row: Array, table: Array, group: Array, value: Array, count: Array) -> int:
    """Write the group of each entry, the value and, in two halves, the size of each group; return their number.

    Groups are numbered from 1. A cell has few distinct values (log-normalised counts are a function of
    small integers), so a hash table finds them. ``table`` is all zeros on entry and on return.
    """
    mask = np.uint64(table.size - 1)
    n = 0
    for j in range(row.size):
        b = row[j]
        slot = slot_of(b, mask)
        while True:
            g = np.uint32(table[slot])
            if g == 0:
                n += 1
                g = np.uint32(n)
                table[slot] = n
                value[g] = b
                count[2 * g] = 0
                count[2 * g + 1] = 0
            if value[g] == b:
                count[2 * g + (j & 1)] += 1  # two counters: most entries are of one group, and would wait
                group[j] = g
                break
            slot = (slot + np.uint64(1)) & mask
    for k in range(1, n + 1):
        slot = slot_of(value[k], mask)
        while table[slot]:
            table[slot] = 0
            slot = (slot + np.uint64(1)) & mask
    return n


@njit
def rank_groups(
    row: Array, n_genes: int, cap: Array, ties: Array, step: Array, work: tuple[Array, ...], depth: Array
) -> int:
    """Group the equal values of a cell and write the depth of each group for each method.

    Rank 1 is the highest value; the zeros, stored or not, are one tie below all others. Only the distinct
    values are sorted.

    Parameters
    ----------
    row
        The cell's stored values as order bits, shape ``(n,)``.
    n_genes
        Genes of the matrix, zeros included.
    cap, ties, step
        The fields of `Depths`.
    work
        What `work_space` returned. When this returns, its ``group`` holds the group of each entry and its
        ``order`` the groups above zero, by falling value.
    depth
        Output, shape ``(n_methods, ≥ n + 1)``, whole steps: of group 0, the zeros that are not stored, and of
        the others.

    Returns
    -------
    The number of groups above zero.
    """
    table, group, value, count, order = work
    n_groups = group_values(row, table, group, value, count)
    n_sorted = sort_groups(value, order, n_groups)
    n_positive = 0
    for i in range(n_sorted):
        n_positive += count[2 * order[i]] + count[2 * order[i] + 1]
    zeros = n_genes - n_positive
    for m in range(cap.size):
        zero = np.int64(np.rint(depth_of(ties[m], cap[m], n_positive, zeros) * step[m])) if zeros else 0
        depth[m, : n_groups + 1] = zero
        above = 0.0
        for i in range(n_sorted):
            g = order[i]
            size = count[2 * g] + count[2 * g + 1]
            depth[m, g] = np.int64(np.rint(depth_of(ties[m], cap[m], above, size) * step[m]))
            above += size
    return n_sorted


@njit
def work_space(longest: int, bits: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return what `rank_groups` needs for rows of up to ``longest`` entries of the type of ``bits``."""
    size = 2
    while size < 2 * longest + 1:
        size *= 2
    n = longest + 1
    return (
        np.zeros(size, np.int32),
        np.empty(n, np.int32),
        np.empty(n, bits.dtype),
        np.empty(2 * n, np.int64),
        np.empty(n, np.int64),
    )


@njit
def longest_row(indptr: Array) -> int:
    """Return the number of entries of the longest row."""
    longest = 0
    for i in range(indptr.size - 1):
        longest = max(longest, indptr[i + 1] - indptr[i])
    return longest
