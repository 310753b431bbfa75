"""Scoring: all signatures and all methods on ranks in one pass over the rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from tamannot._progress import Tick, no_tick
from tamannot._settings import in_order, over_rows
from tamannot.errors import ParameterError
from tamannot.scoring._null import Groups, NullBins, NullZ, merge_bins, null_z, upper_p
from tamannot.scoring._pack import WEIGHT_STEP, in_steps, pack_arms
from tamannot.scoring._plan import Arm, Plan, RankMethod
from tamannot.scoring._ranks import LARGEST_NULL_CAP, Depths, RankedBlock, RankedRows, depths_of, rank_block
from tamannot.scoring._rows import DistributedRows, RowBlock, RowSource, each_block
from tamannot.scoring._sums import (
    CellSums,
    GeneBins,
    OutputParts,
    add_gene_totals,
    arm_sums,
    finish_scores,
    gene_arms,
    null_sums,
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Scores:
    """Results, cells by outputs of the plan."""

    ids: tuple[str, ...]
    score: Array
    """float32."""

    def put(self, rows: slice, found: Scores) -> None:
        """Take over the results of some cells."""
        for field in (f.name for f in fields(self) if f.name != "ids"):
            getattr(self, field)[rows] = getattr(found, field)

    def rows(self, rows: slice) -> Self:
        """Return the results of some cells."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "ids"})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the results of blocks of cells as one."""
        names = [f.name for f in fields(cls) if f.name != "ids"]
        tables: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
        return replace(parts[0], **tables)

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
    only: tuple[str, ...] | None = None
    """Ids of the outputs wanted; None: all of the plan."""


class Scorer:
    """Scores blocks of rows by several runs of a plan; what depends on signatures and methods alone is made once."""

    def __init__(self, plan: Plan, runs: Sequence[Run]) -> None:
        self._depths = depths_of([r.method for r in runs], plan.n_vars)
        _check_caps(self._depths, runs)
        arm, arms = _arms(plan)
        weights = [[in_steps(run.method.arm_weights(a)) for a in arms] for run in runs]
        self._arms = gene_arms(pack_arms([a.columns for a in arms], weights, plan.n_vars))
        self._bins = _bins(runs, plan.n_vars)
        steps = zip(runs, self._depths.step, strict=True)
        self._readings = [_Reading(plan, run, arm, float(step)) for run, step in steps]

    def empty(self, n_obs: int) -> list[Scores]:
        """Return tables to be written to, one set a run."""
        return [reading.empty(n_obs) for reading in self._readings]

    @property
    def depths(self) -> Depths:
        """How ranks are counted."""
        return self._depths

    def score(self, block: RowBlock) -> list[Scores]:
        """Return the scores of some rows, one set a run."""
        results = self.empty(block.indptr.size - 1)
        self.write(rank_block(block, self._arms.used.size, self._depths), results, slice(None))
        return results

    def write(self, block: RankedBlock, results: Sequence[Scores], rows: slice) -> None:
        """Write the scores of ranked rows into some rows of the results."""
        n_cells, n_methods, n_arms = block.indptr.size - 1, len(self._readings), self._arms.arm_weight.shape[1]
        sums, n_bins = np.empty((n_methods, n_cells, n_arms), np.int64), self._bins.size.shape[1]
        n_with_null = n_cells if n_bins else 0
        detected = np.empty((n_with_null, n_arms), np.int16)
        moments = np.empty((n_methods, n_with_null, n_bins, 4), np.int64)
        if n_bins:
            null_sums(block, self._arms, self._bins, CellSums(sums, detected, moments))
        else:
            arm_sums(block, self._arms, sums)
        for reading, result, mine, of_bins in zip(self._readings, results, sums, moments, strict=True):
            reading.scores(mine, result.score[rows])
            if isinstance(result, NullScores):
                reading.null(mine, of_bins, detected, result, rows)


class _Reading:
    """What one run makes of the sums of a block."""

    def __init__(self, plan: Plan, run: Run, arm: Array, step: float) -> None:
        self._plan, parts = (plan, slice(None)) if run.only is None else plan.only(run.only)
        self._arm, self._step, self._unit = arm[parts], step, step / WEIGHT_STEP
        self._down, members = run.method.down_weight, self._plan.parts_of
        self._n_present = np.array([p.n_present for p in self._plan.parts], np.int64)
        ends = np.cumsum([0, *(len(m) for m in members)])
        order = np.array([p for m in members for p in m], np.int64)
        offset, most = _limits(self._plan, run.method, self._unit)
        self._parts = OutputParts(self._arm, offset, most, self._down, ends, order)
        self._groups = _groups(self._plan, run.method, run.null) if run.null else None

    def empty(self, n_obs: int) -> Scores:
        ids, shape = tuple(self._plan.ids), (n_obs, len(self._plan.outputs))
        if self._groups is None:
            return Scores(ids, np.empty(shape, np.float32))
        score, z, p, expected = (np.empty(shape, np.float32) for _ in range(4))
        return NullScores(ids, score, np.empty(shape, np.int16), z, p, expected)

    def scores(self, sums: Array, out: Array) -> None:
        finish_scores(sums, self._parts, out)

    def null(self, sums: Array, moments: Array, detected: Array, result: NullScores, rows: slice) -> None:
        g = self._groups
        if g is None:
            return
        both = self._by_part(sums, self._down) / self._unit
        null = NullZ(*(np.empty(both.shape) for _ in range(3)))
        null_z(both, moments, g.units(self._step), g, null)
        p = upper_p(null, self._n_present)
        tables = _combine(self._plan, null.z, p, self._by_part(detected, -1.0), null.expected)
        result.z[rows], result.p[rows], result.detected[rows], result.expected[rows] = tables

    def _by_part(self, of_arms: Array, down_weight: float) -> Array:
        """Return the up arm's value less ``down_weight`` of the down arm's, cells by parts."""
        signed = self._arm[:, 1] >= 0
        if not signed.any() and np.array_equal(self._arm[:, 0], np.arange(of_arms.shape[1])):
            return of_arms
        padded = np.concatenate([of_arms, np.zeros((of_arms.shape[0], 1), of_arms.dtype)], axis=1)
        up = padded[:, self._arm[:, 0]]
        if not signed.any():
            return up
        out = up.astype(float)
        out[:, signed] -= down_weight * padded[:, self._arm[signed, 1]]
        return out


