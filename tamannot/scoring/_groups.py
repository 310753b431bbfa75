"""Sums of expression over groups of cells: one read of the matrix, never a dense block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tamannot.scoring._elsewhere import each_block
from tamannot.scoring._linear_kernel import to_log
from tamannot.scoring._rows import RowBlock, RowSource

Array = NDArray[Any]


@dataclass(frozen=True)
class GroupSums:
    """What is known of the genes in each group of cells.

    Parameters
    ----------
    n_cells
        Cells of each group, shape ``(n_groups,)``.
    sums
        Sum of each gene over the cells of a group, shape ``(n_groups, n_genes)``.
    squares
        Sum of its squares, of the same shape; no rows if it was not asked for.
    detected
        Cells of any group in which a gene is not zero, shape ``(n_genes,)``.
    """

    n_cells: Array
    sums: Array
    squares: Array
    detected: Array


def group_sums(
    rows: RowSource, codes: Array, n_groups: int, *, target: float = 0.0, squares: bool = False, threads: int = 1
) -> GroupSums:
    """Add up expression over groups of cells.

    Parameters
    ----------
    rows
        Cells by genes.
    codes
        Group of each cell, shape ``(n_cells,)``; -1 for none.
    n_groups
        Number of groups.
    target
        Counts become ``log1p(target * count / sum of the cell)`` first; 0 leaves values as they are.
    squares
        Whether squares are added up as well.
    threads
        Blocks are worked on in parallel and added in their order, so that no sum depends on it.
    """
    n_vars = rows.shape[1]
    total = np.zeros((n_groups, n_vars))
    total_squares = np.zeros((n_groups if squares else 0, n_vars))
    detected = np.zeros(n_vars, np.int64)
    work = _BlockSums(n_groups, n_vars, target, squares)
    for _, found in each_block(rows, work, lambda mine: (codes[mine.start : mine.stop],), threads=threads, step=_STEP):
        _add(total, found[0])
        if squares:
            _add(total_squares, found[1])
        detected += found[2]
    return GroupSums(np.bincount(codes[codes >= 0], minlength=n_groups), total, total_squares, detected)


# Enough rows that one product is worth its making, and the same for every number of threads.
_STEP = 1024


@dataclass(frozen=True)
class _BlockSums:
    """Adds up the cells of a block; holds nothing that another process could not be told."""

    n_groups: int
    n_vars: int
    target: float
    squares: bool

    def __call__(self, block: RowBlock, codes: Array) -> tuple[sp.csr_array, sp.csr_array | None, Array]:
        values = block.numbers.astype(np.float64)
        if self.target:
            to_log(values, block.indptr, self.target)
        shape = (codes.size, self.n_vars)
        matrix = sp.csr_array((values, block.indices, block.indptr), shape=shape)
        known = np.flatnonzero(codes >= 0)
        member = sp.csr_array((np.ones(known.size), (codes[known], known)), shape=(self.n_groups, codes.size))
        squared = sp.csr_array((values**2, block.indices, block.indptr), shape=shape) if self.squares else None
        of_member = np.repeat(codes >= 0, np.diff(block.indptr)) & (values != 0)
        detected = np.bincount(block.indices[of_member], minlength=self.n_vars)
        return member @ matrix, None if squared is None else member @ squared, detected


def _add(total: Array, found: sp.csr_array | None) -> None:
    """Add a sparse table to a dense one; each place is in it once."""
    if found is not None:
        places = found.tocoo()
        total[places.row, places.col] += places.data
