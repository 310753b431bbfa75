"""All signatures and all methods on ranks in one pass over the rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tamannot._progress import Tick, no_tick
from tamannot._settings import over_rows
from tamannot.scoring._elsewhere import RowsElsewhere
from tamannot.scoring._null import expression_bins
from tamannot.scoring._packed import Scorer, depths_of
from tamannot.scoring._plan import Plan
from tamannot.scoring._ranked import RankMethod
from tamannot.scoring._ranked_kernel import RankedBlock, RankedRows, rank_block
from tamannot.scoring._ranks import Depths
from tamannot.scoring._results import NullBins, NullScores, Run, Scores
from tamannot.scoring._rows import RowBlock, RowSource
from tamannot.scoring._sums import add_gene_totals

Array = NDArray[Any]


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

    Parameters
    ----------
    rows
        The reference cells.
    methods
        Give the rank caps; all share one ranking.
    threads
        Rows are worked on in parallel; the sums are exact, so the number changes nothing.
    tick
        Told the rows done.
    among
        Mask of the rows that count; None takes all.
    ranked
        Keeps the ranking for `score_runs`.
    """
    n_obs, n_vars = rows.shape
    how = depths_of(methods, n_vars)
    total, lock = np.zeros((len(methods), n_vars), np.int64), Lock()
    totals = _Totals(how, n_vars)

    def add(mine: Array, n_cells: int) -> None:
        with lock:
            np.add(total, mine, out=total)
        tick(n_cells)

    def among_these(these: range) -> tuple[Array | None]:
        return (None if among is None else among[these.start : these.stop],)

    def work(start: int, stop: int) -> None:
        if ranked is not None and among is None:
            add(totals.of(ranked.block(start, stop)), stop - start)
        else:
            add(totals(rows.block(start, stop), *among_these(range(start, stop))), stop - start)

    if isinstance(rows, RowsElsewhere):
        for these, found in rows.mapped(totals, among_these, step=rows.step):
            add(found, len(these))
    else:
        over_rows(work, n_obs, threads=threads, step=rows.step)
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
        add_gene_totals(block.group, block.ptr, block.depth, block.indices, block.indptr, total)
        return total


def ranked_rows(rows: RowSource, methods: Sequence[RankMethod]) -> RankedRows:
    """Return rows whose ranks by some methods are kept from one pass to the next."""
    return RankedRows(rows, depths_of(methods, rows.shape[1]), keep=True)


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

    if isinstance(rows, RowsElsewhere):
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
