"""HDF5 files and zarr folders as outputs: copied, opened for changes, and abandoned cleanly after errors."""

from __future__ import annotations

import io
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Event
from typing import Any

import h5py
import zarr
from zarr.storage import LocalStore

from tamannot.errors import InputFileError
from tamannot.io._safety import open_zarr

# h5py and zarr have no types; groups and arrays of both are used alike.
Node = Any

_PART = 16 * 2**20


def is_zarr_name(path: Path) -> bool:
    """Return whether a path is, or will be, a zarr folder rather than an HDF5 file."""
    return path.suffix.lower() == ".zarr" or path.is_dir()


@contextmanager
def opened(path: Path) -> Iterator[Node]:
    """Open an HDF5 file or a zarr folder for reading."""
    if is_zarr_name(path):
        yield open_zarr(path)
        return
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if "lock" not in str(error):
            raise
        raise InputFileError(f"{path}: another process has it open for writing. Close it there first.") from error
    with file:
        yield file["/"]


def copy_container(source: Path, path: Path) -> None:
    """Copy a file, or a folder with all that is in it; `shutil.copytree` would go on after an error."""
    if source.is_dir():
        path.mkdir()
        for inside in source.iterdir():
            copy_container(inside, path / inside.name)
    else:
        shutil.copyfile(source, path)


@contextmanager
def copied_meanwhile(source: Path, path: Path) -> Iterator[Callable[[], None]]:
    """Copy a file in a thread of its own; yield what waits for its end. A copy that nobody waits for is given up."""
    is_given_up = Event()

    def copy() -> None:
        with source.open("rb") as old, path.open("wb") as new:
            if hasattr(os, "copy_file_range"):  # it takes a third of the processor time
                with suppress(OSError):  # not between all file systems; of a full disk, writing tells
                    while not is_given_up.is_set() and os.copy_file_range(old.fileno(), new.fileno(), _PART):
                        pass
            while not is_given_up.is_set() and (part := old.read(_PART)):  # what the system has left
                new.write(part)

    with ThreadPoolExecutor(1) as pool:
        copying = pool.submit(copy)
        try:
            yield copying.result
        finally:
            is_given_up.set()


@contextmanager
def changing(path: Path, *, new: bool) -> Iterator[Node]:
    """Open an HDF5 file or a zarr folder for writing, empty if ``new``; failures are errors of the system."""
    if is_zarr_name(path):
        folder = OutputFolder(path)
        try:
            how: dict[str, Any] = {"mode": "w", "zarr_format": 3} if new else {"mode": "r+", "use_consolidated": False}
            yield zarr.open_group(folder, **how)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that version 3 has not settled how
                zarr.consolidate_metadata(folder)  # all metadata at the root, as anndata does
        finally:
            folder.end()
        return
    output = OutputFile(path, "w+" if new else "r+")
    try:
        # The format of HDF5 1.8 (2008): the one before has no room for the names of 5,000 columns.
        with h5py.File(output, "w" if new else "r+", libver=("v108", "latest")) as file:
            yield file["/"]
    except Exception as error:
        if output.error is not None and output.error is not error:
            raise output.error from error
        raise
    finally:
        output.close()
    if output.error is not None:  # HDF5 met it at closing, and said nothing
        raise output.error


class OutputFile(io.FileIO):
    """A file object for h5py that fails only once.

    HDF5 repeats a failed write at closing and at the end of the process, and crashes. After the first error this
    file accepts everything and discards it; the error is kept for the caller.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write bytes, all of them."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        if self.error is None:
            try:
                while rest:
                    rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
                raise
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        if self.error is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.error = error
                raise
        return self.tell() if size is None else size


class OutputFolder(LocalStore):
    """A zarr store that can be closed for writing: zarr's threads continue after Ctrl-C, and would create it again."""

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
        """Refuse further writes, and wait for pending ones."""
        with self._idle:
            self._has_ended = True
            self._idle.wait_for(lambda: not self._n_writing)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._idle:
            if self._has_ended:
                raise OSError("the folder is full or read-only")
            self._n_writing += 1
        try:
            yield
        finally:
            with self._idle:
                self._n_writing -= 1
                self._idle.notify_all()
