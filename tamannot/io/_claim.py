"""One run at a time for an output, and nothing left of runs that died."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from tamannot.errors import OutputError
from tamannot.io._faults import writing_to

if sys.platform != "win32":
    import fcntl

_HELD: ContextVar[frozenset[Path]] = ContextVar("_HELD", default=frozenset())
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def place_of(target: Path) -> Path:
    """Return where a target really is: a link stays, what it points to is replaced.

    Raises
    ------
    OutputError
        It is a link that leads to itself.
    """
    try:
        place = target.resolve()
    except (OSError, RuntimeError):
        place = target
    if place.is_symlink():
        msg = f"{target}: is a link that leads to itself."
        raise OutputError(msg)
    return place


def part_of(place: Path) -> Path:
    """Return the name beside an output under which it is written."""
    return place.with_name(f".{place.name}.tamannot-part{place.suffix}")


def old_of(place: Path) -> Path:
    """Return the name beside an output under which the one it replaces is kept for a moment."""
    return place.with_name(f".{place.name}.tamannot-old")


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there and can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@contextmanager
def claimed(target: Path) -> Iterator[Path]:
    """Keep other runs from an output, clear away what dead ones left, and give out where it really is.

    The claim is a lock of the system's on a file beside the output: it ends with its process, however that
    ends. Claiming what this run has claimed already does nothing.

    Raises
    ------
    OutputError
        Another run is writing there, or the folder cannot be written to.
    """
    place = place_of(target)
    if place in _HELD.get():
        yield place
        return
    held, handle = _HELD.set(_HELD.get() | {place}), None
    try:
        with writing_to(target):
            handle = _lock(_lock_of(place), target)
            _clear(place)
        yield place
    finally:
        if handle is not None:
            _let_go(place)  # before the lock is given up: who takes it then sees that its file is gone
            os.close(handle)
        _HELD.reset(held)


def abandon() -> None:
    """Let go of what is still claimed: an interruption may come just where a claim ends."""
    for place in _HELD.get():
        with suppress(OSError):
            if _lock_of(place).read_bytes() == _ours():
                _let_go(place)


def _let_go(place: Path) -> None:
    with suppress(OSError):
        _clear(place)
    remove(_lock_of(place))


def _lock_of(place: Path) -> Path:
    return place.with_name(f".{place.name}.tamannot-lock")


def _ours() -> bytes:
    return f"process {os.getpid()} on {socket.gethostname()}".encode()


def _lock(lock: Path, target: Path) -> int:
    while True:
        handle, is_new = _open(lock)
        try:
            _take(handle, lock, target, is_new=is_new)
            if _is_still(lock, handle):
                os.truncate(handle, 0)
                os.write(handle, _ours())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # the run before removed its file between our opening and locking it


def _open(lock: Path) -> tuple[int, bool]:
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    while True:
        with suppress(FileExistsError):
            return os.open(lock, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        with suppress(FileNotFoundError):
            return os.open(lock, flags), False


def _take(handle: int, lock: Path, target: Path, *, is_new: bool) -> None:
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
    except BlockingIOError as error:
        who = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
        msg = f"{target}: another run is writing it ({who}). Wait for it, or give another name."
        raise OutputError(msg) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    if not is_new:  # without locks nobody can tell whether its run is alive
        msg = f"{target}: another run is writing it, or was ended. If none is running, remove {lock}."
        raise OutputError(msg)


def _is_still(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _clear(place: Path) -> None:
    """Clear away what a dead run left; it may have died between moving the old away and the new in."""
    old = old_of(place)
    if old.exists() and not place.exists():
        old.replace(place)
    remove(old)
    remove(part_of(place))
