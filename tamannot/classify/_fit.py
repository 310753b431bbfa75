"""From cells to a cohort: tissue, origins, activities of programs, and a classifier of states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from tamannot._progress import Progress
from tamannot._settings import AnnotateSettings, in_order
from tamannot.classify._activity import Activity, fit_activities, reference_activities, whole_z
from tamannot.classify._call import FEW_GENES, MACROPHAGE, Scored, Source
from tamannot.classify._cohort import Cohort, doublet_thresholds, familiar_features, fit_novelty
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


@dataclass(frozen=True)
class _Macrophages(OfCells):
    """The macrophages that the origins and states are fitted to."""

    cells: Array
    """Their rows, ascending."""
    order: Array
    """Random, by their content; copies of a cell share one."""
    weight: Array
    """Of each cell; copies of a cell share one."""
    nearest: Array
    """Number of the nearest origin."""
    halves: Array
    scale: Array


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
    order = random_order(first.hashes[found], settings.rng)
    _, copy_of, n_copies = np.unique(order, return_inverse=True, return_counts=True)
    z, weight = origin_z(first.scored.by_macrophages)[found], 1.0 / n_copies[copy_of]
    middle = find_middle(z, weight) if brain else 0.0
    macrophages = _Macrophages(
        cells=found,
        order=order,
        weight=weight,
        nearest=nearest_origin(z, middle) if brain else np.ones(found.size, np.int64),
        halves=first.scored.halves[found],
        scale=first.scored.scale[found],
    )
    report("states", found.size)
    activities = [_activities_of(macrophages, o, panels.state_genes) for o in (0, 1)]
    probability, lift = lifts_of(activities, macrophages.halves, macrophages.scale, macrophages.nearest)
    usual = usual_lifts(probability, lift, weight)
    states = StateClassifier(activities, usual, np.zeros(len(STATES), bool))
    sample = source.cells.take(found.tolist()).sample
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
        features = familiar_features(whole_z(macrophages.halves), z, first.lead[found])
        active = np.where(probability > 0.5, lift, -np.inf)
        state = np.where(np.isfinite(active).any(axis=1), active.argmax(axis=1) + 1, 0)
        cohort = replace(cohort, novelty=fit_novelty(features, 2 * state + macrophages.nearest))
    known = np.array([panels.coverage[s] >= FEW_GENES for s in STATES])
    known[list(_EXPERIMENTAL)] = False
    chosen, state, sure = choose_training(probability, lift, usual, known, macrophages.order)
    if sure[chosen].any() or settings.portable:
        cohort = replace(cohort, states=_trained(states, source, macrophages, (chosen, state, sure)))
    return cohort, first.scored


def _first_pass(source: Source, panels: Panels, *, threads: int, report: Progress, with_lead: bool) -> _FirstPass:
    rows, keys = source.rows, gene_keys(panels.index.ids)
    _ = panels.gate  # made once, not by each thread

    def work(start: int, stop: int) -> _FirstPass:
        block, cells = rows.block(start, stop), source.cells.take(range(start, stop))
        scored = panels.score(block)
        x = expression_of(block, source.kind, panels.n_vars)
        call = compartments_of(x, scored, panels, cells)
        lead = panels.gate.lead(x) if with_lead else np.zeros(stop - start)
        hashes, is_macrophage = np.zeros(stop - start, np.uint64), call.label == MACROPHAGE
        hashes[is_macrophage] = block_hash(block.only(is_macrophage), keys)
        report.tick(stop - start)
        return _FirstPass(scored, call.label, hashes, rival_probability(call), lead)

    return _FirstPass.joined([*in_order(work, rows.shape[0], threads=threads, step=rows.step)])


def _activities_of(macrophages: _Macrophages, origin: int, n_genes: Array) -> list[Activity]:
    """Return the activities of the states in macrophages of one origin; those of the reference if there are none."""
    here, baselines = np.flatnonzero(macrophages.nearest == origin), BASELINES[origin]
    if not here.size:
        return reference_activities(n_genes, baselines)
    here = np.sort(here[np.argsort(macrophages.order[here], kind="stable")[:_MOST_MACROPHAGES]])
    some = macrophages[here]
    return fit_activities(some.halves, some.scale, some.weight, n_genes, baselines, _EXPERIMENTAL)


def _trained(
    states: StateClassifier, source: Source, macrophages: _Macrophages, training: tuple[Array, Array, Array]
) -> StateClassifier:
    """Return the classifier of states, trained on the cells of `choose_training`."""
    chosen, state, sure = training
    cells = macrophages.cells[chosen]
    block = CsrRows(take_rows(source.rows, cells)).block(0, cells.size)
    x = expression_of(block, source.kind, source.rows.shape[1])
    genes = variable_genes(x, _N_GENES)
    by_content = np.argsort(macrophages.order[chosen])  # sums are the same whatever the order of the cells
    narrow, chosen = sp.csr_array(x[:, genes])[by_content], chosen[by_content]
    return train(narrow, state[chosen], sure[chosen], macrophages.nearest[chosen], states, genes)
