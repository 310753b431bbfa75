"""Scores that are weighted sums of expression values: all signatures in one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial

import numpy as np

from tamannot._progress import Tick, no_tick
from tamannot.scoring._engine import Scores
from tamannot.scoring._expression import GeneStatistics, Scale, gene_statistics, scaled, target_of
from tamannot.scoring._njit import Array, njit
from tamannot.scoring._pack import Arms, pack_arms
from tamannot.scoring._plan import Part, Plan
from tamannot.scoring._ranks import longest_row
from tamannot.scoring._rows import RowBlock, RowSource, each_block
from tamannot.scoring._sums import find_hits


@dataclass(frozen=True)
class Combination:
    """A weighted sum of columns, and what is added to it."""

    columns: Array
    weights: Array
    constant: float = 0.0


@dataclass(frozen=True)
class LinearMethod(ABC):
    """Settings of a score that is a weighted sum of expression values."""

    @property
    @abstractmethod
    def scale(self) -> Scale:
        """Whether counts are brought to logarithms."""

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
    """Score every row of a matrix for every output of a plan.

    Of ``kind`` ``"counts"`` and ``"linear"`` are brought to ``log1p`` of 10,000 per cell if the method's scale is
    ``"log"``. Rows are worked on in parallel, and a cell's result does not depend on it; ``tick`` is called with the
    number of rows.
    """
    target = target_of(method.scale, kind)
    genes = gene_statistics(rows, target, threads, tick) if method.looks_at_cells else None
    made = [method.combination(part, genes) for part in plan.parts]
    sets = pack_arms([c.columns for c in made], [[c.weights for c in made]], plan.n_vars)
    sums = partial(_part_sums, sets, np.array([c.constant for c in made], float), target)
    parts = np.empty((rows.shape[0], len(made)), np.float32)
    for mine, found in each_block(rows, sums, threads=threads, step=rows.step):
        parts[mine.start : mine.stop] = found
        tick(len(mine))
    score = np.ascontiguousarray(parts[:, [members[0] for members in plan.parts_of]])
    for o, members in enumerate(plan.parts_of):
        if len(members) > 1:  # of a composite the greatest of its parts
            score[:, o] = parts[:, list(members)].max(axis=1)
    return Scores(tuple(plan.ids), score)


def _part_sums(sets: Arms, constant: Array, target: float, block: RowBlock) -> Array:
    """Return the weighted sum of the values of each part in the cells of a block."""
    parts = np.empty((block.indptr.size - 1, constant.size), np.float32)
    weighted_sums((block.numbers, block.indices, block.indptr), target, sets, constant, parts)
    return parts


@njit
def weighted_sums(rows: tuple[Array, Array, Array], target: float, sets: Arms, constant: Array, out: Array) -> None:
    """Write ``constant + sum of weight * value`` of each set in each cell, to ``out`` of ``(n_cells, n_sets)``.

    ``rows`` are values, indices and pointers. Counts are brought to ``log1p(target * count / sum of the cell)``;
    a target of 0 leaves values as they are.
    """
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
