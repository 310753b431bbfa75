"""Vectors and row sources of the groups and datasets of HDF5 and zarr."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tamannot.data._csr import CsrRowsOnDisk
from tamannot.data._hdf5 import hdf5_vector
from tamannot.data._names import name_of, reading
from tamannot.data._turn import turned
from tamannot.data._vector import ChunkedVector, Vector

Array = NDArray[Any]


def vector(stored: Any) -> Vector:
    """Return a one-dimensional array of HDF5 or zarr as a vector."""
    if isinstance(stored, h5py.Dataset):
        return hdf5_vector(stored)
    return ChunkedVector(_ZarrSlices(stored), stored.dtype, int(stored.size), int(stored.chunks[0]), name_of(stored))


def csr_rows(group: Any, shape: tuple[int, int]) -> CsrRowsOnDisk:
    """Return the rows of a CSR matrix: a group of data, indices and indptr."""
    return CsrRowsOnDisk(vector(group["data"]), vector(group["indices"]), _pointers(group), shape, name_of(group))


def csc_rows(group: Any, shape: tuple[int, int]) -> CsrRowsOnDisk:
    """Return the rows of a CSC matrix, by a temporary file that holds it as CSR; it goes with what is returned.

    Raises
    ------
    OutputError
        There is no room for the file.
    InputFileError
        The matrix is damaged.
    """
    name = name_of(group)
    return turned(vector(group["data"]), vector(group["indices"]), _pointers(group), shape, name)


def _pointers(group: Any) -> Array:
    stored = group["indptr"]
    with reading(name_of(stored), 0, int(stored.size)):
        return np.asarray(stored[...])


class _ZarrSlices:
    """Reads as zarr does, which lets several threads in."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def fill(self, start: int, stop: int, out: Array) -> None:
        """Read a range."""
        out[:] = self._array[start:stop]
