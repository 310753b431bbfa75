"""Output that is written completely or not at all, by one run at a time, with errors of input and output apart."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import socket
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from tamannot.errors import InputFileError, OutputError, TamannotError

# What h5py, zarr and anndata raise on damaged data.
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, EOFError, zlib.error)
# HDF5 tells the system's error only in its text.
_ERRNO = re.compile(r"write failed.*?errno = (\d+)", re.DOTALL)
_FULL = (errno.ENOSPC, errno.EDQUOT)

if sys.platform != "win32":
    import fcntl

_HELD: ContextVar[frozenset[Path]] = ContextVar("_HELD", default=frozenset())
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_AT_FDCWD, _EXCHANGE = -100, 2


def check_target(
    target: Path, *, overwrite: bool, source: Path | None = None, in_place: bool = False, folder: bool = False
) -> None:
    """Raise early if a target cannot or must not be written; a ``folder`` is wanted for an export."""
    place, msg = place_of(target), ""
    is_source = source is not None and is_same(target, source)
    origin = None if source is None or is_source else place_of(source)
    if not place.parent.is_dir():
        msg = f"{target}: no folder {place.parent if target.is_symlink() else target.parent}. Create it first."
    elif is_source and not in_place:
        msg = f"{target} is the input. Choose another name, or use in_place=True to write the results into it."
    elif origin in place.parents:
        msg = f"{target} is inside the input, which would change it. Choose a name elsewhere."
    elif origin is not None and place in origin.parents and target.suffix == ".zarr":
        msg = f"{target} contains the input, and would replace it. Choose another name."
    elif place.exists() and not overwrite and not is_source:
        msg = f"{target} already exists. Choose another name, or use overwrite=True to replace it."
    elif place.exists() and place.is_dir() != folder and target.suffix != ".zarr":
        wrong, right = ("file", "folder") if folder else ("folder", "file")
        msg = f"{target} is a {wrong}. Pass the name of a {right}."
    elif place.exists() and not os.access(place, os.W_OK):
        msg = f"{target} is read-only. Choose another name, or make it writable."
    elif not os.access(place.parent, os.W_OK):
        msg = f"{target}: the folder {place.parent} is not writable. Choose another folder."
    if msg:
        raise OutputError(msg)


def check_space(target: Path, *, source: Path) -> None:
    """Raise if the disk of the target has too little space for a copy of the source."""
    try:
        need, free = size_of(source), shutil.disk_usage(place_of(target).parent).free
    except OSError:  # what cannot be told now is found in writing
        return
    if need > free:
        raise OutputError(
            f"{target}: cannot be written: No space left on device: {free / 1e6:,.0f} MB are free, about "
            f"{need / 1e6:,.0f} MB are needed. Free some space, or write to another disk."
        )


def is_same(target: Path, source: Path) -> bool:
    """Return whether two names are the same file or folder, also through links."""
    try:
        return target.samefile(source)
    except (OSError, ValueError):  # one is not there
        return False


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def place_of(target: Path) -> Path:
    """Return the real path of a target: a link is kept, and the file that it points to is replaced."""
    try:
        place = target.resolve()
    except (OSError, RuntimeError):
        place = target
    if place.is_symlink():
        raise OutputError(f"{target}: is a link to itself.")
    return place


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary name next to ``target``; move the file into place if there was no error.

    A reader sees the old target or the complete new one, never a part. On any error the temporary file is
    removed and the target is unchanged; leftovers of a killed run are removed by the next.
    """
    with locked(target) as place:
        beside = part_of(place)
        try:
            with writing_to(target):
                yield beside
                if place.is_file() and beside.is_file():
                    shutil.copymode(place, beside)
                for path in (beside, *beside.rglob("*")):  # a power cut must not leave an empty file
                    _sync(path)
                _move(beside, place)
                _sync(place.parent)
        finally:
            remove(beside)


def _sync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(new: Path, place: Path) -> None:
    """Move a file or folder into place; a folder cannot be replaced by renaming, so the two are exchanged."""
    if not (place.is_dir() or (new.is_dir() and place.exists())):
        new.replace(place)
        return
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # not all have this call
            exchange = ctypes.CDLL(None).renameat2
            if exchange(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(place), _EXCHANGE) == 0:
                return
    old = _beside(place, "old")  # elsewhere in two steps, and back if the second fails
    place.replace(old)
    try:
        new.replace(place)
    except OSError:
        old.replace(place)
        raise
    remove(old)


