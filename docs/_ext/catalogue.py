"""A page for each signature of the library, written before the sources are read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from tamannot.signature import AXES, Signature, bundled_species
from tamannot.signature._library import bundled
from tamannot.signature._validate import difference

_FOLDER = Path(__file__).parents[1] / "catalogue"


def setup(sphinx: Any) -> dict[str, Any]:
    """Write the catalogue when Sphinx starts."""
    sphinx.connect("config-inited", lambda *_: write_catalogue(_FOLDER))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_catalogue(folder: Path) -> None:
    """Write the pages of each species into a folder of its own; pages that are up to date stay untouched."""
    for species in bundled_species():
        library = bundled(species)
        members = [library.get(i) for i in library.ids]
        pages = catalogue(species, [s for axis in AXES for s in members if s.axis == axis])
        (folder / species).mkdir(parents=True, exist_ok=True)
        for old in (folder / species).glob("*.md"):
            if old.name not in pages:
                old.unlink()
        for name, text in pages.items():
            page_file = folder / species / name
            if not page_file.is_file() or page_file.read_text(encoding="utf-8") != text:
                page_file.write_text(text, encoding="utf-8")


def catalogue(species: str, everything: list[Signature]) -> dict[str, str]:
    """Return a page for each signature of a species, and their index."""
    pages = {f"{s.id}.md": page(s, everything, species) for s in everything}
    rows = [f"| [{s.id}]({s.id}.md) | {s.axis} | {len(s.all_genes)} | {s.title} |" for s in everything]
    head = f"# Signatures: {species}\n\n| id | axis | genes | |\n|---|---|---|---|\n"
    return pages | {"index.md": head + "\n".join(rows) + "\n"}


def page(signature: Signature, everything: list[Signature], species: str) -> str:
    """Return the page of a signature: meaning, genes, sources, overlaps, history."""
    flags = [
        name for name, on in (("provisional", signature.provisional), ("not per cell", not signature.per_cell)) if on
    ]
    about = [signature.axis, f"version {signature.version}", *signature.cell_ontology, *flags]
    parts = [f"# {signature.title}", f"`{signature.id}` · {' · '.join(about)}", signature.description.strip()]
    if signature.modules:
        names = ", ".join(f"[{m.id}]({m.id}.md)" for m in signature.modules)
        parts.append(f"Composite: the greatest of {names}.")
    else:
        parts += [gene_table(signature), reference_list(signature)]
    parts += [overlaps(signature, everything), history(signature, species)]
    parts.append(f"Content digest `{signature.digest}`. Licence of the file: {signature.licence}.")
    return "\n\n".join(p for p in parts if p) + "\n"


def gene_table(signature: Signature) -> str:
    """Return the genes as a table."""
    rows = [
        f"| {g.symbol} | {g.ensembl or ''} | {g.direction} | {g.weight:g} | "
        f"{'' if g.evidence is None else g.evidence} | {', '.join(g.references)} | {(g.note or '').replace('|', '/')} |"
        for g in signature.genes
    ]
    head = "## Genes\n\n| gene | Ensembl | direction | weight | independent sources | references | note |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def reference_list(signature: Signature) -> str:
    """Return the sources as a list."""
    lines = []
    for r in signature.references:
        where = f"[doi:{r.doi}](https://doi.org/{r.doi})" if r.doi else f"PMID {r.pmid}" if r.pmid else r.url or ""
        extra = "; ".join(t for t in (r.locator, r.note, None if r.checked else "**unchecked**") if t)
        lines.append(f"- `{r.key}` {r.citation}. {where}{' — ' + extra if extra else ''}")
    return "\n".join(["## Sources", "", *lines])


def overlaps(signature: Signature, everything: list[Signature]) -> str:
    """Return the signatures that share most genes, by Jaccard index."""
    mine = {g.key for g in signature.all_genes}
    own = {signature.id, *(m.id for m in signature.modules)}
    shared = []
    for other in everything:
        theirs = {g.key for g in other.all_genes}
        if other.id not in own and mine & theirs:
            shared.append((len(mine & theirs) / len(mine | theirs), other.id, len(mine & theirs)))
    rows = [f"| [{i}]({i}.md) | {n} | {j:.2f} |" for j, i, n in sorted(shared, key=lambda x: (-x[0], x[1]))[:10]]
    head = "## Overlaps\n\n| signature | shared genes | Jaccard |\n|---|---|---|"
    return "\n".join([head, *rows]) if rows else ""


def history(signature: Signature, species: str) -> str:
    """Return what each version changed."""
    library = bundled(species)
    versions = library.versions(signature.id)
    lines = [f"- {versions[0]}: first release"]
    for older, newer in pairwise(versions):
        added, removed, changed = difference(*(library.get(f"{signature.id}@{version}") for version in (older, newer)))
        lines.append(f"- {newer}: {len(added)} genes in, {len(removed)} out, {len(changed)} changed")
    return "\n".join(["## History", "", *lines])
