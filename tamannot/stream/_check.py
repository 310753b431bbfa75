"""What a file holds, and what an annotation of it would use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tamannot._adata import SpeciesChoice, species_of, unpack
from tamannot._progress import Progress, silent
from tamannot._provenance import coverage_table
from tamannot.pipeline import PROGRAM_AXES
from tamannot.scorers import make_plan
from tamannot.signature import load_signatures
from tamannot.stream._input import read_file


@dataclass(frozen=True)
class FileCheck:
    """What a file holds, and what an annotation of it would use."""

    path: str
    n_obs: int
    candidates: tuple[str, ...]
    matrix: str
    kind: str
    gene_ids: str
    species: str
    substitutions: dict[str, str]
    coverage: pd.DataFrame


def check_file(
    path: str | os.PathLike[str],
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    report: Progress | None = None,
) -> FileCheck:
    """Say what a file holds and what an annotation would use, without annotating.

    Raises
    ------
    TamannotError
        The file cannot be used; the message says what to do.
    """
    report = report or silent()
    report("reading file")
    adata = read_file(Path(path))
    report("looking")
    seen = species_of(adata, gene_symbols=gene_symbols, species=species, layer=layer)
    library = load_signatures(PROGRAM_AXES, species=seen)
    data = unpack(adata, library, layer=layer, gene_symbols=gene_symbols, species=species)
    plan = make_plan(library, data.index.locate, data.rows.shape[1])
    return FileCheck(
        path=str(path),
        n_obs=adata.n_obs,
        candidates=data.looks,
        matrix=data.matrix,
        kind=data.kind,
        gene_ids=data.ids_from,
        species=data.species,
        substitutions={s.symbol: s.found_as for s in data.index.substitutions},
        coverage=coverage_table(plan),
    )
