"""All signatures and all methods on ranks in one pass over the rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tamannot._progress import Tick, no_tick
from tamannot.errors import ParameterError
from tamannot.kernels._finish import finish_scores
from tamannot.kernels._null import Groups, expression_bins, merge_bins, null_z, upper_p
from tamannot.kernels._pack import WEIGHT_STEP, in_steps, pack_arms
from tamannot.kernels._ranks import LARGEST_NULL_CAP, Depths, depths
from tamannot.kernels._rows import RowBlock, RowSource
from tamannot.kernels._sums import add_gene_totals, arm_sums
from tamannot.kernels._threads import over_rows
from tamannot.scorers._plan import Arm, Plan
from tamannot.scorers._ranked import RankMethod

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

    def column(self, table: str, signature_id: str) -> Array:
        """Return one column of a table, such as ``score``."""
        return np.asarray(getattr(self, table)[:, self.ids.index(signature_id)])


@dataclass(frozen=True)
class NullScores(Scores):
    """Results with their matched null; tables are float32 but for ``detected``."""

    detected: Array
    """Genes with a value above zero, int16; of a composite, those of the part with the greatest z."""
    z: Array
    p: Array
    expected: Array
    """How many genes of a matched random signature would be above zero in the cell."""


@dataclass(frozen=True)
class Run:
    """A method, and the expression bins of its null if it has one."""

    method: RankMethod
    null: NullBins | None = None


def gene_depths(
    rows: RowSource, method: RankMethod, *, threads: int, tick: Tick = no_tick, among: Array | None = None
) -> Array:
    """Return how deep each gene ranks, summed over all rows, less what it would be as a zero.

    Parameters
    ----------
    rows
        The reference cells.
    method
        Gives the rank cap.
    threads
        Rows are worked on in parallel; the sums are exact, so the number changes nothing.
    tick
        Told the rows done.
    among
        Mask of the rows that count; None takes all.
    """
    return depths_by_method(rows, [method], threads=threads, tick=tick, among=among)[0]


def depths_by_method(
    rows: RowSource,
    methods: Sequence[RankMethod],
    *,
    threads: int,
    tick: Tick = no_tick,
    among: Array | None = None,
) -> list[Array]:
    """Return `gene_depths` of several methods from one ranking."""
    n_obs, n_vars = rows.shape
    how = _depths(methods, n_vars)
    total, lock = np.zeros((len(methods), n_vars), np.int64), Lock()

    def work(start: int, stop: int) -> None:
        block, mine = rows.block(start, stop), np.zeros_like(total)
        if among is not None:
            block = block.only(among[start:stop])
        add_gene_totals(block.bits, block.indices, block.indptr, how.cap, how.ties, how.step, mine)
        with lock:
            np.add(total, mine, out=total)
        tick(stop - start)

    over_rows(work, n_obs, threads=threads, step=rows.step)
    return list(total / how.step[:, None])


def null_bins(depth: Array) -> NullBins:
    """Cut genes into expression bins by their depth over the reference cells."""
    return NullBins(expression_bins(depth))


@overload
def score_rows(
    rows: RowSource, plan: Plan, method: RankMethod, *, null: NullBins, threads: int, tick: Tick = no_tick
) -> NullScores: ...
@overload
def score_rows(
    rows: RowSource, plan: Plan, method: RankMethod, *, null: NullBins | None, threads: int, tick: Tick = no_tick
) -> Scores: ...
def score_rows(
    rows: RowSource, plan: Plan, method: RankMethod, *, null: NullBins | None, threads: int, tick: Tick = no_tick
) -> Scores:
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
    tick
        Told the rows done.
    """
    return score_runs(rows, plan, [Run(method, null)], threads=threads, tick=tick)[0]


def score_runs(rows: RowSource, plan: Plan, runs: Sequence[Run], *, threads: int, tick: Tick = no_tick) -> list[Scores]:
    """Score every row by several methods from one ranking; see `score_rows`."""
    n_obs = rows.shape[0]
    packed = _Packed(plan, runs)
    results = [_empty(plan, n_obs, with_null=run.null is not None) for run in runs]

    def work(start: int, stop: int) -> None:
        packed.on(rows.block(start, stop), results, slice(start, stop))
        tick(stop - start)

    over_rows(work, n_obs, threads=threads, step=rows.step)
    return results


