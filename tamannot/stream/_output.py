"""Output that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tamannot.errors import OutputError


def check_target(target: Path, *, source: Path, overwrite: bool) -> None:
    """Refuse a target that cannot or must not be written, before any work is done.

    Raises
    ------
    OutputError
        It exists and ``overwrite`` is not set, its folder is absent or read-only, or it is a folder.
    """
    if not target.parent.is_dir():
        msg = f"{target}: there is no folder {target.parent}. Make it first."
        raise OutputError(msg)
    if target.exists():
        if not overwrite:
            same = " (it is the input)" if source.exists() and target.samefile(source) else ""
            msg = f"{target} exists{same}. Give another name, or --overwrite (overwrite=True) to replace it."
            raise OutputError(msg)
        if target.is_dir() and target.suffix != ".zarr":
            msg = f"{target} is a folder. Give the name of a file."
            raise OutputError(msg)
    if not os.access(target.parent, os.W_OK):
        msg = f"{target}: the folder {target.parent} cannot be written to."
        raise OutputError(msg)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give out a name beside ``target``; move what was written there into place if all went well.

    A reader sees the old target or the whole new one, never a part. On any error what was written is
    removed and the target stays as it was.

    Raises
    ------
    OutputError
        The disk is full, or writing failed otherwise.
    """
    beside = target.with_name(f".{target.name}.{os.getpid()}.part{target.suffix}")
    try:
        yield beside
        if beside.is_file():
            _sync(beside)
        _move(beside, target)
    except OSError as error:
        msg = f"{target}: cannot be written: {error.strerror or error}. Nothing was changed."
        raise OutputError(msg) from error
    finally:
        _remove(beside)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _move(source: Path, target: Path) -> None:
    if not target.is_dir():
        source.replace(target)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.replace(old)  # a folder cannot be replaced in one step
    try:
        source.replace(target)
    except OSError:
        old.replace(target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
