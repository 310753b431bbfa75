"""Keeping a library of signature files: validation, the lock, differences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tamannot.errors import SignatureFormatError, SignatureNotFoundError
from tamannot.signature._model import Gene, Signature, SignatureFile, version_key
from tamannot.signature._store import SPECIES, Library
from tamannot.signature._toml import parse_file

LOCK = "lock.json"


@dataclass(frozen=True)
class Fault:
    """Something wrong with a library, and where."""

    path: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        """Return ``path:line: reason``."""
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.reason}"


@dataclass(frozen=True)
class Difference:
    """What changed from one signature to another."""

    added: tuple[Gene, ...]
    removed: tuple[Gene, ...]
    changed: tuple[tuple[Gene, Gene], ...]
    """Genes whose direction or weight differs."""

    def __bool__(self) -> bool:
        """Whether anything that is scored differs."""
        return bool(self.added or self.removed or self.changed)


def schema() -> str:
    """Return the JSON schema of a signature file."""
    return json.dumps(SignatureFile.model_json_schema(), indent=2) + "\n"


def difference(before: Signature, after: Signature) -> Difference:
    """Return the genes that came, went, or changed direction or weight; composites by all their genes."""
    old, new = ({g.key: g for g in s.all_genes} for s in (before, after))
    both = [(old[k], new[k]) for k in old if k in new]
    return Difference(
        added=tuple(g for k, g in new.items() if k not in old),
        removed=tuple(g for k, g in old.items() if k not in new),
        changed=tuple((a, b) for a, b in both if (a.direction, a.weight) != (b.direction, b.weight)),
    )


def lock_of(folder: Path) -> dict[str, dict[str, str]]:
    """Return the lock of a library: for each file the sha256 of its bytes and the digest of its content."""
    entries = {}
    for root in _roots(folder):
        library = Library(root)
        for path in _files(root):
            signature = library.get(f"{path.parent.name}@{path.stem}")
            digests = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "digest": signature.digest}
            entries[path.relative_to(folder).as_posix()] = digests
    return entries


def validate(path: Path) -> list[Fault]:
    """Return the faults of a library folder, of a folder of loose files, or of one file.

    Checked are: every file follows the format; in a library its path agrees with its content, its modules
    exist, ids are unique, a PATCH version has the digest of the one before, and with a ``lock.json`` no
    released file has changed or gone.
    """
    if not path.exists():
        return [Fault(path, None, "there is no such file or folder.")]
    if path.is_file():
        return _file_faults(path)
    roots = _roots(path)
    if not any(_files(r) for r in roots):
        return [Fault(path, None, "there is no signature file: <id>/<version>.toml, or <species>/<id>/<version>.toml.")]
    faults = [fault for root in roots for file in _files(root) for fault in _file_faults(file)]
    # What depends on sound files is looked at once they are.
    return faults or [f for root in roots for f in _root_faults(root)] or _lock_faults(path)


def _file_faults(path: Path) -> list[Fault]:
    try:
        parse_file(path)
    except SignatureFormatError as error:
        reasons = str(error).removeprefix(f"{path}: ").split("; ")
        return [Fault(path, _line_of(path, reason), reason) for reason in reasons]
    return []


def _root_faults(root: Path) -> list[Fault]:
    library, faults = Library(root), []
    for path in _files(root):
        try:
            library.get(f"{path.parent.name}@{path.stem}")
        except (SignatureFormatError, SignatureNotFoundError) as error:
            faults.append(Fault(path, None, str(error).removeprefix(f"{path}: ")))
    return faults or [f for name in library.ids() for f in _version_faults(root, library, name)]


def _version_faults(root: Path, library: Library, name: str) -> list[Fault]:
    versions = library.versions(name)
    faults = []
    for older, newer in pairwise(versions):
        same_minor = version_key(older)[:2] == version_key(newer)[:2]
        same = library.get(f"{name}@{older}").digest == library.get(f"{name}@{newer}").digest
        if same_minor and not same:
            reason = f"genes changed since {older}; that is a MINOR version at least, not a PATCH."
            faults.append(Fault(root / name / f"{newer}.toml", None, reason))
    return faults


def _lock_faults(folder: Path) -> list[Fault]:
    lock = folder / LOCK
    if not lock.is_file():
        return []
    try:
        released: Mapping[str, Any] = json.loads(lock.read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError, TypeError) as error:
        return [Fault(lock, None, f"cannot be read: {error}")]
    now = lock_of(folder)
    gone = [
        Fault(folder / n, None, "was released and is gone; deprecate it instead.") for n in released if n not in now
    ]
    changed = [
        Fault(folder / n, None, "was released and has changed; make a new version instead.")
        for n, entry in released.items()
        if n in now and now[n] != entry
    ]
    return gone + changed


def _roots(folder: Path) -> list[Path]:
    """Return the folders that hold ``<id>/<version>.toml``: those of the species, or the folder itself."""
    by_species = [folder / s for s in SPECIES if (folder / s).is_dir()]
    return by_species or [folder]


def _files(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.toml"))


def _line_of(path: Path, reason: str) -> int | None:
    """Find the line that a fault is about: TOML's own word, the gene by its number or name, or the key."""
    words = reason.replace(":", " ").replace(",", " ").replace(")", " ").split()
    if "line" in words[:-1] and words[words.index("line") + 1].isdecimal():
        return int(words[words.index("line") + 1])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    place = reason.partition(":")[0].split(".")
    if place[0] == "genes" and len(place) > 1 and place[1].isdecimal():
        genes = [n for n, line in enumerate(lines, 1) if line.lstrip().startswith("{")]
        return genes[int(place[1])] if int(place[1]) < len(genes) else None
    return _first_line(lines, (f"{place[0]} =", f"{place[0]}="), words)


def _first_line(lines: list[str], starts: tuple[str, ...], words: Iterable[str]) -> int | None:
    for number, line in enumerate(lines, 1):
        if line.startswith(starts):
            return number
    named = [f'symbol = "{w}"' for w in words]
    return next((n for n, line in enumerate(lines, 1) if any(name in line for name in named)), None)
