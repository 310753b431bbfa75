"""Arrays and matrices of HDF5 and zarr, read a range or a block of rows at a time by slices of the libraries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tamannot.errors import InputFileError, TamannotError
from tamannot.scoring._rows import CsrRows, RowBlock, joined, packable
from tamannot.scoring._survey import look_at_indices, pack_rows

Array = NDArray[Any]

# Entries of a block of a sparse matrix: of the size of a chunk, but neither so few that a read costs more than what it
# brings, nor so many that they fill the memory. Values of a block of a dense one: 32 MB of 32-bit floats.
_FEWEST_ENTRIES, _MOST_ENTRIES, _MOST_VALUES = 1 << 19, 1 << 21, 1 << 23
_MOST_ROWS = 4096
_LARGEST_INT32, _NARROW = 2**31 - 1, 4


class Slices:
    """Ranges along the first axis of an array of HDF5 or zarr; several threads may read."""

    def __init__(self, stored: Any, what: str = "entries") -> None:
        self._stored, self._what = stored, what
        self.name, self.dtype, self.size = name_of(stored), stored.dtype, int(stored.shape[0])
        self.chunk = int(stored.chunks[0]) if stored.chunks else 1
        file = Path(stored.file.filename) if isinstance(stored, h5py.Dataset) else None
        self._file = file if file is not None and file.is_file() else None
        self._file_size = self._file.stat().st_size if self._file is not None else 0

    def read(self, start: int, stop: int) -> Array:
        """Return a range as an array of its own."""
        with _reading(self.name, f"{self._what} {start:,} to {stop:,}"):
            # HDF5 gives zeros for what was cut off after the file was opened.
            if self._file is not None and self._file.stat().st_size < self._file_size:
                msg = "the file ends too early"
                raise EOFError(msg)
            return np.asarray(self._stored[start:stop])

    def all(self) -> Array:
        """Return the whole array."""
        return self.read(0, self.size)


class CsrRowsOnDisk:
    """Rows of a CSR matrix on disk: only the row pointers, 8 bytes a row, are in memory."""

    in_memory = False

    def __init__(self, values: Slices, indices: Slices, indptr: Array, shape: tuple[int, int], name: str) -> None:
        self._values, self._indices, self.shape = values, indices, shape
        self._indptr = checked_pointers(indptr, shape[0], min(values.size, indices.size), name)
        self.step = rows_a_block(int(self._indptr[-1]), shape[0], max(values.chunk, indices.chunk))

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        ends = self._indptr[start : stop + 1]
        first, last = int(ends[0]), int(ends[-1])
        indices = checked_indices(self._indices.read(first, last), self.shape[1], self._indices.name)
        return tidy_block(packable(self._values.read(first, last)), indices, ends - first, self.shape[1])


class DenseRowsOnDisk:
    """Rows of a two-dimensional dataset of HDF5 or zarr, packed a block at a time."""

    in_memory = False

    def __init__(self, dataset: Any) -> None:
        self._stored = Slices(dataset, "rows")
        n_obs, n_vars = map(int, dataset.shape)
        self.shape = (n_obs, n_vars)
        most, chunk = min(max(_MOST_VALUES // max(n_vars, 1), 1), _MOST_ROWS), self._stored.chunk
        self.step = most - most % chunk if chunk <= most else most  # whole chunks, unless one is too much

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        # A few rows at a time: what is asked for at once may be as many as a user wants.
        firsts = range(start, stop, self.step) or [start]
        return joined([self._packed(first, min(first + self.step, stop)) for first in firsts])

    def _packed(self, start: int, stop: int) -> RowBlock:
        return RowBlock(*pack_rows(packable(np.ascontiguousarray(self._stored.read(start, stop)))))


def rows_a_block(n_entries: int, n_obs: int, chunk: int) -> int:
    """Return how many rows of a sparse matrix are best read together."""
    entries = int(np.clip(chunk, _FEWEST_ENTRIES, _MOST_ENTRIES))
    return int(np.clip(entries // max(1, n_entries // max(1, n_obs)), 1, _MOST_ROWS))


def tidy_block(values: Array, indices: Array, indptr: Array, n_vars: int) -> RowBlock:
    """Return rows whose columns rise, those that stand twice summed."""
    _, _, rise = look_at_indices(indices, indptr)
    if rise:
        return RowBlock(values, indices, indptr)
    return CsrRows(sp.csr_array((values, indices, indptr), shape=(indptr.size - 1, n_vars))).block(0, indptr.size - 1)


def checked_indices(stored: Array, n: int, name: str) -> Array:
    """Return column or row indices, all in ``[0, n)``, in a type that kernels are compiled for."""
    if stored.dtype.kind not in "iu":
        raise _damaged(name, f"its indices are {stored.dtype}, not integers")
    indices = stored.astype(np.int32 if stored.dtype.itemsize <= _NARROW else np.int64, copy=False)
    low, high = (indices.min(), indices.max()) if indices.size else (0, 0)
    if low < 0 or high >= max(n, 1):
        raise _damaged(name, f"it has the index {low if low < 0 else high:,}, but the size is {n:,}")
    return indices if n > _LARGEST_INT32 else indices.astype(np.int32, copy=False)


def checked_pointers(stored: Array, n: int, n_entries: int, name: str) -> NDArray[np.int64]:
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
    msg = f"{name} is damaged: {what}. Copy or download the file again, or rewrite it from its source."
    return InputFileError(msg)


@contextmanager
def _reading(name: str, what: str) -> Iterator[None]:
    """Raise any error but a lack of memory as one that says which part of the file cannot be read."""
    try:
        yield
    except (MemoryError, TamannotError):
        raise
    except Exception as error:  # whatever h5py, zarr and their codecs raise on bytes that are none of theirs
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _damaged(name, f"{what} cannot be read ({reason})") from error
