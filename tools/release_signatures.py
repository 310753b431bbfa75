"""Write what is generated from the signature files: lock, schema, exports.

usage: python tools/release_signatures.py [--check]

``signatures/lock.json`` gains the files that are new; it refuses files that have changed since they were
released. With ``--check`` nothing is written; exit 1 if something is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tamannot.signature import AXES, Signature, bundled_species
from tamannot.signature._exchange import FORMATS
from tamannot.signature._library import bundled
from tamannot.signature._validate import LOCK, extended, schema, validate

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "signatures"


def generated() -> dict[Path, str]:
    """Return every generated file with the text that it should have."""
    files = {FOLDER / "schema.json": schema(), FOLDER / LOCK: extended(FOLDER)[0]}
    for species in bundled_species():
        library = bundled(species)
        members = [library.get(i) for i in library.ids]
        for axis in AXES:
            if of_axis := [s for s in members if s.axis == axis]:
                files |= exports(species, axis, of_axis)
    return files


def exports(species: str, axis: str, members: list[Signature]) -> dict[Path, str]:
    """Return the files of one axis that other pipelines can take."""
    stem = FOLDER / "exports" / f"{species}_{axis}"
    return {
        stem.with_suffix(".gmt"): FORMATS["gmt"](members, "symbol"),
        stem.with_name(f"{stem.name}_ensembl.gmt"): FORMATS["gmt"](members, "ensembl"),
        stem.with_suffix(".json"): FORMATS["json"](members, "symbol"),
        stem.with_suffix(".csv"): FORMATS["network"](members, "symbol"),
    }


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    if faults := validate(FOLDER):
        print(*faults, sep="\n")
        return 1
    files = generated()
    stale = [p for p, text in files.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    known = set((FOLDER / "exports").glob("*.*"))
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
