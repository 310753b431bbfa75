"""Rows of a CSR matrix on disk."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tamannot.data._names import damaged
from tamannot.data._vector import Vector
from tamannot.scoring._rows import CsrRows, RowBlock, packable
from tamannot.scoring._survey import extremes, rises_strictly

Array = NDArray[Any]

# Entries of a block: of the size of a chunk, so that workers side by side unpack different ones,
# but neither so few that a read costs more than what it brings, nor so many that they fill the memory.
_FEWEST_ENTRIES, _MOST_ENTRIES = 1 << 19, 1 << 21
_MOST_ROWS = 4096
_LARGEST_INT32 = 2**31 - 1
_NARROW = 4  # bytes


class CsrRowsOnDisk:
    """Rows of a CSR matrix on disk: only the row pointers, 8 bytes a row, are in memory.

    Parameters
    ----------
    values, indices
        The entries.
    indptr
        Where each row begins, shape ``(n_obs + 1,)``, as stored.
    shape
        ``(n_obs, n_vars)``.
    name
        File and path inside it, for messages.
    """

    in_memory = False

    def __init__(self, values: Vector, indices: Vector, indptr: Array, shape: tuple[int, int], name: str) -> None:
        self._values, self._indices, self.shape, self._name = values, indices, shape, name
        self._indptr = checked_pointers(indptr, shape[0], min(values.size, indices.size), name)
        entries = int(np.clip(max(values.chunk, indices.chunk), _FEWEST_ENTRIES, _MOST_ENTRIES))
        mean = max(1, int(self._indptr[-1]) // max(1, shape[0]))
        self.step = int(np.clip(entries // mean, 1, _MOST_ROWS))

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``.

        Raises
        ------
        InputFileError
            The file is damaged there.
        """
        ends = self._indptr[start : stop + 1]
        first, last = int(ends[0]), int(ends[-1])
        indptr = ends - first
        indices = checked_indices(self._indices.read(first, last), self.shape[1], self._indices.name)
        values = packable(self._values.read(first, last))
        if rises_strictly(indices, indptr):
            return RowBlock(values, indices, indptr)
        untidy = sp.csr_array((values, indices, indptr), shape=(stop - start, self.shape[1]))
        return CsrRows(untidy).block(0, stop - start)


def checked_indices(stored: Array, n: int, name: str) -> Array:
    """Return column or row indices in a type that kernels are compiled for.

    Raises
    ------
    InputFileError
        One is not in ``[0, n)``, or no whole number.
    """
    if stored.dtype.kind not in "iu":
        raise damaged(name, f"its indices are {stored.dtype}, not whole numbers")
    indices = stored.astype(np.int32 if stored.dtype.itemsize <= _NARROW else np.int64, copy=False)
    low, high = extremes(indices) if indices.size else (0, 0)
    if low < 0 or high >= max(n, 1):
        raise damaged(name, f"it has an index {low if low < 0 else high:,}, where there are {n:,}")
    return indices if n > _LARGEST_INT32 else indices.astype(np.int32, copy=False)


def checked_pointers(stored: Array, n: int, n_entries: int, name: str) -> NDArray[np.int64]:
    """Return row or column pointers as 64-bit integers.

    Raises
    ------
    InputFileError
        They cannot be pointers of ``n`` rows into ``n_entries`` entries.
    """
    if stored.dtype.kind not in "iu":
        raise damaged(name, f"its pointers are {stored.dtype}, not whole numbers")
    indptr = np.ascontiguousarray(stored, np.int64)
    if indptr.shape != (n + 1,):
        raise damaged(name, f"it needs {n + 1:,} pointers, and has {indptr.size:,}")
    if indptr[0] != 0 or (np.diff(indptr) < 0).any():
        raise damaged(name, "its pointers do not rise from 0")
    if indptr[-1] > n_entries:
        raise damaged(name, f"its pointers go to {indptr[-1]:,}, but it has {n_entries:,} entries")
    return indptr
