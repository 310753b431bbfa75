"""The rows of a matrix in any container, for the kernels; rows that were not inspected are checked when read.

Each row of a matrix by columns (CSC) in a file crosses all columns, so these are read once, some million entries at a
time. Each such part is turned into rows in memory and put into a temporary file; blocks are then read from all parts.
"""

from __future__ import annotations

import errno
import shutil
import sys
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import h5py
import numpy as np
import scipy.sparse as sp
import zarr
from anndata.abc import CSCDataset, CSRDataset

from tamannot.data._kind import LARGEST_LOG, Kind, fault_of
from tamannot.errors import InputFileError, MatrixError, OutputError
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import (
    CsrRows,
    DenseRows,
    RowBlock,
    RowSource,
    SomeColumns,
    look_at_indices,
    packable,
    rows_in_memory,
    seen_in,
)

# Rows read at once from what is sliced, where every read has its price.
_ROWS_A_READ = 4096
# Entries of a block of a sparse matrix: of the size of a chunk, but neither so few that a read costs more than what it
# brings, nor so many that they fill the memory. Values of a block of a dense one: 32 MB of 32-bit floats.
_FEWEST_ENTRIES, _MOST_ENTRIES, _MOST_VALUES = 1 << 19, 1 << 21, 1 << 23
_MOST_ROWS = 4096
_LARGEST_INT32, _NARROW = 2**31 - 1, 4
# Entries of a matrix by columns that are in memory at a time.
_ENTRIES_A_PART = 1 << 23
_INDEX = np.dtype(np.int32)


