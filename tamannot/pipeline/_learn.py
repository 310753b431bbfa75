"""From cells to knowledge: nulls, tissue, and heads trained on the cells that are beyond doubt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot._progress import Progress
from tamannot.kernels._rows import RowBlock, RowSource
from tamannot.kernels._threads import in_order
from tamannot.pipeline._anchored import usable_columns
from tamannot.pipeline._call import expressed, gate_call
from tamannot.pipeline._inputs import MACROPHAGE, Cells, Settings
from tamannot.pipeline._knowledge import Knowledge
from tamannot.pipeline._panels import METHOD, Panels, Scored, as_scored, ranking
from tamannot.pipeline._resemblance import Likener, Resemblance, distinctive_genes, learn_resemblance
from tamannot.scorers import NullBins, NullScores, depths_by_method, null_bins, score_rows, score_runs

Array = NDArray[Any]

# From this share on the cells at hand are no reference for what sets macrophages apart.
_ONLY_MACROPHAGES = 0.9
# From so many on macrophages are the reference of their own programs.
_ENOUGH_MACROPHAGES = 20
# No single cell shows more genes than this: the matrix is of bulk samples, or was smoothed or imputed.
_MOST_DETECTED = 10_000


class Learner:
    """Learns from some cells.

    Parameters
    ----------
    rows, kind
        Cells by genes, non-negative; ``counts``, ``linear`` or ``log``.
    panels
        The signatures, matched to the columns.
    cells
        Names, samples, given cell types.
    of_sample
        Fold of each sample.
    settings
        How to annotate.
    threads
        Changes no result.
    report
        Told the name of each stage as it begins.
    """

    def __init__(
        self,
        rows: RowSource,
        kind: str,
        panels: Panels,
        cells: Cells,
        of_sample: dict[str, int],
        settings: Settings,
        *,
        threads: int,
        report: Progress,
    ) -> None:
        self._rows, self._kind, self._panels, self._cells = rows, kind, panels, cells
        self._settings, self._threads, self._report, self._of_sample = settings, threads, report, of_sample
        self._ticket = models.lottery(cells.names, settings.rng)
        self._n_folds = models.number_of_folds(of_sample)
        self._fold = models.folds(self._ticket, cells.sample, of_sample, self._n_folds)
        self._questions: dict[str, models.Question] = {}
        self._usable = usable_columns(panels.index) if settings.portable else None
        self._like: Resemblance | None = None

    def learn(self) -> tuple[Knowledge, Scored]:
        """Return what the cells teach, and their scores."""
        gate = self._gate()
        is_macrophage = self._compartments(gate).label == MACROPHAGE
        max_rank = self._max_rank(is_macrophage)
        everyone, macrophages = self._bins(is_macrophage, max_rank)
        scored = self._programs(gate, everyone, macrophages, max_rank)
        brain, reason = self._is_brain(scored, gate, is_macrophage)
        of_microglia = None
        if brain and is_macrophage.mean() >= _ONLY_MACROPHAGES:
            of_microglia = models.mostly_microglia(gate, is_macrophage)
        if self._settings.learn:
            if brain:
                reference = None if of_microglia is None else gate
                self._learn("origin", models.sure_origins(scored.by_all, is_macrophage, reference))
            self._learn("state", models.sure_states(scored.by_macrophages, is_macrophage))
        headed = list(self._questions["state"].heads) if "state" in self._questions else []
        knowledge = Knowledge(
            everyone=everyone,
            macrophages=macrophages,
            brain=brain,
            tissue_reason=reason,
            of_microglia=of_microglia,
            questions=self._questions,
            max_rank=max_rank,
            unseen=models.unseen_states(scored.by_macrophages, is_macrophage, headed),
            of_sample=self._of_sample,
            rng=self._settings.rng,
            n_cells=self._rows.shape[0],
            n_macrophages=int(is_macrophage.sum()),
            resemblance=self._like,
        )
        return knowledge, scored

    def _gate(self) -> NullScores:
        self._report("compartments", self._rows.shape[0])
        run = self._panels.gate_run
        plan, _ = self._panels.everything.only(run.only or ())
        return score_rows(
            self._rows, plan, METHOD, null=self._panels.reference, threads=self._threads, tick=self._report.tick
        )

    def _compartments(self, gate: NullScores) -> models.Call:
        rule = gate_call(gate, self._panels, self._cells)
        learned = None
        if self._settings.learn and self._cells.given is None:
            self._report("learning macrophages")
            learned = models.learn_macrophages(
                self._rows, self._kind, gate, rule, self._fold, self._ticket, self._n_folds, self._usable
            )
        if learned or self._settings.portable:
            self._like = self._resemblance(rule.label == MACROPHAGE)
        if not learned:
            return rule
        amount = self._ask(learned).column(MACROPHAGE)
        call = models.rescued(learned, amount, rule, self._panels.ids("compartment"))
        if self._like is not None:
            call = models.only_rescued(call, rule, self._alike(self._like, call.label != rule.label))
        if not models.are_exceptions(call, rule):
            return rule
        self._questions["compartment"] = learned
        return call

    def _alike(self, like: Resemblance, among: Array) -> Array:
        """Say which of some cells are like the macrophages that the panels find."""
        likener = Likener(like, self._panels.reference)
        return self._of_all_cells(lambda block, here: likener.judge(block, among[here], strange=among[here]) > 0)

    def _max_rank(self, is_macrophage: Array) -> int:
        """Return how many ranks count in the null of the programs.

        As many as the median macrophage has detected genes, so that genes of a single count, which half of a
        program may be, are not beyond the last rank; no fewer than in the scores. Where every gene is detected
        the number says nothing, and it stays at that.
        """
        n_detected = self._of_all_cells(lambda block, _: block.totals(block.values > 0))
        among = is_macrophage if is_macrophage.sum() >= _ENOUGH_MACROPHAGES else slice(None)
        median = int(np.median(n_detected[among]))
        return max(METHOD.max_rank, median) if median <= _MOST_DETECTED else METHOD.max_rank

    def _bins(self, is_macrophage: Array, max_rank: int) -> tuple[NullBins, NullBins]:
        self._report("expression bins", self._rows.shape[0])
        rows, threads = self._rows, self._threads
        methods = [ranking(max_rank)]
        everyone = null_bins(depths_by_method(rows, methods, threads=threads, tick=self._report.tick)[0])
        if not _ENOUGH_MACROPHAGES <= is_macrophage.sum() < is_macrophage.size:
            return everyone, everyone
        # In a tissue every macrophage stands above all cells in whatever macrophages express.
        return everyone, null_bins(depths_by_method(rows, methods, threads=threads, among=is_macrophage)[0])

    def _programs(self, gate: NullScores, everyone: NullBins, macrophages: NullBins, max_rank: int) -> Scored:
        self._report("programs", self._rows.shape[0])
        runs = self._panels.program_runs(everyone, macrophages, max_rank)
        plan = self._panels.everything
        return as_scored(gate, score_runs(self._rows, plan, runs, threads=self._threads, tick=self._report.tick))

    def _is_brain(self, scored: Scored, gate: NullScores, is_macrophage: Array) -> tuple[bool, str]:
        if self._settings.tissue != "auto":
            return self._settings.tissue == "brain", "as given"
        compartment = gate_call(gate, self._panels, self._cells).label
        compartment = np.where(is_macrophage, MACROPHAGE, compartment)
        return models.looks_like_brain(compartment, scored.by_all, is_macrophage)

    def _learn(self, axis: str, sure: models.Sure | None) -> None:
        if sure is None:
            return
        self._report(f"learning {axis}")
        question = models.learn(
            self._rows,
            self._kind,
            sure,
            self._fold,
            self._ticket,
            n_folds=self._n_folds,
            rule=models.RULES[axis],
            target_accuracy=models.stricter(self._settings.target_accuracy, self._share_there(axis)),
            seed=self._settings.rng,
            among=self._usable,
        )
        if question:
            self._questions[axis] = question

    def _share_there(self, axis: str) -> float:
        """Return the share of the genes of what has a head on an axis that the data have."""
        return float(np.mean([self._panels.coverage[i] for i in models.HEADED[axis]]))

    def _resemblance(self, is_macrophage: Array) -> Resemblance | None:
        """Return what the macrophages look like that the panels find, in the ranks of the gate as its reference is."""
        n = int(is_macrophage.sum())
        if n < _ENOUGH_MACROPHAGES:
            return None
        self._report("what macrophages look like")
        reference, others = self._panels.reference_depth, is_macrophage.size - n
        rows, threads = self._rows, self._threads
        mine = depths_by_method(rows, [METHOD], threads=threads, among=is_macrophage)[0]
        rivals = [reference]
        if others >= _ENOUGH_MACROPHAGES:
            rivals.append((depths_by_method(rows, [METHOD], threads=threads)[0] - mine) / others)
        known = reference > 0
        genes = distinctive_genes(mine / n, rivals, known if self._usable is None else known & self._usable)
        cells, seed = np.flatnonzero(is_macrophage), self._settings.rng
        return learn_resemblance(self._rows, self._kind, genes, cells, self._ticket, self._panels.reference, seed)

    def _ask(self, question: models.Question) -> models.Amounts:
        asker = models.Asker(question, self._rows.shape[1])

        def ask(block: RowBlock, here: slice) -> Array:
            return asker.ask(expressed(block, self._kind), block.indices, block.indptr, self._fold[here]).amount

        return models.Amounts(tuple(question.heads), self._of_all_cells(ask))

    def _of_all_cells(self, of: Callable[[RowBlock, slice], Array]) -> Array:
        """Return what is said of the cells of each block, told which they are, as one array."""
        rows = self._rows

        def work(start: int, stop: int) -> Array:
            return of(rows.block(start, stop), slice(start, stop))

        return np.concatenate([*in_order(work, rows.shape[0], threads=self._threads, step=rows.step)])
