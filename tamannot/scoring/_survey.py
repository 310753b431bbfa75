"""One pass over the arrays of a sparse matrix: what its values are, whether its rows are in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._njit import njit

Array = NDArray[Any]

_FEW = 4096


@njit
def rises_strictly(indices: Array, indptr: Array) -> bool:
    """Return whether the indices of every row rise, so that none stands twice."""
    for i in range(indptr.size - 1):
        later = indices[indptr[i] + 1 : indptr[i + 1]]
        earlier = indices[indptr[i] : indptr[i + 1]]
        falls = np.int64(0)
        for j in range(later.size):
            falls += np.int64(later[j] <= earlier[j])
        if falls:
            return False
    return True


@njit
def extremes(bits: Array) -> tuple[int, int]:
    """Return the smallest and the largest of integers."""
    low, high = bits[0], bits[0]
    for j in range(bits.size):
        b = bits[j]
        # min and max are not compiled to comparisons of many at a time
        low = b if b < low else low  # noqa: FURB136
        high = b if b > high else high  # noqa: FURB136
    return low, high


@njit
def all_whole(values: Array) -> bool:
    """Return whether all values are whole numbers."""
    broken = np.int64(0)
    for v in values:
        broken += np.int64(np.floor(v) != v)
    return broken == 0


def survey(values: Array) -> tuple[float, float]:
    """Return the smallest and the largest of floats; NaN if there is one."""
    # Of non-negative floats the bits are in their order, and integers are compared many at a time.
    low, high = extremes(values.view(f"i{values.itemsize}"))
    if low < 0:
        return float(values.min()), float(values.max())
    ends = np.array([low, high], f"i{values.itemsize}").view(values.dtype)
    return (float(ends[0]), float(ends[1])) if ends[1] == ends[1] else (np.nan, np.nan)


@dataclass(frozen=True)
class Seen:
    """What some numbers are."""

    low: float
    """The smallest; NaN if there may be one."""
    high: float
    """The largest; NaN if there may be one."""
    whole: bool
    """Whether all are whole numbers."""

    @property
    def has_nan(self) -> bool:
        """Whether one of them is none."""
        return bool(np.isnan(self.low) or np.isnan(self.high))

    def __or__(self, other: Seen) -> Seen:
        """Return what both are together."""
        # numpy's minimum keeps a NaN, Python's may drop it
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Seen(float(low), float(high), self.whole and other.whole)


NOTHING_SEEN = Seen(np.inf, -np.inf, whole=True)
ZERO_SEEN = Seen(0.0, 0.0, whole=True)


def seen_in(values: Array) -> Seen:
    """Look once at numbers of any type and shape."""
    if not values.size:
        return NOTHING_SEEN
    flat = _as_surveyed(values)
    # The first few mostly tell that not all are whole.
    whole = values.dtype.kind in "iub" or (all_whole(flat[:_FEW]) and all_whole(flat))
    return Seen(*survey(flat), whole=whole)


def _as_surveyed(values: Array) -> Array:
    """Return values flat, in one of the few number types that are compiled for."""
    flat = values.reshape(-1)
    if flat.dtype.kind == "f" and flat.dtype.itemsize in (4, 8) and flat.dtype.isnative:
        return flat
    return flat.astype(np.float32 if flat.dtype.itemsize < 4 else np.float64)


@njit
def first_from(indices: Array, lo: int, hi: int, least: int) -> int:
    """Return the first place from ``lo`` on, where indices rise, of one that is at least so much; ``hi`` if none is."""
    while lo < hi:
        middle = (lo + hi) // 2
        if indices[middle] < least:
            lo = middle + 1
        else:
            hi = middle
    return lo


@njit
def csc_block(data: Array, indices: Array, indptr: Array, start: int, stop: int) -> tuple[Array, Array, Array]:
    """Return rows ``start`` to ``stop`` of a CSC matrix as values, indices and row pointers of a CSR one."""
    n_vars = indptr.size - 1
    first = np.empty(n_vars, np.int64)
    out_ptr = np.zeros(stop - start + 1, np.int64)
    for g in range(n_vars):
        first[g] = first_from(indices, indptr[g], indptr[g + 1], start)
        j = first[g]
        while j < indptr[g + 1] and indices[j] < stop:
            out_ptr[indices[j] - start + 1] += 1
            j += 1
    for i in range(stop - start):
        out_ptr[i + 1] += out_ptr[i]
    at = out_ptr[:-1].copy()
    values = np.empty(out_ptr[-1], data.dtype)
    columns = np.empty(out_ptr[-1], np.int32)
    for g in range(n_vars):
        j = first[g]
        while j < indptr[g + 1] and indices[j] < stop:
            place = at[indices[j] - start]
            values[place], columns[place] = data[j], g
            at[indices[j] - start] += 1
            j += 1
    return values, columns, out_ptr


@njit
def group_places(group: Array, starts: Array) -> Array:
    """Return the place of each entry where entries stand group by group and keep their order within each.

    ``starts`` has the place of the first entry of each group.
    """
    free = starts.copy()
    places = np.empty(group.size, np.int64)
    for j in range(group.size):
        places[j] = free[group[j]]
        free[group[j]] += 1
    return places


@njit
def pack_rows(dense: Array) -> tuple[Array, Array, Array]:
    """Return the values of a dense matrix that are not 0, their columns, and where each row begins."""
    n_rows, n_columns = dense.shape
    indptr = np.zeros(n_rows + 1, np.int64)
    for i in range(n_rows):
        n = np.int64(0)
        for j in range(n_columns):
            n += np.int64(dense[i, j] != 0)
        indptr[i + 1] = indptr[i] + n
    values, indices = np.empty(indptr[-1], dense.dtype), np.empty(indptr[-1], np.int32)
    at = 0
    for i in range(n_rows):
        for j in range(n_columns):
            if dense[i, j] != 0:
                values[at], indices[at] = dense[i, j], j
                at += 1
    return values, indices, indptr
