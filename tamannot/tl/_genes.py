"""Some genes of the matrix of a run, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.classify import expressed
from tamannot.data import RunMatrix, RunRecord
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.scoring._rows import RowBlock
from tamannot.signature import GeneIndex, Signature

Array = NDArray[Any]

FEW_GENES = 3
"""With fewer genes of a program detected its z says next to nothing of a cell."""


@dataclass(frozen=True)
class SomeGenes:
    """What some genes are in some cells."""

    rows: Array
    """Numbers of these cells in the data."""
    values: Array
    """Cells by genes, float32: ``log1p`` of 10,000 per cell, logarithms as they are in the data."""
    n_detected: Array
    """Of each cell the number of all genes that are detected in it."""


def some_genes(matrix: RunMatrix, columns: Array, cells: Array) -> Iterator[SomeGenes]:
    """Give out some genes of the cells of a mask, block by block."""
    place = np.full(matrix.n_vars, -1)
    place[columns] = np.arange(columns.size)
    for block, rows in matrix.blocks(cells):
        yield SomeGenes(rows, _dense(block, expressed(block, matrix.kind), place, columns.size), _detected(block))


def genes_of_signatures(record: RunRecord) -> pd.DataFrame:
    """Return which genes of the matrix a run matched to each signature: ``signature``, ``gene``, ``column``.

    Raises
    ------
    ResultNotFoundError
        The run kept nothing of it.
    """
    if not record.has("evidence"):
        msg = (
            "The run kept nothing of which genes its signatures have: it is of tamannot.tl.score, or of an older "
            "release. Run tamannot.tl.annotate(adata)."
        )
        raise ResultNotFoundError(msg)
    parts = record.evidence.parts["part"].rename_axis("signature").reset_index()
    genes = record.evidence.genes.rename_axis("gene").reset_index()
    table = parts.merge(genes, on="part")[["signature", "gene", "column"]]
    return table.astype({"signature": str, "gene": str}).drop_duplicates(["signature", "column"], ignore_index=True)


@dataclass(frozen=True)
class Detection:
    """What was asked of some cells, one row a cell of all cells of the object; 0 and False in the others."""

    genes: pd.DataFrame
    """Genes: ``log1p`` of 10,000 per cell."""
    few: pd.DataFrame
    """Sets and genes: fewer than three genes of the set are detected, or the gene is not."""


def detection_of(matrix: RunMatrix, sets: Mapping[str, Signature], genes: Sequence[str], cells: Array) -> Detection:
    """Read some genes, and which cells show too little of some sets, in the cells of a mask.

    Raises
    ------
    ParameterError
        A gene that the data do not have.
    """
    index = GeneIndex([str(i) for i in matrix.ids])
    members = {name: [index.find(g.symbol, g.ensembl) for g in s.all_genes] for name, s in sets.items()}
    alone = {gene: index.find(gene) for gene in genes}
    if absent := [gene for gene, column in alone.items() if column < 0]:
        msg = f"The data have no gene '{absent[0]}'. Give a gene of the data, or the id of a program or context set."
        raise ParameterError(msg)
    every = members | {gene: [column] for gene, column in alone.items()}
    columns = np.unique(np.array([c for found in every.values() for c in found if c >= 0], np.int64))
    belongs = np.array([np.isin(columns, found) for found in every.values()], np.float32).reshape(len(every), -1)
    least = np.array([FEW_GENES] * len(members) + [1] * len(alone))
    few = np.zeros((cells.size, len(every)), bool)
    values = np.zeros((cells.size, len(alone)), np.float32)
    at = np.searchsorted(columns, np.array(list(alone.values()), np.int64))
    for some in some_genes(matrix, columns, cells):
        few[some.rows] = (some.values > 0).astype(np.float32) @ belongs.T < least
        values[some.rows] = some.values[:, at]
    return Detection(pd.DataFrame(values, columns=list(alone)), pd.DataFrame(few, columns=list(every)))


def _dense(block: RowBlock, values: Array, place: Array, n_genes: int) -> Array:
    n_cells = block.indptr.size - 1
    out = np.zeros((n_cells, n_genes), np.float32)
    at = place[block.indices]
    kept = np.flatnonzero(at >= 0)
    row = np.searchsorted(block.indptr, kept, side="right") - 1
    out[row, at[kept]] = values[kept]
    return out


def _detected(block: RowBlock) -> Array:
    filled = np.concatenate([[0], np.cumsum(block.values > 0)])
    return np.diff(filled[block.indptr])
