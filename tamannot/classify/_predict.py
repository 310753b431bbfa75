"""From a block of cells and a fitted cohort to labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from tamannot.classify._activity import whole_z
from tamannot.classify._call import (
    FEW_GENES,
    LOW_COVERAGE,
    MACROPHAGE,
    UNFAMILIAR,
    Call,
    Cells,
    Scored,
    only_macrophages,
    set_aside,
)
from tamannot.classify._cohort import Cohort
from tamannot.classify._gate import call_compartment, given_compartment, mixed_lineage, rival_probability, rival_z
from tamannot.classify._origin import call_origin, nearest_origin, origin_z
from tamannot.classify._panels import Panels
from tamannot.classify._state import MIXED_LINEAGE, STATES, call_state, dual_program, programs
from tamannot.scoring import NullScores
from tamannot.scoring._expression import TARGET, on_scale
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import RowBlock


@dataclass(frozen=True, eq=False)
class Calls:
    """All calls of some cells."""

    scores: NullScores
    """Of the signatures of the tables."""
    compartment: Call
    origin: Call
    state: Call
    mixed_lineage: Array
    dual_m1_m2: Array
    programs: Array


def expressed(block: RowBlock, kind: str) -> Array:
    """Return the values of a block for classifiers: ``log1p`` of 10,000 per cell; log values are unchanged."""
    return on_scale(block, 0.0 if kind == "log" else TARGET)


def expression_of(block: RowBlock, kind: str, n_vars: int) -> sp.csr_array:
    """Return the same as a matrix, cells × genes."""
    return sp.csr_array((expressed(block, kind), block.indices, block.indptr), shape=(block.indptr.size - 1, n_vars))


def compartments_of(x: sp.csr_array, scored: Scored, panels: Panels, cells: Cells) -> Call:
    """Call the compartments of some cells, or take the user's own."""
    if cells.given is not None:
        return given_compartment(cells.given, panels.compartments, cells.mapping)
    margin, detected = panels.gate.log_odds(x)
    return call_compartment(margin, detected, scored.by_cells, panels.compartments, enough=panels.gate.enough)


def call_block(
    panels: Panels, kind: str, cohort: Cohort, block: RowBlock, cells: Cells, scored: Scored | None = None
) -> Calls:
    """Return the calls of a block of a matrix of some kind; ``scored`` are its scores, if already computed."""
    scored = scored or panels.score(block)
    scores = scored.by_macrophages
    x = expression_of(block, kind, panels.n_vars)
    compartment = compartments_of(x, scored, panels, cells)
    is_macrophage = compartment.label == MACROPHAGE
    other = rival_z(scored.by_cells, panels.compartments)
    mixed = mixed_lineage(other, is_macrophage)
    z = origin_z(scores)
    origin = call_origin(scores, is_macrophage, panels.origin_genes, brain=cohort.brain, middle=cohort.middle)
    nearest = nearest_origin(z, cohort.middle, brain=cohort.brain)
    fit = cohort.states.regression
    products = None if fit is None else x[:, fit.columns] @ fit.coef.T
    coverage = [panels.coverage[s] for s in STATES]
    state = only_macrophages(call_state(cohort.states, scored, products, nearest, coverage, mixed), is_macrophage)
    if cells.given is None:
        doublet = is_macrophage & cohort.is_doublet(rival_probability(compartment), other, cells.sample)
        state = set_aside(state, doublet, MIXED_LINEAGE)
    if (novelty := cohort.novelty) is not None and cohort.lender is not None:
        lead = panels.gate.lead(x)
        away = novelty.distance(np.column_stack([whole_z(scored.halves), z, lead]))
        strange = is_macrophage & ((away > novelty.limit) | (lead < novelty.least_lead))
        origin, state = (set_aside(call, strange, UNFAMILIAR) for call in (origin, state))
    if cohort.lender is not None and cohort.lender.coverage < FEW_GENES:
        state = set_aside(state, is_macrophage, LOW_COVERAGE)
    return Calls(
        scores=panels.tables(scored),
        compartment=compartment,
        origin=origin,
        state=state,
        mixed_lineage=mixed,
        dual_m1_m2=dual_program(scores),
        programs=programs(scores, [*STATES, *panels.ids("overlay")]),
    )
