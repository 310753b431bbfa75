"""Ranges of HDF5 datasets, unpacked outside the lock that h5py holds while it reads.

h5py lets one thread in at a time, also while it decompresses. Here only the packed bytes are fetched
under its lock; what is packed by the filters that AnnData files have is unpacked beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py._objects import phil
from numpy.typing import NDArray

from tamannot.data._names import name_of
from tamannot.data._vector import ChunkedVector, PlainVector, RawFile, Vector
from tamannot.scoring._codec import unpack_lzf, unshuffle

Array = NDArray[Any]
Unpack = Callable[[Array, int], Array]

# Datasets that are not in chunks, and may not be read beside h5py, are cut into pieces of this many numbers.
_PIECE = 1 << 18


def hdf5_vector(dataset: h5py.Dataset) -> Vector:
    """Return a one-dimensional dataset as a vector, by the quickest way that its storage allows."""
    name, dtype, size = name_of(dataset), dataset.dtype, int(dataset.size)
    if (offset := _place_in_file(dataset)) is not None:
        return PlainVector(RawFile(Path(dataset.file.filename).open("rb", buffering=0)), offset, dtype, size, name)
    chunk = int(dataset.chunks[0]) if dataset.chunks else _PIECE
    steps = _unpacking(dataset)
    reader = _PackedChunks(dataset, chunk, steps) if steps else _Slices(dataset)
    return ChunkedVector(reader, dtype, size, chunk, name)


class _Slices:
    """Reads as h5py does."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset

    def fill(self, start: int, stop: int, out: Array) -> None:
        """Read a range."""
        self._dataset.read_direct(out, np.s_[start:stop])


class _PackedChunks:
    """Fetches packed chunks, and unpacks them without the lock of h5py."""

    def __init__(self, dataset: h5py.Dataset, chunk: int, steps: list[Unpack]) -> None:
        self._id, self._chunk, self._steps = dataset.id, chunk, steps
        self._dtype, self._fill_value = dataset.dtype, dataset.fillvalue

    def fill(self, start: int, stop: int, out: Array) -> None:
        """Read a range of whole chunks."""
        for low in range(start, stop, self._chunk):
            part = out[low - start : min(low + self._chunk, stop) - start]
            part[:] = self._unpacked(low)[: part.size]

    def _unpacked(self, low: int) -> Array:
        with phil:  # before 3.16 h5py does not take its lock for packed chunks: threads crash in HDF5
            if self._id.get_chunk_info_by_coord((low,)).byte_offset is None:  # never written
                return np.full(self._chunk, self._fill_value, self._dtype)
            skipped, packed = self._id.read_direct_chunk((low,))
        n_bytes = self._chunk * self._dtype.itemsize
        found = np.frombuffer(packed, np.uint8)
        for place in reversed(range(len(self._steps))):
            if not skipped >> place & 1:
                found = self._steps[place](found, n_bytes)
        if found.size != n_bytes:
            msg = f"a chunk of {n_bytes:,} bytes has {found.size:,}"
            raise ValueError(msg)
        return found.view(self._dtype)


def _inflate(packed: Array, n_bytes: int) -> Array:
    # One byte more than there may be is enough to see that there is more: a bomb does not go off.
    return np.frombuffer(zlib.decompressobj().decompress(packed.data, n_bytes + 1), np.uint8)


def _unpack_lzf(packed: Array, n_bytes: int) -> Array:
    out = np.empty(n_bytes, np.uint8)
    n = unpack_lzf(packed, out)
    if n < 0:
        msg = "its bytes are no LZF"
        raise ValueError(msg)
    return out[:n]


def _unshuffle(shuffled: Array, n_bytes: int, width: int) -> Array:
    if shuffled.size != n_bytes:
        return shuffled
    out = np.empty(n_bytes // width, f"u{width}")
    unshuffle(shuffled, out)
    return out.view(np.uint8)


_PACKERS: dict[int, Unpack] = {h5py.h5z.FILTER_DEFLATE: _inflate, h5py.h5z.FILTER_LZF: _unpack_lzf}


def _unpacking(dataset: h5py.Dataset) -> list[Unpack]:
    """Return what undoes each filter, in the order of the filters; nothing if that is for h5py to do."""
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(i) for i in range(plan.get_nfilters())]
    codes = [code for code, *_ in filters]
    if not dataset.chunks or not codes or codes[-1] not in _PACKERS or not _as_numpy_has_it(dataset):
        return []
    unpack = _PACKERS[codes[-1]]
    if len(codes) == 1:
        return [unpack]
    width = dataset.dtype.itemsize
    if codes[:-1] == [h5py.h5z.FILTER_SHUFFLE] and tuple(filters[0][2]) == (width,):
        return [lambda found, n_bytes: _unshuffle(found, n_bytes, width), unpack]
    return []


def _place_in_file(dataset: h5py.Dataset) -> int | None:
    """Return at which byte of its file an unpacked dataset begins; None if h5py has to find out."""
    plain = dataset.chunks is None and not dataset.external and not dataset.is_virtual
    if not plain or not _as_numpy_has_it(dataset):
        return None
    file = dataset.file
    # What is being written may still be in the memory of HDF5; a file may also be in memory altogether.
    if file.mode != "r" or file.driver != "sec2" or not Path(file.filename).is_file():
        return None
    offset = dataset.id.get_offset()
    return None if offset is None else int(offset)


def _as_numpy_has_it(dataset: h5py.Dataset) -> bool:
    """Say whether the bytes in the file are those of a numpy array of numbers."""
    dtype = dataset.dtype
    return dtype.kind in "iuf" and dataset.id.get_type() == h5py.h5t.py_create(dtype)
