"""Whose fault an error of reading or writing is: the input's, the output's, or ours."""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tamannot.errors import InputFileError, OutputError, TamannotError

# What h5py, zarr and anndata raise on damaged data.
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, EOFError, zlib.error)
# HDF5 tells the system's error only in its text.
_ERRNO = re.compile(r"write failed.*?errno = (\d+)", re.DOTALL)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def reading_from(source: Path, writing: Path) -> Iterator[None]:
    """Tell what goes wrong with the source as `InputFileError`; what goes wrong with the output passes.

    Raises
    ------
    InputFileError
        The source is damaged or cannot be read.
    """
    try:
        yield
    except TamannotError:
        raise
    except _DAMAGED as error:
        if _is_of_output(error, writing):
            raise
        msg = f"{source}: cannot be copied; it is damaged, or changed meanwhile: {_first_line(error)}"
        raise InputFileError(msg) from error


@contextmanager
def writing_to(target: Path) -> Iterator[None]:
    """Tell what goes wrong with the output as `OutputError`.

    Raises
    ------
    OutputError
        The disk is full, or writing failed otherwise.
    """
    try:
        yield
    except TamannotError:
        raise
    except (OSError, RuntimeError) as error:
        code = _errno(error)
        if code is None and not isinstance(error, OSError):
            raise
        reason = os.strerror(code) if code else _first_line(error)
        hint = " Free some, or write to another disk." if code in _FULL else ""
        msg = f"{target}: cannot be written: {reason}. Nothing was changed.{hint}"
        raise OutputError(msg) from error


def _is_of_output(error: Exception, writing: Path) -> bool:
    if _errno(error) in (*_FULL, errno.EROFS, errno.EFBIG) or _ERRNO.search(str(error)):
        return True
    names = (getattr(error, "filename", None), getattr(error, "filename2", None))
    return any(isinstance(n, str | os.PathLike) and Path(n).is_relative_to(writing) for n in names)


def _errno(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _ERRNO.search(str(error))
    return int(found.group(1)) if found else None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
