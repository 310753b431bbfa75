"""One annotation: its data and models, and the calls of its cells, made block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._settings import AnnotateSettings, settings
from tamannot.classify import (
    MIXED_LINEAGE,
    NOT_MACROPHAGE,
    ORIGINS,
    STATES,
    SUMMARIES,
    TRANSITIONAL,
    UNASSIGNED,
    Call,
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


@dataclass(eq=False)
class AnnotationRun:
    """One annotation: the settings, the data, what was fitted to them, and the calls, which `call_cells` adds."""

    key: str
    """Prefix of what is written."""
    settings: AnnotateSettings
    data: Unpacked
    ready: Prepared
    labelling: Labelling | None
    """The user's model of labels, laid over the data."""
    also: tuple[str, ...]
    """The key of the user's own labels, if a label model is applied."""
    columns: Mapping[str, Sequence[str]]
    """Columns of each table of ``obsm``."""
    calls: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The columns of ``obs`` by their names without the key."""
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """The number of cells with each label, most frequent first, by axis."""
    low_signal: dict[str, float] = field(default_factory=dict)
    """Share of cells in which hardly any gene of a ferroptosis program is expected to be detected."""


def call_cells(
    run: AnnotationRun, report: Progress, *, block: int | None = None
) -> Iterator[tuple[range, dict[str, Array]]]:
    """Call all cells: yield the tables of each block, cells by columns; after the last, the run has the calls."""
    labels = {
        "compartment": [*run.ready.panels.ids("compartment"), UNASSIGNED],
        "origin": list(ORIGIN_LABELS),
        "state": list(STATE_LABELS),
    }
    programs, blocks = run.columns["ferroptosis"], list[pd.DataFrame]()
    n_low_signal = dict.fromkeys([*programs, *SUMMARIES], 0)
    for rows, calls in run.ready.blocks(threads=settings.n_threads(), report=report, block=block):
        scores, columns = calls.scores, dict[str, Any]()
        for axis in slots.AXES:
            call: Call = getattr(calls, axis)
            columns[axis] = pd.Categorical(call.label, categories=labels[axis])
            columns[f"{axis}_prob"] = call.prob.astype(np.float32)
            columns[f"{axis}_status"] = pd.Categorical(call.status, categories=list(STATUSES))
        columns |= {"programs": pd.Categorical(calls.programs), "mixed_lineage": calls.mixed_lineage.astype(np.float32)}
        columns |= {"dual_m1_m2": calls.dual_m1_m2} | {name: scores.column("z", name) for name in SUMMARIES}
        blocks.append(pd.DataFrame(columns))
        for name in n_low_signal:
            n_low_signal[name] += int((scores.column("expected", name) < _LOW_SIGNAL_EXPECTED).sum())
        yield (
            rows,
            {
                "scores": scores.score,
                "z": scores.z,
                "p": scores.p,
                "origin_proba": calls.origin.proba,
                "state_proba": calls.state.proba,
                "ferroptosis": scores.z[:, [scores.ids.index(i) for i in programs]],
            },
        )
    table = pd.concat(blocks, ignore_index=True)
    table["programs"] = pd.Categorical(table["programs"].astype(object))
    for column in table.select_dtypes("category"):  # scanpy fails on categories that do not occur
        table[column] = table[column].cat.remove_unused_categories()
    run.calls, run.low_signal = table, {name: n / len(table) for name, n in n_low_signal.items()}
    run.counts = {axis: {str(k): int(n) for k, n in table[axis].value_counts().items()} for axis in slots.AXES}
    if run.labelling is not None:
        run.labelling.predict(report)
