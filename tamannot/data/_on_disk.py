"""Matrices that AnnData has left on disk."""

from __future__ import annotations

from typing import Any

import h5py
import zarr
from anndata.abc import CSCDataset, CSRDataset

from tamannot.data._dense import DenseRowsOnDisk
from tamannot.data._open_matrix import csc_rows, csr_rows
from tamannot.data._sample import Sample, sample_dense, sample_vector
from tamannot.scoring._rows import RowSource


def is_on_disk(matrix: Any) -> bool:
    """Say whether a matrix is a part of an HDF5 file or a zarr store."""
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
    if isinstance(matrix, CSRDataset):
        return csr_rows(matrix.group, matrix.shape)
    if isinstance(matrix, CSCDataset):
        return csc_rows(matrix.group, matrix.shape)
    return DenseRowsOnDisk(matrix)


def sample_of(matrix: Any, *, whole: bool = False) -> Sample:
    """Take values from all over a matrix on disk, always the same ones; all of them if asked."""
    if isinstance(matrix, CSRDataset | CSCDataset):
        return sample_vector(matrix.group["data"], whole=whole)
    return sample_dense(matrix, whole=whole)


def bytes_in_memory(matrix: Any) -> int:
    """Return how large a sparse matrix on disk is once it is loaded."""
    parts = [matrix.group[key] for key in ("data", "indices", "indptr")]
    return sum(int(part.size) * int(part.dtype.itemsize) for part in parts)
