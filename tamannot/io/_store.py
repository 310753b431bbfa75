"""HDF5 files and zarr folders behind one face: open, make, copy a node as it is, make an array."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import h5py
import zarr

from tamannot.errors import InputFileError
from tamannot.io._sink import Sink, ZarrSink
from tamannot.io._zarr import open_zarr

# h5py and zarr have no types; groups and arrays of both are used alike.
Node = Any

# Scores hardly compress: a higher level takes longer and saves nothing.
COMPRESSED = {"compression": "gzip", "compression_opts": 1}
_CHUNK_H5AD, _CHUNK_ZARR = 1 << 16, 1 << 20


class Store(Protocol):
    """A kind of container."""

    options: dict[str, Any]
    """How anndata's writer is to store arrays."""

    def reading(self, path: Path) -> Any:
        """Open for reading, as a context."""

    def making(self, path: Path, like: Node | None) -> Any:
        """Make anew, as a context; of the version of ``like``."""

    def copy(self, node: Node, parent: Node, name: str) -> None:
        """Copy an array or a group into a group of another file, its compressed blocks as they are."""

    def copy_some(self, old: Node, new: Node, names: Iterable[str]) -> None:
        """Copy some members of a group into a group of another file, as `copy` does."""

    def empty(self, parent: Node, name: str, shape: tuple[int, ...], dtype: Any) -> Node:
        """Make an array."""

    def column(self, parent: Node, name: str, n: int, dtype: Any, rows: int) -> Node:
        """Make a column that is written ``rows`` values at a time, and not packed."""

    def same_again(self, node: Node, parent: Node, name: str) -> None:
        """Have a node of the file stand in another place of it as well."""


class H5ad:
    """HDF5 files."""

    options = COMPRESSED

    @contextmanager
    def reading(self, path: Path) -> Iterator[Node]:
        """Open for reading, apart from all else that has the file open.

        HDF5 overwrites its memory when it copies a checksummed or scale-offset data set whose chunks were read before.
        It shares what it knows of a file between all that opened it by the same driver, so this takes another one.
        """
        try:
            file = h5py.File(path, "r", driver="stdio")
        except OSError as error:
            if "lock" not in str(error):
                raise
            msg = f"{path}: is open for writing somewhere. Close it there, then run again."
            raise InputFileError(msg) from error
        with file:
            yield file["/"]

    @contextmanager
    def making(self, path: Path, like: Node | None) -> Iterator[Node]:  # noqa: ARG002 - there is one version
        """Make anew; a full disk is told by the error of the system."""
        sink = Sink(path)
        try:
            # The format of HDF5 1.8 (2008): the one before has no room for the names of 5,000 columns.
            with h5py.File(sink, "w", libver=("v108", "latest")) as file:
                yield file["/"]
        except Exception as error:
            if sink.error is not None and sink.error is not error:
                raise sink.error from error
            raise
        finally:
            sink.close()
        if sink.error is not None:  # HDF5 met it at closing, and said nothing
            raise sink.error

    def copy(self, node: Node, parent: Node, name: str) -> None:
        """Copy an array or a group; links within the file become what they lead to."""
        parent.copy(node, parent, name=name, expand_soft=True)

    def copy_some(self, old: Node, new: Node, names: Iterable[str]) -> None:
        """Copy members without opening them: there may be many thousands."""
        how, link = h5py.h5p.create(h5py.h5p.OBJECT_COPY), h5py.h5p.create(h5py.h5p.LINK_CREATE)
        how.set_copy_object(h5py.h5o.COPY_EXPAND_SOFT_LINK_FLAG)
        link.set_char_encoding(h5py.h5t.CSET_UTF8)
        for name in map(os.fsencode, names):
            h5py.h5o.copy(old.id, name, new.id, name, how, link)

    def column(self, parent: Node, name: str, n: int, dtype: Any, rows: int) -> Node:  # noqa: ARG002 - in one piece
        """Make a column that is not packed."""
        return parent.create_dataset(name, shape=(n,), dtype=dtype)

    def same_again(self, node: Node, parent: Node, name: str) -> None:
        """Give a node a second name."""
        parent[name] = node

    def empty(self, parent: Node, name: str, shape: tuple[int, ...], dtype: Any) -> Node:
        """Make an array."""
        if 0 in shape:
            return parent.create_dataset(name, shape=shape, dtype=dtype)
        return parent.create_dataset(name, shape=shape, dtype=dtype, chunks=_chunks(shape, _CHUNK_H5AD), **COMPRESSED)


class Zarr:
    """Zarr folders of format 2 and 3."""

    options: dict[str, Any]

    def __init__(self) -> None:
        self.options = {}

    @contextmanager
    def reading(self, path: Path) -> Iterator[Node]:
        """Open for reading."""
        yield open_zarr(path)

    @contextmanager
    def making(self, path: Path, like: Node | None) -> Iterator[Node]:
        """Make anew; all metadata are gathered at the end, as anndata does."""
        version = 3 if like is None else like.metadata.zarr_format
        folder = ZarrSink(path)
        try:
            yield zarr.open_group(folder, mode="w", zarr_format=version)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that version 3 has not settled how
                zarr.consolidate_metadata(folder)
        finally:
            folder.end()

    def copy(self, node: Node, parent: Node, name: str) -> None:
        """Copy the folder of an array or a group."""
        start, end = _folder(node), _folder(parent) / name
        for inside, _, files in os.walk(start, onerror=_raise):
            folder = end / Path(inside).relative_to(start)
            folder.mkdir()
            for file in files:
                shutil.copyfile(Path(inside, file), folder / file)

    def copy_some(self, old: Node, new: Node, names: Iterable[str]) -> None:
        """Copy the folders of members."""
        for name in names:
            self.copy(old[name], new, name)

    def column(self, parent: Node, name: str, n: int, dtype: Any, rows: int) -> Node:
        """Make a column of chunks that are written once."""
        return parent.create_array(name, shape=(n,), dtype=dtype, chunks=(max(1, min(rows, n)),))

    def same_again(self, node: Node, parent: Node, name: str) -> None:
        """Copy a node: folders have one name."""
        self.copy(node, parent, name)

    def empty(self, parent: Node, name: str, shape: tuple[int, ...], dtype: Any) -> Node:
        """Make an array."""
        return parent.create_array(name, shape=shape, dtype=dtype, chunks=_chunks(shape, _CHUNK_ZARR))


def store_of(path: Path) -> Store:
    """Return the kind of container that a path is, or is to be."""
    return Zarr() if path.suffix.lower() == ".zarr" or path.is_dir() else H5ad()


def is_array(node: Node) -> bool:
    """Whether a node is an array, and not a group."""
    return isinstance(node, h5py.Dataset | zarr.Array)


def _folder(node: Node) -> Path:
    return Path(node.store.root) / node.path


def _chunks(shape: tuple[int, ...], values: int) -> tuple[int, ...]:
    rows = values // max(1, math.prod(shape[1:]))
    return tuple(max(1, n) for n in (min(shape[0], max(1, rows)), *shape[1:]))


def _raise(error: OSError) -> None:
    raise error
