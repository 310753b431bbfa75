"""Expression in some cells of a run: single genes, depth, and signatures scored within these cells alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.classify import expression_of, ranking_of
from tamannot.data import Array, RunMatrix, RunRecord
from tamannot.data._unpack import check_species
from tamannot.errors import GeneIdError, ParameterError, ResultNotFoundError, TamannotWarning, some_of, tell
from tamannot.scoring import RankedRows, Run, depths_by_method, make_plan, null_bins, score_runs
from tamannot.scoring._rows import as_floats, joined
from tamannot.signature import GeneIndex, Signature, as_signatures

FEW_GENES = 3
"""With fewer detected genes of a program, its z is uninformative in a single cell."""


def library_species(record: RunRecord) -> Literal["human", "mouse"]:
    """Return the species of the signatures of a run."""
    return "mouse" if record.matrix.species == "mouse" else "human"


def some_genes(matrix: RunMatrix, columns: Array | list[int], cells: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Yield the cells of a mask by blocks: their rows, their values of some genes, and how many genes each shows.

    The values are cells by genes: ``log1p`` of 10,000 per cell, logarithms as they are in the data.
    """
    for block, rows in matrix.blocks(cells):
        values = expression_of(block, matrix.kind, matrix.n_vars)[:, columns].toarray()
        yield rows, values, block.totals(block.values > 0).astype(np.int64)


def genes_of_signatures(record: RunRecord) -> pd.DataFrame:
    """Return which genes of the matrix a run matched to each signature: ``signature``, ``gene``, ``column``."""
    if not record.has("evidence"):
        raise ResultNotFoundError(
            "The run has no record of the genes of its signatures: it was written by tamannot.tl.score, or by an older "
            "release. Run tamannot.tl.annotate(adata)."
        )
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
        raise ParameterError(
            f"The data have no gene '{absent[0]}'. Use a gene of the data, or the id of a program or context set."
        )
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


def depth_of(matrix: RunMatrix, cells: Array) -> Array:
    """Return the counts of each cell of a mask, or its detected genes if the matrix has no counts; 0 in the others."""
    depth = np.zeros(cells.size)
    for block, rows in matrix.blocks(cells):
        depth[rows] = block.totals(as_floats(block.values) if matrix.kind == "counts" else block.values > 0)
    return depth


def scores_in(
    adata: AnnData, key: str, cells: Array, sets: Mapping[str, Signature]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return z and p against expression bins of some cells alone, and the share of each set's genes in the data.

    Ranked as the macrophages were. There is one row per cell of the object, 0 in the other cells; sets without a gene
    in the data have NaN.
    """
    record = slots.read_record(adata, key)
    matrix, species = slots.matrix_of_run(adata, record), library_species(record)
    signatures, index = as_signatures(sets), GeneIndex([str(i) for i in matrix.ids], species=species)
    check_species(species, signatures)
    plan = make_plan(signatures, index.locate, matrix.n_vars)
    coverage = pd.Series([c.share for c in plan.coverage], index=list(plan.ids))
    if not coverage.any():
        raise GeneIdError(f"None of the genes of {some_of(sets)} is in the matrix '{matrix.name}' of the run.")
    tell({index.note: TamannotWarning} if index.note else {})
    method, threads = ranking_of(record.null.max_rank), settings.n_threads()
    for part in plan.parts:
        method.check(part, plan.n_vars)
    block = joined([block for block, _ in matrix.blocks(cells)])
    shape = int(cells.sum()), matrix.n_vars
    rows = slots.row_source(sp.csr_matrix((block.values, block.indices, block.indptr), shape=shape))
    ranked = RankedRows(rows, [method], keep=True)
    with closing(Progress(show=settings.progress)) as progress:
        progress("expression bins", shape[0])
        [depth] = depths_by_method(rows, [method], threads=threads, tick=progress.tick, ranked=ranked)
        progress("scoring", shape[0])
        runs = [Run(method, null_bins(depth))]
        [found] = score_runs(rows, plan, runs, threads=threads, tick=progress.tick, ranked=ranked)
    tables = []
    for values in (found.z, found.p):  # type: ignore[attr-defined]
        table = np.zeros((cells.size, len(plan.ids)))
        table[cells] = np.where(coverage > 0, values, np.nan)
        tables.append(pd.DataFrame(table, columns=list(plan.ids)))
    return tables[0], tables[1], coverage
