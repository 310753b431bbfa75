"""The library of bundled signature files, by ``id`` or ``id@version``."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path

from tamannot._resources import resource_path
from tamannot.errors import SignatureFormatError, SignatureNotFoundError, among, nearest
from tamannot.signature._exchange import from_json
from tamannot.signature._gene_ids import OURS
from tamannot.signature._model import AXES, Signature, SignatureFile, SignatureSet, version_key
from tamannot.signature._toml import located, parse_file, shown, to_module, to_signature


class Library:
    """The signature files of one species in one folder, each read at most once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, SignatureFile] = {}
        self._loaded: dict[str, Signature] = {}

    def versions(self, signature_id: str) -> list[str]:
        """Versions of a signature, newest last; empty if there is no such signature."""
        return sorted((f.stem for f in (self._folder / signature_id).glob("*.toml")), key=version_key)

    @cached_property
    def ids(self) -> list[str]:
        """Ids of all signatures, sorted."""
        return sorted(p.name for p in self._folder.iterdir() if p.is_dir())

    def get(self, name: str) -> Signature:
        """Return the signature ``id@version``, or the newest version of ``id``, if possible not deprecated."""
        found = []
        for one in self._names(name):
            if one not in self._loaded:
                file = self._file(one)
                with located(f"{self._path(one)}: modules"):
                    self._loaded[one] = to_signature(file, lambda module: to_module(self._file(*self._names(module))))
            found.append(self._loaded[one])
        return next((s for s in found if not s.deprecated), found[0])

    def _names(self, name: str) -> list[str]:
        """Return the ``id@version`` that a name may mean, the newest first."""
        signature_id, _, version = name.partition("@")
        versions = self.versions(signature_id) if signature_id in self.ids else []
        if not versions:
            raise SignatureNotFoundError(
                f"No signature '{shown(signature_id)}'.{meant(signature_id, self.ids)} All ids: list(load_signatures())"
            )
        if version and version not in versions:
            raise SignatureNotFoundError(
                f"No version '{shown(version)}' of signature '{signature_id}'.{among(version, versions)}"
            )
        return [f"{signature_id}@{v}" for v in ([version] if version else reversed(versions))]

    def _file(self, name: str) -> SignatureFile:
        if name not in self._files:
            path = self._path(name)
            file = parse_file(path)
            if f"{file.id}@{file.version}" != name:
                field = "id" if not name.startswith(f"{file.id}@") else "version"
                raise SignatureFormatError(f"{path}: {field}: '{getattr(file, field)}' does not match the path.")
            self._files[name] = file
        return self._files[name]

    def _path(self, name: str) -> Path:
        signature_id, _, version = name.partition("@")
        return self._folder / signature_id / f"{version}.toml"


def bundled_species() -> tuple[str, ...]:
    """Return the species that this release has signatures for."""
    return tuple(s for s in OURS if (resource_path("signatures") / s).is_dir())


@lru_cache(maxsize=len(OURS))
def bundled(species: str) -> Library:
    """Return the library that ships with tamannot."""
    if species not in bundled_species():
        raise SignatureNotFoundError(
            f"This release has no signatures for species '{species}'. Available: {', '.join(bundled_species())}."
        )
    return Library(resource_path("signatures") / species)


def load_signature(name: str, *, species: str = "human") -> Signature:
    """Return one signature of the bundled library.

    Parameters
    ----------
    name
        ``"lipid_associated"`` (the newest version) or ``"lipid_associated@1.0.0"``.
    species
        ``"human"`` or ``"mouse"``.

    Returns
    -------
    The signature; a composite includes its modules.

    Raises
    ------
    SignatureNotFoundError
        The id, version or species does not exist; the message suggests the nearest, also for abbreviations of the
        field: ``"LAM"`` is ``lipid_associated``.

    Examples
    --------
    >>> import tamannot as tam
    >>> tam.load_signature("m1").axis
    'polarization'
    """
    return bundled(species).get(name)


def load_signatures(axis: str | Iterable[str] | None = None, *, species: str = "human") -> SignatureSet:
    """Return the bundled signatures, each in its newest version.

    Parameters
    ----------
    axis
        One axis (``"state"``, ``"origin"``, ``"compartment"``, …), several, or all of them.
    species
        ``"human"`` or ``"mouse"``.

    Returns
    -------
    The signatures, in the order of the axes, then of their ids.

    Raises
    ------
    SignatureNotFoundError
        The axis or species does not exist.

    Examples
    --------
    >>> import tamannot as tam
    >>> list(tam.load_signatures(axis="origin"))
    ['border_associated', 'microglia', 'monocyte_derived']
    """
    wanted = (axis,) if isinstance(axis, str) else AXES if axis is None else tuple(dict.fromkeys(axis))
    if unknown := [a for a in wanted if a not in AXES]:
        raise SignatureNotFoundError(f"No axis '{unknown[0]}'.{among(unknown[0], AXES)}")
    bundled(species)
    return SignatureSet(s for a in wanted for s in _exported(species, a))


@lru_cache(maxsize=64)
def _exported(species: str, axis: str) -> tuple[Signature, ...]:
    """Return the newest signatures of an axis from the committed export: JSON is read ten times as fast as TOML."""
    path = resource_path("signatures") / "exports" / f"{species}_{axis}.json"
    return tuple(from_json(path.read_text(encoding="utf-8"))) if path.is_file() else ()


def meant(word: str, known: Iterable[str]) -> str:
    """Return the question which known ids are meant: by the field's name or abbreviation (LAM), else by letters."""
    ids, wanted = list(known), word.casefold()
    initials = [i for i in ids if "_" in i and "".join(w[0] for w in i.split("_")) + "m" == wanted]
    with (resource_path("signatures") / "nomenclature.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    elsewhere = [r["id"] for r in rows if wanted in (r["name_there"].casefold(), *r["name_there"].casefold().split())]
    found = [i for i in dict.fromkeys([*initials, *elsewhere]) if i in ids][:3]
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else nearest(word, ids)


def roots(folder: Path) -> list[Path]:
    """Return the folders that hold ``<id>/<version>.toml``: those of the species, or the folder itself."""
    return [folder / s for s in OURS if (folder / s).is_dir()] or [folder]


def is_outside(path: Path, folder: Path) -> bool:
    """Return whether a path is a link to something that is not in the folder."""
    try:
        return not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself
        return True