def _empty(plan: Plan, n_obs: int, *, with_null: bool) -> Scores:
    ids, shape = tuple(plan.ids), (n_obs, len(plan.outputs))
    if not with_null:
        return Scores(ids, np.empty(shape, np.float32))
    score, z, p, expected = (np.empty(shape, np.float32) for _ in range(4))
    return NullScores(ids, score, np.empty(shape, np.int16), z, p, expected)


def _depths(methods: Sequence[RankMethod], n_vars: int) -> Depths:
    return depths([m.rank_cap(n_vars) for m in methods], [m.ties for m in methods])


class _Packed:
    """A plan packed for the kernels, applied to one block of rows at a time."""

    def __init__(self, plan: Plan, runs: Sequence[Run]) -> None:
        self.plan, self.runs = plan, runs
        self.depths = _depths([r.method for r in runs], plan.n_vars)
        _check_caps(self.depths, runs)
        self.arm, arms = _arms(plan)
        self.arms = pack_arms(
            [a.columns for a in arms],
            [[in_steps(run.method.arm_weights(a)) for a in arms] for run in runs],
            plan.n_vars,
        )
        self.used = self.arms.used
        self.unit = self.depths.step / WEIGHT_STEP
        self.limits = [_limits(plan, run.method, unit) for run, unit in zip(runs, self.unit, strict=True)]
        self.n_present = np.array([p.n_present for p in plan.parts], np.int64)
        self.out_ptr = np.cumsum([0, *(len(m) for m in plan.parts_of)])
        self.out_part = np.array([p for members in plan.parts_of for p in members], np.int64)
        self.groups = [_groups(plan, run.method, run.null) if run.null else None for run in runs]
        self.bin_of, self.bin_size = _bins(runs, plan.n_vars)

    def on(self, block: RowBlock, results: Sequence[Scores], rows: slice) -> None:
        """Write the results of some rows."""
        n_cells, n_methods, n_arms = block.indptr.size - 1, len(self.runs), self.arms.arm_weight.shape[1]
        sums = np.empty((n_methods, n_cells, n_arms), np.int64)
        with_null = self.bin_of.shape[1] > 0
        detected = np.empty((n_cells if with_null else 0, n_arms), np.int16)
        moments = np.empty((n_methods, n_cells if with_null else 0, self.bin_size.shape[1], 4), np.int64)
        a, d = self.arms, self.depths
        arm_sums(
            *(block.bits, block.indices, block.indptr, d.cap, d.ties, d.step),
            *(self.used, a.gene_ptr, a.arm_of, a.weight_of, a.arm_weight),
            *(self.bin_of, self.bin_size, sums, detected, moments),
        )
        for m, result in enumerate(results):
            offset, most = self.limits[m]
            down = self.runs[m].method.down_weight
            finish_scores(sums[m], self.arm, offset, most, down, self.out_ptr, self.out_part, result.score[rows])
            if isinstance(result, NullScores):
                self._null(m, sums[m], moments[m], detected, result, rows)

    def _null(self, m: int, sums: Array, moments: Array, detected: Array, result: NullScores, rows: slice) -> None:
        g = self.groups[m]
        if g is None:
            return
        both = self._by_part(sums, self.runs[m].method.down_weight) / self.unit[m]
        z, skew, expected = (np.empty(both.shape) for _ in range(3))
        step = float(self.depths.step[m])
        null_z(
            *(both, moments, step, g.start, g.first_bin, g.last_bin, g.size, g.w1, g.w2, g.w3, g.members),
            *(z, skew, expected),
        )
        p = upper_p(z, skew, expected, self.n_present)
        found = self._by_part(detected, -1.0)
        tables = _combine(self.plan, z, p, found, expected)
        result.z[rows], result.p[rows], result.detected[rows], result.expected[rows] = tables

    def _by_part(self, of_arms: Array, down_weight: float) -> Array:
        """Return the up arm's value less ``down_weight`` of the down arm's, cells by parts."""
        padded = np.concatenate([of_arms, np.zeros((of_arms.shape[0], 1), of_arms.dtype)], axis=1)
        up = padded[:, self.arm[:, 0]]
        signed = self.arm[:, 1] >= 0
        if not signed.any():
            return up
        out = up.astype(float)
        out[:, signed] -= down_weight * padded[:, self.arm[signed, 1]]
        return out


