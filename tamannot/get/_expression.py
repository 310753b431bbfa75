"""Expression of genes by label and by cell, read block by block from the matrix that a run used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.classify import expressed
from tamannot.data import RunMatrix
from tamannot.errors import ParameterError
from tamannot.scoring._expression import add_label_sums
from tamannot.signature import GeneIndex

Array = NDArray[Any]


@dataclass(frozen=True)
class ByLabel:
    """Expression of every gene in the cells of each label: ``log1p`` of 10,000 per cell, or logarithms as they are.

    Parameters
    ----------
    n
        Cells of each label.
    detected
        Labels × genes: share of cells with a value above 0.
    mean
        Labels × genes.
    square
        Labels × genes: mean of the squares.
    """

    n: Array
    detected: Array
    mean: Array
    square: Array

    def apart(self, label: int) -> Array:
        """Return how far each gene's mean in a label is above that in all others, in standard deviations."""
        others = np.arange(self.n.size) != label
        weight = self.n[others] / max(self.n[others].sum(), 1)
        mean, square = weight @ self.mean[others], weight @ self.square[others]
        spread = (self.square[label] - self.mean[label] ** 2 + square - mean**2) / 2
        return np.asarray((self.mean[label] - mean) / np.sqrt(np.maximum(spread, 1e-12)))


def by_label(matrix: RunMatrix, codes: Array, n_labels: int) -> ByLabel:
    """Return the expression of every gene by label; one pass over the cells that have one.

    Parameters
    ----------
    matrix
        The matrix of the run.
    codes
        Of each cell its label, 0 to ``n_labels - 1``; -1 for cells to leave out.
    n_labels
        Labels.

    Raises
    ------
    MatrixError
        The matrix has values now that it had not.
    """
    n = np.bincount(codes[codes >= 0], minlength=n_labels)
    sums = np.zeros((n_labels, matrix.n_vars, 3))
    for block, rows in matrix.blocks(codes >= 0):
        add_label_sums(expressed(block, matrix.kind), block.indices, block.indptr, codes[rows], sums)
    sums /= np.maximum(n, 1)[:, None, None]
    return ByLabel(n, *np.moveaxis(sums, 2, 0))


def of_cells(matrix: RunMatrix, chosen: Array, columns: Sequence[int]) -> Array:
    """Return the expression of some genes in some cells, cells × genes.

    Parameters
    ----------
    matrix
        The matrix of the run.
    chosen
        Mask of the cells.
    columns
        Columns of the genes.

    Raises
    ------
    MatrixError
        The matrix has values now that it had not.
    """
    out, row = np.zeros((int(chosen.sum()), len(columns))), 0
    for block, rows in matrix.blocks(chosen):
        values = expressed(block, matrix.kind)
        for i, column in enumerate(columns):
            here = np.flatnonzero(block.indices == column)
            cell = np.searchsorted(block.indptr, here, side="right") - 1
            out[row + cell, i] = values[here]
        row += rows.size
    return out


def columns_of(matrix: RunMatrix, genes: Sequence[str]) -> list[int]:
    """Return the columns of genes given by symbol or id.

    Raises
    ------
    ParameterError
        Some are not in the matrix.
    """
    index = GeneIndex([str(i) for i in matrix.ids])
    columns = [index.find(gene) for gene in genes]
    if absent := [gene for gene, column in zip(genes, columns, strict=True) if column < 0]:
        names = ", ".join(absent[:5])
        msg = f"No gene {names} in the matrix '{matrix.name}' of the run, whose genes are named as {matrix.ids[0]}."
        raise ParameterError(msg)
    return columns
