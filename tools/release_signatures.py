"""Write what is generated from the signature files: lock, schema, exports, catalogue.

usage: python tools/release_signatures.py [--check]

``signatures/lock.json`` gains the files that are new; it refuses files that have changed since they were
released. With ``--check`` nothing is written; exit 1 if something is stale.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

from tamannot.signature import AXES, Signature, bundled_species
from tamannot.signature._exchange import FORMATS
from tamannot.signature._library import bundled
from tamannot.signature._validate import LOCK, difference, extended, schema, validate

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "signatures"
CATALOGUE = ROOT / "docs" / "catalogue"


def generated() -> dict[Path, str]:
    """Return every generated file with the text that it should have."""
    files = {FOLDER / "schema.json": schema(), FOLDER / LOCK: extended(FOLDER)[0]}
    for species in bundled_species():
        library = bundled(species)
        members = [library.get(i) for i in library.ids()]
        for axis in AXES:
            if of_axis := [s for s in members if s.axis == axis]:
                files |= exports(species, axis, of_axis)
        files |= catalogue(species, [s for axis in AXES for s in members if s.axis == axis])
    return files


def exports(species: str, axis: str, members: list[Signature]) -> dict[Path, str]:
    """Return the files of one axis that other pipelines can take."""
    stem = FOLDER / "exports" / f"{species}_{axis}"
    return {
        stem.with_suffix(".gmt"): FORMATS["gmt"].write(members, "symbol"),
        stem.with_name(f"{stem.name}_ensembl.gmt"): FORMATS["gmt"].write(members, "ensembl"),
        stem.with_suffix(".json"): FORMATS["json"].write(members, "symbol"),
        stem.with_suffix(".csv"): FORMATS["network"].write(members, "symbol"),
    }


def catalogue(species: str, everything: list[Signature]) -> dict[Path, str]:
    """Return a page for each signature of a species, and their index."""
    pages = {CATALOGUE / species / f"{s.id}.md": page(s, everything, species) for s in everything}
    rows = [f"| [{s.id}]({s.id}.md) | {s.axis} | {len(s.all_genes)} | {s.title} |" for s in everything]
    head = f"# Signatures: {species}\n\n| id | axis | genes | |\n|---|---|---|---|\n"
    return pages | {CATALOGUE / species / "index.md": head + "\n".join(rows) + "\n"}


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
        d = difference(library.get(f"{signature.id}@{older}"), library.get(f"{signature.id}@{newer}"))
        lines.append(f"- {newer}: {len(d.added)} genes in, {len(d.removed)} out, {len(d.changed)} changed")
    return "\n".join(["## History", "", *lines])


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    if faults := validate(FOLDER):
        print(*faults, sep="\n")
        return 1
    files = generated()
    stale = [p for p, text in files.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    known = {p for f in (FOLDER / "exports", CATALOGUE) if f.is_dir() for p in f.rglob("*.*")}
    left_over = sorted(known - set(files))
    if "--check" in arguments:
        print(*(f"stale: {p.relative_to(ROOT)}" for p in [*stale, *left_over]), sep="\n")
        return int(bool(stale or left_over))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
    for path in left_over:
        path.unlink()
    print(f"{len(stale)} written, {len(left_over)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