def _combine(plan: Plan, z: Array, p: Array, found: Array, expected: Array) -> tuple[Array, ...]:
    """Return the tables of the outputs: of a composite, the part with the greatest z."""
    first = [members[0] for members in plan.parts_of]
    if all(len(members) == 1 for members in plan.parts_of) and first == list(range(z.shape[1])):
        return z, p, found, expected
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
                f"{run.method.name} with a maximal rank of {cap:,.0f} has no matched null: its moments would exceed "
                f"64 bits. Use a maximal rank of at most {LARGEST_NULL_CAP:,}, or leave out null=."
            )
            raise ParameterError(msg)


def _limits(plan: Plan, method: RankMethod, unit: float) -> tuple[Array, Array]:
    cap = method.rank_cap(plan.n_vars)
    pairs = [[method.limits(arm, cap) for arm in (part.up, part.down)] for part in plan.parts]
    table = np.array(pairs, float).reshape(-1, 2, 2) * unit
    return np.ascontiguousarray(table[..., 0]), np.ascontiguousarray(table[..., 1])


def _bins(runs: Sequence[Run], n_vars: int) -> GeneBins:
    """Return bins and their sizes by method; a method without a null gets one bin that nobody reads."""
    if all(run.null is None for run in runs):
        return GeneBins(np.empty((len(runs), 0), np.int32), np.empty((len(runs), 0), np.int64))
    bins = [run.null.bin_of if run.null else np.zeros(n_vars, np.int32) for run in runs]
    most = max((int(b.max(initial=0)) for b in bins), default=0) + 1
    return GeneBins(np.array(bins, np.int32), np.array([np.bincount(b, minlength=most) for b in bins], np.int64))


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


def depths_by_method(
    rows: RowSource,
    methods: Sequence[RankMethod],
    *,
    threads: int,
    tick: Tick = no_tick,
    among: Array | None = None,
    ranked: RankedRows | None = None,
) -> list[Array]:
    """Return by method how deep each gene ranks, summed over all rows, less what it would be as a zero.

    ``among`` is a mask of the rows that count, None all; ``ranked`` keeps the ranking for `score_runs`. Sums are exact,
    so that the number of threads changes nothing.
    """
    n_obs, n_vars = rows.shape
    how = depths_of(methods, n_vars)
    total, totals = np.zeros((len(methods), n_vars), np.int64), _Totals(how, n_vars)

    def among_these(these: range) -> tuple[Array | None]:
        return (None if among is None else among[these.start : these.stop],)

    if ranked is None or among is not None or isinstance(rows, DistributedRows):
        found = each_block(rows, totals, among_these, threads=threads, step=rows.step)
    else:
        kept = ranked

        def of_kept(start: int, stop: int) -> tuple[range, Array]:
            return range(start, stop), totals.of(kept.block(start, stop))

        found = in_order(of_kept, n_obs, threads=threads, step=rows.step)
    for these, mine in found:
        total += mine
        tick(len(these))
    return list(total / how.step[:, None])


@dataclass(frozen=True)
class _Totals:
    """Adds up over the cells of a block how deep each gene ranks, in steps of each method."""

    how: Depths
    n_vars: int

    def __call__(self, block: RowBlock, among: Array | None) -> Array:
        return self.of(rank_block(block if among is None else block.only(among), self.n_vars, self.how))

    def of(self, block: RankedBlock) -> Array:
        """Add up over ranked cells."""
        total = np.zeros((self.how.step.size, self.n_vars), np.int64)
        add_gene_totals(block, total)
        return total


def ranked_rows(rows: RowSource, methods: Sequence[RankMethod]) -> RankedRows:
    """Return rows whose ranks by some methods are kept from one pass to the next."""
    return RankedRows(rows, depths_of(methods, rows.shape[1]), keep=True)


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
    """Score every row of a non-negative matrix for every output of a plan.

    ``null`` gives the expression bins for z and p; None leaves them out. Rows are worked on in parallel, and a cell's
    result does not depend on it; ``tick`` is called with the number of finished rows.
    """
    return score_runs(rows, plan, [Run(method, null)], threads=threads, tick=tick)[0]


def score_runs(
    rows: RowSource,
    plan: Plan,
    runs: Sequence[Run],
    *,
    threads: int,
    tick: Tick = no_tick,
    ranked: RankedRows | None = None,
) -> list[Scores]:
    """Score every row by several methods from one ranking, that in ``ranked`` if it is given; see `score_rows`."""
    scorer = Scorer(plan, runs)
    results = scorer.empty(rows.shape[0])

    if isinstance(rows, DistributedRows):
        for mine, found in rows.mapped(scorer.score, step=rows.step):
            for result, part in zip(results, found, strict=True):
                result.put(slice(mine.start, mine.stop), part)
            tick(len(mine))
        return results

    ranks = ranked or RankedRows(rows, scorer.depths, keep=False)

    def work(start: int, stop: int) -> None:
        scorer.write(ranks.block(start, stop), results, slice(start, stop))
        tick(stop - start)

    over_rows(work, rows.shape[0], threads=threads, step=rows.step)
    return results
