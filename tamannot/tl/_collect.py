"""The calls of blocks of cells, gathered into columns; their tables go to wherever there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
)

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
# Fewer genes than this expected to be detected: a program says little of that cell.
_LOW_SIGNAL_EXPECTED = 3


def ferroptosis_programs(panels: Panels) -> list[str]:
    """Return the ids of the ferroptosis programs, without the summaries."""
    return [i for i in panels.ids("ferroptosis") if i not in SUMMARIES]


def table_columns(panels: Panels) -> dict[str, list[str]]:
    """Return the columns of each table of an annotation."""
    ids = list(panels.public.ids)
    own = {"origin_proba": list(ORIGINS), "state_proba": list(STATES), "ferroptosis": ferroptosis_programs(panels)}
    return {"scores": ids, "z": ids, "p": ids} | own


class TableSink(Protocol):
    """Takes tables block by block, in the order of cells."""

    def add(self, rows: range, tables: Mapping[str, Array]) -> None:
        """Take some rows of every table, cells by columns."""


class TablesInMemory:
    """Tables as arrays, float32, cells by columns."""

    def __init__(self, n_obs: int, columns: Mapping[str, Sequence[str]]) -> None:
        self.columns = columns
        self.values = {name: np.empty((n_obs, len(names)), np.float32) for name, names in columns.items()}

    def add(self, rows: range, tables: Mapping[str, Array]) -> None:
        """Take some rows of every table."""
        for name, values in tables.items():
            self.values[name][rows.start : rows.stop] = values


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of an annotation, one value a cell."""

    labels: Mapping[str, pd.Categorical]
    """By axis."""
    statuses: Mapping[str, pd.Categorical]
    probs: Mapping[str, Array]
    programs: pd.Categorical
    numbers: Mapping[str, Array]
    """``mixed_lineage``, ``dual_m1_m2`` and the z of the ferroptosis summaries."""
    share_low_signal: Mapping[str, float]
    """Of the ferroptosis programs: in which share of cells next to none of their genes can be expected."""


@dataclass
class Collector:
    """Gathers blocks in their order.

    Parameters
    ----------
    panels
        The signatures.
    n_obs
        Cells to come.
    sink
        Where the tables go.
    """

    panels: Panels
    n_obs: int
    sink: TableSink
    _codes: dict[str, Array] = field(init=False)
    _status: dict[str, Array] = field(init=False)
    _probs: dict[str, Array] = field(init=False)
    _numbers: dict[str, Array] = field(init=False)
    _programs: Array = field(init=False)
    _named: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make room."""
        self._labels = {
            "compartment": (*self.panels.ids("compartment"), UNASSIGNED),
            "origin": ORIGIN_LABELS,
            "state": STATE_LABELS,
        }
        self._low = dict.fromkeys([*ferroptosis_programs(self.panels), *SUMMARIES], 0)
        self._codes, self._status = ({axis: np.empty(self.n_obs, np.int8) for axis in AXES} for _ in range(2))
        self._probs = {axis: np.empty(self.n_obs, np.float32) for axis in AXES}
        names = ("mixed_lineage", "dual_m1_m2", *SUMMARIES)
        self._numbers = {name: np.empty(self.n_obs, np.float32) for name in names}
        self._programs = np.empty(self.n_obs, np.int32)

    def add(self, rows: range, calls: Calls) -> None:
        """Take the calls of some rows."""
        here, scores = slice(rows.start, rows.stop), calls.scores
        for axis in AXES:
            call: Call = getattr(calls, axis)
            self._codes[axis][here] = pd.Categorical(call.label, categories=list(self._labels[axis])).codes
            self._status[axis][here] = pd.Categorical(call.status, categories=list(STATUSES)).codes
            self._probs[axis][here] = call.prob
        self._programs[here] = [self._named.setdefault(p, len(self._named)) for p in calls.programs]
        self._numbers["mixed_lineage"][here] = calls.mixed_lineage
        self._numbers["dual_m1_m2"][here] = calls.dual_m1_m2
        for name in SUMMARIES:
            self._numbers[name][here] = scores.column("z", name)
        for name in self._low:
            self._low[name] += int((scores.column("expected", name) < _LOW_SIGNAL_EXPECTED).sum())
        programs = [scores.ids.index(i) for i in ferroptosis_programs(self.panels)]
        tables = {"scores": scores.score, "z": scores.z, "p": scores.p}
        own = {"origin_proba": calls.origin.proba, "state_proba": calls.state.proba}
        self.sink.add(rows, tables | own | {"ferroptosis": scores.z[:, programs]})

    def columns(self) -> Columns:
        """Return what was gathered."""
        order = sorted(self._named)
        rank = np.empty(len(order), np.int64)
        rank[[self._named[name] for name in order]] = np.arange(len(order))
        return Columns(
            labels={axis: _categorical(codes, self._labels[axis]) for axis, codes in self._codes.items()},
            statuses={axis: _categorical(codes, STATUSES) for axis, codes in self._status.items()},
            probs=self._probs,
            programs=_categorical(rank[self._programs], order),
            numbers=self._numbers,
            share_low_signal={name: n / max(self.n_obs, 1) for name, n in self._low.items()},
        )


def _categorical(codes: Array, names: Sequence[str]) -> pd.Categorical:
    """Return labels whose categories are in the order of ``names``; only those that occur: scanpy fails on others."""
    text: Any = pd.Index(list(names))  # of whatever type pandas has for text
    return pd.Categorical.from_codes(codes, categories=text).remove_unused_categories()
