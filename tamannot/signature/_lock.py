"""The lock of a library: what has been released, and so must never change."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from tamannot.errors import SignatureFormatError
from tamannot.signature._layout import files_of, roots
from tamannot.signature._store import Library
from tamannot.signature._text import read_text
from tamannot.signature._toml import explain

LOCK = "lock.json"
_MAX_BYTES = 64 * 2**20
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

Entries = dict[str, dict[str, str]]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sha256: _Sha256
    digest: _Sha256


class _Lock(BaseModel):
    model_config = ConfigDict(extra="forbid")
    schema_version: Literal[1] = 1
    files: dict[str, _Entry]


@dataclass(frozen=True)
class Changes:
    """How the files of a library differ from its lock."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    kept: int
    """Number of files that are as they were."""


def lock_of(folder: Path) -> Entries:
    """Return the lock of a library: for each file the sha256 of its bytes and the digest of its content."""
    entries = {}
    for root in roots(folder):
        library = Library(root)
        for path in files_of(root):
            signature = library.get(f"{path.parent.name}@{path.stem}")
            digests = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "digest": signature.digest}
            entries[path.relative_to(folder).as_posix()] = digests
    return entries


def released(folder: Path) -> Entries:
    """Return what the ``lock.json`` of a library holds; nothing if there is none.

    Raises
    ------
    SignatureFormatError
        It cannot be read, or is no lock.
    """
    path = folder / LOCK
    if not path.exists():
        return {}
    text = read_text(path, _MAX_BYTES)
    try:
        return _Lock.model_validate(json.loads(text)).model_dump()["files"]
    except ValidationError as error:
        msg = f"{path}: {explain(error)}"
        raise SignatureFormatError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path}: cannot be read as JSON: {error}"
        raise SignatureFormatError(msg) from error


def changes(before: Entries, now: Entries) -> Changes:
    """Return what came, changed and went since a lock was written."""
    return Changes(
        added=tuple(n for n in now if n not in before),
        changed=tuple(n for n in before if n in now and now[n] != before[n]),
        gone=tuple(n for n in before if n not in now),
        kept=sum(now.get(n) == entry for n, entry in before.items()),
    )


def extended(folder: Path) -> tuple[str, Changes]:
    """Return the text of a library's lock with the files that are new, and which these are.

    The library is taken to have no faults; `validate` says whether that is so.

    Raises
    ------
    SignatureFormatError
        There is no file to lock, or one that was released has changed or is gone.
    """
    now = lock_of(folder)
    since = changes(released(folder), now)
    if not now:
        msg = f"{folder}: there is no <id>/<version>.toml to lock in this folder."
        raise SignatureFormatError(msg)
    if lost := [*since.changed, *since.gone]:
        msg = f"{folder / lost[0]}: was released, and has changed or is gone. Put it back as it was."
        raise SignatureFormatError(msg)
    return json.dumps({"schema_version": 1, "files": now}, indent=1) + "\n", since
