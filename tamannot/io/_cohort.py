"""Files that are annotated together as one cohort: fitted to cells of all of them, then applied to each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.classify import AnchoredModel
from tamannot.errors import ParameterError, TamannotError
from tamannot.io._read import open_file
from tamannot.scoring._sampled import MOST_CELLS, learning_rows, taken
from tamannot.signature import Signatures
from tamannot.signature._names import names_of
from tamannot.tl._learn import learn_model
from tamannot.tl._run import read_input

_FILE, _GIVEN = "file", "given"


def fit_files(
    sources: Sequence[Path], signatures: Signatures | None, choices: Mapping[str, Any], report: Progress
) -> tuple[AnchoredModel | None, str]:
    """Fit a cohort to cells of all files, forty thousand at most; return it, and what the user should hear.

    Files that cannot be read are left out: they fail when it is their turn. None: the files have too little in common,
    or too few macrophages, and each is annotated on its own.
    """
    parts = []
    for source in sources:
        report(f"learning from {source.name}")
        try:
            parts.append(_part(source, signatures, choices, MOST_CELLS // len(sources)))
        except TamannotError:
            continue
    kinds = {part.uns["kind"] for part in parts}
    if len(parts) < 2 or len(kinds) > 1 or len({part.uns["species"] for part in parts}) > 1:
        why = (
            "fewer than two can be read" if len(parts) < 2 else "they differ in species or in what their matrices hold"
        )
        return None, f"Each file is annotated on its own: {why}."
    together = ad.concat(parts, join="inner", index_unique="-", keys=[str(i) for i in range(len(parts))])
    asked = {name: choices.get(name) for name in ("tissue", "target_accuracy") if choices.get(name) is not None}
    asked |= {"sample_key": _FILE, "species": parts[0].uns["species"], "tissue": asked.get("tissue", "auto")}
    if choices.get("compartment_key") is not None:
        given = choices["compartment_key"]
        asked["compartment_key"] = _GIVEN if isinstance(given, str) else (_GIVEN, given[1])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, _ = learn_model(together, signatures, asked, report)
    except ParameterError:
        return None, "Each file is annotated on its own: together they have too few macrophages to learn from."
    # All cells are of the cohort, so none is unfamiliar.
    model = replace(model, cohort=replace(model.cohort, novelty=None))
    n_cells = together.n_obs
    return (
        model,
        f"{len(parts)} files are one cohort: learned from {n_cells:,} cells of all. --each-alone learns for each.",
    )


def _part(source: Path, signatures: Signatures | None, choices: Mapping[str, Any], most: int) -> ad.AnnData:
    """Read some cells of a file from all over it, with the genes that have a name of their own."""
    with open_file(source) as adata:
        data, _, how, settings_ = read_input(adata, signatures, choices)
        runs = learning_rows(adata.n_obs, most)
        rows = taken(how.rows, runs, threads=settings.n_threads(), tick=lambda _: None)
        block = rows.block(0, rows.shape[0])
        symbols, _ = names_of(data.index)
        named = np.flatnonzero([bool(s) for s in symbols])
        cells = [i for run in runs for i in run]
        x = sp.csr_matrix((block.values, block.indices, block.indptr), shape=rows.shape)[:, named]
        obs = pd.DataFrame({_FILE: str(source)}, index=[str(i) for i in cells])
        if how.cells.given is not None:
            obs[_GIVEN] = [how.cells.given[i] for i in cells]
        part = ad.AnnData(x, obs=obs, var=pd.DataFrame(index=[symbols[c] for c in named]))
        part.uns |= {"kind": data.kind, "species": settings_.species}
        return part
