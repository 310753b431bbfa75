"""Expression values: ``log1p`` of 10,000 per cell, statistics of genes, sums over groups, linear scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import repeat
from typing import Literal, NamedTuple

import numpy as np
import scipy.sparse as sp

from tamannot._progress import Tick, no_tick
from tamannot.scoring._engine import Scores
from tamannot.scoring._njit import Array, njit
from tamannot.scoring._plan import Arms, Part, Plan, pack_arms
from tamannot.scoring._ranks import longest_row
from tamannot.scoring._rows import RowBlock, RowSource, as_floats, each_block, first_from
from tamannot.scoring._sums import find_hits

Scale = Literal["log", "as_is"]
TARGET = 1e4
# Counts below this have a table of their logarithms.
_KNOWN = 64
# Enough rows that one product is worth its making, and the same for every number of threads.
_STEP = 1024


@dataclass(frozen=True)
class GeneStatistics:
    """Mean and standard deviation of each gene over the cells."""

    mean: Array
    sd: Array

    @cached_property
    def rank(self) -> Array:
        """Rank of each gene's mean, from 1; equal means share the lowest."""
        return np.searchsorted(np.sort(self.mean), self.mean).astype(np.int64) + 1


def expression(rows: RowSource, scale: Scale, kind: str, start: int, stop: int) -> Array:
    """Return some rows as a dense table, cells by genes, on the scale that a method wants."""
    block = rows.block(start, stop)
    values = on_scale(block, TARGET if scale == "log" and kind in ("counts", "linear") else 0.0)
    return block.matrix(rows.shape[1], values).toarray()


def on_scale(block: RowBlock, target: float) -> Array:
    """Return the values of rows, float64, as ``log1p(target * count / sum of the cell)`` if there is a target."""
    values = as_floats(block.values).astype(np.float64)
    if target:
        to_log(values, block.indptr, target)
    return values