def row_source(
    matrix: Any, genes: Array | None = None, *, check: Check | None = None, rows: RowSource | None = None
) -> RowSource:
    """Return the rows of a matrix in any container, of some columns or all; no second matrix is made in memory.

    Those of a file or of dask are checked when read, if there is a ``check``; ``rows`` are the same unchecked, if they
    are at hand.
    """
    if is_dask(matrix):
        from tamannot.data._dask import DaskRows  # noqa: PLC0415 - brings dask

        return DaskRows(genes_of(matrix, genes), check)
    if rows is None:
        if isinstance(matrix, CSRDataset | CSCDataset):
            group, kind = matrix.group, CsrRowsOnDisk if isinstance(matrix, CSRDataset) else RowsFromColumns
            values, indices, indptr = Slices(group["data"]), Slices(group["indices"]), Slices(group["indptr"])[:]
            rows = kind(values, indices, indptr, matrix.shape, name_of(group))
        elif is_on_disk(matrix):
            # Whole chunks at a time, unless one is too much.
            stored = Slices(matrix, "rows")
            most = min(max(_MOST_VALUES // max(stored.shape[1], 1), 1), _MOST_ROWS)
            rows = DenseRows(stored, step=most - most % stored.chunk if stored.chunk <= most else most)
        elif sp.issparse(matrix) or isinstance(matrix, np.ndarray):
            rows = rows_in_memory(matrix)
        else:
            rows = DenseRows(matrix, step=_ROWS_A_READ)
        rows = rows if genes is None else SomeColumns(rows, genes)
    return CheckedRows(rows, check) if check is not None and is_on_disk(matrix) else rows


def genes_of(matrix: Any, genes: Array | None) -> Any:
    """Return a dask array of the columns that are genes; neighbours as a slice, which costs nothing."""
    if genes is None:
        return matrix
    neighbours = genes[-1] - genes[0] == genes.size - 1
    return matrix[:, genes[0] : genes[-1] + 1] if neighbours else matrix[:, genes]


def is_on_disk(matrix: Any) -> bool:
    """Return whether a matrix is a part of an HDF5 file or a zarr store."""
    return isinstance(matrix, CSRDataset | CSCDataset | h5py.Dataset | zarr.Array)


def is_dask(matrix: Any) -> bool:
    """Return whether a matrix is a dask array, without importing dask."""
    dask = sys.modules.get("dask.array")
    return dask is not None and isinstance(matrix, dask.Array)


@dataclass(frozen=True)
class Check:
    """Whether rows are of the kind that a sample of the matrix was found to be of."""

    name: str  # X, raw, or the name of a layer
    kind: Kind  # what every value must agree with

    def __call__(self, block: RowBlock, start: int, stop: int) -> None:
        """Refuse rows ``start`` to ``stop`` if they have a value that a matrix of this kind has not."""
        if not block.values.size:
            return
        seen, problem = seen_in(block.values), ""
        if fault := fault_of(seen, signed=self.kind == "signed"):
            problem = f"have {fault}"
        elif self.kind == "counts" and not seen.whole:
            problem = "have values that are not integers"
        elif self.kind == "log" and seen.high > LARGEST_LOG:
            problem = f"have values of {seen.high:.3g}, too large for log values"
        if problem:
            raise MatrixError(
                f"Rows {start:,} to {stop:,} of {self.name} {problem}, but values sampled from the whole matrix are "
                f"{self.kind}. Fix these rows, or use another matrix with layer=."
            )


class CheckedRows:
    """Rows of a matrix that are checked as they are read."""

    def __init__(self, rows: RowSource, check: Check) -> None:
        self._rows, self._check = rows, check
        self.shape, self.step, self.in_memory = rows.shape, rows.step, rows.in_memory

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        block = self._rows.block(start, stop)
        self._check(block, start, stop)
        return block


class Slices:
    """Ranges along the first axis of an array of HDF5 or zarr; several threads may read."""

    def __init__(self, stored: Any, what: str = "entries") -> None:
        self._stored, self._what = stored, what
        self.name, self.dtype, self.shape = name_of(stored), stored.dtype, tuple(map(int, stored.shape))
        self.size, self.chunk = self.shape[0], int(stored.chunks[0]) if stored.chunks else 1
        file = Path(stored.file.filename) if isinstance(stored, h5py.Dataset) else None
        self._file = file if file is not None and file.is_file() else None
        self._file_size = self._file.stat().st_size if self._file is not None else 0

    def __getitem__(self, span: slice) -> Array:
        """Return a range as an array of its own."""
        start, stop, _ = span.indices(self.size)
        what = f"{self._what} {start:,} to {stop:,} cannot be read"
        try:
            found = np.asarray(self._stored[start:stop])
            # HDF5 gives zeros for what was cut off after the file was opened.
            is_whole = self._file is None or self._file.stat().st_size >= self._file_size
        except MemoryError:
            raise
        except Exception as error:  # whatever h5py, zarr and their codecs raise on bytes that are none of theirs
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise _damaged(self.name, f"{what} ({reason})") from error
        if not is_whole:
            raise _damaged(self.name, f"{what} (the file ends too early)")
        return found


class CsrRowsOnDisk:
    """Rows of a CSR matrix on disk: only the row pointers, 8 bytes a row, are in memory."""

    in_memory = False

    def __init__(self, values: Slices, indices: Slices, indptr: Array, shape: tuple[int, int], name: str) -> None:
        self._values, self._indices, self.shape = values, indices, shape
        self._indptr = _checked_pointers(indptr, shape[0], min(values.size, indices.size), name)
        self.step = _rows_a_block(int(self._indptr[-1]), shape[0], max(values.chunk, indices.chunk))

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        ends = self._indptr[start : stop + 1]
        first, last = int(ends[0]), int(ends[-1])
        indices, rise = _checked_indices(self._indices[first:last], ends - first, self.shape[1], self._indices.name)
        block = RowBlock(packable(self._values[first:last]), indices, ends - first)
        if rise:
            return block
        return CsrRows(block.matrix(self.shape[1])).block(0, stop - start)


class RowsFromColumns:
    """Rows of a CSC matrix on disk, whose columns are turned part by part into a temporary file."""

    in_memory = False

    def __init__(self, values: Slices, indices: Slices, indptr: Array, shape: tuple[int, int], name: str) -> None:
        columns = _checked_pointers(indptr, shape[1], min(values.size, indices.size), name)
        n_entries = int(columns[-1])
        self.shape, self.step = shape, _rows_a_block(n_entries, shape[0], 1)
        self._kind = packable(np.empty(0, values.dtype)).dtype
        starts = range(0, n_entries, _ENTRIES_A_PART)
        n_bytes = n_entries * (self._kind.itemsize + _INDEX.itemsize) + len(starts) * (shape[0] + 1) * _INDEX.itemsize
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if n_bytes > free:
            has = f"{folder} has only {free / 1e9:,.1f} GB free"
            raise _no_room(name, f"needs a temporary file of {n_bytes / 1e9:,.1f} GB, and {has}")
        # A file without a name, which is gone with the object.
        self._file, self._lock = tempfile.TemporaryFile(prefix="tamannot-"), Lock()  # noqa: SIM115 - closed below
        weakref.finalize(self, self._file.close)
        # Bytes at which row pointers, columns and values of each part begin.
        self._parts: list[list[int]] = []
        for start in starts:
            stop = min(start + _ENTRIES_A_PART, n_entries)
            first, last = int(np.searchsorted(columns, start, "right")) - 1, int(np.searchsorted(columns, stop))
            ends = columns[first : last + 1].clip(start, stop) - start
            rows, _ = _checked_indices(indices[start:stop], ends, shape[0], name)
            entries = packable(values[start:stop])
            part = sp.csc_array((entries, rows, ends), shape=(shape[0], last - first)).tocsr()
            begins = []
            try:
                for array, kind in ((part.indptr, _INDEX), (part.indices + first, _INDEX), (part.data, self._kind)):
                    begins.append(self._file.tell())
                    self._file.write(array.astype(kind, copy=False).data)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise _no_room(name, f"needs a temporary file, and {folder} is full") from error
            self._parts.append(begins)

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        n = stop - start
        rows, columns, values = [np.empty(0, np.int64)], [np.empty(0, _INDEX)], [np.empty(0, self._kind)]
        for at_ends, at_columns, at_values in self._parts:
            ends = self._read(at_ends, start, n + 1, _INDEX)
            first, size = int(ends[0]), int(ends[-1] - ends[0])
            rows.append(np.repeat(np.arange(n), np.diff(ends)))
            columns.append(self._read(at_columns, first, size, _INDEX))
            values.append(self._read(at_values, first, size, self._kind))
        places = (np.concatenate(rows), np.concatenate(columns))
        found = sp.coo_array((np.concatenate(values), places), shape=(n, self.shape[1])).tocsr()
        return RowBlock(found.data, found.indices, found.indptr.astype(np.int64))

    def _read(self, at: int, first: int, size: int, dtype: np.dtype[Any]) -> Array:
        """Return ``size`` numbers from number ``first`` on of the array that begins at a byte."""
        out = np.empty(size, dtype)
        with self._lock:
            self._file.seek(at + first * dtype.itemsize)
            self._file.readinto(out.data)
        return out


def _no_room(name: str, what: str) -> OutputError:
    return OutputError(
        f"{name} is stored by columns (CSC), and reading it by rows {what}. Set the environment variable TMPDIR "
        "to a folder with more space, or rewrite the file with a CSR matrix."
    )


def _rows_a_block(n_entries: int, n_obs: int, chunk: int) -> int:
    """Return how many rows of a sparse matrix are best read together."""
    entries = int(np.clip(chunk, _FEWEST_ENTRIES, _MOST_ENTRIES))
    return int(np.clip(entries // max(1, n_entries // max(1, n_obs)), 1, _MOST_ROWS))


def _checked_indices(stored: Array, ends: Array, n: int, name: str) -> tuple[Array, bool]:
    """Return indices, all in ``[0, n)``, in a type that kernels know, and whether those of each row or column rise."""
    if stored.dtype.kind not in "iu":
        raise _damaged(name, f"its indices are {stored.dtype}, not integers")
    indices = stored.astype(np.int32 if stored.dtype.itemsize <= _NARROW else np.int64, copy=False)
    low, high, rise = look_at_indices(indices, ends)
    if low < 0 or high >= max(n, 1):
        raise _damaged(name, f"it has the index {low if low < 0 else high:,}, but the size is {n:,}")
    return indices if n > _LARGEST_INT32 else indices.astype(np.int32, copy=False), rise


def _checked_pointers(stored: Array, n: int, n_entries: int, name: str) -> Array:
    """Return the pointers of ``n`` rows or columns into ``n_entries`` entries as 64-bit integers."""
    if stored.dtype.kind not in "iu":
        raise _damaged(name, f"its pointers are {stored.dtype}, not integers")
    indptr = np.ascontiguousarray(stored, np.int64)
    if indptr.shape != (n + 1,):
        raise _damaged(name, f"it needs {n + 1:,} pointers, but has {indptr.size:,}")
    if indptr[0] != 0 or (np.diff(indptr) < 0).any():
        raise _damaged(name, "its pointers do not rise from 0")
    if indptr[-1] > n_entries:
        raise _damaged(name, f"its pointers end at {indptr[-1]:,}, but it has {n_entries:,} entries")
    return indptr


def name_of(stored: Any) -> str:
    """Return the file and the path inside it of a dataset or group of HDF5 or zarr."""
    if hasattr(stored, "store_path"):
        return str(stored.store_path).removeprefix("file://")
    return f"{stored.file.filename}: {stored.name.lstrip('/')}"


def _damaged(name: str, what: str) -> InputFileError:
    return InputFileError(f"{name} is damaged: {what}. Copy or download the file again, or rewrite it from its source.")
