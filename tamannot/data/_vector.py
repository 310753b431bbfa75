"""Long one-dimensional arrays on disk, read by ranges from several threads at once."""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from tamannot.data._names import reading

Array = NDArray[Any]

# Unpacked chunks that are kept for the next block: as many as a few threads side by side touch.
_BYTES_KEPT = 24 << 20
_FEWEST_KEPT, _MOST_KEPT = 2, 64


class Vector(Protocol):
    """A one-dimensional array that gives out ranges."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its numbers, as stored."""

    @property
    def size(self) -> int:
        """How many numbers it has."""

    @property
    def chunk(self) -> int:
        """Numbers that are best read together."""

    @property
    def name(self) -> str:
        """File and path inside it."""

    def read(self, start: int, stop: int) -> Array:
        """Return a range as an array of its own.

        Raises
        ------
        InputFileError
            The file is damaged there.
        """


class ChunkReader(Protocol):
    """Reads whole chunks."""

    def fill(self, start: int, stop: int, out: Array) -> None:
        """Read a range that begins with a chunk and ends with one, or with the array."""


class ChunkedVector:
    """An array stored in chunks. One that two blocks share is kept for the second, so it is unpacked once."""

    def __init__(self, reader: ChunkReader, dtype: np.dtype[Any], size: int, chunk: int, name: str) -> None:
        self._reader, self.dtype, self.size, self.chunk, self.name = reader, dtype, size, chunk, name
        self._n_kept = int(np.clip(_BYTES_KEPT // (chunk * dtype.itemsize), _FEWEST_KEPT, _MOST_KEPT))
        self._kept: OrderedDict[int, Future[Array]] = OrderedDict()
        self._lock = Lock()

    def read(self, start: int, stop: int) -> Array:
        """Return a range as an array of its own."""
        out = np.empty(stop - start, self.dtype)
        with reading(self.name, start, stop):
            at = start
            while at < stop:
                end = self._end_of_stretch(at, stop)
                if end > at:
                    self._reader.fill(at, end, out[at - start : end - start])
                else:
                    low = at - at % self.chunk
                    end = min(low + self.chunk, stop)
                    out[at - start : end - start] = self._shared(low)[at - low : end - low]
                at = end
        return out

    def _end_of_stretch(self, at: int, stop: int) -> int:
        """Return where whole chunks from ``at`` on end; ``at`` itself if none begins there."""
        if at % self.chunk:
            return at
        return stop if stop == self.size else stop - stop % self.chunk

    def _shared(self, low: int) -> Array:
        with self._lock:
            found = self._kept.get(low)
            mine: Future[Array] = Future()
            self._kept[low] = found or mine
            self._kept.move_to_end(low)
            while len(self._kept) > self._n_kept:
                self._kept.popitem(last=False)
        if found is not None:
            return found.result()
        try:
            values = np.empty(min(self.chunk, self.size - low), self.dtype)
            self._reader.fill(low, low + values.size, values)
        except BaseException as error:
            mine.set_exception(error)
            with self._lock:
                self._kept.pop(low, None)
            raise
        mine.set_result(values)
        return values


class RawFile:
    """A file read and written at any place, from several threads at once; closed when nobody has it any more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock = file, Lock()
        self._close = weakref.finalize(self, file.close)

    def read(self, offset: int, out: Array) -> None:
        """Fill an array with the bytes from ``offset`` on.

        Raises
        ------
        EOFError
            The file ends before.
        """
        left = out.view(np.uint8).data
        while left.nbytes:
            n = self._read_some(offset, left)
            if not n:
                msg = "the file ends before"
                raise EOFError(msg)
            left, offset = left[n:], offset + n

    def write(self, offset: int, values: Array) -> None:
        """Write the bytes of an array from ``offset`` on."""
        left = np.ascontiguousarray(values).view(np.uint8).data
        with self._lock:
            self._file.seek(offset)
            while left.nbytes:
                left = left[self._file.write(left) :]

    def truncate(self, size: int) -> None:
        """Cut the file."""
        self._file.truncate(size)

    def _read_some(self, offset: int, out: memoryview) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [out], offset)
        with self._lock:  # a system without reads at a place: seek and read, one thread at a time
            self._file.seek(offset)
            return int(self._file.readinto(out))  # type: ignore[attr-defined]


class PlainVector:
    """Numbers that lie one after the other in a file, as they are.

    Parameters
    ----------
    file
        Where they are.
    offset
        Byte of the first number.
    dtype, size, name
        As of `Vector`.
    """

    chunk = 1 << 18

    def __init__(self, file: RawFile, offset: int, dtype: np.dtype[Any], size: int, name: str) -> None:
        self._file, self._offset, self.dtype, self.size, self.name = file, offset, dtype, size, name

    def read(self, start: int, stop: int) -> Array:
        """Return a range as an array of its own."""
        out = np.empty(stop - start, self.dtype)
        with reading(self.name, start, stop):
            self._file.read(self._offset + start * self.dtype.itemsize, out)
        return out
