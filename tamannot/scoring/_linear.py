"""Scores that are weighted sums of expression values: all signatures in one pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import repeat
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tamannot._progress import Tick, no_tick
from tamannot.errors import ParameterError
from tamannot.scoring._elsewhere import each_block
from tamannot.scoring._linear_kernel import add_gene_sums, to_log, weighted_sums
from tamannot.scoring._pack import Arms, Fours, in_fours, pack_arms
from tamannot.scoring._plan import Part, Plan
from tamannot.scoring._results import Scores
from tamannot.scoring._rows import RowBlock, RowSource

Array = NDArray[Any]
Scale = Literal["log", "as_is"]
TARGET = 1e4


@dataclass(frozen=True)
class GeneStatistics:
    """Mean and standard deviation of each gene over the cells at hand."""

    mean: Array
    sd: Array

    @cached_property
    def rank(self) -> Array:
        """Rank of each gene's mean, from 1; equal means share the lowest."""
        return np.searchsorted(np.sort(self.mean), self.mean).astype(np.int64) + 1

    @cached_property
    def _by_rank(self) -> tuple[Array, Array]:
        order = np.argsort(self.rank, kind="stable")
        return order, self.rank[order]

    @cached_property
    def _known(self) -> dict[tuple[int, int], Array]:
        return {}

    def ranked(self, first: int, last: int) -> Array:
        """Return the genes of rank ``first`` to ``last - 1``, in the order of columns."""
        if (first, last) not in self._known:
            order, rank = self._by_rank
            self._known[first, last] = np.sort(order[np.searchsorted(rank, first) : np.searchsorted(rank, last)])
        return self._known[first, last]


@dataclass(frozen=True)
class Combination:
    """A weighted sum of columns, and what is added to it."""

    columns: Array
    weights: Array
    constant: float = 0.0


class LinearMethod(Protocol):
    """A score that is a weighted sum of expression values."""

    @property
    def scale(self) -> Scale:
        """Whether counts are brought to logarithms."""

    @property
    def name(self) -> str:
        """Name of the method in provenance."""

    @property
    def looks_at_cells(self) -> bool:
        """Whether a cell's score depends on the other cells, through the statistics of genes."""

    def check(self, part: Part, n_vars: int) -> None:
        """Refuse a signature that the method cannot score."""

    def combination(self, part: Part, genes: GeneStatistics | None) -> Combination:
        """Return what to add up for a signature."""


def check_scale(scale: str) -> None:
    """Refuse a word that is no scale.

    Raises
    ------
    ParameterError
        It is not ``log`` or ``as_is``.
    """
    if scale not in ("log", "as_is"):
        msg = f"scale is 'log' or 'as_is', not {scale!r}."
        raise ParameterError(msg)


def score_linear(
    rows: RowSource, plan: Plan, method: LinearMethod, *, kind: str, threads: int, tick: Tick = no_tick
) -> Scores:
    """Score every row of a matrix for every output of a plan.

    Parameters
    ----------
    rows
        The matrix.
    plan
        The signatures matched to its columns.
    method
        How to score.
    kind
        What the matrix holds: ``"counts"`` and ``"linear"`` are brought to ``log1p`` of 10,000 per cell if
        the method's scale is ``"log"``.
    threads
        Rows are worked on in parallel; a cell's result does not depend on it.
    tick
        Told the rows done.
    """
    target = _target(method.scale, kind)
    genes = _statistics(rows, target, threads, tick) if method.looks_at_cells else None
    made = [method.combination(part, genes) for part in plan.parts]
    packed = pack_arms([c.columns for c in made], [[c.weights for c in made]], plan.n_vars)
    sums = _Sums(packed, in_fours(packed), np.array([c.constant for c in made], float), target)
    parts = np.empty((rows.shape[0], len(made)), np.float32)
    for mine, found in each_block(rows, sums, threads=threads, step=rows.step):
        parts[mine.start : mine.stop] = found
        tick(len(mine))
    return Scores(tuple(plan.ids), _outputs(plan, parts))


@dataclass(frozen=True)
class _Sums:
    """Adds up the weighted values of each part in the cells of a block."""

    packed: Arms
    fours: Fours
    constant: Array
    target: float

    def __call__(self, block: RowBlock) -> Array:
        packed, fours = self.packed, self.fours
        parts = np.empty((block.indptr.size - 1, self.constant.size), np.float32)
        weighted_sums(
            *(block.numbers, block.indices, block.indptr, self.target),
            *(packed.used, fours.ptr, fours.arm_of, fours.weight_of, self.constant, parts),
        )
        return parts


def expression(rows: RowSource, scale: Scale, kind: str, start: int, stop: int) -> Array:
    """Return some rows as a dense table, cells by genes, on the scale that a method wants."""
    block, target = rows.block(start, stop), _target(scale, kind)
    values = block.numbers.astype(np.float64)
    if target:
        to_log(values, block.indptr, target)
    dense = np.zeros((stop - start, rows.shape[1]))
    dense[np.repeat(np.arange(stop - start), np.diff(block.indptr)), block.indices] = values
    return dense


def _target(scale: Scale, kind: str) -> float:
    return TARGET if scale == "log" and kind in ("counts", "linear") else 0.0


def _statistics(rows: RowSource, target: float, threads: int, tick: Tick) -> GeneStatistics:
    """Return mean and standard deviation of each gene, added up row by row in their order.

    Threads share the genes, not the rows, so that the sums are those that scanpy makes, to the last bit:
    its bins of control genes hang on the order of means.
    """
    n_obs, n_vars = rows.shape
    sums = np.zeros((n_vars, 2))
    ends = [n_vars * t // threads for t in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        # read one after the other unless they are elsewhere: their order is that of the sums
        for mine, block in each_block(rows, _itself, threads=1, step=rows.step):
            add = partial(add_gene_sums, block.numbers, block.indices, block.indptr, target)
            list(pool.map(add, ends[:-1], ends[1:], repeat(sums)))
            tick(len(mine))
    mean, squares = sums[:, 0] / max(n_obs, 1), sums[:, 1] / max(n_obs, 1)
    return GeneStatistics(mean, np.sqrt(np.maximum(squares - mean**2, 0.0)))


def _itself(block: RowBlock) -> RowBlock:
    return block


def _outputs(plan: Plan, parts: Array) -> Array:
    """Return the outputs: of a composite the greatest of its parts."""
    out = np.ascontiguousarray(parts[:, [members[0] for members in plan.parts_of]])
    for o, members in enumerate(plan.parts_of):
        if len(members) > 1:
            out[:, o] = parts[:, list(members)].max(axis=1)
    return out
