"""Where a macrophage resembles to come from: the fixed rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tamannot.classify._call import (
    AMBIGUOUS,
    ASSIGNED,
    LOW_COVERAGE,
    LOW_SIGNAL,
    NOT_APPLICABLE,
    UNASSIGNED,
    Array,
    Call,
    below,
    best_two,
    blank,
    only_macrophages,
)
from tamannot.models._gate import evidence_p
from tamannot.scorers import NullScores

MICROGLIA, MONOCYTE_DERIVED, BORDER = CLASSES = ("microglia", "monocyte_derived", "border_associated")
_BRAIN_LINEAGES = ("glial_like", "oligodendrocyte", "opc", "neuron", "ependymal")
# Positive evidence for the class itself, and a clear lead over its rivals: a microglia program that is
# low is no evidence of monocyte origin.
_EVIDENCE_P = 0.05
_LEAD = 1.0
# Border-associated macrophages share most genes with the scavenger program, so they need more.
_BORDER_P = 0.001
_REFERENCE_P, REFERENCE_LEAD, POPULATION_LEAD = 0.01, 5.0, 10.0
_MIN_SHARE, _MIN_CELLS = 0.02, 5
_ABSENT = -1e9


def call_origin(scores: NullScores, is_macrophage: Array, *, brain: bool) -> Call:
    """Call the origin of macrophages by positive evidence for each class.

    Microglia or monocyte-derived: p < 0.05 and z at least 1 above the rivals'. Border-associated: p < 0.001,
    ahead of both and of the scavenger program, and not interferon-primed (SIGLEC1 is an interferon gene).
    Outside the brain only monocyte-derived is offered.

    Parameters
    ----------
    scores
        NullScores with a null, of the origins, `immunoregulatory_scavenger` and `interferon_primed`.
    is_macrophage
        Which cells to call.
    brain
        Whether the sample is of the brain.
    """
    z = np.stack([scores.column("z", c) for c in CLASSES], axis=1).astype(float)
    p = np.stack([scores.column("p", c) for c in CLASSES], axis=1)
    border_fits = _border_fits(scores)
    ranked = np.where(np.arange(3) == 2, np.where(border_fits[:, None], z, _ABSENT), z)
    best, first, second = best_two(ranked)
    evident = below(p, _EVIDENCE_P)[np.arange(len(z)), best]
    leads = first - second >= _LEAD
    label, status = blank(len(z), UNASSIGNED), blank(len(z), LOW_SIGNAL)
    status[evident & ~leads] = AMBIGUOUS
    status[~np.isfinite(p).any(axis=1) & (z == 0).all(axis=1)] = LOW_COVERAGE
    called = evident & leads
    label[called], status[called] = np.array(CLASSES, dtype=object)[best[called]], ASSIGNED
    if not brain:
        resident = called & (best != CLASSES.index(MONOCYTE_DERIVED))
        label[resident], status[resident] = UNASSIGNED, NOT_APPLICABLE
    proba = _softmax(np.where(np.arange(3) == 2, z - 2 * _LEAD, z))
    return only_macrophages(Call(label, status, proba, CLASSES, proba.max(axis=1)), is_macrophage)


def mostly_microglia(reference: NullScores, is_macrophage: Array) -> bool:
    """Say whether the macrophages, taken together, are microglia: their median lead against the reference cells."""
    return bool(np.median(reference_lead(reference)[is_macrophage]) >= POPULATION_LEAD)


def origin_among_macrophages(
    reference: NullScores, n_present: Sequence[int], rule: Call, is_macrophage: Array, *, of_microglia: bool
) -> Call:
    """Call origins in a sample of the brain that is macrophages only.

    Among macrophages alone the cells at hand are no reference for what sets macrophages apart: in a sample of
    nothing but microglia their program stands above nothing. The reference cells take their place. They are
    blood cells, above which every tissue macrophage has part of the microglia program, so that the sample as a
    whole decides first: with a median lead of microglia of ten or more it is of microglia, and each cell with p < 0.01
    and a lead of five is called so; else the cells with p < 0.01 are called monocyte-derived.

    Parameters
    ----------
    reference
        Scores of the origins with the null of the reference cells.
    n_present
        Genes of each origin in the data.
    rule
        The call by the cells at hand; its border-associated cells stay.
    is_macrophage
        Which cells to call.
    of_microglia
        What `mostly_microglia` said of the sample.
    """
    z = np.stack([reference.column("z", c) for c in CLASSES], axis=1).astype(float)
    # Genes of macrophages are rare in blood, so that there is often no p: then the number of detected genes says.
    evident = evidence_p(reference, [reference.ids.index(c) for c in CLASSES], np.array(n_present)) < _REFERENCE_P
    ahead = reference_lead(reference)
    border = rule.label == BORDER
    microglia = evident[:, 0] & (ahead >= REFERENCE_LEAD) & ~border & of_microglia
    monocyte = evident[:, 1] & ~border & (not of_microglia)
    label, status = rule.label.copy(), rule.status.copy()
    open_ = ~border
    label[open_], status[open_] = UNASSIGNED, np.where(evident.any(axis=1), AMBIGUOUS, LOW_SIGNAL)[open_]
    label[microglia], label[monocyte] = MICROGLIA, MONOCYTE_DERIVED
    status[microglia | monocyte] = ASSIGNED
    proba = _softmax(z - np.array([REFERENCE_LEAD, 0.0, 2 * _LEAD]))
    return only_macrophages(Call(label, status, proba, CLASSES, proba.max(axis=1)), is_macrophage)


def reference_lead(reference: NullScores) -> Array:
    """Return how far microglia's z stands above the other origins', against the reference cells."""
    z = np.stack([reference.column("z", c) for c in CLASSES], axis=1).astype(float)
    return np.asarray(z[:, 0] - z[:, 1:].max(axis=1))


def looks_like_brain(compartment: Array, scores: NullScores, is_macrophage: Array) -> tuple[bool, str]:
    """Say whether the sample is of the brain, and why: neural or glial cells, or convincing microglia."""
    neural = int(np.isin(compartment, _BRAIN_LINEAGES).sum())
    if neural >= max(_MIN_CELLS, _MIN_SHARE * compartment.size):
        return True, f"{neural:,} neural or glial cells"
    microglia = int((is_macrophage & below(scores.column("p", MICROGLIA), _BORDER_P)).sum())
    if microglia >= max(_MIN_CELLS, _MIN_SHARE * is_macrophage.sum()):
        return True, f"{microglia:,} convincing microglia"
    return False, "no neural or glial cells and no convincing microglia"


def _border_fits(scores: NullScores) -> Array:
    z = scores.column("z", BORDER)
    evident = below(scores.column("p", BORDER), _BORDER_P)
    over_scavenger = z > scores.column("z", "immunoregulatory_scavenger")
    no_interferon = ~below(scores.column("p", "interferon_primed"), 0.01)
    return np.asarray(evident & over_scavenger & no_interferon)


def _softmax(z: Array) -> Array:
    weights = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
