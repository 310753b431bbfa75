"""Rows of a CSC matrix on disk, by a temporary file.

Each row crosses all columns, so the columns are read once, some million entries at a time. Each such part is turned
into rows in memory and put into the file; a block of rows is then read from every part.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tamannot.data._stored import Slices, checked_indices, checked_pointers, rows_a_block, tidy_block
from tamannot.errors import OutputError
from tamannot.scoring._rows import RowBlock, packable
from tamannot.scoring._survey import group_places

Array = NDArray[Any]

# Entries that are in memory at a time.
_ENTRIES_A_PART = 1 << 23
_INDEX = np.dtype(np.int32)


@dataclass(frozen=True)
class _Part:
    """Bytes at which the arrays of some columns begin, turned into rows."""

    indptr: int
    columns: int
    values: int


class RowsFromColumns:
    """Rows of a CSC matrix on disk, whose columns are turned part by part into a temporary file."""

    in_memory = False

    def __init__(self, values: Slices, indices: Slices, indptr: Array, shape: tuple[int, int], name: str) -> None:
        columns = checked_pointers(indptr, shape[1], min(values.size, indices.size), name)
        n_entries = int(columns[-1])
        self.shape, self.step = shape, rows_a_block(n_entries, shape[0], 1)
        self._kind = packable(np.empty(0, values.dtype)).dtype
        starts = range(0, n_entries, _ENTRIES_A_PART)
        n_bytes = n_entries * (self._kind.itemsize + _INDEX.itemsize) + len(starts) * (shape[0] + 1) * _INDEX.itemsize
        self._file = _ArrayFile()
        self._parts: list[_Part] = []
        with _room_for(n_bytes, name):
            for start in starts:
                stop = min(start + _ENTRIES_A_PART, n_entries)
                first, last = int(np.searchsorted(columns, start, "right")) - 1, int(np.searchsorted(columns, stop))
                rows = checked_indices(indices.read(start, stop), shape[0], name)
                ends = columns[first : last + 1].clip(start, stop) - start
                entries = packable(values.read(start, stop))
                part = sp.csc_array((entries, rows, ends), shape=(shape[0], last - first)).tocsr()
                self._parts.append(
                    _Part(
                        self._file.append(part.indptr.astype(_INDEX, copy=False)),
                        self._file.append((part.indices + first).astype(_INDEX, copy=False)),
                        self._file.append(part.data),
                    )
                )

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        n = stop - start
        rows, columns, values = [np.empty(0, np.int64)], [np.empty(0, _INDEX)], [np.empty(0, self._kind)]
        for part in self._parts:
            ends = self._file.read(part.indptr, start, n + 1, _INDEX)
            first, size = int(ends[0]), int(ends[-1] - ends[0])
            rows.append(np.repeat(np.arange(n), np.diff(ends)))
            columns.append(self._file.read(part.columns, first, size, _INDEX))
            values.append(self._file.read(part.values, first, size, self._kind))
        row = np.concatenate(rows)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).astype(np.int64)
        places = group_places(row, indptr[:-1])
        indices, entries = np.empty(row.size, _INDEX), np.empty(row.size, self._kind)
        indices[places], entries[places] = np.concatenate(columns), np.concatenate(values)
        return tidy_block(entries, indices, indptr, self.shape[1])


class _ArrayFile:
    """Arrays one after the other in a file without a name, which is gone with the object."""

    def __init__(self) -> None:
        self._file, self._lock = tempfile.TemporaryFile(prefix="tamannot-"), Lock()  # noqa: SIM115 - closed below
        weakref.finalize(self, self._file.close)

    def append(self, values: Array) -> int:
        """Write an array at the end; return at which byte it begins."""
        start = self._file.tell()
        self._file.write(values.data)
        return start

    def read(self, at: int, first: int, size: int, dtype: np.dtype[Any]) -> Array:
        """Return ``size`` numbers from number ``first`` on of the array that begins at a byte."""
        out = np.empty(size, dtype)
        with self._lock:
            self._file.seek(at + first * dtype.itemsize)
            self._file.readinto(out.data)
        return out


@contextmanager
def _room_for(n_bytes: int, name: str) -> Iterator[None]:
    """Raise if the temporary file does not fit, before or while it is written."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        has = f"needs a temporary file of {n_bytes / 1e9:,.1f} GB, and {folder} has only {free / 1e9:,.1f} GB free"
        raise _no_room(name, has)
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _no_room(name, f"needs a temporary file, and {folder} is full") from error


def _no_room(name: str, what: str) -> OutputError:
    msg = (
        f"{name} is stored by columns (CSC), and reading it by rows {what}. Set the environment variable TMPDIR "
        "to a folder with more space, or rewrite the file with a CSR matrix."
    )
    return OutputError(msg)
