"""Output that appears whole or not at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tamannot.errors import OutputError
from tamannot.io._claim import claimed, old_of, part_of, place_of, remove
from tamannot.io._faults import writing_to

_AT_FDCWD, _EXCHANGE = -100, 2


def check_target(target: Path, *, overwrite: bool, source: Path | None = None, in_place: bool = False) -> None:
    """Refuse a target that cannot or must not be written, before any work is done.

    Raises
    ------
    OutputError
        It exists and ``overwrite`` is not set, it is the source and ``in_place`` is not set, it lies in the source or
        the source in it, it or its folder is read-only, its folder is absent, or it is a folder.
    """
    place = place_of(target)
    if not place.parent.is_dir():
        msg = f"{target}: there is no folder {place.parent if target.is_symlink() else target.parent}. Make it first."
        raise OutputError(msg)
    is_source = source is not None and is_same(target, source)
    if is_source and not in_place:
        msg = f"{target} is the input. Give another name, or in_place=True to write the results into it."
        raise OutputError(msg)
    if source is not None and not is_source:
        _check_apart(target, place, place_of(source))
    if place.exists():
        if not overwrite and not is_source:
            msg = f"{target} exists. Give another name, or overwrite=True to replace it."
            raise OutputError(msg)
        if place.is_dir() and target.suffix != ".zarr":
            msg = f"{target} is a folder. Give the name of a file."
            raise OutputError(msg)
        if not os.access(place, os.W_OK):
            msg = f"{target} is read-only. Give another name, or make it writable."
            raise OutputError(msg)
    if not os.access(place.parent, os.W_OK):
        msg = f"{target}: the folder {place.parent} cannot be written to."
        raise OutputError(msg)


def is_same(target: Path, source: Path) -> bool:
    """Say whether two names are of one file or folder, also through links."""
    try:
        return target.samefile(source)
    except (OSError, ValueError):  # one is not there
        return False


def _check_apart(target: Path, place: Path, source: Path) -> None:
    """Refuse an output inside a folder that is the input, and an output folder that holds the input."""
    if source in place.parents:
        msg = f"{target} lies inside the input, which would change it. Give a name elsewhere."
        raise OutputError(msg)
    if place in source.parents and target.suffix == ".zarr":
        msg = f"{target} holds the input, and would replace it. Give another name."
        raise OutputError(msg)


def check_space(target: Path, *, source: Path) -> None:
    """Refuse a target on a disk that has no room for what the source takes.

    Raises
    ------
    OutputError
        Too little space is free; the message says how much there is and is needed.
    """
    try:
        need, free = size_of(source), shutil.disk_usage(place_of(target).parent).free
    except OSError:  # what cannot be told now is found in writing
        return
    if need > free:
        msg = (
            f"{target}: cannot be written: No space left on device: {free / 1e6:,.0f} MB are free, about "
            f"{need / 1e6:,.0f} MB are needed. Free some, or write to another disk."
        )
        raise OutputError(msg)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give out a name beside ``target``; move what was written there into place if all went well.

    A reader sees the old target or the whole new one, never a part. On any error what was written is
    removed and the target stays as it was; what a killed run leaves is removed by the next.

    Raises
    ------
    OutputError
        The disk is full, another run is writing there, or writing failed otherwise.
    """
    with claimed(target) as place:
        beside = part_of(place)
        try:
            with writing_to(target):
                yield beside
                if place.is_file() and beside.is_file():
                    shutil.copymode(place, beside)
                _sync_all(beside)
                _move(beside, place)
                _sync(place.parent)
        finally:
            remove(beside)


def _sync_all(path: Path) -> None:
    """Have the disk take everything before the name changes: a power cut must not leave an empty file there."""
    for folder, _, names in os.walk(path):
        for name in names:
            _sync(Path(folder, name))
        _sync(Path(folder))
    if path.is_file():
        _sync(path)


def _sync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(new: Path, place: Path) -> None:
    """Put a file or folder into place; a folder cannot be replaced by renaming, so the two are exchanged."""
    if place.is_dir() or (new.is_dir() and place.exists()):
        if not _exchange(new, place):
            _replace_in_two_steps(new, place)
    else:
        new.replace(place)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0)


def _replace_in_two_steps(new: Path, place: Path) -> None:
    old = old_of(place)
    place.replace(old)
    try:
        new.replace(place)
    except OSError:
        old.replace(place)
        raise
    remove(old)
