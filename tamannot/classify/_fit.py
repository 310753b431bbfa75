"""From cells to a cohort: tissue, origins, activities of programs, and a classifier of states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from tamannot._progress import Progress
from tamannot._settings import AnnotateSettings, in_order
from tamannot.classify._activity import fit_activities, whole_z
from tamannot.classify._call import FEW_GENES, MACROPHAGE, Scored, Source
from tamannot.classify._cohort import Cohort, doublet_thresholds, fit_novelty
from tamannot.classify._gate import rival_probability
from tamannot.classify._origin import find_middle, looks_like_brain, nearest_origin, origin_z
from tamannot.classify._panels import Panels
from tamannot.classify._predict import compartments_of, expression_of
from tamannot.classify._reference import BASELINES
from tamannot.classify._state import (
    EXPERIMENTAL,
    STATES,
    StateClassifier,
    choose_training,
    lifts_of,
    train,
    usual_lifts,
)
from tamannot.scoring import OfCells
from tamannot.scoring._features import block_hash, gene_keys, random_order, take_rows, variable_genes
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import CsrRows

_N_GENES = 2000
# Of more macrophages of an origin, so many are taken: baselines move by less than 0.2 if all are.
_MOST_MACROPHAGES = 10_000
_EXPERIMENTAL = tuple(STATES.index(s) for s in EXPERIMENTAL)


@dataclass(frozen=True)
class _FirstPass(OfCells):
    """What the first pass finds out about each cell."""

    scored: Scored
    compartment: Array
    hashes: Array
    """Of what macrophages hold; 0 for other cells."""
    rival: Array
    """Probability of the strongest other compartment."""
    lead: Array
    """Of the gate; 0 if it was not asked for."""


def fit(
    source: Source, panels: Panels, settings: AnnotateSettings, *, threads: int, report: Progress
) -> tuple[Cohort, Scored]:
    """Fit a cohort to cells; return it with their scores. The number of threads changes no result."""
    report("scores", source.rows.shape[0])
    first = _first_pass(source, panels, threads=threads, report=report, with_lead=settings.portable)
    is_macrophage = first.compartment == MACROPHAGE
    brain, reason = settings.tissue == "brain", "as given"
    if settings.tissue == "auto":
        brain, reason = looks_like_brain(first.compartment, first.scored.by_macrophages, is_macrophage)
    found = np.flatnonzero(is_macrophage)
    # A random order by content; copies of a cell share a place in it, and the weight of one cell.
    order = random_order(first.hashes[found], settings.rng)
    _, copy_of, n_copies = np.unique(order, return_inverse=True, return_counts=True)
    z, weight = origin_z(first.scored.by_macrophages)[found], 1.0 / n_copies[copy_of]
    middle = find_middle(z, weight) if brain else 0.0
    nearest = nearest_origin(z, middle, brain=brain)
    report("states", found.size)
    halves, scale = first.scored.halves[found], first.scored.scale[found]
    activities = []
    for origin, baselines in enumerate(BASELINES):
        of = np.flatnonzero(nearest == origin)
        of = np.sort(of[np.argsort(order[of], kind="stable")[:_MOST_MACROPHAGES]])
        evidence = halves[of], scale[of], weight[of]
        activities.append(fit_activities(*evidence, panels.state_genes, baselines, _EXPERIMENTAL))
    probability, lift = lifts_of(activities, halves, scale, nearest)
    usual = usual_lifts(probability, lift, weight)
    states = StateClassifier(activities, usual, np.zeros(len(STATES), bool))
    sample = source.cells[found].sample
    cohort = Cohort(
        brain=brain,
        tissue_reason=reason,
        middle=middle,
        states=states,
        doublet={} if source.cells.given is not None else doublet_thresholds(first.rival[found], sample),
        n_cells=source.rows.shape[0],
        n_macrophages=found.size,
    )
    if settings.portable:
        features = np.column_stack([whole_z(halves), z, first.lead[found]])
        active = np.where(probability > 0.5, lift, -np.inf)
        state = np.where(np.isfinite(active).any(axis=1), active.argmax(axis=1) + 1, 0)
        cohort = replace(cohort, novelty=fit_novelty(features, 2 * state + nearest))
    known = np.array([panels.coverage[s] >= FEW_GENES and s not in EXPERIMENTAL for s in STATES])
    chosen, state, sure = choose_training(probability, lift, usual, known, order)
    if sure[chosen].any() or settings.portable:
        x, genes = _expression_to_learn(source, found[chosen])
        by_content = np.argsort(order[chosen])  # sums are the same whatever the order of the cells
        x, chosen = x[by_content], chosen[by_content]
        states = train(x, state[chosen], sure[chosen], nearest[chosen], states, genes)
        cohort = replace(cohort, states=states)
    return cohort, first.scored


def _expression_to_learn(source: Source, cells: Array) -> tuple[sp.csr_array, Array]:
    """Return the expression of cells, in the genes that vary most among them, and the columns of these."""
    block = CsrRows(take_rows(source.rows, cells)).block(0, cells.size)
    x = expression_of(block, source.kind, source.rows.shape[1])
    genes = variable_genes(x, _N_GENES)
    return sp.csr_array(x[:, genes]), genes


def _first_pass(source: Source, panels: Panels, *, threads: int, report: Progress, with_lead: bool) -> _FirstPass:
    rows, keys = source.rows, gene_keys(panels.index.ids)

    def work(start: int, stop: int) -> _FirstPass:
        block, cells = rows.block(start, stop), source.cells[start:stop]
        scored = panels.score(block)
        x = expression_of(block, source.kind, panels.n_vars)
        call = compartments_of(x, scored, panels, cells)
        lead = panels.gate.lead(x) if with_lead else np.zeros(stop - start)
        hashes, is_macrophage = np.zeros(stop - start, np.uint64), call.label == MACROPHAGE
        hashes[is_macrophage] = block_hash(block.only(is_macrophage), keys)
        report.tick(stop - start)
        return _FirstPass(scored, call.label, hashes, rival_probability(call), lead)

    return _FirstPass.joined([*in_order(work, rows.shape[0], threads=threads, step=rows.step)])
