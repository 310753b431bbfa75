"""What is under an output: a full disk ends the writing and not the process, an interruption ends all writing."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import Any

from zarr.storage import LocalStore


class Sink(io.RawIOBase):
    """A new file for h5py that fails once.

    HDF5 tries again at closing, and at the end of the process, what it could not write, and crashes. After
    the first error this file takes everything and keeps nothing; the error is kept for the caller.

    Parameters
    ----------
    path
        Made anew.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
        self._at = 0
        self.error: OSError | None = None

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def writable(self) -> bool:
        """Whether it can be written."""
        return True

    def seekable(self) -> bool:
        """Whether it has positions."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._handle).st_size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        size = self._at if size is None else size
        if self.error is None:
            with _Kept(self):
                os.ftruncate(self._handle, size)
        return size

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        os.lseek(self._handle, self._at, os.SEEK_SET)
        data = os.read(self._handle, memoryview(buffer).nbytes)
        memoryview(buffer).cast("B")[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        """Write bytes, all of them."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        if self.error is None:
            with _Kept(self):
                os.lseek(self._handle, self._at, os.SEEK_SET)
                while rest:
                    rest = rest[os.write(self._handle, rest) :]
        self._at += size
        return size

    def close(self) -> None:
        """Close the file; twice does nothing."""
        if not self.closed:
            os.close(self._handle)
        super().close()


class _Kept:
    """Keep the first error of a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            self._sink.error = error


class ZarrSink(LocalStore):
    """A new folder for zarr that can be told to take nothing more.

    zarr writes chunks in threads of its own. They go on after Ctrl-C, and would make the folder again that was removed.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._idle, self._n_writing, self._has_ended = Condition(), 0, False

    async def set(self, key: str, value: Any, *rest: Any) -> None:
        """Write a file."""
        with self._writing():
            await super().set(key, value, *rest)

    def set_sync(self, key: str, value: Any) -> None:
        """Do what `set` does, without waiting; zarr before 3.2 does not ask for it."""
        with self._writing():
            super().set_sync(key, value)

    def end(self) -> None:
        """Take nothing more, and wait for what is being written."""
        with self._idle:
            self._has_ended = True
            self._idle.wait_for(lambda: not self._n_writing)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._idle:
            if self._has_ended:
                msg = "the folder takes nothing more"
                raise OSError(msg)
            self._n_writing += 1
        try:
            yield
        finally:
            with self._idle:
                self._n_writing -= 1
                self._idle.notify_all()
