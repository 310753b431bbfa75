"""Scoring: all signatures and all methods on ranks in one pass over the rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Self

import numpy as np

from tamannot._progress import Tick, no_tick
from tamannot.errors import ParameterError
from tamannot.scoring._njit import Array
from tamannot.scoring._null import NullZ, merge_bins, null_z, upper_p
from tamannot.scoring._plan import WEIGHT_STEP, Plan, RankMethod, pack_arms, signed_genes
from tamannot.scoring._ranks import LARGEST_NULL_CAP, RankedBlock, RankedRows, depths_of
from tamannot.scoring._rows import RowSource
from tamannot.scoring._sums import CellSums, GeneBins, OutputParts, arm_sums, finish_scores, gene_totals, null_sums


@dataclass(frozen=True)
class OfCells:
    """A dataclass of arrays with one row per cell, some of them in another such; other fields are of all cells."""

    def by_cell(self) -> dict[str, Any]:
        """Return the fields with one row per cell."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray | OfCells)}

    def __getitem__(self, rows: Any) -> Self:
        """Return some of the cells."""
        return replace(self, **{name: value[rows] for name, value in self.by_cell().items()})

    def __setitem__(self, rows: slice, found: Self) -> None:
        """Take over some cells."""
        for name, value in self.by_cell().items():
            value[rows] = getattr(found, name)

    @classmethod
    def joined(cls, blocks: Sequence[Self]) -> Self:
        """Return blocks of cells as one."""
        tables = {}
        for name, first in blocks[0].by_cell().items():
            parts = [getattr(block, name) for block in blocks]
            tables[name] = first.joined(parts) if isinstance(first, OfCells) else np.concatenate(parts)
        return replace(blocks[0], **tables)


@dataclass(frozen=True)
class Scores(OfCells):
    """Results, cells by outputs of the plan."""

    ids: tuple[str, ...]
    score: Array  # float32

    def column(self, table: str, signature_id: str) -> Array:
        """Return one column of a table, such as ``score``."""
        return np.asarray(getattr(self, table)[:, self.ids.index(signature_id)])


@dataclass(frozen=True)
class NullScores(Scores):
    """Results with their matched null; tables are float32 but for ``detected``."""

    detected: Array  # genes with a value above zero, int16; of a composite, those of the part with the greatest z
    z: Array
    p: Array
    expected: Array  # how many genes of a matched random signature would be above zero in the cell


@dataclass(frozen=True)
class Run:
    """A method, and the expression bins of its null if it has one."""

    method: RankMethod
    null: Array | None = None  # bin of each gene
    only: tuple[str, ...] | None = None  # ids of the outputs wanted; None: all of the plan


class Scorer:
    """Scores ranked blocks by several runs of a plan; what depends on signatures and methods alone is made once."""

    def __init__(self, plan: Plan, runs: Sequence[Run]) -> None:
        self.depths = depths_of([r.method for r in runs], plan.n_vars)
        for cap, run in zip(self.depths.cap, runs, strict=True):
            if run.null is not None and cap > LARGEST_NULL_CAP:
                raise ParameterError(
                    f"{run.method.name} with a maximal rank of {cap:,.0f} has no matched null: its moments would "
                    f"exceed 64 bits. Use a maximal rank of at most {LARGEST_NULL_CAP:,}, or leave out null=."
                )
        both = [arm for part in plan.parts for arm in (part.up, part.down)]
        is_there = np.array([arm.columns.size > 0 for arm in both], bool)
        arm_of_part = np.where(is_there, np.cumsum(is_there) - 1, -1).reshape(-1, 2)
        arms = [arm for arm in both if arm.columns.size]
        used = [[run.method.arm_weights(arm) for arm in arms] for run in runs]
        in_steps = [[np.rint(weights / WEIGHT_STEP).astype(np.int64) for weights in of_run] for of_run in used]
        self._arms = pack_arms([arm.columns for arm in arms], in_steps, plan.n_vars)
        # Beside methods with a null, one without gets a single bin that nobody reads; without any null there are none.
        no_bins = np.zeros(plan.n_vars, np.int32)
        bin_of = np.array([no_bins if run.null is None else run.null for run in runs], np.int32)
        n_bins = int(bin_of.max(initial=0)) + 1 if any(run.null is not None for run in runs) else 0
        sizes = [np.bincount(bins, minlength=n_bins)[:n_bins] for bins in bin_of]
        methods = [run.method for run in runs]
        first = np.array([methods.index(method) for method in methods])
        self._bins = GeneBins(bin_of, np.array(sizes, np.int64).reshape(len(runs), n_bins), first)
        steps = zip(runs, self.depths.step, strict=True)
        self.readings = [_Reading(plan, run, arm_of_part, float(step)) for run, step in steps]

    def score(self, block: RankedBlock) -> list[Scores]:
        """Return the scores of ranked rows, one set a run."""
        n_cells, n_methods, n_arms = block.indptr.size - 1, len(self.readings), self._arms.arm_weight.shape[1]
        n_bins = self._bins.size.shape[1]
        n_with_null = n_cells if n_bins else 0
        sums = np.empty((n_methods, n_cells, n_arms), np.int64)
        detected = np.empty((n_with_null, n_arms), np.int16)
        moments = np.empty((n_methods, n_with_null, n_bins, 4), np.int64)
        if n_bins:
            null_sums(block, self._arms, self._bins, CellSums(sums, detected, moments))
            sums = sums[self._bins.first]
        else:
            arm_sums(block, self._arms, sums)
        of_runs = zip(self.readings, sums, moments, strict=True)
        return [reading.scores(mine, of_bins, detected) for reading, mine, of_bins in of_runs]


