"""How many cells have which label, and why others have none."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from tamannot.get._evidence import REASONS
from tamannot.report._material import Material


def counts_of(material: Material, axis: str, *, of: Literal["all", "macrophages"]) -> dict[str, int]:
    """Return how many cells have each label of an axis, in the order of the labels, without those of nobody."""
    labels = material.labels(axis)
    chosen = labels if of == "all" else labels[material.macrophages]
    counts = chosen.value_counts(sort=False)
    return {str(k): int(v) for k, v in counts.items() if v}


def reasons_of(material: Material, axis: str) -> dict[str, int]:
    """Return how many macrophages have no label of an axis for which reason, the most frequent first."""
    if not material.has(f"{axis}_status"):
        return {}
    status = material.labels(f"{axis}_status")[material.macrophages].value_counts()
    return {REASONS[str(k)]: int(v) for k, v in status.items() if v and str(k) in REASONS}


def crossed(material: Material) -> pd.DataFrame:
    """Return how many macrophages of each sample have each origin and state.

    Returns
    -------
    One row a sample, origin and state that occur together: ``sample``, ``origin``, ``state``, ``n``. All cells are one
    sample where none is known.
    """
    here = material.macrophages
    samples = material.samples
    codes = np.zeros(here.size, dtype=int) if samples is None else samples.codes
    names = ("all cells",) if samples is None else samples.names
    kept = here & (codes >= 0)
    table = pd.DataFrame(
        {
            "sample": pd.Categorical.from_codes(codes[kept], pd.Index(names)),
            "origin": material.labels("origin").to_numpy()[kept].astype(str),
            "state": material.labels("state").to_numpy()[kept].astype(str),
        }
    )
    return table.groupby(["sample", "origin", "state"], observed=True).size().rename("n").reset_index()
