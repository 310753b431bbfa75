"""Ferroptosis programs: summaries by state, and how many cells show enough of each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tamannot.report._blocks import Block, Section, Text
from tamannot.report._material import Material
from tamannot.report._tables import pretty, table_of

_SUMMARIES = ("ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance")
_MEANING = (
    "Programs of iron, glutathione and lipid peroxides in transcripts: no measure of death, and none of the cells "
    "nearby. Most rest on one to four detected genes a cell, so read means of samples and labels."
)
_SIGN = (
    "What the sign means: drive, defence and balance are capacity. Where cells do undergo ferroptosis (19 "
    "experiments), drive rose in 13, defence rose in 15 and balance fell in 15, for cells under attack raise their "
    "defence most. A negative balance may be a cell that undergoes it. What rises then is the set "
    "ferroptosis_response; score it with tamannot.tl.score."
)


def ferroptosis(material: Material) -> Section | None:
    """Return the summaries by state and the programs; None where they were not scored."""
    blocks: list[Block] = []
    if all(material.has(name) for name in _SUMMARIES) and material.macrophages.any():
        note = "Mean of the samples' means of z against matched genes; every sample counts the same."
        blocks.append(table_of(_by_state(material), "Summaries of macrophages by state", note=note))
        blocks.append(Text(_SIGN))
    if material.run.has("ferroptosis"):
        programs = material.run.ferroptosis.copy()
        programs.index = pd.Index([pretty(str(i)) for i in programs.index], name="program")
        note = "share low signal: cells in which fewer than three of its genes are expected to be detected."
        blocks.append(table_of(programs, "Programs", note=note))
    return Section("ferroptosis", "Ferroptosis programs", (Text(_MEANING), *blocks)) if blocks else None


def _by_state(material: Material) -> pd.DataFrame:
    here = material.macrophages
    samples = material.samples
    table = pd.DataFrame({name: material.column(name).to_numpy(dtype=float) for name in _SUMMARIES})[here]
    table["state"] = material.labels("state").astype(str).to_numpy()[here]
    table["sample"] = 0 if samples is None else samples.codes[here]
    table = table[table["sample"] >= 0]
    grouped = table.groupby(["state", "sample"])
    means = grouped[list(_SUMMARIES)].mean().groupby("state").mean()
    sizes = grouped.size().groupby("state").agg(["size", "sum"]).to_numpy().reshape(-1, 2)
    means.insert(0, "n_cells", sizes[:, 1])
    means.insert(0, "n_samples", sizes[:, 0] if samples is not None else np.ones(len(means), int))
    means.index = pd.Index([pretty(str(i)) for i in means.index], name="state")
    return means
