"""From a CSC matrix on disk to rows, by a temporary file that holds it as CSR.

Each row crosses all columns, so columns are read once, and every entry is put where its row will be.
First the entries of each row are counted, which fixes where rows lie. Then columns are read in order,
and entries are written into the stretch of the file that belongs to their bucket, some consecutive
rows that fit into memory together. Last each bucket is read, its entries are put in order, and it is
written back in place.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.data._csr import CsrRowsOnDisk, checked_indices, checked_pointers
from tamannot.data._vector import PlainVector, RawFile, Vector
from tamannot.errors import OutputError
from tamannot.scoring._rows import packable
from tamannot.scoring._survey import group_places

Array = NDArray[Any]

# Entries that are in memory at a time.
_STRETCH = 1 << 22
_INDEX = np.dtype(np.int32)


def turned(values: Vector, indices: Vector, indptr: Array, shape: tuple[int, int], name: str) -> CsrRowsOnDisk:
    """Return the rows of a CSC matrix.

    Parameters
    ----------
    values, indices
        The entries and their rows.
    indptr
        Where each column begins, shape ``(n_vars + 1,)``.
    shape
        ``(n_obs, n_vars)``.
    name
        File and path inside it, for messages.

    Raises
    ------
    OutputError
        There is no room for the temporary file.
    InputFileError
        The matrix is damaged.
    """
    columns = checked_pointers(indptr, shape[1], min(values.size, indices.size), name)
    n_entries, kind = int(columns[-1]), packable(np.empty(0, values.dtype)).dtype
    _check_room(n_entries * (kind.itemsize + 2 * _INDEX.itemsize), name)
    rows = np.concatenate([[0], np.cumsum(_entries_of_rows(indices, n_entries, shape[0], name))]).astype(np.int64)
    with _out_of_room(name):
        table = _Table(n_entries, kind)
        firsts = _buckets(rows)
        _spill(table, values, indices, columns, rows, firsts)
        for first, last in pairwise(firsts):
            _put_in_order(table, rows, first, last)
        table.drop_rows()
    return CsrRowsOnDisk(table.vector("value", name), table.vector("column", name), rows, shape, name)


class _Table:
    """Value, column and row of all entries in one file: first all values, then all columns, then all rows."""

    def __init__(self, n_entries: int, kind: np.dtype[Any]) -> None:
        # Nameless, so that no end of the process leaves it behind; `RawFile` closes it.
        self._file = RawFile(tempfile.TemporaryFile(prefix="tamannot-", buffering=0))  # noqa: SIM115
        self._n_entries = n_entries
        self._kind = {"value": kind, "column": _INDEX, "row": _INDEX}
        sizes = [n_entries * k.itemsize for k in self._kind.values()]
        self._offset = dict(zip(self._kind, [0, *np.cumsum(sizes).tolist()], strict=False))

    def write(self, start: int, **parts: Array) -> None:
        """Write some or all parts of entries from place ``start`` on."""
        for key, array in parts.items():
            self._file.write(self._place(key, start), array.astype(self._kind[key], copy=False))

    def read(self, start: int, stop: int) -> dict[str, Array]:
        """Return the parts of entries."""
        parts = {key: np.empty(stop - start, kind) for key, kind in self._kind.items()}
        for key, array in parts.items():
            self._file.read(self._place(key, start), array)
        return parts

    def drop_rows(self) -> None:
        """Give the room of the rows back."""
        self._file.truncate(self._offset["row"])

    def vector(self, key: str, name: str) -> PlainVector:
        """Return one part of all entries."""
        name = f"the temporary file of {name}"
        return PlainVector(self._file, self._offset[key], self._kind[key], self._n_entries, name)

    def _place(self, key: str, start: int) -> int:
        return int(self._offset[key] + start * self._kind[key].itemsize)


def _entries_of_rows(indices: Vector, n_entries: int, n_obs: int, name: str) -> Array:
    counts = np.zeros(n_obs, np.int64)
    for start in range(0, n_entries, _STRETCH):
        rows = checked_indices(indices.read(start, min(start + _STRETCH, n_entries)), n_obs, name)
        counts += np.bincount(rows, minlength=n_obs)
    return counts


def _buckets(rows: Array) -> list[int]:
    """Return the first row of each bucket, and the number of rows."""
    firsts = [0]
    while firsts[-1] < rows.size - 1:
        full = int(np.searchsorted(rows, rows[firsts[-1]] + _STRETCH, side="right")) - 1
        firsts.append(min(max(full, firsts[-1] + 1), rows.size - 1))
    return firsts


def _spill(table: _Table, values: Vector, indices: Vector, columns: Array, rows: Array, firsts: list[int]) -> None:
    """Write all entries into their buckets, in the order of columns."""
    bucket_of = np.repeat(np.arange(len(firsts) - 1), np.diff(firsts))
    free = rows[firsts]
    for start in range(0, int(columns[-1]), _STRETCH):
        stop = min(start + _STRETCH, int(columns[-1]))
        row = indices.read(start, stop).astype(_INDEX)
        column = np.repeat(np.arange(columns.size - 1, dtype=_INDEX), np.diff(columns.clip(start, stop)))
        entries = {"value": packable(values.read(start, stop)), "column": column, "row": row}
        counts = np.bincount(bucket_of[row], minlength=len(firsts) - 1)
        ends = np.cumsum(counts)
        sorted_ = _grouped(bucket_of[row], ends - counts, entries)
        for b in np.flatnonzero(counts).tolist():
            mine = slice(ends[b] - counts[b], ends[b])
            table.write(free[b], **{key: array[mine] for key, array in sorted_.items()})
            free[b] += counts[b]


def _put_in_order(table: _Table, rows: Array, first: int, last: int) -> None:
    """Order the entries of a bucket by row; within a row they are in the order of columns already."""
    start = int(rows[first])
    entries = table.read(start, int(rows[last]))
    sorted_ = _grouped(entries["row"] - first, rows[first:last] - start, entries)
    table.write(start, value=sorted_["value"], column=sorted_["column"])


def _grouped(group: Array, starts: Array, entries: dict[str, Array]) -> dict[str, Array]:
    """Return entries group by group; ``starts`` says where each begins. Within a group their order stays."""
    places = group_places(group, starts)
    out = {key: np.empty_like(array) for key, array in entries.items()}
    for key, array in entries.items():
        out[key][places] = array
    return out


def _check_room(need: int, name: str) -> None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if need > free:
        raise OutputError(
            _no_room(name, f"needs a temporary file of {_gb(need)}, and {folder} has room for {_gb(free)}")
        )


@contextmanager
def _out_of_room(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutputError(_no_room(name, f"needs a temporary file, and {tempfile.gettempdir()} is full")) from error


def _no_room(name: str, what: str) -> str:
    return (
        f"{name} is stored by columns (CSC), and reading it by rows {what}. Name a folder with more room by the "
        "environment variable TMPDIR, or write the file anew with the matrix as CSR."
    )


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"
