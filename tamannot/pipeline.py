"""Gate, origin, state, ferroptosis: the whole line on rows of a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot._progress import Progress, silent
from tamannot.errors import SignatureFormatError
from tamannot.genes import GeneIndex
from tamannot.kernels._rows import RowSource
from tamannot.scorers import (
    NullBins,
    NullScores,
    Plan,
    Run,
    UCell,
    gene_depths,
    make_plan,
    null_bins,
    reference_bins,
    score_rows,
    score_runs,
)
from tamannot.signature import SignatureSet

Array = NDArray[Any]
Tissue = Literal["auto", "brain", "other"]

# The axes of the tables, in their order, the user's own sets last; modules are computed beside them for the rules.
TABLE_AXES = ("compartment", "origin", "state", "overlay", "polarization", "ferroptosis", "custom")
# What of the library an annotation takes; the rest is for `tl.score`.
PROGRAM_AXES = (*TABLE_AXES[:-1], "module")
SUMMARIES = ("ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance")
MACROPHAGE = "macrophage"


@dataclass(frozen=True)
class Cells:
    """What is known of the cells beside their genes."""

    names: Sequence[str]
    """Unique or not; anchors and folds are drawn by them, so that every path draws the same."""
    sample: Sequence[str] | None = None
    """Sample of each cell: folds then keep samples together."""
    given: Sequence[str] | None = None
    """The user's own cell type of every cell; it replaces the gate."""
    mapping: Mapping[str, str] | None = None
    """What each of them means."""


@dataclass(frozen=True)
class Settings:
    """How to annotate."""

    species: Literal["human", "mouse"] = "human"
    tissue: Tissue = "auto"
    target_accuracy: float = 0.95
    rng: int = 0
    learn: bool = True
    """False: the fixed rule alone."""


@dataclass(frozen=True)
class Annotation:
    """Everything that is said of the cells."""

    plan: Plan
    """The signatures of the tables, matched to the data."""
    scores: NullScores
    compartment: models.Call
    origin: models.Call
    state: models.Call
    mixed_lineage: Array
    dual_m1_m2: Array
    programs: Array
    tissue: Literal["brain", "other"]
    tissue_reason: str
    bins: NullBins
    """Expression bins of the cells at hand."""
    too_large: tuple[str, ...]
    """Signatures with more genes than ranks that count: they have a z, but no score."""
    learned: Mapping[str, models.Question]
    """What was learned from these cells, by axis; an axis that is not there was called by the fixed rule."""

    @property
    def ferroptosis_programs(self) -> list[str]:
        """Ids of the ferroptosis programs, without the summaries."""
        return [s.id for s in self.plan.outputs if s.axis == "ferroptosis" and s.id not in SUMMARIES]


@dataclass(frozen=True)
class _Programs:
    """Scores of all programs by two nulls: origins stand out among all cells, states among macrophages."""

    by_all: NullScores
    by_macrophages: NullScores
    bins: NullBins
    """Of the macrophages; of all cells if there are too few."""


_DEFAULTS = Settings()
# From this share on the cells at hand are no reference for what sets macrophages apart.
_ONLY_MACROPHAGES = 0.9
# From so many on macrophages are the reference of their own programs.
_ENOUGH_MACROPHAGES = 20


