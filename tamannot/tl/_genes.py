"""Some genes of the matrix of a run, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot._adata import RunMatrix, RunRecord
from tamannot.classify import expressed
from tamannot.errors import ResultNotFoundError
from tamannot.kernels._rows import RowBlock

Array = NDArray[Any]


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
