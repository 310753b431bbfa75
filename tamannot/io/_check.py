"""Check of a file: its content, what an annotation would use, and its limitations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tamannot._progress import Progress, silent
from tamannot.classify import FEW_GENES, FEWEST_REFERENCE_GENES, MACROPHAGE, PROGRAM_AXES, n_reference_genes
from tamannot.data import Unpacked, species_of, unpack
from tamannot.data._runs import coverage_table
from tamannot.errors import GeneIdError
from tamannot.io._read import open_file
from tamannot.scoring import make_plan
from tamannot.signature import SignatureSet, load_signatures

# One stray count of a rare gene tells no macrophage; with fewer cells than that the baselines are weak.
_MIN_DETECTED, _FEW_CELLS = 3, 50
# Cells looked at: so many from each of so many places, all over the file.
_ROWS, _PLACES = 500, 10


@dataclass(frozen=True)
class FileCheck:
    """Check of a file: its content, what an annotation would use, and its limitations."""

    path: str
    n_obs: int
    candidates: tuple[str, ...]
    matrix: str
    kind: str
    gene_ids: str
    species: str
    substitutions: dict[str, str]
    coverage: pd.DataFrame
    notes: tuple[str, ...] = ()
    """Limitations of an annotation; empty if there are none."""


def check_file(path: str | os.PathLike[str], *, report: Progress | None = None, **where: Any) -> FileCheck:
    """Report the content of a file, what an annotation would use, and its limitations, without annotating.

    ``where`` are ``layer``, ``gene_symbols`` and ``species`` of `tl.annotate`.
    """
    report = report or silent()
    report("reading file")
    with open_file(Path(path)) as adata:
        report("checking")
        library = load_signatures(PROGRAM_AXES, species=species_of(adata, **where))
        data = unpack(adata, library, **where)
        coverage = coverage_table(make_plan(library, data.index.locate, data.rows.shape[1]))
        n = n_reference_genes(data.index, "mouse" if data.species == "mouse" else "human")
        if n < FEWEST_REFERENCE_GENES:  # no cell could be called a macrophage, whatever its expression
            msg = (
                f"{path}: macrophages cannot be called: the {data.rows.shape[1]:,} genes of {data.matrix} include {n} "
                f"of the genes that separate compartments, and a call needs {FEWEST_REFERENCE_GENES}. Use the matrix "
                "with all genes, from before gene selection; if it is stored under another name, pass layer= or "
                "gene_symbols=."
            )
            raise GeneIdError(msg)
        return FileCheck(
            path=str(path),
            n_obs=adata.n_obs,
            candidates=data.looks,
            matrix=data.matrix,
            kind=data.kind,
            gene_ids=data.ids_from,
            species=data.species,
            substitutions={s.symbol: s.found_as for s in data.index.substitutions},
            coverage=coverage,
            notes=tuple(_notes(coverage, data, library)),
        )


def _notes(coverage: pd.DataFrame, data: Unpacked, library: SignatureSet) -> Iterator[str]:
    """Yield the limitations of an annotation."""
    share = coverage["coverage"]
    panel = coverage.loc[MACROPHAGE].to_dict()
    if (n := int(panel["n_present"])) < _MIN_DETECTED:
        yield (
            f"{n} of the {int(panel['n_genes'])} genes of the macrophage panel are in the data: macrophages are "
            "called from other genes only, and some will be missed. If you know the cell types, pass their column as "
            "compartment_key=."
        )
    for axis in ("state", "origin"):
        if few := [name for name in library.select(axis=axis) if share[name] < FEW_GENES]:
            names = " or ".join(filter(None, (", ".join(few[:-1]), few[-1])))
            yield f"Few cells will get the {axis} {names}: fewer than half of the genes are in the data."
    n_obs, n_vars = data.rows.shape
    if n_obs < _FEW_CELLS:
        yield (
            f"{n_obs:,} cells are few for fitting the baselines of states: they will stay close to those of the "
            "reference."
        )
    of_panel = np.zeros(n_vars, bool)
    columns = np.array([data.index.locate(g.symbol, g.ensembl) for g in library[MACROPHAGE].all_genes])
    of_panel[columns[columns >= 0]] = True
    n_seen = n_with = 0
    for start in np.unique(np.linspace(0, max(n_obs - _ROWS, 0), _PLACES, dtype=int)):
        block = data.rows.block(int(start), min(int(start) + _ROWS, n_obs))
        detected = block.totals((block.values > 0) & of_panel[block.indices])
        n_seen, n_with = n_seen + detected.size, n_with + int((detected >= _MIN_DETECTED).sum())
    if n_with == 0 and n >= _MIN_DETECTED:
        yield (
            f"None of {n_seen:,} inspected cells expresses {_MIN_DETECTED} macrophage genes: the data have few or no "
            "macrophages."
        )
