"""Parts of a file that are not in it: links and storage that lead to other files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py

from tamannot.errors import InputFileError


def check_links(source: Path) -> None:
    """Refuse a source of which a part is in another file: an output would be neither whole nor what was given.

    Links within an HDF5 file are followed. A file that is absent or damaged passes: who reads it tells so.

    Raises
    ------
    InputFileError
        It has external links, external or virtual data sets, or, as a folder, symbolic links.
    """
    found: str | None = None
    with suppress(OSError, RuntimeError, KeyError, ValueError):
        found = next(_in_folder(source) if source.is_dir() else _in_file(source), None)
    if found is not None:
        msg = (
            f"{source}: {found}, which is not in it, and an output would lack it. Make one whole file first, for "
            "example with anndata: read and write it."
        )
        raise InputFileError(msg)


def _in_folder(folder: Path) -> Iterator[str]:
    for inside, folders, files in os.walk(folder):
        for path in (Path(inside, name) for name in (*folders, *files)):
            if path.is_symlink():
                yield f"{path.relative_to(folder)} is a symbolic link to {path.readlink()}"


def _in_file(source: Path) -> Iterator[str]:
    if h5py.is_hdf5(source):
        with h5py.File(source, "r") as file:
            yield from _in_group(file, set())


def _in_group(group: Any, seen: set[Any]) -> Iterator[str]:
    for name in group:
        where = f"{group.name.rstrip('/')}/{name}"
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            yield f"{where} is a link to {link.filename}"
        elif isinstance(link, h5py.HardLink):
            yield from _in_object(group[name], where, seen)


def _in_object(found: Any, where: str, seen: set[Any]) -> Iterator[str]:
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        yield f"{where} has its values in other files"
    elif isinstance(found, h5py.Group) and found.id not in seen:
        seen.add(found.id)
        yield from _in_group(found, seen)
