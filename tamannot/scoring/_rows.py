"""Rows of an expression matrix as the kernels read them.

For non-negative numbers the bits of a float, read as an unsigned integer, are in the order of the
numbers. Ranks need nothing else, so one compiled kernel serves every number type of a width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tamannot._settings import in_order, settings
from tamannot.errors import MatrixError
from tamannot.scoring._njit import Array, njit

_FEW = 4096
_WIDTHS = {4: np.uint32, 8: np.uint64}
# Indices are looked at in so many parts, none of fewer rows than this.
_LOOKS, _FEWEST_A_LOOK = 16, 512


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

    low: float  # the smallest; NaN if one of them is NaN
    high: float  # the largest; NaN likewise
    whole: bool  # whether all are whole numbers
    size: int  # how many they are


def seen_in(values: Array) -> Seen:
    """Look once at numbers of any type and shape."""
    if not values.size:
        return Seen(np.inf, -np.inf, whole=True, size=0)
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


@dataclass(frozen=True)
class RowBlock:
    """Consecutive rows in CSR form: row ``i`` holds entries ``indptr[i]`` to ``indptr[i + 1]``."""

    values: Array
    indices: NDArray[np.signedinteger[Any]]
    indptr: NDArray[np.int64]

    def only(self, rows: Array) -> RowBlock:
        """Return some of the rows, given as a mask."""
        entries = np.repeat(rows, np.diff(self.indptr))
        ends = np.concatenate([[0], np.cumsum(np.diff(self.indptr)[rows])]).astype(np.int64)
        return RowBlock(self.values[entries], self.indices[entries], ends)

    def at(self, place: Array) -> RowBlock:
        """Return some of the columns: ``place`` has the new number of each, -1 of those that are dropped."""
        now = place[self.indices]
        kept = now >= 0
        ends = np.concatenate([[0], np.cumsum(kept)])[self.indptr]
        return RowBlock(self.values[kept], now[kept], ends)

    def totals(self, entries: Array) -> Array:
        """Return the sum over each row of one number an entry; of truths, how many."""
        if entries.dtype == bool and entries.all():
            return np.diff(self.indptr).astype(np.float64)
        sums = np.add.reduceat(np.append(entries, entries.dtype.type(0)), self.indptr[:-1], dtype=np.float64)
        return np.where(np.diff(self.indptr) > 0, sums, 0.0)

    def matrix(self, n_vars: int, values: Array | None = None) -> sp.csr_array:
        """Return the rows as a sparse matrix, cells × ``n_vars``, with these values or others in their places."""
        ends, kind = self.indptr, self.indices.dtype
        if ends[-1] <= np.iinfo(kind).max:  # of two types scipy would make all indices the wider one
            ends = ends.astype(kind)
        numbers = self.values if values is None else values
        return sp.csr_array((numbers, self.indices, ends), shape=(ends.size - 1, n_vars))

    @property
    def bits(self) -> NDArray[np.unsignedinteger[Any]]:
        """The values, if non-negative, as unsigned integers of the same order, without a copy if possible."""
        values = self.values
        if values.dtype.kind != "i" or values.dtype.itemsize not in _WIDTHS or not values.dtype.isnative:
            values = as_floats(values)
        return np.ascontiguousarray(values).view(_WIDTHS[values.dtype.itemsize])


class RowSource(Protocol):
    """A matrix of ``n_obs`` cells by ``n_vars`` genes that gives out blocks of rows, to several threads at once."""

    shape: tuple[int, int]  # (n_obs, n_vars)
    step: int  # rows that are best read together
    in_memory: bool  # whether reading rows again costs next to nothing

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""


class CsrRows:
    """Rows of a CSR matrix in memory; blocks share its arrays."""

    step = 512
    in_memory = True

    def __init__(self, matrix: sp.csr_matrix | sp.csr_array) -> None:
        self._data, self._indices, self._indptr = _tidy_arrays(matrix, sp.csr_array, matrix.shape)
        self.shape: tuple[int, int] = matrix.shape

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        ends = self._indptr[start : stop + 1].astype(np.int64)
        entries = slice(ends[0], ends[-1])
        return RowBlock(self._data[entries], self._indices[entries], ends - ends[0])


class CscRows:
    """Rows of a CSC matrix in memory, turned a block at a time: no second matrix is made."""

    step = 2048
    in_memory = True

    def __init__(self, matrix: sp.csc_matrix | sp.csc_array) -> None:
        data, self._indices, self._indptr = _tidy_arrays(matrix, sp.csc_array, matrix.shape[::-1])
        self._data = packable(data)
        self.shape: tuple[int, int] = matrix.shape

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        return RowBlock(*csc_block(self._data, self._indices, self._indptr, start, stop))


class DenseRows:
    """Rows of anything that gives an array or a sparse matrix for ``matrix[start:stop]``, at most ``step`` at once."""

    def __init__(self, matrix: Any, step: int = 512) -> None:
        self._matrix, self.step, self.in_memory = matrix, step, isinstance(matrix, np.ndarray)
        self.shape: tuple[int, int] = tuple(matrix.shape)

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        parts = []
        for first in range(start, stop, self.step) or [start]:
            rows = self._matrix[first : min(first + self.step, stop)]
            if is_sparse(rows):
                parts.append(CsrRows(rows.tocsr()).block(0, rows.shape[0]))
            else:
                parts.append(RowBlock(*pack_rows(np.ascontiguousarray(packable(np.asarray(rows))))))
        return joined(parts)


class SomeColumns:
    """Rows of a matrix of which only some columns, in rising order, are read."""

    in_memory = False  # every read copies what is kept

    def __init__(self, rows: RowSource, columns: Array) -> None:
        self._rows, self.step = rows, rows.step
        self.shape: tuple[int, int] = (rows.shape[0], columns.size)
        self._place = np.full(rows.shape[1], -1, np.int32)
        self._place[columns] = np.arange(columns.size, dtype=np.int32)

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        return self._rows.block(start, stop).at(self._place)


# Cells that are fitted to, and neighbours that are read together: a file gives out 500 rows as fast as one.
MOST_CELLS, RUN = 40_000, 500


def spread_rows(n_obs: int, most: int | None = None, run: int | None = None) -> list[range]:
    """Return at most so many rows, as runs spread evenly over a matrix, for any container and block size."""
    most, run = most or MOST_CELLS, run or RUN
    if n_obs <= most:
        return [range(n_obs)]
    run = min(run, max(most // 2, 1))  # two at least, which do not overlap
    n_runs = max(2, most // run)
    starts = (i * (n_obs - run) // (n_runs - 1) for i in range(n_runs))
    return [range(start, start + run) for start in starts]


def rows_in_memory(matrix: Any) -> RowSource:
    """Return the rows of a dense or sparse matrix in memory, or of anything that gives rows when sliced."""
    if is_sparse(matrix):
        return CscRows(matrix) if matrix.format == "csc" else CsrRows(matrix.tocsr())
    return DenseRows(matrix)


def _tidy_arrays(matrix: Any, container: type, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Return values, indices and pointers of a sparse matrix, copied if the indices of a row or column do not rise."""
    n_major, n_minor = shape
    # Pointers may lead out of the arrays of a file, or indices out of the matrix: neither scipy nor a kernel looks.
    ends, n_entries = matrix.indptr, min(matrix.indices.size, matrix.data.size)
    good = ends.dtype.kind in "iu" and ends.shape == (n_major + 1,) and matrix.indices.dtype.kind in "iu"
    if not good or ends[0] != 0 or ends[-1] > n_entries or (ends[1:] < ends[:-1]).any():
        raise MatrixError("The sparse matrix is damaged: its pointers do not rise from 0 to the number of its entries.")
    looks = in_order(
        lambda start, stop: look_at_indices(matrix.indices, ends[start : stop + 1]),
        n_major,
        threads=settings.n_threads(),
        step=max(n_major // _LOOKS, _FEWEST_A_LOOK),
    )
    lows, highs, rising = zip((0, -1, True), *looks, strict=True)
    if (index := min(lows)) < 0 or (index := max(highs)) >= n_minor:
        raise MatrixError(f"The sparse matrix is damaged: it has the index {index:,}, but the size is {n_minor:,}.")
    # A second header over the same arrays: scipy notes what it finds out on the header.
    view = container((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape, copy=False)
    if not all(rising):
        view = view.copy()
        view.sum_duplicates()
    return view.data, view.indices, view.indptr


def joined(blocks: Sequence[RowBlock]) -> RowBlock:
    """Return blocks of rows as one, the rows of the first before those of the second."""
    if len(blocks) == 1:
        return blocks[0]
    counts = np.concatenate([np.diff(b.indptr) for b in blocks])
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return RowBlock(np.concatenate([b.values for b in blocks]), np.concatenate([b.indices for b in blocks]), ends)


def is_sparse(matrix: object) -> bool:
    """Return whether a matrix is one of scipy's sparse matrices or arrays."""
    return bool(sp.issparse(matrix))


def packable(values: Array) -> Array:
    """Return numbers of a type that kernels are compiled for: no half or long floats, no foreign byte order."""
    if values.dtype.kind == "f" and values.dtype.itemsize not in _WIDTHS:
        return values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


T = TypeVar("T")
About = Callable[[range], tuple[Any, ...]]


@runtime_checkable
class DistributedRows(RowSource, Protocol):
    """A row source that works on its rows itself, perhaps by other processes."""

    def blocks(self, runs: Sequence[range]) -> list[RowBlock]:
        """Return the rows of several runs, fetched all at once, in their order; a run may come in pieces."""

    def mapped(self, work: Callable[..., T], about: About | None = None, *, step: int) -> Iterator[tuple[range, T]]:
        """Do what `each_block` does; ``work`` is sent out once, and few results are ahead of whoever takes them."""


def each_block(
    rows: RowSource, work: Callable[..., T], about: About | None = None, *, threads: int, step: int
) -> Iterator[tuple[range, T]]:
    """Yield rows and ``work(block, *about(rows))``, block by block in their order, wherever the rows are.

    ``work`` must hold nothing that another process could not be told. Blocks have ``step`` rows at most; rows at hand
    are worked on by ``threads``.
    """
    if isinstance(rows, DistributedRows):
        return rows.mapped(work, about, step=step)

    def here(start: int, stop: int) -> tuple[range, T]:
        mine = range(start, stop)
        return mine, work(rows.block(start, stop), *(about(mine) if about else ()))

    # HDF5 reads for one thread at a time: while one waits for its turn, another computes.
    return in_order(here, rows.shape[0], threads=threads + (threads > 1 and not rows.in_memory), step=step)
