"""One annotation: its data and models, and the calls of its cells, filled in block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

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
from tamannot.data import Array, Unpacked
from tamannot.tl._model import Labelling

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
    """

    def __init__(self, panels: Panels) -> None:
        self.ferroptosis = [i for i in panels.ids("ferroptosis") if i not in SUMMARIES]
        """The ids of the ferroptosis programs, without the summaries."""
        self._names = {
            "compartment": [*panels.ids("compartment"), UNASSIGNED],
            "origin": list(ORIGIN_LABELS),
            "state": list(STATE_LABELS),
        }
        self._blocks: list[pd.DataFrame] = []
        self._n_low_signal = dict.fromkeys([*self.ferroptosis, *SUMMARIES], 0)

    def add(self, calls: Calls) -> dict[str, Array]:
        """Store the calls of the next cells; return their tables, cells by columns."""
        scores, block = calls.scores, dict[str, Any]()
        for axis in slots.AXES:
            call: Call = getattr(calls, axis)
            block[axis] = pd.Categorical(call.label, categories=self._names[axis])
            block[f"{axis}_prob"] = call.prob.astype(np.float32)
            block[f"{axis}_status"] = pd.Categorical(call.status, categories=list(STATUSES))
        block |= {"programs": pd.Categorical(calls.programs), "mixed_lineage": calls.mixed_lineage.astype(np.float32)}
        block |= {"dual_m1_m2": calls.dual_m1_m2} | {name: scores.column("z", name) for name in SUMMARIES}
        self._blocks.append(pd.DataFrame(block))
        for name in self._n_low_signal:
            self._n_low_signal[name] += int((scores.column("expected", name) < _LOW_SIGNAL_EXPECTED).sum())
        return {
            "scores": scores.score,
            "z": scores.z,
            "p": scores.p,
            "origin_proba": calls.origin.proba,
            "state_proba": calls.state.proba,
            "ferroptosis": scores.z[:, [scores.ids.index(i) for i in self.ferroptosis]],
        }

    @cached_property
    def table(self) -> pd.DataFrame:
        """The columns of ``obs`` by their names without the key; only categories that occur: scanpy fails on others."""
        table = pd.concat(self._blocks, ignore_index=True)
        programs = table["programs"].astype(object)
        table["programs"] = pd.Categorical(programs, categories=pd.Index(sorted(set(programs))))
        for name in table.select_dtypes("category"):
            table[name] = table[name].cat.remove_unused_categories()
        return table

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The number of cells with each label, most frequent first, by axis."""
        return {axis: {str(k): int(n) for k, n in self.table[axis].value_counts().items()} for axis in slots.AXES}

    @property
    def share_low_signal(self) -> dict[str, float]:
        """Share of cells in which hardly any gene of a ferroptosis program is expected to be detected."""
        return {name: n / len(self.table) for name, n in self._n_low_signal.items()}


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
        own = {"origin_proba": list(ORIGINS), "state_proba": list(STATES), "ferroptosis": self.calls.ferroptosis}
        return {"scores": ids, "z": ids, "p": ids} | own
