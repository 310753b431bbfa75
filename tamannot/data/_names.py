"""What a part of a file is called, and the words for one that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tamannot.errors import InputFileError, TamannotError


def name_of(stored: Any) -> str:
    """Return the file and the path inside it of a dataset or group of HDF5 or zarr."""
    if hasattr(stored, "store_path"):
        return str(stored.store_path).removeprefix("file://")
    return f"{stored.file.filename}: {stored.name.lstrip('/')}"


def damaged(name: str, what: str) -> InputFileError:
    """Return the error of a part of a file that holds what it cannot hold."""
    msg = f"{name} is damaged: {what}. Copy or download the file again, or write it anew from its source."
    return InputFileError(msg)


@contextmanager
def reading(name: str, start: int, stop: int, what: str = "entries") -> Iterator[None]:
    """Say of whatever goes wrong inside which part of which file could not be read.

    Raises
    ------
    InputFileError
        Anything but a lack of memory went wrong.
    """
    try:
        yield
    except (MemoryError, TamannotError):
        raise
    except Exception as error:  # whatever h5py, zarr and their codecs raise on bytes that are none of theirs
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise damaged(name, f"{what} {start:,} to {stop:,} cannot be read ({reason})") from error
