"""Keeping a library of signature files: validation, differences, the schema, the lock of what was released."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from tamannot._resources import resource_path
from tamannot.errors import SignatureFormatError, SignatureNotFoundError
from tamannot.signature import _toml
from tamannot.signature._library import Library, bundled, bundled_species, is_outside, roots
from tamannot.signature._model import Gene, Signature, SignatureFile, version_key
from tamannot.signature._read import read_signatures

# How the note of a reference says that no one looked.
_UNCHECKED = ("not checked", "from memory", "to be checked")


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


def schema() -> str:
    """Return the JSON schema of a signature file."""
    return json.dumps(SignatureFile.model_json_schema(), indent=2) + "\n"


def difference(before: Signature, after: Signature) -> tuple[list[Gene], list[Gene], list[tuple[Gene, Gene]]]:
    """Return the genes that came, went, or changed direction or weight; composites by all their genes."""
    old, new = ({g.key: g for g in s.all_genes} for s in (before, after))
    both = [(old[k], new[k]) for k in old if k in new]
    changed = [(a, b) for a, b in both if (a.direction, a.weight) != (b.direction, b.weight)]
    return [g for k, g in new.items() if k not in old], [g for k, g in old.items() if k not in new], changed


def validate(path: Path) -> list[Fault]:
    """Return the faults of a library folder, of a folder of loose files, or of one file.

    The checks: every file follows the format and is not a link to another place; in a library its path agrees
    with its content, its modules exist, ids are unique, a PATCH version has the digest of the one before,
    and with a ``lock.json`` no released file has changed or gone; the newest version of each signature counts no
    unchecked source as evidence, and nothing of the template is left in it. A file in the format of another tool
    (GMT, JSON, a table) is read as `read_signatures` does.
    """
    try:
        if path.is_file():
            return _file_faults(path) or _source_faults(path) if path.suffix == ".toml" else _reading_faults(path)
        if not path.is_dir():
            return [Fault(path, None, "no such file or folder.")]
    except OSError as error:
        return [Fault(path, None, f"cannot be read: {error.strerror or error}.")]
    folder, species = path, roots(path)
    files = [f for root in species for f in sorted(root.glob("*/*.toml"))]
    loose = sorted({*folder.rglob("*.toml")} - {*files})
    if not files and not loose:
        reason = "no signature files found: expected <id>/<version>.toml, or <species>/<id>/<version>.toml."
        return [Fault(folder, None, reason)]
    # Installers may link the files of the package itself to a store of theirs.
    may_link = folder.is_relative_to(resource_path("signatures"))
    outside = [] if may_link else [f for f in (*files, *loose) if is_outside(f, folder)]
    link = f"links to a file outside {folder}. Copy the file into the folder."
    faults = [Fault(f, None, link) for f in outside] or [f for file in (*files, *loose) for f in _file_faults(file)]
    # What depends on sound files is looked at once they are.
    if faults or not files:
        return faults or [f for file in loose for f in _source_faults(file)] or _reading_faults(folder)
    place = "<id>/<version>.toml" if species == [folder] else "<species>/<id>/<version>.toml"
    faults = [Fault(file, None, f"is in the wrong place for a library file; expected {place}.") for file in loose]
    # A released version stays as it is, so its faults would stay, too: the newest of each signature is looked at.
    newest = {file.parent: file for file in sorted(files, key=lambda f: version_key(f.stem))}
    faults += [f for file in newest.values() if not _is_superseded(file) for f in _source_faults(file)]
    faults += [f for root in species for f in _root_faults(root, of_species=root != folder)]
    return faults or _lock_faults(folder)


def _file_faults(path: Path) -> list[Fault]:
    """Return what keeps a file from being parsed, each fault with its line."""
    try:
        _toml.parse_file(path)
    except SignatureFormatError as error:
        if isinstance(error.__cause__, ValidationError):
            return [_at(path, place, reason) for place, reason in _toml.reasons(error.__cause__)]
        return [_fault(path, str(error))]
    return []


def _source_faults(path: Path) -> list[Fault]:
    """Return where a sound file says more for itself than its sources do."""
    file, faults = _toml.parse_file(path), []
    if file.description.strip() == _toml.TO_FILL_IN:
        faults.append(_at(path, ("description",), "description: replace the text of the template."))
    for i, reference in enumerate(file.references):
        place = ("references", i, "key")
        if reference.key == _toml.EXAMPLE_KEY:
            faults.append(_at(path, place, f"references: replace '{reference.key}' of the template by your own."))
        if reference.checked and any(words in (reference.note or "") for words in _UNCHECKED):
            reason = f"references: the note of '{reference.key}' says that it is unchecked; set checked = false."
            faults.append(_at(path, place, reason))
    checked = {r.key for r in file.references if r.checked}
    for i, gene in enumerate(file.genes):
        n = len(checked.intersection(gene.references))
        if (gene.evidence or 0) > n:
            reason = f"genes: evidence of {gene.symbol} is {gene.evidence}, but {n} of its sources are checked."
            faults.append(_at(path, ("genes", i), reason))
    return faults


def _is_superseded(path: Path) -> bool:
    """Return whether a file is that of a bundled signature of which there is a newer version, such as a module."""
    file = _toml.parse_file(path)
    if file.species not in bundled_species() or file.version not in bundled(file.species).versions(file.id)[:-1]:
        return False
    known = bundled(file.species).get(f"{file.id}@{file.version}")
    return (file.genes, file.references) == (known.genes, known.references)


def _reading_faults(path: Path) -> list[Fault]:
    try:
        read_signatures(path)
    except SignatureFormatError as error:
        said = str(error)
        inside = path.is_dir() and next((f for f in path.rglob("*.toml") if said.startswith(f"{f}: ")), None)
        return [_fault(inside or path, said)]
    return []


def _root_faults(root: Path, *, of_species: bool) -> list[Fault]:
    library, faults = Library(root), []
    for path in sorted(root.glob("*/*.toml")):
        try:
            species = library.get(f"{path.parent.name}@{path.stem}").species
        except (SignatureFormatError, SignatureNotFoundError) as error:
            faults.append(_fault(path, str(error)))
            continue
        if of_species and species != root.name:
            faults.append(_fault(path, f"species: '{species}' does not match the path."))
    if faults:
        return faults
    for name in library.ids:
        for older, newer in pairwise(library.versions(name)):
            same_minor = version_key(older)[:2] == version_key(newer)[:2]
            if same_minor and library.get(f"{name}@{older}").digest != library.get(f"{name}@{newer}").digest:
                reason = f"genes changed since {older}, which needs at least a MINOR version, not a PATCH."
                faults.append(_fault(root / name / f"{newer}.toml", f"version: {reason}"))
    return faults


def _lock_faults(folder: Path) -> list[Fault]:
    try:
        before = released(folder)
    except SignatureFormatError as error:
        path, _, reason = str(error).partition(": ")
        return [Fault(Path(path), None, reason)]
    now = lock_of(folder) if before else {}
    gone = "was released and is missing. Restore it; to retire a signature, add a version with deprecated = true."
    changed = "was released and has changed. Restore it, and make a new version with the change."
    return [
        *(Fault(folder / name, None, gone) for name in before if name not in now),
        *(Fault(folder / name, None, changed) for name in before if name in now and now[name] != before[name]),
    ]


def _fault(path: Path, message: str) -> Fault:
    """Return the fault that a message ``path: field: reason`` or ``path: line 3: reason`` tells of."""
    reason = message.removeprefix(f"{path}: ")
    field = reason.partition(":")[0]
    return _at(path, (field,) if field in SignatureFile.model_fields else (), reason)


def _at(path: Path, place: _toml.Location, reason: str) -> Fault:
    """Return a fault with the line that it is about, where a file has lines."""
    try:
        text = _toml.read_text(path, _toml.MAX_BYTES) if path.suffix == ".toml" else ""
    except SignatureFormatError:
        text = ""
    return Fault(path, _toml.line_of(text, place, reason), reason)


LOCK = "lock.json"
_MAX_BYTES = 64 * 2**20
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sha256: _Sha256
    digest: _Sha256


class _Lock(BaseModel):
    model_config = ConfigDict(extra="forbid")
    schema_version: Literal[1] = 1
    files: dict[str, _Entry]


def lock_of(folder: Path) -> dict[str, dict[str, str]]:
    """Return the lock of a library: for each file the sha256 of its bytes and the digest of its content."""
    entries = {}
    for root in roots(folder):
        library = Library(root)
        for path in sorted(root.glob("*/*.toml")):
            signature = library.get(f"{path.parent.name}@{path.stem}")
            digests = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "digest": signature.digest}
            entries[path.relative_to(folder).as_posix()] = digests
    return entries


def released(folder: Path) -> dict[str, dict[str, str]]:
    """Return what the ``lock.json`` of a library holds; nothing if there is none."""
    path = folder / LOCK
    if not path.exists():
        return {}
    text = _toml.read_text(path, _MAX_BYTES)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SignatureFormatError(f"{path}: cannot be read as JSON: {error}") from error
    with _toml.located(path):
        return _Lock.model_validate(content).model_dump()["files"]


def extended(folder: Path) -> tuple[str, list[str], int]:
    """Return the text of a sound library's lock with the new files, which these are, and how many were there before."""
    now, before = lock_of(folder), released(folder)
    if not now:
        raise SignatureFormatError(f"{folder}: this folder has no <id>/<version>.toml to lock.")
    text = json.dumps({"schema_version": 1, "files": now}, indent=1) + "\n"
    return text, [name for name in now if name not in before], len(before)
