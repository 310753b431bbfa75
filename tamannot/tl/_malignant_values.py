"""What can be read in malignant cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import ranking_of
from tamannot.errors import GeneIdError
from tamannot.scoring._rows import joined
from tamannot.signature import Signature, SignatureSet, load_signatures, read_signatures
from tamannot.tl._score import score_cells_of_run

Array = NDArray[Any]

HYPOXIC = "hypoxic"
# Of macrophages, and high in them: what malignant cells have of these was eaten, or floated in.
_AMBIENT = {"human": ("C1QA", "C1QB", "C1QC", "TYROBP"), "mouse": ("C1qa", "C1qb", "C1qc", "Tyrobp")}


@dataclass(frozen=True)
class MalignantCells:
    """What was read in malignant cells, one value a cell of all cells of the object; 0 in the others."""

    programs: pd.DataFrame
    """z of the ferroptosis programs, their summaries and hypoxia, against bins of the malignant cells alone."""
    ambient: Array | None
    """Mean log expression of the macrophages' C1QA, C1QB, C1QC and TYROBP; None where the data have none of them."""
    depth: Array
    """log10 of the counts; of the detected genes where the matrix holds no counts."""
    coverage: pd.Series
    """Share of each program's genes that are in the data."""


def read_malignant(adata: ad.AnnData, key: str, chosen: Array, also: Sequence[str] = ()) -> MalignantCells:
    """Score the malignant cells against bins of their own, and read their depth and the ambient index.

    ``also`` are ids of the library to score beside the ferroptosis programs.

    The z that annotating wrote stand against the macrophages' bins: a gene that macrophages hardly express would
    look raised in every malignant cell.

    Raises
    ------
    ResultNotFoundError, MatrixError
        The matrix that was annotated is gone, or is another now.
    """
    record = slots.read_record(adata, key)
    cells = cells_of_run(adata, record, chosen)
    species = "mouse" if record.matrix.species == "mouse" else "human"
    z, coverage = _own_z(cells, record, _signatures(species, also))
    programs = pd.DataFrame({name: _placed(z[name].to_numpy(), chosen) for name in z})
    rows: sp.csr_matrix = cells.X
    counts = record.matrix.kind == "counts"
    depth = np.asarray(rows.sum(axis=1)).ravel() if counts else np.diff(rows.indptr)
    ambient = _ambient_index(cells)
    return MalignantCells(
        programs=programs,
        ambient=None if ambient is None else _placed(ambient, chosen),
        depth=_placed(np.log10(np.maximum(depth, 1)), chosen),
        coverage=coverage,
    )


def read_sets(adata: ad.AnnData, key: str, chosen: Array, sets: Mapping[str, Signature]) -> pd.DataFrame:
    """Return z of sets in some cells, against bins of these cells; one row a cell of the object, 0 in the others."""
    record = slots.read_record(adata, key)
    if not sets or not chosen.any():
        return pd.DataFrame(0.0, index=range(chosen.size), columns=list(sets))
    z, _ = _own_z(cells_of_run(adata, record, chosen), record, sets)
    return pd.DataFrame({name: _placed(z[name].to_numpy(), chosen) for name in sets})


def _own_z(cells: ad.AnnData, record: slots.RunRecord, sets: Mapping[str, Signature]) -> tuple[pd.DataFrame, pd.Series]:
    """Return z, NaN where the data have no gene of a set, and the coverage; ranked as the macrophages were."""
    species = "mouse" if record.matrix.species == "mouse" else "human"
    how = ranking_of(record.null.max_rank)
    score_cells_of_run(cells, sets, how, species=species, key="own", null=True)
    coverage = slots.read_record(cells, "own").coverage["coverage"]
    z = pd.DataFrame(cells.obsm["own_z"]).astype(float)
    z.loc[:, (coverage[z.columns] == 0).to_numpy()] = np.nan
    return z, coverage


def _signatures(species: Any, also: Sequence[str]) -> dict[str, Signature]:
    library: SignatureSet = load_signatures(species=species)
    programs = {i: s for i, s in library.items() if s.axis == "ferroptosis"}
    return {**programs, **{i: library[i] for i in (*also, HYPOXIC)}}


def cells_of_run(adata: ad.AnnData, record: slots.RunRecord, chosen: Array) -> ad.AnnData:
    """Return some cells with the matrix and genes of the run, and nothing else."""
    matrix = slots.matrix_of_run(adata, record)
    block = joined([block for block, _ in matrix.blocks(chosen)])
    rows = sp.csr_matrix((block.values, block.indices, block.indptr), shape=(int(chosen.sum()), matrix.n_vars))
    var = pd.DataFrame({"id": matrix.ids.astype(str)}, index=pd.RangeIndex(matrix.n_vars).astype(str))
    return ad.AnnData(rows, obs=pd.DataFrame(index=pd.RangeIndex(rows.shape[0]).astype(str)), var=var)


def _ambient_index(cells: ad.AnnData) -> Array | None:
    species = "mouse" if slots.read_record(cells, "own").matrix.species == "mouse" else "human"
    genes = read_signatures({"ambient": list(_AMBIENT[species])})
    try:
        score_cells_of_run(cells, genes, "mean", species=species, key="ambient")
    except GeneIdError:
        return None
    return cells.obsm["ambient_scores"]["ambient"].to_numpy(float)


def _placed(values: Array, chosen: Array) -> Array:
    out = np.zeros(chosen.size)
    out[chosen] = values
    return out