def gene_statistics(rows: RowSource, target: float, threads: int, tick: Tick) -> GeneStatistics:
    """Return mean and standard deviation of each gene, added up row by row in their order."""
    n_obs, n_vars = rows.shape
    sums = np.zeros((n_vars, 2))
    ends = [n_vars * t // threads for t in range(threads + 1)]
    # Threads share the genes, not the rows: sums are those of scanpy, on whose last bit its bins of control genes hang.
    with ThreadPoolExecutor(threads) as pool:
        # read one after the other unless they are elsewhere: their order is that of the sums
        for mine, block in each_block(rows, lambda block: block, threads=1, step=rows.step):
            add = partial(add_gene_sums, (as_floats(block.values), block.indices, block.indptr), target)
            list(pool.map(add, ends[:-1], ends[1:], repeat(sums)))
            tick(len(mine))
    mean, squares = sums[:, 0] / max(n_obs, 1), sums[:, 1] / max(n_obs, 1)
    return GeneStatistics(mean, np.sqrt(np.maximum(squares - mean**2, 0.0)))


@njit
def scaled(row: Array, target: float, out: Array) -> None:
    """Write a row's values, as ``log1p(target * count / sum)`` if there is a target; of each small count taken once."""
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
def add_gene_sums(rows: tuple[Array, Array, Array], target: float, first: int, last: int, sums: Array) -> None:
    """Add the values of genes ``first`` to ``last``, and their squares, to ``sums[gene]``, in the order of rows."""
    values, indices, indptr = rows
    row = np.empty(longest_row(indptr))
    for i in range(indptr.size - 1):
        genes = indices[indptr[i] : indptr[i + 1]]
        scaled(values[indptr[i] : indptr[i + 1]], target, row)
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
                sums[gene, 0] += row[j]
                sums[gene, 1] += row[j] * row[j]


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


@dataclass(frozen=True)
class GroupSums:
    """What is known of the genes in each group of cells."""

    n_cells: Array  # cells of each group, shape (n_groups,)
    sums: Array  # sum of each gene over the cells of a group, shape (n_groups, n_genes)
    squares: Array  # sum of its squares, of the same shape; no rows if it was not asked for
    detected: Array  # cells of any group in which a gene is not zero, shape (n_genes,)


def group_sums(
    rows: RowSource, codes: Array, n_groups: int, *, target: float = 0.0, squares: bool = False, threads: int = 1
) -> GroupSums:
    """Add up expression over groups of cells; ``codes`` has the group of each cell, -1 for none.

    With a ``target`` counts become ``log1p(target * count / sum of the cell)`` first; 0 leaves values as they are.
    ``squares`` adds up squares as well. Blocks are added in their order, so that no sum depends on ``threads``.
    """
    n_vars = rows.shape[1]

    def sums_of(block: RowBlock, codes: Array) -> tuple[list[sp.csr_array], Array]:
        values, known = on_scale(block, target), np.flatnonzero(codes >= 0)
        member = sp.csr_array((np.ones(known.size), (codes[known], known)), shape=(n_groups, codes.size))
        tables = [member @ block.matrix(n_vars, numbers) for numbers in ((values, values**2) if squares else (values,))]
        of_member = np.repeat(codes >= 0, np.diff(block.indptr)) & (values != 0)
        return tables, np.bincount(block.indices[of_member], minlength=n_vars)

    total, total_squares = np.zeros((n_groups, n_vars)), np.zeros((n_groups if squares else 0, n_vars))
    detected = np.zeros(n_vars, np.int64)
    blocks = each_block(rows, sums_of, lambda mine: (codes[mine.start : mine.stop],), threads=threads, step=_STEP)
    for _, (tables, found) in blocks:
        for table, mine in zip((total, total_squares), tables, strict=False):
            places = mine.tocoo()
            table[places.row, places.col] += places.data  # each place is in it once
        detected += found
    return GroupSums(np.bincount(codes[codes >= 0], minlength=n_groups), total, total_squares, detected)


class Combination(NamedTuple):
    """A weighted sum of columns, and what is added to it."""

    columns: Array
    weights: Array
    constant: float = 0.0


class LinearMethod(ABC):
    """Settings of a score that is a weighted sum of expression values."""

    scale: Scale  # whether counts are brought to logarithms

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the method in provenance."""

    @property
    @abstractmethod
    def looks_at_cells(self) -> bool:
        """Whether a cell's score depends on the other cells, through the statistics of genes."""

    @abstractmethod
    def check(self, part: Part, n_vars: int) -> None:
        """Refuse a signature that the method cannot score, or data that it cannot score in."""

    @abstractmethod
    def combination(self, part: Part, genes: GeneStatistics | None) -> Combination:
        """Return what to add up for a signature."""


def score_linear(
    rows: RowSource, plan: Plan, method: LinearMethod, *, kind: str, threads: int, tick: Tick = no_tick
) -> Scores:
    """Score every row of a matrix, of values of a ``kind``, for every output of a plan."""
    target = TARGET if method.scale == "log" and kind in ("counts", "linear") else 0.0
    genes = gene_statistics(rows, target, threads, tick) if method.looks_at_cells else None
    made = [method.combination(part, genes) for part in plan.parts]
    sets = pack_arms([c.columns for c in made], [[c.weights for c in made]], plan.n_vars)
    constant = np.array([c.constant for c in made], float)
    work = partial(_part_sums, sets, constant, target)
    parts = np.empty((rows.shape[0], len(made)), np.float32)
    for mine, found in each_block(rows, work, threads=threads, step=rows.step):
        parts[mine.start : mine.stop] = found
        tick(len(mine))
    score = np.ascontiguousarray(parts[:, [members[0] for members in plan.parts_of]])
    for o, members in enumerate(plan.parts_of):
        if len(members) > 1:  # of a composite the greatest of its parts
            score[:, o] = parts[:, list(members)].max(axis=1)
    return Scores(tuple(plan.ids), score)


def _part_sums(sets: Arms, constant: Array, target: float, block: RowBlock) -> Array:
    """Return the weighted sums of the cells of a block; as a closure it would take the kernel to another process."""
    found = np.empty((block.indptr.size - 1, constant.size), np.float32)
    weighted_sums((as_floats(block.values), block.indices, block.indptr), target, sets, constant, found)
    return found


def sums_of_columns(x: sp.csr_array, columns: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Return ``x[:, columns] @ weights``; and over these columns the sum of squares, and how many are not 0."""
    place, used = np.zeros(x.shape[1], np.int32), np.zeros(x.shape[1], np.uint8)
    place[columns], used[columns] = np.arange(columns.size), 1
    sums, beside = np.zeros((x.shape[0], weights.shape[1])), np.zeros((x.shape[0], 2))
    _sum_columns((x.data, x.indices, x.indptr), place, used, weights, (sums, beside))
    return sums, beside[:, 0], beside[:, 1]


@njit
def _sum_columns(
    rows: tuple[Array, Array, Array], place: Array, used: Array, weights: Array, out: tuple[Array, Array]
) -> None:
    values, indices, indptr = rows
    hits = np.empty(longest_row(indptr) + 1, np.int64)
    for i in range(indptr.size - 1):
        genes, row = indices[indptr[i] : indptr[i + 1]], values[indptr[i] : indptr[i + 1]]
        sums, beside = out[0][i], out[1][i]
        of_cell = hits[: find_hits(genes, used, hits)]
        for j in of_cell:
            of_gene = weights[place[np.uint32(genes[j])]]
            for c in range(of_gene.size):
                sums[c] += row[j] * of_gene[c]
        for j in of_cell:  # apart from these sums, which are of many numbers at once
            beside[0] += row[j] * row[j]
            beside[1] += np.float64(row[j] != 0.0)


@njit
def weighted_sums(rows: tuple[Array, Array, Array], target: float, sets: Arms, constant: Array, out: Array) -> None:
    """Write ``constant + sum of weight * value`` of each set in each cell, to ``out`` of ``(n_cells, n_sets)``."""
    values, indices, indptr = rows
    gene_ptr, set_of, weight_of = sets.gene_ptr, sets.arm_of, sets.weight_of[0]
    longest = longest_row(indptr)
    row, member, sums = np.empty(longest), np.empty(longest + 1, np.int64), np.empty(constant.size)
    for i in range(indptr.size - 1):
        sums[:] = constant
        genes = indices[indptr[i] : indptr[i + 1]]
        scaled(values[indptr[i] : indptr[i + 1]], target, row)
        for j in member[: find_hits(genes, sets.used, member)]:
            gene = np.uint32(genes[j])
            for k in range(np.uint32(gene_ptr[gene]), np.uint32(gene_ptr[gene + np.uint32(1)])):
                sums[np.uint32(set_of[k])] += weight_of[k] * row[j]
        for s in range(constant.size):
            out[i, s] = sums[s]
