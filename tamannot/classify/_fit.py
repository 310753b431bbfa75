"""From cells to a cohort: tissue, origins, activities of programs, and a classifier of states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tamannot._progress import Progress
from tamannot._settings import AnnotateSettings, in_order
from tamannot.classify._activity import fit_activities, reference_activities, whole_z
from tamannot.classify._call import FEW_GENES, Cells
from tamannot.classify._cohort import Cohort, doublet_thresholds, familiar_features, fit_novelty
from tamannot.classify._gate import MACROPHAGE, rival_probability
from tamannot.classify._origin import find_middle, looks_like_brain, nearest_origin, origin_z
from tamannot.classify._panels import Panels, Scored, joined
from tamannot.classify._predict import compartments_of, expression_of
from tamannot.classify._reference import BASELINES, HIGHEST, SPREADS
from tamannot.classify._state import (
    EXPERIMENTAL,
    STATES,
    StateClassifier,
    choose_training,
    lifts_of,
    train,
    usual_lifts,
)
from tamannot.scoring._features import block_hash, gene_keys, random_order, take_rows, variable_genes
from tamannot.scoring._rows import CsrRows, RowBlock, RowSource

Array = NDArray[Any]

_N_GENES = 2000
_EXPERIMENTAL = tuple(STATES.index(s) for s in EXPERIMENTAL)


def fit(
    rows: RowSource,
    kind: str,
    panels: Panels,
    cells: Cells,
    settings: AnnotateSettings,
    *,
    threads: int,
    report: Progress,
) -> tuple[Cohort, Scored]:
    """Fit a cohort to cells; return it with their scores.

    Parameters
    ----------
    rows, kind
        Cells by genes, non-negative; ``counts``, ``linear`` or ``log``.
    panels
        The signatures, matched to the columns.
    cells
        Given cell types, if there are any.
    settings
        How to annotate.
    threads
        Changes no result.
    report
        Called with the name of each stage when it begins.
    """
    report("scores", rows.shape[0])
    scored, compartment, hashes, rival, lead = _looked_at(
        rows, kind, panels, cells, threads, report, with_lead=settings.portable
    )
    scores = scored.by_macrophages
    is_macrophage = compartment == MACROPHAGE
    brain, reason = settings.tissue == "brain", "as given"
    if settings.tissue == "auto":
        brain, reason = looks_like_brain(compartment, scores, is_macrophage)
    found = np.flatnonzero(is_macrophage)
    order = random_order(hashes[found], settings.rng)
    weight = _weights(order)
    z, halves, scale = origin_z(scores)[found], scored.halves[found], scored.scale[found]
    middle = find_middle(z, weight) if brain else 0.0
    nearest = nearest_origin(z, middle) if brain else np.ones(found.size, np.int64)
    report("states", found.size)
    activities = [
        fit_activities(
            halves[nearest == o],
            scale[nearest == o],
            weight[nearest == o],
            panels.state_genes,
            BASELINES[o],
            HIGHEST[o],
            _EXPERIMENTAL,
        )
        if (nearest == o).any()
        else reference_activities(panels.state_genes, BASELINES[o], SPREADS[o])
        for o in (0, 1)
    ]
    probability, lift = lifts_of(activities, halves, scale, nearest)
    usual = usual_lifts(probability, lift, weight)
    states = StateClassifier(activities, usual, np.zeros(len(STATES), bool))
    cohort = Cohort(
        brain=brain,
        tissue_reason=reason,
        middle=middle,
        states=states,
        doublet={} if cells.given is not None else doublet_thresholds(rival[found], cells.take(found.tolist()).sample),
        n_cells=rows.shape[0],
        n_macrophages=found.size,
    )
    if settings.portable:
        features = familiar_features(whole_z(halves), z, lead[found])
        active = np.where(probability > 0.5, lift, -np.inf)
        state = np.where(np.isfinite(active).any(axis=1), active.argmax(axis=1) + 1, 0)
        cohort = replace(cohort, novelty=fit_novelty(features, 2 * state + nearest))
    known = np.array([panels.coverage[s] >= FEW_GENES for s in STATES])
    known[list(_EXPERIMENTAL)] = False
    chosen, state, sure = choose_training(probability, lift, usual, known, order)
    if sure[chosen].any() or settings.portable:
        cohort = _trained(cohort, rows, kind, found, chosen, state, sure, nearest, order)
    return cohort, scored


def _looked_at(
    rows: RowSource, kind: str, panels: Panels, cells: Cells, threads: int, report: Progress, *, with_lead: bool
) -> tuple[Scored, Array, Array, Array, Array]:
    """Return scores, compartments, hashes of what cells hold, rivals' probabilities, and the gate's leads if asked."""
    scorer, keys = panels.scorer(), gene_keys(panels.index.ids)
    _ = panels.gate  # made once, not by each thread

    def work(start: int, stop: int) -> tuple[Scored, Array, Array, Array, Array]:
        block = rows.block(start, stop)
        mine, scored = cells.take(range(start, stop)), scorer.score(block)
        x = expression_of(block, kind, panels.n_vars)
        call = compartments_of(x, scored, panels, mine)
        label = call.label
        lead = panels.gate.lead(x) if with_lead else np.zeros(len(label))
        hashes = np.zeros(len(label), np.uint64)
        is_macrophage = label == MACROPHAGE
        if is_macrophage.any():
            hashes[is_macrophage] = block_hash(block.only(is_macrophage), keys)
        report.tick(stop - start)
        return scored, label, hashes, rival_probability(call), lead

    parts = [*in_order(work, rows.shape[0], threads=threads, step=rows.step)]
    label, hashes, rival, lead = (np.concatenate([p[i] for p in parts]) for i in (1, 2, 3, 4))
    return joined([p[0] for p in parts]), label, hashes, rival, lead


def _weights(order: Array) -> Array:
    """Return the weight of each cell: copies of a cell share one."""
    if not order.size:
        return np.zeros(0)
    _, of, count = np.unique(order, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / count[of])


def _trained(
    cohort: Cohort,
    rows: RowSource,
    kind: str,
    found: Array,
    chosen: Array,
    state: Array,
    sure: Array,
    nearest: Array,
    order: Array,
) -> Cohort:
    """Return the cohort with a classifier of states."""
    cells = np.sort(found[chosen])  # `found` and `chosen` rise
    x = expression_of(_block(take_rows(rows, cells)), kind, rows.shape[1])
    genes = variable_genes(x, _N_GENES)
    by_content = np.argsort(order[chosen])  # sums are the same whatever the order of the cells
    narrow, chosen = sp.csr_array(x[:, genes])[by_content], chosen[by_content]
    states = train(narrow, state[chosen], sure[chosen], nearest[chosen], cohort.states, genes)
    return replace(cohort, states=states)


def _block(x: sp.csr_array) -> RowBlock:
    return CsrRows(x).block(0, x.shape[0])
