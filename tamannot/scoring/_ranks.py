"""Ranks of each cell's genes, from its non-zero values alone, and the depth that each method makes of a rank."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import NamedTuple, TypeVar

import numpy as np

from tamannot._settings import in_order
from tamannot.scoring._njit import Array, njit
from tamannot.scoring._plan import RankMethod
from tamannot.scoring._rows import CscRows, DistributedRows, RowBlock, RowSource

T = TypeVar("T")
# What a tie is worth: the depth of its mean rank, the mean of the depths it could have, or the depth of
# UCell before 2.7.6, which counts rank K as one.
AVERAGE, EXPECTED, LEGACY = 0, 1, 2
# Beyond this rank the cubes of half ranks no longer sum in 64 bits: no null can be had.
LARGEST_NULL_CAP = 46_000
# Up to so many distinct values of a cell are compared with each other, more are sorted.
_COMPARED = 256
# So many comparisons are one step of the machine, or a few.
_AT_ONCE = 32
_BYTE = 256
_HASH = np.uint64(0x9E3779B97F4A7C15)
# Bytes of ranked rows that are kept; what is beyond is ranked again.
_MOST_KEPT = 1 << 29


class Depths(NamedTuple):
    """By method ``max(cap - rank, 0)`` in whole steps of ``1 / step``: sums are exact, no order can show in a bit."""

    cap: Array
    ties: Array
    step: Array


def depths_of(methods: Sequence[RankMethod], n_vars: int) -> Depths:
    """Return how the ranks of several methods are counted, in the finest steps whose third moments fit into 64 bits."""
    cap, ties = np.array([m.rank_cap(n_vars) for m in methods], float), np.array([m.ties for m in methods], np.int64)
    # The cubes of the depths of all genes sum to at most cap^4 / 4, in steps, and that is to stay below 2^63.
    room = (64.0 - 4.0 * np.log2(np.maximum(cap, 2.0))) / 3.0
    fine = np.maximum(np.floor(room), 1)
    # A mean rank is a multiple of a half: finer steps would only cost room.
    return Depths(cap, ties, 2.0 ** np.where(ties == EXPECTED, fine, 1.0))


@njit
def descending(top: Array, n: int) -> Array:
    """Return the places of ``n`` different values, the greatest first: sorted byte by byte, the last first."""
    order, other, at = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(_BYTE + 1, np.int32)
    for k in range(n):
        order[k] = k
    last = np.uint64(_BYTE - 1)
    for byte in range(top.itemsize):
        shift = np.uint64(8 * byte)
        at[:] = 0
        for k in range(n):
            at[np.uint64(_BYTE) - ((np.uint64(top[k]) >> shift) & last)] += 1
        for b in range(_BYTE):
            at[b + 1] += at[b]
        for j in range(n):
            place = last - ((np.uint64(top[order[j]]) >> shift) & last)
            other[at[place]] = order[j]
            at[place] += 1
        order, other = other, order
    return order


@njit
def count_above(top: Array, size: Array, n: int, above: Array) -> None:
    """Write how many genes have a greater value than those of each of ``n`` groups; arrays have `_AT_ONCE` to spare."""
    if n > _COMPARED:
        total = np.int32(0)
        for k in descending(top, n):
            above[k] = total
            total += size[k]
        return
    # To compare a few groups with each other takes no branch, and is faster than to sort them. Groups of no
    # value fill up what is compared at once.
    filled = -(-n // _AT_ONCE) * _AT_ONCE
    top[n:filled] = 0
    values, sizes = top[:filled], size[:filled]
    for k in range(n):
        mine, total = values[k], np.int32(0)
        for other in range(filled):
            total += sizes[other] if values[other] > mine else np.int32(0)
        above[k] = total


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
def group_values(row: Array, table: Array, group: Array, value: Array, count: Array) -> int:
    """Write the group of each entry, the value and, in two halves, the size of each group; return their number.

    Groups are numbered from 1. A cell has few distinct values (log-normalised counts are a function of
    small integers), so a hash table finds them. ``table`` is all zeros on entry and on return.
    """
    # Unsigned numbers: no index is then looked at for its sign.
    mask = np.uint64(table.size - 1)
    value[0] = ~value.dtype.type(0)  # of no group: all bits are set in no number that is not negative
    n = 0
    for j in range(row.size):
        b = row[j]
        slot = (np.uint64(b) * _HASH >> np.uint64(40)) & mask
        g = np.uint32(table[slot])
        while value[g] != b:
            if g == 0:
                n += 1
                g = np.uint32(n)
                table[slot] = n
                value[g] = b
                count[2 * g] = 0
                count[2 * g + 1] = 0
            else:
                slot = (slot + np.uint64(1)) & mask
                g = np.uint32(table[slot])
        count[2 * g + (j & 1)] += 1  # two counters: most entries are of one group, and would wait
        group[j] = g
    for k in range(1, n + 1):
        slot = (np.uint64(value[k]) * _HASH >> np.uint64(40)) & mask
        while table[slot]:
            table[slot] = 0
            slot = (slot + np.uint64(1)) & mask
    return n


@njit
def longest_row(indptr: Array) -> int:
    """Return the number of entries of the longest row."""
    longest = 0
    for i in range(indptr.size - 1):
        size = indptr[i + 1] - indptr[i]
        longest = size if size > longest else longest  # noqa: FURB136 - max takes longer to compile
    return longest


@njit
def rank_rows(
    bits: Array, indptr: Array, n_genes: int, how: Depths, most: int, out: tuple[Array, Array, Array, Array]
) -> int:
    """Group the equal values of each cell and write the depth of each group for each method.

    Rank 1 is the highest value; the zeros, stored or not, are one tie below all others. Only the distinct
    values are put in order. Groups of a cell are numbered from 1; 0 are the zeros that are not stored.

    ``bits`` are the cells' stored values as order bits. Output are ``group``, ``ptr``, ``depth`` and ``high`` as in
    `RankedBlock`, ``ptr`` of the first cell being given. Returns how many cells are done: those before the first that
    has more than ``most`` groups.
    """
    cap, ties, step = how
    group, ptr, depth, high = out
    longest = longest_row(indptr)
    size = 2
    while size < 2 * longest + 1:
        size *= 2
    table, value = np.zeros(size, np.int32), np.empty(longest + 1, bits.dtype)
    count, order = np.empty(2 * longest + 2, np.int32), np.empty(longest + 1, np.int64)
    room, sign = longest + 1 + _AT_ONCE, np.uint64(1) << np.uint64(8 * bits.itemsize - 1)
    top, sizes, above = np.empty(room, bits.dtype), np.empty(room, np.int32), np.empty(room, np.int32)
    for i in range(indptr.size - 1):
        start, stop, at = indptr[i], indptr[i + 1], ptr[i]
        n_groups = group_values(bits[start:stop], table, group[start:stop], value, count)
        if n_groups > most:
            return i
        ptr[i + 1] = at + n_groups + 1
        n_high = 0  # the groups above zero, side by side; the rest are stored zeros, positive or negative
        for g in range(1, n_groups + 1):
            if 0 < value[g] < sign:
                order[n_high], top[n_high], sizes[n_high] = g, value[g], count[2 * g] + count[2 * g + 1]
                n_high += 1
        count_above(top, sizes, n_high, above)
        zeros = n_genes
        high[at : at + n_groups + 1] = 0
        for k in range(n_high):
            high[at + order[k]] = 1
            zeros -= sizes[k]
        for m in range(cap.size):
            zero = np.int64(0)
            if zeros:
                found = depth_of(ties[m], cap[m], float(n_genes - zeros), float(zeros)) * step[m]
                zero = np.int64(np.rint(found))
            depth[m, at : at + n_groups + 1] = zero
            for k in range(n_high):
                found = depth_of(ties[m], cap[m], float(above[k]), float(sizes[k])) * step[m]
                depth[m, at + order[k]] = np.int64(np.rint(found))
    return indptr.size - 1


class RankedBlock(NamedTuple):
    """Consecutive rows: the group of each entry, and what each group of a row is.

    Groups of row ``i`` are entries ``ptr[i]`` to ``ptr[i + 1]`` of ``depth`` and ``high``, the first of them the zeros
    that are not stored.
    """

    indices: Array
    indptr: Array
    group: Array  # number of the group within its row, from 1, shape (n_entries,)
    ptr: Array
    depth: Array  # depth by each method in whole steps, shape (n_methods, n_groups)
    high: Array  # whether a group is above zero, shape (n_groups,)


def rank_block(block: RowBlock, n_genes: int, how: Depths) -> RankedBlock:
    """Return rows with their values replaced by groups."""
    n_entries, n_cells = block.indices.size, block.indptr.size - 1
    # A row has no more groups than entries.
    ptr, room = np.zeros(n_cells + 1, np.int64), n_entries + n_cells
    depth, high = np.empty((how.cap.size, room), np.int64), np.empty(room, np.uint8)
    done, group = 0, np.empty(0, np.uint8)
    # Most cells have fewer distinct values than a byte numbers; from the first that has more on it takes a wider type.
    # Where the first cell has more, the kernel for bytes is not even compiled.
    n_distinct = np.unique(block.bits[: block.indptr[min(1, n_cells)]]).size
    for kind in (k for k in (np.uint8, np.uint16, np.int32) if n_distinct <= np.iinfo(k).max):
        narrower, group = group[: block.indptr[done]], np.empty(n_entries, kind)
        group[: narrower.size] = narrower
        out = (group, ptr[done:], depth, high)
        done += rank_rows(block.bits, block.indptr[done:], n_genes, how, int(np.iinfo(kind).max), out)
        if done == n_cells:
            break
    n = int(ptr[-1])  # of the room mostly next to nothing is used
    return RankedBlock(block.indices, block.indptr, group, ptr, depth[:, :n].copy(), high[:n].copy())


class RankedRows:
    """Ranks of the rows of a matrix; in memory they are kept, up to a limit, if there is a next pass."""

    def __init__(self, rows: RowSource, methods: Sequence[RankMethod], *, keep: bool) -> None:
        self._rows, self.depths = rows, depths_of(methods, rows.shape[1])
        self._kept: dict[tuple[int, int], RankedBlock] = {}
        # Not of a matrix by columns: with the indices of its rows they would take more than its values.
        lasting = keep and rows.in_memory and not isinstance(rows, CscRows)
        self._room, self._lock = _MOST_KEPT if lasting else 0, Lock()

    def block(self, start: int, stop: int) -> RankedBlock:
        """Return rows ``start`` to ``stop``; several threads may ask."""
        if (found := self._kept.get((start, stop))) is not None:
            return found
        made = rank_block(self._rows.block(start, stop), self._rows.shape[1], self.depths)
        n_bytes = sum(a.nbytes for a in made)  # of indices, too, which may be those of the matrix itself
        with self._lock:
            if n_bytes <= self._room:
                self._kept[start, stop] = made
                self._room -= n_bytes
        return made

    def each(self, work: Callable[[RankedBlock], T], *, threads: int) -> Iterator[tuple[range, T]]:
        """Yield rows and ``work`` of their ranks, block by block in their order; see `each_block`."""
        rows, n_genes, depths = self._rows, self._rows.shape[1], self.depths
        if isinstance(rows, DistributedRows):
            return rows.mapped(lambda block: work(rank_block(block, n_genes, depths)), step=rows.step)
        return in_order(
            lambda start, stop: (range(start, stop), work(self.block(start, stop))),
            rows.shape[0],
            threads=threads,
            step=rows.step,
        )