class _Reading:
    """What one run makes of the sums of a block."""

    def __init__(self, plan: Plan, run: Run, arm_of_part: Array, step: float) -> None:
        method, self._step, self._unit = run.method, step, step / WEIGHT_STEP
        self._ids = tuple(plan.ids) if run.only is None else run.only
        of_output = dict(zip(plan.ids, plan.parts_of, strict=True))
        in_plan = [of_output[i] for i in self._ids]
        kept = sorted({p for members in in_plan for p in members})
        place = {p: k for k, p in enumerate(kept)}
        parts, self._parts_of = [plan.parts[p] for p in kept], [[place[p] for p in members] for members in in_plan]
        self._arm, self._n_present = arm_of_part[kept], np.array([p.n_present for p in parts], np.int64)
        cap = method.rank_cap(plan.n_vars)
        limits = [[method.limits(arm, cap) for arm in (part.up, part.down)] for part in parts]
        offset, most = np.ascontiguousarray(np.moveaxis(np.array(limits, float).reshape(-1, 2, 2), 2, 0)) * self._unit
        ends = np.cumsum([0, *map(len, self._parts_of)])
        order = np.array([p for members in self._parts_of for p in members], np.int64)
        self._parts = OutputParts(self._arm, offset, most, method.down_weight, ends, order)
        self._groups = None
        if run.null is not None:
            self._groups = merge_bins(run.null, [signed_genes(p, method.weights, method.down_weight) for p in parts])

    def empty(self, n_obs: int) -> Scores:
        """Return tables to be filled."""
        shape = (n_obs, len(self._ids))
        if self._groups is None:
            return Scores(self._ids, np.empty(shape, np.float32))
        score, z, p, expected = (np.empty(shape, np.float32) for _ in range(4))
        return NullScores(self._ids, score, np.empty(shape, np.int16), z, p, expected)

    def scores(self, sums: Array, moments: Array, detected: Array) -> Scores:
        """Return the scores of some cells; of a composite, z and p are those of the part with the greatest z."""
        result = self.empty(len(sums))
        finish_scores(sums, self._parts, result.score)
        if self._groups is None or not isinstance(result, NullScores):
            return result
        both = self._by_part(sums, self._parts.down_weight) / self._unit
        null = NullZ(*(np.empty(both.shape) for _ in range(3)))
        null_z(both, moments, self._step, self._groups, null)
        p, found = upper_p(null, self._n_present), self._by_part(detected, -1.0)
        filled = ((result.z, null.z), (result.p, p), (result.detected, found), (result.expected, null.expected))
        first = [members[0] for members in self._parts_of]
        for out, table in filled:
            out[:] = table[:, first]
        for o, members in enumerate(self._parts_of):
            if len(members) > 1:
                best = np.array(members)[np.argmax(null.z[:, members], axis=1)]
                for out, table in filled:
                    out[:, o] = table[np.arange(best.size), best]
                # The smallest p, corrected for having been chosen of several (Šidák); NaN if no part has one.
                known = np.isfinite(p[:, members]).sum(axis=1)
                least = np.where(np.isfinite(p[:, members]), p[:, members], 1.0).min(axis=1)
                corrected = -np.expm1(np.maximum(known, 1) * np.log1p(-np.minimum(least, 1 - 1e-16)))
                result.p[:, o] = np.where(known > 0, corrected, np.nan)
        return result

    def _by_part(self, of_arms: Array, down_weight: float) -> Array:
        """Return the up arm's value less ``down_weight`` of the down arm's, cells by parts."""
        signed = self._arm[:, 1] >= 0
        padded = np.concatenate([of_arms, np.zeros((of_arms.shape[0], 1), of_arms.dtype)], axis=1)
        out = padded[:, self._arm[:, 0]].astype(float)
        out[:, signed] -= down_weight * padded[:, self._arm[signed, 1]]
        return out


def _totals(ranked: RankedBlock, n_genes: int) -> Array:
    """Return `gene_totals`: a function goes to another process by its name, a kernel would be compiled anew there."""
    return gene_totals(ranked, n_genes)


def depths_by_method(
    rows: RowSource,
    methods: Sequence[RankMethod],
    *,
    threads: int,
    tick: Tick = no_tick,
    ranked: RankedRows | None = None,
) -> list[Array]:
    """Return by method how deep each gene ranks, summed over all rows, less what it would be as a zero.

    ``ranked`` keeps the ranking for `score_runs`. Sums are exact, so that the number of threads changes nothing.
    """
    ranks, n_vars = ranked or RankedRows(rows, methods, keep=False), rows.shape[1]
    total = np.zeros((len(methods), n_vars), np.int64)
    for these, mine in ranks.each(partial(_totals, n_genes=n_vars), threads=threads):
        total += mine
        tick(len(these))
    return list(total / ranks.depths.step[:, None])


def score_runs(
    rows: RowSource,
    plan: Plan,
    runs: Sequence[Run],
    *,
    threads: int,
    tick: Tick = no_tick,
    ranked: RankedRows | None = None,
) -> list[Scores]:
    """Score all rows of a non-negative matrix by several methods from one ranking; ``ranked`` is one at hand."""
    scorer = Scorer(plan, runs)
    results = [reading.empty(rows.shape[0]) for reading in scorer.readings]
    ranks = ranked or RankedRows(rows, [run.method for run in runs], keep=False)
    for mine, found in ranks.each(scorer.score, threads=threads):
        for result, part in zip(results, found, strict=True):
            result[mine.start : mine.stop] = part
        tick(len(mine))
    return results
