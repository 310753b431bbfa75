"""Text of files: read within a limit, shown without harm, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from tamannot.errors import OutputError, SignatureFormatError

_SHOWN = 300


def read_text(path: Path, limit: int) -> str:
    """Return the text of a file of at most ``limit`` bytes, its line ends made one kind.

    Raises
    ------
    SignatureFormatError
        The file cannot be read, is no regular file, is too large, or is not UTF-8; the message names
        the file, and the line that is not UTF-8.
    """
    content = _bytes_of(path, limit)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        msg = f"{path}: line {line}: cannot be read: byte 0x{content[error.start]:02x} is not UTF-8 text."
        raise SignatureFormatError(msg) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def shown(text: object) -> str:
    """Return what can be printed of a text: control characters as escapes, what is too long cut."""
    words = str(text)
    cut = words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, in folders that are made for it; a reader sees the old file or the whole new one.

    Raises
    ------
    OutputError
        It cannot be written; the file stays as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}. Nothing was changed."
        raise OutputError(msg) from error


def _bytes_of(path: Path, limit: int) -> bytes:
    try:
        # The size first: what is too large is not read. A pipe would let one wait without end.
        if path.stat().st_size <= limit and path.is_file():
            with path.open("rb") as file:
                content = file.read(limit + 1)
            if len(content) <= limit:
                return content
    except (OSError, ValueError) as error:  # a name may hold a NUL
        reason = getattr(error, "strerror", None) or error
        msg = f"{path}: cannot be read: {reason}."
        raise SignatureFormatError(msg) from error
    too_large = f"larger than {limit // 2**20} MB; a file of signatures is a list of genes."
    msg = f"{path}: {too_large if path.is_file() else 'cannot be read: it is no file.'}"
    raise SignatureFormatError(msg)
