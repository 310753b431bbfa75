"""From the scores of a block of cells, and what was learned, to their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot.kernels._linear import to_log
from tamannot.kernels._rows import RowBlock
from tamannot.pipeline._inputs import MACROPHAGE, Cells
from tamannot.pipeline._knowledge import Knowledge
from tamannot.pipeline._panels import Panels, Scored
from tamannot.pipeline._resemblance import Likener
from tamannot.scorers import NullScores

Array = NDArray[Any]

# What the panels may take a macrophage for.
_NEXT_OF_KIN = ("monocyte", "dendritic")


@dataclass(frozen=True, eq=False)
class Calls:
    """Everything that is said of some cells."""

    scores: NullScores
    """Of the signatures of the tables."""
    compartment: models.Call
    origin: models.Call
    state: models.Call
    mixed_lineage: Array
    dual_m1_m2: Array
    programs: Array


def gate_call(gate: NullScores, panels: Panels, cells: Cells) -> models.Call:
    """Return the compartments by the fixed rule, or as given."""
    ids = panels.ids("compartment")
    if cells.given is not None:
        return models.given_compartment(cells.given, ids, cells.mapping)
    present, coverage = [panels.n_present[i] for i in ids], [panels.coverage[i] for i in ids]
    return models.call_compartment(gate, ids, present, coverage)


def expressed(block: RowBlock, kind: str) -> Array:
    """Return the values of a block as the heads want them: ``log1p`` of 10,000 per cell, logarithms as they are."""
    values = block.values.astype(np.float64)
    if kind != "log":
        to_log(values, block.indptr, models.TARGET)
    return values


class Caller:
    """Calls blocks of cells; what depends on the data set alone is made once.

    Parameters
    ----------
    panels
        The signatures, matched to the columns.
    kind
        What the matrix holds.
    knowledge
        What was learned.
    """

    def __init__(self, panels: Panels, kind: str, knowledge: Knowledge) -> None:
        self._panels, self._kind, self._knowledge = panels, kind, knowledge
        self._askers = {axis: models.Asker(q, panels.n_vars) for axis, q in knowledge.questions.items()}
        self._scorer = panels.scorer(knowledge.everyone, knowledge.macrophages, knowledge.max_rank)
        like = knowledge.resemblance
        self._likener = None if like is None else Likener(like, panels.reference)

    def call(self, block: RowBlock, cells: Cells, scored: Scored | None = None) -> Calls:
        """Return the calls of a block.

        Parameters
        ----------
        block, cells
            The rows, and what is known of them.
        scored
            Their scores, if they are known already.
        """
        scored = scored or self._scorer.score(block)
        found = self._found(block, cells)
        k, ids = self._knowledge, self._panels.ids("compartment")
        rule = gate_call(scored.by_reference, self._panels, cells)
        compartment = self._rescued(rule, found, cells)
        is_macrophage = compartment.label == MACROPHAGE
        likeness = self._likeness(block, scored, is_macrophage, is_macrophage & (rule.label != MACROPHAGE))
        if k.lender is not None or self._likener is not None:  # the rescued must be like those that the panels find
            compartment = models.only_rescued(compartment, rule, likeness > 0)
            is_macrophage = compartment.label == MACROPHAGE
        mixed = models.mixed_lineage(scored.by_reference, ids, is_macrophage)
        unlike = is_macrophage & (likeness < 0)
        programs = [*models.STATES, *self._panels.ids("overlay")]
        return Calls(
            scores=self._panels.tables(scored),
            compartment=compartment,
            origin=self._admitted("origin", self._origin(scored, found, is_macrophage), is_macrophage, unlike),
            state=self._admitted("state", self._state(scored, found, is_macrophage, mixed), is_macrophage, unlike),
            mixed_lineage=mixed,
            dual_m1_m2=models.dual_program(scored.by_macrophages),
            programs=models.programs(scored.by_macrophages, programs),
        )

    def _found(self, block: RowBlock, cells: Cells) -> Mapping[str, models.Amounts]:
        if not self._askers:
            return {}
        values, k = expressed(block, self._kind), self._knowledge
        fold = models.folds(models.lottery(cells.names, k.rng), cells.sample, k.of_sample, k.n_folds)
        return {axis: asker.ask(values, block.indices, block.indptr, fold) for axis, asker in self._askers.items()}

    def _likeness(self, block: RowBlock, scored: Scored, is_macrophage: Array, by_head: Array) -> Array:
        """Return what `Likener.judge` says of the macrophages; of the cells at hand, of those that the head finds."""
        if self._likener is None:
            return np.zeros(is_macrophage.size, np.int64)
        if self._knowledge.lender is None:  # the others are those learned from
            return self._likener.judge(block, by_head, strange=by_head)
        strange = by_head | self._is_of_another_lineage(scored.by_reference)
        return self._likener.judge(block, is_macrophage, strange)

    def _is_of_another_lineage(self, gate: NullScores) -> Array:
        """Say of each cell whether the panels find it to be no macrophage and no kin, whatever the user says."""
        found = gate_call(gate, self._panels, Cells(names=[])).label
        return np.asarray(~np.isin(found, [MACROPHAGE, models.UNASSIGNED, *_NEXT_OF_KIN]))

    def _rescued(self, rule: models.Call, found: Mapping[str, models.Amounts], cells: Cells) -> models.Call:
        """Return the compartments with the macrophages that the head finds beside those of the rule."""
        if "compartment" not in found or cells.given is not None:
            return rule
        amount = found["compartment"].column(MACROPHAGE)
        question = self._knowledge.questions["compartment"]
        return models.rescued(question, amount, rule, self._panels.ids("compartment"))

    def _admitted(self, axis: str, call: models.Call, is_macrophage: Array, unlike: Array) -> models.Call:
        """Return the call without labels where knowledge from elsewhere does not reach, and with the reason."""
        call = models.for_want_of_genes(call, [self._panels.coverage[i] for i in call.classes])
        if unlike.any():
            call = models.set_aside(call, unlike, models.UNFAMILIAR)
        lender = self._knowledge.lender
        if lender is not None and axis in lender.low_coverage:
            call = models.set_aside(call, is_macrophage, models.LOW_COVERAGE)
        return call

    def _origin(self, scored: Scored, found: Mapping[str, models.Amounts], is_macrophage: Array) -> models.Call:
        k = self._knowledge
        call = models.call_origin(scored.by_all, is_macrophage, brain=k.brain)
        if k.of_microglia is not None:
            present = [self._panels.n_present[i] for i in models.ORIGINS]
            call = models.origin_among_macrophages(
                scored.by_reference, present, call, is_macrophage, of_microglia=k.of_microglia
            )
        if "origin" not in found:
            return call
        return models.call_origins(k.questions["origin"], found["origin"], call, is_macrophage)

    def _state(
        self, scored: Scored, found: Mapping[str, models.Amounts], is_macrophage: Array, mixed: Array
    ) -> models.Call:
        call = models.call_state(scored.by_macrophages, is_macrophage, mixed)
        if "state" in found:
            call = models.call_states(self._knowledge.questions["state"], found["state"], call, is_macrophage)
        return models.without_unseen_rivals(call, scored.by_macrophages, self._knowledge.unseen)
