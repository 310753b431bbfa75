"""The origin of macrophages, by the difference between z of microglia and of monocyte-derived macrophages."""

from __future__ import annotations

import numpy as np

from tamannot.classify._call import AMBIGUOUS, ASSIGNED, LOW_COVERAGE, LOW_SIGNAL, NOT_APPLICABLE, UNASSIGNED, Call
from tamannot.scoring import NullScores
from tamannot.scoring._njit import Array

ORIGINS = MICROGLIA, MONOCYTE_DERIVED, BORDER = ("microglia", "monocyte_derived", "border_associated")
SCAVENGER = "immunoregulatory_scavenger"
_BRAIN_LINEAGES = ("glial_like", "oligodendrocyte", "opc", "neuron", "ependymal")
# The threshold between microglia and other macrophages in the reference, and how far the data may move it.
_MIDDLE, _FARTHEST = 1.5, 3.0
_PRIOR_CELLS = 10
_LEAD = 1.0
# z of p = 0.001. Border-associated macrophages share most genes with the scavenger program and need more.
_BORDER_Z = 3.09
_SUPPORT_Z = 1.64
# An origin is called only where so many genes of its own signature are in the data: with none, z is a constant.
_FEWEST_GENES = 3
_MIN_SHARE, _MIN_CELLS = 0.02, 5


def origin_z(scores: NullScores) -> Array:
    """Return z of the origins, cells × 3."""
    return np.stack([scores.column("z", o) for o in ORIGINS], axis=1).astype(float)


def find_middle(z: Array, weight: Array) -> float:
    """Return the threshold between microglia and monocyte-derived of a brain, shrunk towards that of the reference."""
    lead, middle = z[:, 0] - z[:, 1], _MIDDLE
    for _ in range(20):
        high = lead > middle
        n = float(min(weight[high].sum(), weight[~high].sum()))
        if n == 0:
            break
        between = (np.average(lead[high], weights=weight[high]) + np.average(lead[~high], weights=weight[~high])) / 2
        moved = (n * between + _PRIOR_CELLS * _MIDDLE) / (n + _PRIOR_CELLS)
        if abs(moved - middle) < 1e-6:
            break
        middle = float(np.clip(moved, _MIDDLE - _FARTHEST, _MIDDLE + _FARTHEST))
    return middle


def call_origin(scores: NullScores, is_macrophage: Array, n_genes: Array, *, brain: bool, middle: float) -> Call:
    """Call the origin of macrophages.

    Microglia and monocyte-derived are called by the side of the middle on which the difference of their z lies, with a
    lead of one; border-associated by z above 3.09 that exceeds both and the scavenger program. Outside the brain
    only monocyte-derived is called, if its z is above 1.64 and the highest.

    ``scores`` have z against the macrophages of the reference; ``n_genes`` are the genes of each origin's signature in
    the data: an origin with fewer than three is never called. ``middle`` is what `find_middle` returned.
    """
    z = origin_z(scores)
    lead = z[:, 0] - z[:, 1] - middle
    border = (z[:, 2] > _BORDER_Z) & (z[:, 2] > z[:, :2].max(axis=1) + _LEAD)
    border &= z[:, 2] > scores.column("z", SCAVENGER)
    resident = border | (lead >= _LEAD) if brain else border | ((z[:, 0] > _BORDER_Z) & (lead >= _LEAD))
    monocyte = ~border & (lead <= -_LEAD)
    label, status = (np.full(len(z), word, dtype=object) for word in (UNASSIGNED, AMBIGUOUS))
    if brain:
        label[lead >= _LEAD], label[monocyte], label[border] = MICROGLIA, MONOCYTE_DERIVED, BORDER
        status[label != UNASSIGNED] = ASSIGNED
    else:
        monocyte &= z[:, 1] > _SUPPORT_Z
        label[monocyte], status[monocyte] = MONOCYTE_DERIVED, ASSIGNED
        status[~monocyte] = np.where(resident[~monocyte], NOT_APPLICABLE, LOW_SIGNAL)
    for origin, n in zip(ORIGINS, n_genes, strict=True):
        if n < _FEWEST_GENES:
            status[label == origin] = LOW_COVERAGE
            label[label == origin] = UNASSIGNED
    either = 1 / (1 + np.exp(-1.5 * np.clip(lead, -20, 20)))
    of_border = 1 / (1 + np.exp(-1.5 * np.clip(z[:, 2] - np.maximum(z[:, :2].max(axis=1) + _LEAD, _BORDER_Z), -20, 20)))
    of_border = np.where(z[:, 2] > scores.column("z", SCAVENGER), of_border, np.minimum(of_border, 0.25))
    proba = np.stack([(1 - of_border) * either, (1 - of_border) * (1 - either), of_border], axis=1).astype(np.float32)
    return Call(label, status, proba, ORIGINS, proba.max(axis=1)).only_macrophages(is_macrophage)


def looks_like_brain(compartment: Array, scores: NullScores, is_macrophage: Array) -> tuple[bool, str]:
    """Return whether the sample is from the brain, and why: neural or glial cells, or convincing microglia."""
    neural = int(np.isin(compartment, _BRAIN_LINEAGES).sum())
    if neural >= max(_MIN_CELLS, _MIN_SHARE * compartment.size):
        return True, f"{neural:,} neural or glial cells"
    z = origin_z(scores)
    microglia = int((is_macrophage & (z[:, 0] > _BORDER_Z) & (z[:, 0] - z[:, 1] > _MIDDLE + _LEAD)).sum())
    if microglia >= max(_MIN_CELLS, _MIN_SHARE * is_macrophage.sum()):
        return True, f"{microglia:,} convincing microglia"
    return False, "no neural or glial cells and no convincing microglia"
