"""All signatures in one pass over the rows of a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tamannot.kernels._null import Groups, expression_bins, merge_bins, null_moments, z_and_p
from tamannot.kernels._pack import Arms, pack_arms
from tamannot.kernels._rows import RowSource
from tamannot.kernels._sums import add_gene_totals, arm_sums, bin_moments
from tamannot.kernels._threads import over_rows
from tamannot.scorers._plan import Plan
from tamannot.scorers._ucell import UCell

Array = NDArray[Any]


@dataclass(frozen=True)
class NullBins:
    """Expression bin of each gene: all that the null takes from the reference cells."""

    bin_of: Array

    @property
    def sizes(self) -> Array:
        """Genes of each bin."""
        return np.bincount(self.bin_of)


@dataclass(frozen=True)
class Scores:
    """Results, cells by outputs of the plan."""

    ids: tuple[str, ...]
    score: Array
    """float32."""
    detected: Array
    """Genes with a value above zero, int16; of a composite, those of the part with the greatest z."""

    def column(self, table: str, signature_id: str) -> Array:
        """Return one column of a table, such as ``score``."""
        return np.asarray(getattr(self, table)[:, self.ids.index(signature_id)])


@dataclass(frozen=True)
class NullScores(Scores):
    """Results with their matched null; all tables are float32."""

    z: Array
    p: Array
    expected: Array
    """How many genes of a matched random signature would be above zero in the cell."""


def gene_depths(rows: RowSource, method: UCell, *, threads: int) -> Array:
    """Return how deep each gene ranks, summed over all rows, less what it would be as a zero.

    Parameters
    ----------
    rows
        The reference cells.
    method
        Gives the rank cap.
    threads
        Rows are worked on in parallel; the sums are exact, so the number changes nothing.
    """
    n_obs, n_vars = rows.shape
    cap = float(method.rank_cap(n_vars))
    total, lock = np.zeros(n_vars), Lock()

    def work(start: int, stop: int) -> None:
        block, mine = rows.block(start, stop), np.zeros(n_vars)
        add_gene_totals(block.bits, block.indices, block.indptr, cap, mine)
        with lock:
            np.add(total, mine, out=total)

    over_rows(work, n_obs, threads=threads)
    return total


def null_bins(depth: Array) -> NullBins:
    """Cut genes into expression bins by their depth over the reference cells."""
    return NullBins(expression_bins(depth))


@overload
def score_rows(rows: RowSource, plan: Plan, method: UCell, *, null: NullBins, threads: int) -> NullScores: ...
@overload
def score_rows(rows: RowSource, plan: Plan, method: UCell, *, null: NullBins | None, threads: int) -> Scores: ...
def score_rows(rows: RowSource, plan: Plan, method: UCell, *, null: NullBins | None, threads: int) -> Scores:
    """Score every row of a matrix for every output of a plan.

    Parameters
    ----------
    rows
        The matrix, non-negative.
    plan
        The signatures matched to its columns.
    method
        How to score.
    null
        Expression bins for z and p; None leaves them out.
    threads
        Rows are worked on in parallel; a cell's result does not depend on it.
    """
    shape = (rows.shape[0], len(plan.outputs))
    run = _Run(plan, method, null)
    score, z, p, expected = (np.empty(shape, np.float32) for _ in range(4))
    detected = np.empty(shape, np.int16)

    def work(start: int, stop: int) -> None:
        block, rows_here = rows.block(start, stop), slice(start, stop)
        tables = run.on(block.bits, block.indices, block.indptr)
        score[rows_here], z[rows_here], p[rows_here], detected[rows_here], expected[rows_here] = tables

    over_rows(work, rows.shape[0], threads=threads)
    ids = tuple(plan.ids)
    return NullScores(ids, score, detected, z, p, expected) if null else Scores(ids, score, detected)


class _Run:
    """A plan packed for the kernels, applied to one block of rows at a time."""

    def __init__(self, plan: Plan, method: UCell, null: NullBins | None) -> None:
        self.plan, self.method, self.null = plan, method, null
        self.cap = float(method.rank_cap(plan.n_vars))
        self.arms = _pack(plan, method)
        self.n_present = np.array([p.n_present for p in plan.parts])
        self.groups = _groups(plan, method, null) if null else None

    def on(self, bits: Array, indices: Array, indptr: Array) -> tuple[Array, ...]:
        """Return score, z, p, detected and expected genes of the outputs, cells by outputs."""
        n_cells, n_parts = indptr.size - 1, len(self.plan.parts)
        sums, detected = np.empty((n_cells, 2 * n_parts)), np.empty((n_cells, 2 * n_parts), np.int16)
        a = self.arms
        arm_sums(bits, indices, indptr, self.cap, a.gene_ptr, a.arm_of, a.weight_of, a.arm_weight, sums, detected)
        up, down = sums[:, ::2], sums[:, 1::2]
        score = np.empty((n_cells, n_parts))
        for i, part in enumerate(self.plan.parts):
            score[:, i] = self.method.score(part, up[:, i], down[:, i], self.plan.n_vars)
        found = detected[:, ::2] + detected[:, 1::2]
        z, p, expected = self._null(bits, indices, indptr, up - self.method.w_neg * down)
        return self._combine(score, z, p, found, expected)

    def _null(self, bits: Array, indices: Array, indptr: Array, sums: Array) -> tuple[Array, Array, Array]:
        if self.null is None or self.groups is None:
            return np.zeros_like(sums), np.full_like(sums, np.nan), np.zeros_like(sums)
        sizes, g = self.null.sizes, self.groups
        moments = np.empty((sums.shape[0], sizes.size, 4))
        bin_moments(bits, indices, indptr, self.cap, self.null.bin_of, sizes, moments)
        out = np.empty((*sums.shape, 4))
        null_moments(moments, g.start, g.first_bin, g.last_bin, g.size, g.w1, g.w2, g.w3, g.members, out)
        return (*z_and_p(sums, out, self.n_present), out[..., 3])

    def _combine(self, score: Array, z: Array, p: Array, found: Array, expected: Array) -> tuple[Array, ...]:
        first = [members[0] for members in self.plan.parts_of]
        out = tuple(table[:, first] for table in (score, z, p, found, expected))
        for o, members in enumerate(self.plan.parts_of):
            if len(members) > 1:
                m = list(members)
                best = np.argmax((z if self.null else score)[:, m], axis=1)[:, None]
                out[0][:, o] = score[:, m].max(axis=1)
                out[1][:, o] = z[:, m].max(axis=1)
                out[2][:, o] = _least_of(p[:, m])
                out[3][:, o] = np.take_along_axis(found[:, m], best, axis=1)[:, 0]
                out[4][:, o] = np.take_along_axis(expected[:, m], best, axis=1)[:, 0]
        return out


def _pack(plan: Plan, method: UCell) -> Arms:
    arms = [arm for part in plan.parts for arm in (part.up, part.down)]
    return pack_arms([a.columns for a in arms], [method.arm_weights(a) for a in arms], plan.n_vars)


def _groups(plan: Plan, method: UCell, null: NullBins) -> Groups:
    columns = [np.concatenate([p.up.columns, p.down.columns]) for p in plan.parts]
    weights = [
        np.concatenate([method.arm_weights(p.up), -method.w_neg * method.arm_weights(p.down)]) for p in plan.parts
    ]
    return merge_bins(null.sizes, columns, weights, null.bin_of)


def _least_of(p: Array) -> Array:
    """Return the smallest p of several parts, corrected for having chosen it (Šidák); NaN if none has one."""
    known = np.isfinite(p).sum(axis=1)
    least = np.where(np.isfinite(p), p, 1.0).min(axis=1)
    return np.where(known > 0, -np.expm1(np.maximum(known, 1) * np.log1p(-np.minimum(least, 1 - 1e-16))), np.nan)
