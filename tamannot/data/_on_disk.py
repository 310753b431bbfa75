"""Matrices that AnnData has left in their file: their rows, and a sample of their values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import zarr
from anndata.abc import CSCDataset, CSRDataset
from numpy.typing import NDArray

from tamannot.data._by_columns import rows_of_columns
from tamannot.data._stored import CsrRowsOnDisk, DenseRowsOnDisk, Slices, name_of
from tamannot.scoring._rows import RowSource

Array = NDArray[Any]

# Values of a sample: enough to tell counts from logarithms, and read in a second.
_SAMPLED, _PIECES, _VALUES_A_PIECE = 1 << 21, 16, 1 << 17


def is_on_disk(matrix: Any) -> bool:
    """Return whether a matrix is a part of an HDF5 file or a zarr store."""
    return isinstance(matrix, CSRDataset | CSCDataset | h5py.Dataset | zarr.Array)


def rows_on_disk(matrix: Any) -> RowSource:
    """Return the rows of a matrix on disk.

    Raises
    ------
    InputFileError
        The file is damaged.
    OutputError
        It is stored by columns, and there is no room for a temporary file of its rows.
    """
    if not isinstance(matrix, CSRDataset | CSCDataset):
        return DenseRowsOnDisk(matrix)
    group, shape = matrix.group, matrix.shape
    parts = Slices(group["data"]), Slices(group["indices"]), Slices(group["indptr"]).all()
    if isinstance(matrix, CSRDataset):
        return CsrRowsOnDisk(*parts, shape, name_of(group))
    return rows_of_columns(*parts, shape, name_of(group))


def bytes_in_memory(matrix: Any) -> int:
    """Return how large a sparse matrix on disk is once it is loaded."""
    parts = [matrix.group[key] for key in ("data", "indices", "indptr")]
    return sum(int(part.size) * int(part.dtype.itemsize) for part in parts)


@dataclass(frozen=True)
class Sample:
    """Values of a matrix, a few at a time, always the same ones."""

    pieces: Iterator[Array]
    n_stored: int
    """How many values the matrix has on disk."""
    is_all: bool
    """Whether no value is left out."""


def sample_of(matrix: Any, *, whole: bool = False) -> Sample:
    """Take values from the start, the end and evenly in between of a matrix on disk; all of them if asked."""
    sparse = isinstance(matrix, CSRDataset | CSCDataset)
    stored = Slices(matrix.group["data"]) if sparse else Slices(matrix, "rows")
    n, width = stored.size, 1 if sparse else int(matrix.shape[1])
    step = max(1, _VALUES_A_PIECE // max(width, 1))
    whole = whole or n * width <= _SAMPLED or n <= _PIECES * step
    starts = range(0, n, step) if whole else np.linspace(0, n - step, _PIECES).astype(int).tolist()
    return Sample((stored.read(start, min(start + step, n)) for start in starts), n * width, whole)
