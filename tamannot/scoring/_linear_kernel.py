"""Weighted sums of expression values, and the sums over cells that they are centred by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._njit import njit
from tamannot.scoring._pack import FOUR
from tamannot.scoring._ranks import longest_row
from tamannot.scoring._survey import first_from

Array = NDArray[Any]

# Counts below this have a table of their logarithms.
_KNOWN = 64


@njit
def scaled(row: Array, target: float, out: Array) -> None:
    """Write a row's values, as ``log1p(target * count / sum)`` if there is a target.

    Counts are few different numbers: the logarithm of each is taken once a row.
    """
    total = 0.0
    if target > 0.0:
        for v in row:
            total += v
    if total <= 0.0:
        for j in range(row.size):
            out[j] = row[j]
        return
    known = np.full(_KNOWN, -1.0)
    for j in range(row.size):
        v = np.float64(row[j])
        whole = np.int64(v) if v < _KNOWN else np.int64(0)
        if np.float64(whole) != v:
            out[j] = np.log1p(v * target / total)
            continue
        if known[whole] < 0.0:
            known[whole] = np.log1p(v * target / total)
        out[j] = known[whole]


@njit
def to_log(values: Array, indptr: Array, target: float) -> None:
    """Replace counts by ``log1p(target * count / sum of the cell)``; a cell without counts stays zero."""
    for i in range(indptr.size - 1):
        row = values[indptr[i] : indptr[i + 1]]
        scaled(row, target, row)


@njit
def add_gene_sums(
    values: Array, indices: Array, indptr: Array, target: float, first: int, last: int, sums: Array
) -> None:
    """Add the values of genes ``first`` to ``last``, and their squares, to ``sums[gene]``, in the order of rows."""
    work = np.empty(longest_row(indptr) if target > 0.0 else 0)
    for i in range(indptr.size - 1):
        row, genes = values[indptr[i] : indptr[i + 1]], indices[indptr[i] : indptr[i + 1]]
        if target > 0.0:
            scaled(row, target, work)
            _add_row(work[: row.size], genes, first, last, sums)
        else:
            _add_row(row, genes, first, last, sums)


@njit
def _add_row(row: Array, genes: Array, first: int, last: int, sums: Array) -> None:
    in_order = True
    for j in range(1, genes.size):
        in_order &= genes[j - 1] <= genes[j]
    # Genes in order: those asked for lie together, and none has to be looked at twice.
    start, stop = 0, genes.size
    if in_order:
        start = first_from(genes, 0, genes.size, first)
        stop = first_from(genes, start, genes.size, last)
    for j in range(start, stop):
        gene = np.int64(genes[j])
        if first <= gene < last:
            value = np.float64(row[j])
            sums[gene, 0] += value
            sums[gene, 1] += value * value


@njit
def add_label_sums(values: Array, indices: Array, indptr: Array, label_of: Array, sums: Array) -> None:
    """Add to ``sums[label, gene]`` how many rows have a value above 0, those values, and their squares."""
    for i in range(indptr.size - 1):
        of_label = sums[label_of[i]]
        for j in range(indptr[i], indptr[i + 1]):
            v = values[j]
            if v > 0.0:
                gene = indices[j]
                of_label[gene, 0] += 1.0
                of_label[gene, 1] += v
                of_label[gene, 2] += v * v


@njit
def weighted_sums(
    values: Array,
    indices: Array,
    indptr: Array,
    target: float,
    used: Array,
    ptr: Array,
    set_of: Array,
    weight_of: Array,
    constant: Array,
    out: Array,
) -> None:
    """Write ``constant + sum of weight * value`` of each set in each cell.

    Parameters
    ----------
    values, indices, indptr
        The rows.
    target
        Counts are brought to ``log1p(target * count / sum of the cell)``; 0 leaves the values as they are.
    used
        Whether a gene is in any set, uint8.
    ptr, set_of, weight_of
        The fields of `Fours`: the sets that each gene belongs to.
    constant
        Shape ``(n_sets,)``.
    out
        Output, shape ``(n_cells, n_sets)``.
    """
    longest = longest_row(indptr)
    work, member = np.empty(longest), np.empty(longest + 1, np.int64)
    sums = np.zeros(constant.size + FOUR)  # what fills up a four of sets is added to the last ones
    for i in range(indptr.size - 1):
        for s in range(constant.size):
            sums[s] = constant[s]
        row, genes = values[indptr[i] : indptr[i + 1]], indices[indptr[i] : indptr[i + 1]]
        if target > 0.0:
            scaled(row, target, work)
            _weigh_row(work[: row.size], genes, used, ptr, set_of, weight_of, member, sums)
        else:
            _weigh_row(row, genes, used, ptr, set_of, weight_of, member, sums)
        for s in range(constant.size):
            out[i, s] = sums[s]


@njit
def _weigh_row(
    row: Array,
    genes: Array,
    used: Array,
    ptr: Array,
    set_of: Array,
    weight_of: Array,
    member: Array,
    sums: Array,
) -> None:
    n = 0  # few genes are in a set; to find them first needs no branch
    for j in range(row.size):
        member[n] = j
        n += used[np.uint32(genes[j])]
    for j in member[:n]:
        gene, value = np.uint32(genes[j]), np.float64(row[j])
        for k in range(np.uint32(ptr[gene]), np.uint32(ptr[gene + np.uint32(1)])):
            for one in range(FOUR):
                sums[np.uint32(set_of[k, one])] += weight_of[k, one] * value
