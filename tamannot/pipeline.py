"""Gate, origin, state, ferroptosis: the whole line on rows of a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot._progress import Report, silent
from tamannot.errors import SignatureFormatError
from tamannot.genes import GeneIndex
from tamannot.kernels._rows import RowSource
from tamannot.scorers import (
    NullBins,
    NullScores,
    Plan,
    UCell,
    gene_depths,
    make_plan,
    null_bins,
    reference_bins,
    score_rows,
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

    @property
    def ferroptosis_programs(self) -> list[str]:
        """Ids of the ferroptosis programs, without the summaries."""
        return [s.id for s in self.plan.outputs if s.axis == "ferroptosis" and s.id not in SUMMARIES]


@dataclass(frozen=True)
class _Scored:
    """The two tables of scores: the compartments' null is the shipped reference, the programs' the cells."""

    gate: NullScores
    programs: NullScores
    bins: NullBins


def annotate_rows(
    rows: RowSource,
    index: GeneIndex,
    library: SignatureSet,
    *,
    species: Literal["human", "mouse"] = "human",
    tissue: Tissue = "auto",
    given: Sequence[str] | None = None,
    mapping: Mapping[str, str] | None = None,
    threads: int = 1,
    report: Report = silent,
) -> Annotation:
    """Annotate every row of a matrix by the fixed rule.

    Parameters
    ----------
    rows
        Cells by genes, non-negative.
    index
        Which column is which gene.
    library
        Signatures of all axes of the tables, with the modules of composites.
    species
        Which reference cells the compartments' null comes from.
    tissue
        ``"brain"``, ``"other"``, or ``"auto"`` to look at the cells.
    given, mapping
        The user's own cell type of every cell, and what each means; they replace the gate.
    threads
        Changes no result.
    report
        Told the name of each stage as it begins.
    """
    method, n_vars = UCell(), rows.shape[1]
    tables = SignatureSet(s for axis in TABLE_AXES for s in library.select(axis=axis).values())
    public = make_plan(tables, index.locate, n_vars)
    scored = _score(rows, index, library, tables, method, species, threads, report)
    report("calling")
    ids = list(tables.select(axis="compartment"))
    n_present = [public.n_present(public.ids.index(i)) for i in ids]
    compartment = (
        models.call_compartment(scored.gate, ids, n_present)
        if given is None
        else models.given_compartment(given, ids, mapping)
    )
    is_macrophage = compartment.label == MACROPHAGE
    brain, reason = _is_brain(tissue, compartment.label, scored.programs, is_macrophage)
    mixed = models.mixed_lineage(scored.gate, ids, is_macrophage)
    overlays = list(tables.select(axis="overlay"))
    scores, too_large = _public(scored, public, method)
    return Annotation(
        plan=public,
        scores=scores,
        compartment=compartment,
        origin=models.call_origin(scored.programs, is_macrophage, brain=brain),
        state=models.call_state(scored.programs, is_macrophage, mixed),
        mixed_lineage=mixed,
        dual_m1_m2=models.dual_program(scored.programs),
        programs=models.programs(scored.programs, [*models.STATES, *overlays]),
        tissue="brain" if brain else "other",
        tissue_reason=reason,
        bins=scored.bins,
        too_large=too_large,
    )


def _score(
    rows: RowSource,
    index: GeneIndex,
    library: SignatureSet,
    tables: SignatureSet,
    method: UCell,
    species: Literal["human", "mouse"],
    threads: int,
    report: Report,
) -> _Scored:
    compartments = tables.select(axis="compartment")
    others = SignatureSet(s for s in tables.values() if s.axis != "compartment")
    programs = others | library.select(axis="module") | models.rule_signatures(library)
    n_vars = rows.shape[1]
    report("expression bins")
    bins = null_bins(gene_depths(rows, method, threads=threads))
    report("compartments")
    reference = reference_bins(index.find, n_vars, species=species)
    gate = score_rows(rows, make_plan(compartments, index.locate, n_vars), method, null=reference, threads=threads)
    report("programs")
    return _Scored(
        gate, score_rows(rows, make_plan(programs, index.locate, n_vars), method, null=bins, threads=threads), bins
    )


def _is_brain(tissue: Tissue, compartment: Array, scores: NullScores, is_macrophage: Array) -> tuple[bool, str]:
    if tissue != "auto":
        return tissue == "brain", "as given"
    return models.looks_like_brain(compartment, scores, is_macrophage)


def _public(scored: _Scored, plan: Plan, method: UCell) -> tuple[NullScores, tuple[str, ...]]:
    """Return the scores of the tables, from whichever run has them, and the ids that cannot be scored."""
    source = [scored.gate if s.axis == "compartment" else scored.programs for s in plan.outputs]

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
