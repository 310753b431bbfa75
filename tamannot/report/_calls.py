"""The calls: compartments, origins, states, and who has none and why."""

from __future__ import annotations

import pandas as pd

from tamannot.get._evidence import REASONS
from tamannot.report._blocks import Block, Section, Table, Text
from tamannot.report._counts import counts_of
from tamannot.report._material import Material
from tamannot.report._pictures import pictures_of
from tamannot.report._tables import pretty, table_of

_TITLES = {
    "compartment": "Compartments of all cells",
    "origin": "Origins of macrophages",
    "state": "States of macrophages",
}


def calls(material: Material) -> Section:
    """Return how many cells have which label, by which rule, and why others have none."""
    blocks: list[Block] = []
    for axis in _TITLES:
        blocks += [_labels(material, axis), _statuses(material, axis)]
    return Section("calls", "Calls", (*blocks, *pictures_of(material, "calls")))


def _labels(material: Material, axis: str) -> Table:
    counts = counts_of(material, axis, of="all" if axis == "compartment" else "macrophages")
    table = pd.DataFrame({axis: map(pretty, counts), "n_cells": counts.values()})
    table["share"] = table["n_cells"] / max(table["n_cells"].sum(), 1)
    how = material.run.model.get(axis) if material.run.has("model") else None
    note = "Shares are of cells as called." + (f" Called by: {how}." if how else "")
    return table_of(table.sort_values("n_cells", ascending=False, kind="stable"), _TITLES[axis], note=note)


def _statuses(material: Material, axis: str) -> Table | Text:
    if not material.has(f"{axis}_status"):
        return Text(f"Nothing is recorded of why a cell has no {axis}.")
    status = material.labels(f"{axis}_status")
    chosen = status if axis == "compartment" else status[material.macrophages]
    counts = {str(k): int(v) for k, v in chosen.value_counts().items() if v}
    table = pd.DataFrame(
        {
            "status": map(pretty, counts),
            "meaning": [REASONS.get(k, "has a label" if k == "assigned" else "") for k in counts],
            "n_cells": counts.values(),
        }
    )
    return table_of(
        table, f"Why a cell has a {axis} or none" if axis != "origin" else "Why a cell has an origin or none"
    )
