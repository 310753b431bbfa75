"""Expression in the cells of a run: single genes, and signatures scored within a subset of the cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._settings import SpeciesChoice, settings
from tamannot.classify import expression_of, ranking_of
from tamannot.data import RunMatrix, RunRecord, Unpacked
from tamannot.errors import ParameterError, ResultNotFoundError, tell
from tamannot.scoring import (
    Plan,
    Run,
    WeightedMean,
    depths_by_method,
    make_plan,
    null_bins,
    ranked_rows,
    score_linear,
    score_runs,
)
from tamannot.scoring._rows import joined
from tamannot.signature import GeneIndex, Signature, Signatures, as_signatures

Array = NDArray[Any]

FEW_GENES = 3
"""With fewer detected genes of a program, its z is uninformative in a single cell."""


def library_species(record: RunRecord) -> Literal["human", "mouse"]:
    """Return the species of the signatures of a run."""
    return "mouse" if record.matrix.species == "mouse" else "human"


def some_genes(matrix: RunMatrix, columns: Array, cells: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Yield the cells of a mask by blocks: their rows, their values of some genes, and how many genes each shows.

    The values are cells by genes, float32: ``log1p`` of 10,000 per cell, logarithms as they are in the data.
    """
    for block, rows in matrix.blocks(cells):
        values = expression_of(block, matrix.kind, matrix.n_vars)[:, columns].astype(np.float32).toarray()
        yield rows, values, block.totals(block.values > 0).astype(np.int64)


def genes_of_signatures(record: RunRecord) -> pd.DataFrame:
    """Return which genes of the matrix a run matched to each signature: ``signature``, ``gene``, ``column``."""
    if not record.has("evidence"):
        msg = (
            "The run has no record of the genes of its signatures: it was written by tamannot.tl.score, or by an older "
            "release. Run tamannot.tl.annotate(adata)."
        )
        raise ResultNotFoundError(msg)
    parts = record.evidence.parts["part"].rename_axis("signature").reset_index()
    genes = record.evidence.genes.rename_axis("gene").reset_index()
    table = parts.merge(genes, on="part")[["signature", "gene", "column"]]
    return table.astype({"signature": str, "gene": str}).drop_duplicates(["signature", "column"], ignore_index=True)


def detection_of(
    matrix: RunMatrix, sets: Mapping[str, Signature], genes: Sequence[str], cells: Array
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the expression of some genes, and which cells of a mask show too little of the genes and of some sets.

    Both have one row per cell of the object. Too little are fewer than `FEW_GENES` genes of a set.
    """
    index = GeneIndex([str(i) for i in matrix.ids])
    members = {name: [index.find(g.symbol, g.ensembl) for g in s.all_genes] for name, s in sets.items()}
    alone = {gene: index.find(gene) for gene in genes}
    if absent := [gene for gene, column in alone.items() if column < 0]:
        msg = f"The data have no gene '{absent[0]}'. Use a gene of the data, or the id of a program or context set."
        raise ParameterError(msg)
    every = members | {gene: [column] for gene, column in alone.items()}
    columns = np.unique(np.array([c for found in every.values() for c in found if c >= 0], np.int64))
    belongs = np.array([np.isin(columns, found) for found in every.values()], np.float32).reshape(len(every), -1)
    least = np.array([FEW_GENES] * len(members) + [1] * len(alone))
    few = np.zeros((cells.size, len(every)), bool)
    expression = np.zeros((cells.size, len(alone)), np.float32)
    at = np.searchsorted(columns, np.array(list(alone.values()), np.int64))
    for rows, values, _ in some_genes(matrix, columns, cells):
        few[rows] = (values > 0).astype(np.float32) @ belongs.T < least
        expression[rows] = values[:, at]
    return pd.DataFrame(expression, columns=list(alone)), pd.DataFrame(few, columns=list(every))


@dataclass(frozen=True)
class CellsOfRun:
    """Some cells of a run with its matrix and genes, to be scored without the other cells."""

    chosen: Array
    """Which of all cells these are, bool."""
    cells: AnnData
    record: RunRecord

    @classmethod
    def read(cls, adata: AnnData, key: str, chosen: Array) -> CellsOfRun:
        """Return the chosen cells."""
        record = slots.read_record(adata, key)
        matrix = slots.matrix_of_run(adata, record)
        block = joined([block for block, _ in matrix.blocks(chosen)])
        rows = sp.csr_matrix((block.values, block.indices, block.indptr), shape=(int(chosen.sum()), matrix.n_vars))
        var = pd.DataFrame({"id": matrix.ids.astype(str)}, index=pd.RangeIndex(matrix.n_vars).astype(str))
        return cls(
            chosen, AnnData(rows, obs=pd.DataFrame(index=pd.RangeIndex(rows.shape[0]).astype(str)), var=var), record
        )

    def scores(self, sets: Mapping[str, Signature]) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
        """Return z and p against expression bins of these cells alone, and the share of each set's genes in the data.

        Ranked as the macrophages were. There is one row per cell of the object, 0 in the other cells; sets without a
        gene in the data have NaN.
        """
        data, plan = self._matched(sets, library_species(self.record))
        method = ranking_of(self.record.null.max_rank)
        for part in plan.parts:
            method.check(part, plan.n_vars)
        ranked, threads = ranked_rows(data.rows, [method]), settings.n_threads()
        with closing(Progress(show=settings.progress)) as progress:
            progress("expression bins", data.rows.shape[0])
            [depth] = depths_by_method(data.rows, [method], threads=threads, tick=progress.tick, ranked=ranked)
            progress("scoring", data.rows.shape[0])
            runs = [Run(method, null_bins(depth))]
            [found] = score_runs(data.rows, plan, runs, threads=threads, tick=progress.tick, ranked=ranked)
        coverage = pd.Series([c.share for c in plan.coverage], index=list(plan.ids))
        values = (np.where(coverage > 0, v, np.nan) for v in (found.z, found.p))  # type: ignore[attr-defined]
        z, p = (pd.DataFrame(self.placed(v), columns=list(plan.ids)) for v in values)
        return z, p, coverage

    def means(self, sets: Signatures, species: SpeciesChoice) -> tuple[pd.DataFrame, pd.Series]:
        """Return the mean expression of the genes of each set, and how many of them the data have."""
        data, plan = self._matched(sets, species)
        method, threads = WeightedMean(), settings.n_threads()
        for part in plan.parts:
            method.check(part, plan.n_vars)
        with closing(Progress(show=settings.progress)) as progress:
            progress("scoring", data.rows.shape[0])
            found = score_linear(data.rows, plan, method, kind=data.kind, threads=threads, tick=progress.tick)
        n_present = pd.Series([c.n_present for c in plan.coverage], index=list(plan.ids))
        return pd.DataFrame(found.score, columns=list(plan.ids)), n_present

    def placed(self, values: Array) -> Array:
        """Return the values of these cells with one value per cell of the object, 0 in the other cells."""
        out = np.zeros((self.chosen.size, *values.shape[1:]))
        out[self.chosen] = values
        return out

    def _matched(self, sets: Signatures, species: SpeciesChoice) -> tuple[Unpacked, Plan]:
        signatures = as_signatures(sets)
        data = slots.unpack(self.cells, signatures, layer="X", gene_symbols="id", species=species)
        tell(data.notes)
        return data, make_plan(signatures, data.index.locate, data.rows.shape[1])
