"""The signatures that were used: version, digest, coverage, sources."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tamannot.errors import SignatureNotFoundError
from tamannot.report._blocks import Point, Points, Section, Text
from tamannot.report._material import Material
from tamannot.report._pictures import pictures_of
from tamannot.report._tables import table_of
from tamannot.signature import Reference, Signature, load_signature

_NOTE = (
    "digest: the first letters of the sha256 over genes, directions and weights. "
    "own: not of the library of this release."
)


def signatures(material: Material) -> Section | None:
    """Return every signature with version, digest, coverage and the keys of its sources, and the sources."""
    if not (material.run.has("signatures") and material.run.has("coverage")):
        return None
    used = material.run.signatures
    table = used.join(material.run.coverage)
    found = {
        str(i): _of_library(material, str(i), str(row["version"]), str(row["digest"])) for i, row in used.iterrows()
    }
    table["sources"] = [_keys(found[str(i)]) for i in table.index]
    order = ["axis", "version", "n_genes", "n_present", "coverage", "missing", "sources", "digest"]
    block = table_of(table[[c for c in order if c in table]].rename_axis("signature"), "Signatures", note=_NOTE)
    sources = _sources(found)
    said = (
        (Text("Sources of these signatures; cite those of the labels that you use."), Points(sources))
        if sources
        else ()
    )
    return Section("signatures", "Signatures", (block, *pictures_of(material, "signatures"), *said))


def _of_library(material: Material, name: str, version: str, digest: str) -> Signature | None:
    """Return the signature that was used; None if it is not of the library of this release."""
    species = material.run.matrix.species
    found = _loaded(f"{name}@{version}", species if species in ("human", "mouse") else "human")
    return found if found is not None and found.digest == digest else None


@cache
def _loaded(name: str, species: str) -> Signature | None:
    try:
        return load_signature(name, species=species)
    except SignatureNotFoundError:
        return None


def _references(signature: Signature | None) -> list[Reference]:
    return [] if signature is None else [r for part in (signature, *signature.parts) for r in part.references]


def _keys(signature: Signature | None) -> str:
    return "own" if signature is None else ", ".join(dict.fromkeys(r.key for r in _references(signature)))


def _sources(found: Mapping[str, Signature | None]) -> tuple[Point, ...]:
    all_of = {r.key: r for s in found.values() for r in _references(s)}
    return tuple(_point(all_of[key]) for key in sorted(all_of))


def _point(reference: Reference) -> Point:
    unchecked = "" if reference.checked else " [not checked against the source]"
    where = f" PMID {reference.pmid}" if reference.pmid and not reference.doi else ""
    link = f"https://doi.org/{reference.doi}" if reference.doi else str(reference.url or "")
    return Point(f"{reference.key}:", f"{reference.citation}{where}{unchecked}", link)