def _combine(plan: Plan, z: Array, p: Array, found: Array, expected: Array) -> tuple[Array, ...]:
    """Return the tables of the outputs: of a composite, the part with the greatest z."""
    first = [members[0] for members in plan.parts_of]
    out = tuple(table[:, first] for table in (z, p, found, expected))
    for o, members in enumerate(plan.parts_of):
        if len(members) > 1:
            m = list(members)
            best = np.argmax(z[:, m], axis=1)[:, None]
            out[0][:, o] = z[:, m].max(axis=1)
            out[1][:, o] = _least_of(p[:, m])
            out[2][:, o] = np.take_along_axis(found[:, m], best, axis=1)[:, 0]
            out[3][:, o] = np.take_along_axis(expected[:, m], best, axis=1)[:, 0]
    return out


def _arms(plan: Plan) -> tuple[Array, list[Arm]]:
    """Return the arms that have genes in the data, and for each part the numbers of its two; -1 for none."""
    number = np.full((len(plan.parts), 2), -1, np.int64)
    arms: list[Arm] = []
    for p, part in enumerate(plan.parts):
        for side, arm in enumerate((part.up, part.down)):
            if arm.columns.size:
                number[p, side] = len(arms)
                arms.append(arm)
    return number, arms


def _check_caps(how: Depths, runs: Sequence[Run]) -> None:
    for cap, run in zip(how.cap, runs, strict=True):
        if run.null and cap > LARGEST_NULL_CAP:
            msg = (
                f"{run.method.name} with {cap:,.0f} ranks that count has no matched null: its moments would not fit "
                f"into 64 bits. Use at most {LARGEST_NULL_CAP:,}, or null=None."
            )
            raise ParameterError(msg)


def _limits(plan: Plan, method: RankMethod, unit: float) -> tuple[Array, Array]:
    cap = method.rank_cap(plan.n_vars)
    pairs = [[method.limits(arm, cap) for arm in (part.up, part.down)] for part in plan.parts]
    table = np.array(pairs, float).reshape(-1, 2, 2) * unit
    return np.ascontiguousarray(table[..., 0]), np.ascontiguousarray(table[..., 1])


def _bins(runs: Sequence[Run], n_vars: int) -> tuple[Array, Array]:
    """Return bins and their sizes by method; a method without a null gets one bin that nobody reads."""
    if all(run.null is None for run in runs):
        return np.empty((len(runs), 0), np.int32), np.empty((len(runs), 0), np.int64)
    bins = [run.null.bin_of if run.null else np.zeros(n_vars, np.int32) for run in runs]
    most = max((int(b.max(initial=0)) for b in bins), default=0) + 1
    return np.array(bins, np.int32), np.array([np.bincount(b, minlength=most) for b in bins], np.int64)


def _groups(plan: Plan, method: RankMethod, null: NullBins) -> Groups:
    columns = [np.concatenate([p.up.columns, p.down.columns]) for p in plan.parts]
    weights = [
        np.concatenate([method.arm_weights(p.up), -method.down_weight * method.arm_weights(p.down)]) for p in plan.parts
    ]
    return merge_bins(null.sizes, columns, weights, null.bin_of)


def _least_of(p: Array) -> Array:
    """Return the smallest p of several parts, corrected for having chosen it (Šidák); NaN if none has one."""
    known = np.isfinite(p).sum(axis=1)
    least = np.where(np.isfinite(p), p, 1.0).min(axis=1)
    return np.where(known > 0, -np.expm1(np.maximum(known, 1) * np.log1p(-np.minimum(least, 1 - 1e-16))), np.nan)
