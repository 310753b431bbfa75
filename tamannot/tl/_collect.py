"""One annotation: its data and models, and the calls of its cells, filled in block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot._settings import AnnotateSettings
from tamannot.classify import (
    MIXED_LINEAGE,
    NOT_MACROPHAGE,
    ORIGINS,
    STATES,
    SUMMARIES,
    TRANSITIONAL,
    UNASSIGNED,
    Call,
    Calls,
    Panels,
    Prepared,
)
from tamannot.data import Unpacked
from tamannot.tl._model import Labelling

Array = NDArray[Any]

AXES = ("compartment", "origin", "state")
STATUSES = (
    "assigned",
    "low_signal",
    "ambiguous",
    "low_coverage",
    "unfamiliar",
    "not_applicable",
    MIXED_LINEAGE,
    NOT_MACROPHAGE,
)
ORIGIN_LABELS = (*ORIGINS, UNASSIGNED, NOT_MACROPHAGE)
STATE_LABELS = (*STATES, TRANSITIONAL, UNASSIGNED, NOT_MACROPHAGE)
# If fewer genes than this are expected to be detected, a program is uninformative in that cell.
_LOW_SIGNAL_EXPECTED = 3


def ferroptosis_programs(panels: Panels) -> list[str]:
    """Return the ids of the ferroptosis programs, without the summaries."""
    return [i for i in panels.ids("ferroptosis") if i not in SUMMARIES]


class TableSink(Protocol):
    """Collects tables block by block, in the order of the cells."""

    def add(self, rows: range, tables: Mapping[str, Array]) -> None:
        """Add rows to every table, cells by columns."""


class TablesInMemory:
    """Tables as arrays, float32, cells by columns."""

    def __init__(self, n_obs: int, columns: Mapping[str, Sequence[str]]) -> None:
        self.columns = columns
        self.values = {name: np.empty((n_obs, len(names)), np.float32) for name, names in columns.items()}

    def add(self, rows: range, tables: Mapping[str, Array]) -> None:
        """Add rows to every table."""
        for name, values in tables.items():
            self.values[name][rows.start : rows.stop] = values


class CellCalls:
    """The calls of each cell, filled in block by block.

    Parameters
    ----------
    panels
        The signatures.
    n_obs
        Number of cells.
    """

    def __init__(self, panels: Panels, n_obs: int) -> None:
        self._n_obs = n_obs
        self._programs_of_ferroptosis = ferroptosis_programs(panels)
        self._names = {
            "compartment": (*panels.ids("compartment"), UNASSIGNED),
            "origin": ORIGIN_LABELS,
            "state": STATE_LABELS,
        }
        self._codes, self._status = ({axis: np.empty(n_obs, np.int8) for axis in AXES} for _ in range(2))
        self._programs, self._program_codes = np.empty(n_obs, np.int32), dict[str, int]()
        self._n_low_signal = dict.fromkeys([*self._programs_of_ferroptosis, *SUMMARIES], 0)
        self.probs = {axis: np.empty(n_obs, np.float32) for axis in AXES}
        """Probability of the label of each axis."""
        self.numbers = {n: np.empty(n_obs, np.float32) for n in ("mixed_lineage", "dual_m1_m2", *SUMMARIES)}
        """``mixed_lineage``, ``dual_m1_m2`` and the z of the ferroptosis summaries."""

    def add(self, rows: range, calls: Calls) -> dict[str, Array]:
        """Store the calls of some rows; return their tables, cells by columns."""
        here, scores = slice(rows.start, rows.stop), calls.scores
        for axis in AXES:
            call: Call = getattr(calls, axis)
            self._codes[axis][here] = pd.Categorical(call.label, categories=list(self._names[axis])).codes
            self._status[axis][here] = pd.Categorical(call.status, categories=list(STATUSES)).codes
            self.probs[axis][here] = call.prob
        self._programs[here] = [self._program_codes.setdefault(p, len(self._program_codes)) for p in calls.programs]
        self.numbers["mixed_lineage"][here] = calls.mixed_lineage
        self.numbers["dual_m1_m2"][here] = calls.dual_m1_m2
        for name in SUMMARIES:
            self.numbers[name][here] = scores.column("z", name)
        for name in self._n_low_signal:
            self._n_low_signal[name] += int((scores.column("expected", name) < _LOW_SIGNAL_EXPECTED).sum())
        return {
            "scores": scores.score,
            "z": scores.z,
            "p": scores.p,
            "origin_proba": calls.origin.proba,
            "state_proba": calls.state.proba,
            "ferroptosis": scores.z[:, [scores.ids.index(i) for i in self._programs_of_ferroptosis]],
        }

    @cached_property
    def labels(self) -> dict[str, pd.Categorical]:
        """The labels of each axis."""
        return {axis: _categorical(codes, self._names[axis]) for axis, codes in self._codes.items()}

    @cached_property
    def statuses(self) -> dict[str, pd.Categorical]:
        """The status of each label, by axis."""
        return {axis: _categorical(codes, STATUSES) for axis, codes in self._status.items()}

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The number of cells with each label, most frequent first, by axis."""
        return {a: {str(k): int(n) for k, n in pd.Series(c).value_counts().items()} for a, c in self.labels.items()}

    @property
    def programs(self) -> pd.Categorical:
        """The programs that are active, joined by ``+``."""
        order = sorted(self._program_codes)
        rank = np.empty(len(order), np.int64)
        rank[[self._program_codes[name] for name in order]] = np.arange(len(order))
        return _categorical(rank[self._programs], order)

    @property
    def share_low_signal(self) -> dict[str, float]:
        """Share of cells in which hardly any gene of a ferroptosis program is expected to be detected."""
        return {name: n / max(self._n_obs, 1) for name, n in self._n_low_signal.items()}


@dataclass(frozen=True, eq=False)
class AnnotationRun:
    """One annotation: the settings, the data, what was fitted to them, and the calls."""

    key: str
    """Prefix of what is written."""
    settings: AnnotateSettings
    data: Unpacked
    ready: Prepared
    calls: CellCalls
    labelling: Labelling | None
    """The user's model of labels, laid over the data."""

    @property
    def also(self) -> tuple[str, ...]:
        """The key of the user's own labels, if a label model is applied."""
        return () if self.labelling is None else (slots.slot(self.key, "model"),)

    @property
    def table_columns(self) -> dict[str, list[str]]:
        """Columns of each table of the calls."""
        ids = list(self.ready.panels.public.ids)
        programs = ferroptosis_programs(self.ready.panels)
        own = {"origin_proba": list(ORIGINS), "state_proba": list(STATES), "ferroptosis": programs}
        return {"scores": ids, "z": ids, "p": ids} | own


def _categorical(codes: Array, names: Sequence[str]) -> pd.Categorical:
    """Return labels whose categories are in the order of ``names``; only those that occur: scanpy fails on others."""
    text: Any = pd.Index(list(names))  # of whatever type pandas has for text
    return pd.Categorical.from_codes(codes, categories=text).remove_unused_categories()
