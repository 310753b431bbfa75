"""The cells, their scores, and their calls: a label for every cell, with its probability and status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tamannot.scoring import NullScores, OfCells
from tamannot.scoring._features import Scale, ScaledRows
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import RowSource
from tamannot.signature import GeneIndex

UNASSIGNED = "unassigned"
NOT_MACROPHAGE = "not_macrophage"
MACROPHAGE = "macrophage"

ASSIGNED = "assigned"
LOW_SIGNAL = "low_signal"
AMBIGUOUS = "ambiguous"
LOW_COVERAGE = "low_coverage"
UNFAMILIAR = "unfamiliar"
NOT_APPLICABLE = "not_applicable"

# Share of a signature's genes in the data below which it says less than it should.
FEW_GENES = 0.5


@dataclass(frozen=True)
class Call:
    """Labels of one axis, one per cell."""

    label: Array  # ids, ``unassigned`` or ``not_macrophage``; object array of str
    status: Array  # why: ``assigned``, ``low_signal``, ``ambiguous``, …; object array of str
    proba: Array  # cells × classes, in [0, 1], finite for every cell
    classes: tuple[str, ...]
    prob: Array  # row maximum of ``proba``; NaN if the axis does not apply

    def set_aside(self, cells: Array, status: str) -> Call:
        """Return the call with no label for some cells, and the reason; probabilities are kept."""
        label, reason = self.label.copy(), self.status.copy()
        label[cells], reason[cells] = UNASSIGNED, status
        return replace(self, label=label, status=reason)

    def only_macrophages(self, is_macrophage: Array) -> Call:
        """Return the call with ``not_macrophage`` for all other cells; probabilities of classes are kept."""
        label, status, prob = self.label.copy(), self.status.copy(), self.prob.copy()
        label[~is_macrophage], status[~is_macrophage] = NOT_MACROPHAGE, NOT_MACROPHAGE
        prob[~is_macrophage] = np.nan
        return replace(self, label=label, status=status, prob=prob)


# The axes of the tables, in their order, the user's own sets last; modules are computed beside them for the rules.
TABLE_AXES = ("compartment", "origin", "state", "overlay", "polarization", "ferroptosis", "custom")
# What of the library an annotation takes; the rest is for `tl.score`.
PROGRAM_AXES = (*TABLE_AXES[:-1], "module")
SUMMARIES = ("ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance")


@dataclass(frozen=True)
class Cells(OfCells):
    """Annotations of the cells; object arrays of str."""

    sample: Array | None = None  # sample of each cell: ambient RNA is judged by it
    given: Array | None = None  # the user's own cell type of every cell; it replaces the gate
    mapping: Mapping[str, str] | None = None  # what each of them means


@dataclass(frozen=True, eq=False)
class Source:
    """A data set as read by the pipeline."""

    rows: RowSource  # cells by genes, non-negative
    kind: str  # ``counts``, ``linear`` or ``log``
    index: GeneIndex  # which column is which gene
    cells: Cells  # samples and given cell types
    scale: Scale = "log1p_cp10k"  # of the values that classifiers see
    base: float | None = None  # of the logarithms in the matrix; None for other values, and where it is not recognised

    def on_scale(self, scale: Scale, base: float | None) -> Source:
        """Return the data with their logarithms on the scale of classifiers; other values stay as they are."""
        if self.kind != "log":
            return self
        return replace(self, rows=ScaledRows(self.rows, scale, base), scale=scale, base=base)


@dataclass(frozen=True)
class Scored(OfCells):
    """Scores of some cells against both references."""

    by_cells: NullScores  # compartments, against cells of many kinds
    by_macrophages: NullScores  # all else, against macrophages of many tissues
    halves: Array  # z of the halves of the states' signatures, cells × states × 2
    scale: Array  # of z in each cell, which falls with depth