def annotate_rows(
    rows: RowSource,
    kind: str,
    index: GeneIndex,
    library: SignatureSet,
    cells: Cells,
    settings: Settings = _DEFAULTS,
    *,
    threads: int = 1,
    report: Progress | None = None,
) -> Annotation:
    """Annotate every row of a matrix.

    Parameters
    ----------
    rows, kind
        Cells by genes, non-negative; ``counts``, ``linear`` or ``log``.
    index
        Which column is which gene.
    library
        Signatures of all axes of the tables, with the modules of composites.
    cells
        Names, samples, given cell types.
    settings
        How to annotate.
    threads
        Changes no result.
    report
        Told the name of each stage as it begins.
    """
    method, n_vars = UCell(), rows.shape[1]
    tables = SignatureSet(s for axis in TABLE_AXES for s in library.select(axis=axis).values())
    public = make_plan(tables, index.locate, n_vars)
    report = report or silent()
    gate = _gate(rows, index, tables.select(axis="compartment"), method, settings.species, threads, report)
    ids = list(tables.select(axis="compartment"))
    compartment = _compartments(gate, public, ids, cells)
    teacher = _Teacher(rows, kind, cells, settings, threads, report) if settings.learn else None
    if teacher and cells.given is None:
        compartment = teacher.rescued(gate, compartment, ids)
    is_macrophage = compartment.label == MACROPHAGE
    programs = _programs(rows, index, library, tables, method, is_macrophage, threads, report)
    report("calling")
    brain, reason = _is_brain(settings.tissue, compartment.label, programs.by_all, is_macrophage)
    mixed = models.mixed_lineage(gate, ids, is_macrophage)
    origin = models.call_origin(programs.by_all, is_macrophage, brain=brain)
    state = models.call_state(programs.by_macrophages, is_macrophage, mixed)
    reference = None
    if brain and is_macrophage.mean() >= _ONLY_MACROPHAGES:
        reference = _origins_by_reference(rows, index, library, method, settings.species, threads)
        n_present = [public.coverage[public.ids.index(i)].n_present for i in models.ORIGINS]
        origin = models.origin_among_macrophages(reference, n_present, origin, is_macrophage)
    if teacher:
        origin = teacher.origins(programs.by_all, origin, is_macrophage, reference, brain=brain)
        state = teacher.states(programs.by_macrophages, state, is_macrophage)
    overlays = list(tables.select(axis="overlay"))
    scores, too_large = _public(gate, programs, public, method)
    return Annotation(
        plan=public,
        scores=scores,
        compartment=compartment,
        origin=origin,
        state=state,
        mixed_lineage=mixed,
        dual_m1_m2=models.dual_program(programs.by_macrophages),
        programs=models.programs(programs.by_macrophages, [*models.STATES, *overlays]),
        tissue="brain" if brain else "other",
        tissue_reason=reason,
        bins=programs.bins,
        too_large=too_large,
        learned=teacher.learned if teacher else {},
    )


class _Teacher:
    """Learns from the cells at hand, and calls by what it learned; where there is too little, the rule's call stays."""

    def __init__(
        self, rows: RowSource, kind: str, cells: Cells, settings: Settings, threads: int, report: Progress
    ) -> None:
        self._rows, self._kind, self._settings, self._threads, self._report = rows, kind, settings, threads, report
        self._ticket = models.lottery(cells.names, settings.rng)
        self._fold = models.folds(self._ticket, cells.sample)
        self.learned: dict[str, models.Question] = {}

    def rescued(self, scores: NullScores, rule: models.Call, ids: list[str]) -> models.Call:
        """Return the compartments with the macrophages whose panel dropped out."""
        self._report("learning macrophages")
        learned = models.learn_macrophages(self._rows, self._kind, scores, rule, self._fold, self._ticket)
        if not learned:
            return rule
        self.learned["compartment"] = learned
        return models.rescued(learned, self._ask("compartment").column(MACROPHAGE), rule, ids)

    def origins(
        self,
        scores: NullScores,
        rule: models.Call,
        is_macrophage: Array,
        reference: NullScores | None,
        *,
        brain: bool,
    ) -> models.Call:
        """Return the origins."""
        if not brain or not self._learn("origin", models.sure_origins(scores, is_macrophage, reference)):
            return rule
        return models.call_origins(self.learned["origin"], self._ask("origin"), rule, is_macrophage)

    def states(self, scores: NullScores, rule: models.Call, is_macrophage: Array) -> models.Call:
        """Return the states."""
        if not self._learn("state", models.sure_states(scores, is_macrophage)):
            return rule
        return models.call_states(self.learned["state"], self._ask("state"), rule, is_macrophage)

    def _learn(self, axis: str, sure: models.Sure | None) -> bool:
        if sure is None:
            return False
        self._report(f"learning {axis}")
        question = models.learn(
            self._rows,
            self._kind,
            sure,
            self._fold,
            self._ticket,
            rule=models.RULES[axis],
            target_accuracy=self._settings.target_accuracy,
            seed=self._settings.rng,
        )
        if question:
            self.learned[axis] = question
        return bool(question)

    def _ask(self, axis: str) -> models.Amounts:
        self._report(f"calling {axis}", self._rows.shape[0])
        learned = self.learned[axis]
        return models.ask(learned, self._rows, self._kind, self._fold, threads=self._threads, tick=self._report.tick)


