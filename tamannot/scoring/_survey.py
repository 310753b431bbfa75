"""What the values of a matrix are, and its entries in another order: by rows, by groups, without zeros."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tamannot.scoring._njit import Array, njit

_FEW = 4096


@njit
def look_at_indices(indices: Array, indptr: Array) -> tuple[int, int, bool]:
    """Return the smallest and largest index of some rows (of none 0 and -1), and whether those of each row rise."""
    low, high, falls = np.int64(0), np.int64(-1), np.int64(0)
    for i in range(indptr.size - 1):
        row = indices[indptr[i] : indptr[i + 1]]
        for j in range(1, row.size):
            falls += np.int64(row[j] <= row[j - 1])
        for j in range(row.size):
            # min and max are not compiled to comparisons of many at a time
            low = row[j] if row[j] < low else low  # noqa: FURB136
            high = row[j] if row[j] > high else high  # noqa: FURB136
    return int(low), int(high), bool(falls == 0)


@njit
def all_whole(values: Array) -> bool:
    """Return whether all values are whole numbers."""
    broken = np.int64(0)
    for v in values:
        broken += np.int64(np.floor(v) != v)
    return broken == 0


@dataclass(frozen=True)
class Seen:
    """What some numbers are."""

    low: float  # the smallest; NaN if there may be one
    high: float  # the largest; NaN if there may be one
    whole: bool  # whether all are whole numbers
    size: int  # how many they are

    @property
    def has_nan(self) -> bool:
        """Whether one of them is none."""
        return bool(np.isnan(self.low) or np.isnan(self.high))

    def __or__(self, other: Seen) -> Seen:
        """Return what both are together."""
        # numpy's minimum keeps a NaN, Python's may drop it
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Seen(float(low), float(high), self.whole and other.whole, self.size + other.size)


NOTHING_SEEN = Seen(np.inf, -np.inf, whole=True, size=0)
ZERO_SEEN = Seen(0.0, 0.0, whole=True, size=1)


def seen_in(values: Array) -> Seen:
    """Look once at numbers of any type and shape."""
    if not values.size:
        return NOTHING_SEEN
    flat = as_floats(values.reshape(-1))
    # The first few mostly tell that not all are whole.
    whole = values.dtype.kind in "iub" or (all_whole(flat[:_FEW]) and all_whole(flat))
    return Seen(float(flat.min()), float(flat.max()), whole, values.size)


def as_floats(values: Array) -> Array:
    """Return numbers as native floats of 32 or 64 bits, without a copy if they are such."""
    if values.dtype.kind == "f" and values.dtype.itemsize in (4, 8) and values.dtype.isnative:
        return values
    return values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)


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
    """Return the places of entries put group by group, each from its place in ``starts`` on, in their order."""
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
