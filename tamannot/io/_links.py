"""What links of a file make of it: parts in other files, circles, and one group as a million."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py

from tamannot.errors import InputFileError

# Whatever HDF5 says of a damaged object; who reads it tells of it.
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError)
_LINKS = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
# Objects that a reader comes by, groups within groups: far beyond any file that is meant.
_MOST_OBJECTS, _DEEPEST = 1_000_000, 50


def check_links(source: Path) -> None:
    """Refuse a source of which a part is in another file, or that has no end.

    What is in another file was not given to be read, and an output would lack it. Links within an HDF5 file are
    followed. A file that is absent or damaged passes: who reads it tells so.

    Raises
    ------
    InputFileError
        It has external links, or, as a folder, symbolic links; or its links lead in a circle, or to the same groups
        over and over. Data sets with values in another file are refused by `check_sizes`.
    """
    found: str | None = None
    with suppress(*_DAMAGED):
        found = next(_in_folder(source) if source.is_dir() else _in_file(source), None)
    if found is not None:
        msg = f"{source}: {found}. Make one whole file first, for example with anndata: read and write it."
        raise InputFileError(msg)


def _in_folder(folder: Path) -> Iterator[str]:
    for inside, folders, files in os.walk(folder):
        for path in (Path(inside, name) for name in (*folders, *files)):
            if path.is_symlink():
                yield f"{path.relative_to(folder)} is a symbolic link to {path.readlink()}, which is not in it"


def _in_file(source: Path) -> Iterator[str]:
    if h5py.is_hdf5(source):
        with h5py.File(source, "r") as file:
            yield from _Walk().problems(h5py.h5g.open(file.id, b"/"), "")


class _Walk:
    """Goes through an HDF5 file as a reader does, but each group once; a group that it cannot open it leaves out.

    It opens groups only, and asks HDF5 for the rest: a file may have many thousands of elements.
    """

    def __init__(self) -> None:
        self._sizes: dict[Any, int] = {}
        """Objects that a reader comes by in each group, those of groups in it included."""
        self._open: set[Any] = set()
        """Groups that the walk is in."""

    def problems(self, group: Any, path: str) -> Iterator[str]:
        self._open.add(group)
        size = 1
        for name in _names(group):
            where = f"{path}/{name.decode('utf-8', 'backslashreplace')}"
            if problem := _outside(group, name, where):
                yield problem
                continue
            with suppress(*_DAMAGED):
                is_group = h5py.h5o.get_info(group, name).type == h5py.h5o.TYPE_GROUP
                size += (yield from self._below(h5py.h5o.open(group, name), where)) if is_group else 1
        self._open.discard(group)
        self._sizes[group] = size
        if size > _MOST_OBJECTS:
            yield f"{path} leads to more than {_MOST_OBJECTS:,} objects: links go to the same ones over and over"

    def _below(self, group: Any, where: str) -> Generator[str, None, int]:
        """Give out what is wrong with a group; return how many objects a reader finds in it."""
        if group in self._open or len(self._open) > _DEEPEST:
            yield f"{where[:100]} lies too deep: links of the file lead in a circle"
            return 1
        if group not in self._sizes:
            yield from self.problems(group, where)
        return self._sizes[group]


def _names(group: Any) -> list[bytes]:
    with suppress(*_DAMAGED):
        return list(group)
    return []


def _outside(group: Any, name: bytes, where: str) -> str | None:
    """Say where a link leads that does not stay in the file."""
    with suppress(*_DAMAGED):
        kind = group.links.get_info(name).type
        if kind in _LINKS:
            return None
        if kind == h5py.h5l.TYPE_EXTERNAL:
            return f"{where} is a link to {os.fsdecode(group.links.get_val(name)[0])}, which is not in it"
    return f"{where} is a link of a kind that is not known"
