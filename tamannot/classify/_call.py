"""A label for every cell, with its probability and status."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

UNASSIGNED = "unassigned"
NOT_MACROPHAGE = "not_macrophage"

ASSIGNED = "assigned"
LOW_SIGNAL = "low_signal"
AMBIGUOUS = "ambiguous"
LOW_COVERAGE = "low_coverage"
UNFAMILIAR = "unfamiliar"
NOT_APPLICABLE = "not_applicable"

# Where a program counts as present in a cell.
PRESENT_P = 0.01
# Share of a signature's genes in the data below which it says less than it should.
FEW_GENES = 0.5


@dataclass(frozen=True)
class Call:
    """Labels of one axis, one per cell."""

    label: Array
    """Ids, ``unassigned`` or ``not_macrophage``; object array of str."""
    status: Array
    """Why: ``assigned``, ``low_signal``, ``ambiguous``, …; object array of str."""
    proba: Array
    """Cells × classes, in [0, 1], finite for every cell."""
    classes: tuple[str, ...]
    prob: Array
    """Row maximum of ``proba``; NaN if the axis does not apply."""


def blank(n_cells: int, value: str) -> Array:
    """Return an array of one text for every cell."""
    return np.full(n_cells, value, dtype=object)


def below(p: Array, level: float) -> Array:
    """Return where p is known and below a level."""
    return np.asarray(np.nan_to_num(p, nan=1.0) < level)


def set_aside(call: Call, cells: Array, status: str) -> Call:
    """Return the call with no label for some cells, and the reason; probabilities are kept."""
    label, reason = call.label.copy(), call.status.copy()
    label[cells], reason[cells] = UNASSIGNED, status
    return replace(call, label=label, status=reason)


def only_macrophages(call: Call, is_macrophage: Array) -> Call:
    """Return the call with ``not_macrophage`` for all other cells; probabilities of classes are kept."""
    label, status, prob = call.label.copy(), call.status.copy(), call.prob.copy()
    label[~is_macrophage] = NOT_MACROPHAGE
    status[~is_macrophage] = NOT_MACROPHAGE
    prob[~is_macrophage] = np.nan
    return Call(label, status, call.proba, call.classes, prob)