def _compartments(gate: NullScores, plan: Plan, ids: list[str], cells: Cells) -> models.Call:
    if cells.given is not None:
        return models.given_compartment(cells.given, ids, cells.mapping)
    coverage = [plan.coverage[plan.ids.index(i)] for i in ids]
    return models.call_compartment(gate, ids, [c.n_present for c in coverage], [c.share for c in coverage])


def _gate(
    rows: RowSource,
    index: GeneIndex,
    compartments: SignatureSet,
    method: UCell,
    species: Literal["human", "mouse"],
    threads: int,
    report: Progress,
) -> NullScores:
    report("compartments", rows.shape[0])
    n_vars = rows.shape[1]
    reference = reference_bins(index.find, n_vars, species=species)
    plan = make_plan(compartments, index.locate, n_vars)
    return score_rows(rows, plan, method, null=reference, threads=threads, tick=report.tick)


def _programs(
    rows: RowSource,
    index: GeneIndex,
    library: SignatureSet,
    tables: SignatureSet,
    method: UCell,
    is_macrophage: Array,
    threads: int,
    report: Progress,
) -> _Programs:
    others = SignatureSet(s for s in tables.values() if s.axis != "compartment")
    programs = others | library.select(axis="module") | models.rule_signatures(library)
    report("expression bins", rows.shape[0])
    everyone = null_bins(gene_depths(rows, method, threads=threads, tick=report.tick))
    macrophages = everyone
    if _ENOUGH_MACROPHAGES <= is_macrophage.sum() < is_macrophage.size:
        # In a tissue every macrophage stands above all cells in whatever macrophages express.
        macrophages = null_bins(gene_depths(rows, method, threads=threads, among=is_macrophage))
    report("programs", rows.shape[0])
    plan = make_plan(programs, index.locate, rows.shape[1])
    runs = [Run(method, everyone)] if macrophages is everyone else [Run(method, everyone), Run(method, macrophages)]
    scored = [s for s in score_runs(rows, plan, runs, threads=threads, tick=report.tick) if isinstance(s, NullScores)]
    return _Programs(scored[0], scored[-1], macrophages)


def _origins_by_reference(
    rows: RowSource,
    index: GeneIndex,
    library: SignatureSet,
    method: UCell,
    species: Literal["human", "mouse"],
    threads: int,
) -> NullScores:
    plan = make_plan(library.select(axis="origin"), index.locate, rows.shape[1])
    null = reference_bins(index.find, rows.shape[1], species=species)
    return score_rows(rows, plan, method, null=null, threads=threads)


def _is_brain(tissue: Tissue, compartment: Array, scores: NullScores, is_macrophage: Array) -> tuple[bool, str]:
    if tissue != "auto":
        return tissue == "brain", "as given"
    return models.looks_like_brain(compartment, scores, is_macrophage)


def _public(gate: NullScores, programs: _Programs, plan: Plan, method: UCell) -> tuple[NullScores, tuple[str, ...]]:
    """Return the scores of the tables, from whichever run has them, and the ids that cannot be scored."""
    by_axis = {"compartment": gate, "origin": programs.by_all}
    source = [by_axis.get(s.axis, programs.by_macrophages) for s in plan.outputs]

    def table(name: str) -> Array:
        return np.stack([run.column(name, i) for run, i in zip(source, plan.ids, strict=True)], axis=1)

    too_large = tuple(i for o, i in enumerate(plan.ids) if not _fits(plan, o, method))
    score = table("score")
    score[:, [plan.ids.index(i) for i in too_large]] = np.nan
    p = table("p")
    p[:, [not s.per_cell for s in plan.outputs]] = np.nan  # nothing is said of single cells
    return NullScores(tuple(plan.ids), score, table("detected"), table("z"), p, table("expected")), too_large


def _fits(plan: Plan, output: int, method: UCell) -> bool:
    try:
        for part in plan.parts_of[output]:
            method.check(plan.parts[part], plan.n_vars)
    except SignatureFormatError:
        return False
    return True
