"""What is known of the cells before calling, and calls: a label for every cell, with its probability and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


# The axes of the tables, in their order, the user's own sets last; modules are computed beside them for the rules.
TABLE_AXES = ("compartment", "origin", "state", "overlay", "polarization", "ferroptosis", "custom")
# What of the library an annotation takes; the rest is for `tl.score`.
PROGRAM_AXES = (*TABLE_AXES[:-1], "module")
SUMMARIES = ("ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance")
MACROPHAGE = "macrophage"


@dataclass(frozen=True)
class Cells:
    """Annotations of the cells."""

    names: Sequence[str]
    """Unique or not; they change no call."""
    sample: Sequence[str] | None = None
    """Sample of each cell: ambient RNA is judged by it."""
    given: Sequence[str] | None = None
    """The user's own cell type of every cell; it replaces the gate."""
    mapping: Mapping[str, str] | None = None
    """What each of them means."""

    def take(self, rows: Sequence[int] | range) -> Cells:
        """Return the annotations of some cells."""
        names, sample, given = (
            None if column is None else [column[i] for i in rows] for column in (self.names, self.sample, self.given)
        )
        return Cells(names or [], sample, given, self.mapping)