@contextmanager
def locked(target: Path) -> Iterator[Path]:
    """Lock an output, remove leftovers of dead runs, and yield its real path.

    The lock is a system lock on a file next to the output and ends with its process. Locking again in the same run
    does nothing.
    """
    place = place_of(target)
    if place in _HELD.get():
        yield place
        return
    held, handle = _HELD.set(_HELD.get() | {place}), None
    try:
        with writing_to(target):
            handle = _lock(_beside(place, "lock"), target)
            _clear(place)
        yield place
    finally:
        if handle is not None:
            _release(place)  # before the lock is given up: who takes it then sees that its file is gone
            os.close(handle)
        _HELD.reset(held)


def _clear(place: Path) -> None:
    """Remove the leftovers of a dead run, which may have died between moving the old file away and the new one in."""
    old = _beside(place, "old")
    if old.exists() and not place.exists():
        old.replace(place)
    remove(old)
    remove(part_of(place))


def _release(place: Path) -> None:
    with suppress(OSError):
        _clear(place)
    remove(_beside(place, "lock"))


def release_locks() -> None:
    """Release the remaining locks: an interruption may arrive just as a lock ends."""
    for place in _HELD.get():
        with suppress(OSError):
            if _beside(place, "lock").read_bytes() == _ours():
                _release(place)


def _ours() -> bytes:
    return f"process {os.getpid()} on {socket.gethostname()}".encode()


def _lock(lock: Path, target: Path) -> int:
    """Return the handle of a lock file that this process has locked."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    while True:
        is_new = not os.path.lexists(lock)
        overtaken = FileExistsError if is_new else FileNotFoundError  # another run made or removed it meanwhile
        try:
            handle = os.open(lock, flags | (os.O_CREAT | os.O_EXCL if is_new else 0), 0o666)
        except overtaken:
            continue
        try:
            _take(handle, lock, target, is_new=is_new)
            with suppress(FileNotFoundError):  # the run before removed its file between our opening and locking it
                if os.path.samestat(lock.stat(), os.fstat(handle)):
                    os.truncate(handle, 0)
                    os.write(handle, _ours())
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int, lock: Path, target: Path, *, is_new: bool) -> None:
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
    except BlockingIOError as error:
        who = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
        raise OutputError(f"{target}: another run is writing it ({who}). Wait, or choose another name.") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    if not is_new:  # without locks nobody can tell whether its run is alive
        raise OutputError(f"{target}: another run writes it, or was interrupted. If none is running, remove {lock}.")


def part_of(place: Path) -> Path:
    """Return the name beside an output under which it is written."""
    return _beside(place, f"part{place.suffix}")


def _beside(place: Path, what: str) -> Path:
    return place.with_name(f".{place.name}.tamannot-{what}")


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there and can be removed."""
    shutil.rmtree(path, ignore_errors=True)  # refuses files and links
    with suppress(OSError):
        path.unlink()


@contextmanager
def writing_to(target: Path) -> Iterator[None]:
    """Raise errors of the output as `OutputError`."""
    try:
        yield
    except TamannotError:
        raise
    except (OSError, RuntimeError) as error:
        code = _errno(error)
        if code is None and not isinstance(error, OSError):
            raise
        reason = os.strerror(code) if code else first_line(error)
        hint = " Free some space, or write to another disk." if code in _FULL else ""
        raise OutputError(f"{target}: cannot be written: {reason}. Nothing was changed.{hint}") from error


@contextmanager
def reading_from(source: Path, writing: Path) -> Iterator[None]:
    """Raise errors of the source as `InputFileError`; errors of the output pass."""
    try:
        yield
    except TamannotError:
        raise
    except _DAMAGED as error:
        names = (getattr(error, "filename", None), getattr(error, "filename2", None))
        of_output = any(isinstance(n, str | os.PathLike) and Path(n).is_relative_to(writing) for n in names)
        if of_output or _errno(error) in (*_FULL, errno.EROFS, errno.EFBIG) or _ERRNO.search(str(error)):
            raise
        raise InputFileError(
            f"{source}: cannot be copied; it is damaged, or changed during the run: {first_line(error)}"
        ) from error


def _errno(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _ERRNO.search(str(error))
    return int(found.group(1)) if found else None


def first_line(error: BaseException) -> str:
    """Return the first line of the message of an error, or its type."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
