"""Clusters named by enrichment, beside what their cells were called one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.tl._rankings import Groups

AXES = ("compartment", "origin", "state")

# A name by enrichment needs a q of at most this,
MAX_Q = 0.05
# of samples a difference (log2) of at least this: a third more than in the other cells,
MIN_DIFFERENCE = 0.4
# and where there are four or more, a p over samples of at most this.
MAX_P = 0.05
_ENOUGH_SAMPLES = 4
MACROPHAGE = "macrophage"
# Share of macrophages among the cells compared from which origin and state are named.
_MOSTLY = 0.5


def compared_with_macrophages(groups: Groups, calls: Mapping[str, pd.Series]) -> bool:
    """Say whether most cells compared were called macrophages; True where nobody called them."""
    if "compartment" not in calls:
        return True
    compared = calls["compartment"][groups.codes >= 0]
    return bool((compared == MACROPHAGE).mean() > _MOSTLY)


def name_clusters(
    table: pd.DataFrame,
    axis_of: Mapping[str, str],
    groups: Groups,
    calls: Mapping[str, pd.Series],
    *,
    with_states: bool = True,
) -> pd.DataFrame:
    """Return a name on each axis for each group, and what most of its cells were called.

    Parameters
    ----------
    table
        The enrichment of all groups.
    axis_of
        The axis of each signature.
    groups
        The groups of cells.
    calls
        The cells' own labels by axis, those that there are.
    with_states
        Whether origin and state are named; else they are ``unassigned``.

    Returns
    -------
    One row a group: ``group``, ``n_cells``, and for each axis of which there are signatures ``{axis}``,
    ``{axis}_nes``, ``{axis}_q``, ``{axis}_cells``, ``{axis}_share``, ``{axis}_agree``.
    """
    axes = [a for a in AXES if a in axis_of.values()]
    rows = [
        _row(str(name), table, axes, axis_of, groups, calls, with_states=with_states)
        for name in pd.unique(table["group"])
    ]
    return pd.DataFrame(rows)


def _row(
    name: str,
    table: pd.DataFrame,
    axes: Sequence[str],
    axis_of: Mapping[str, str],
    groups: Groups,
    calls: Mapping[str, pd.Series],
    *,
    with_states: bool,
) -> dict[str, object]:
    mine = groups.codes == groups.names.index(name)
    of_group = table[table["group"] == name]
    row: dict[str, object] = {"group": name, "n_cells": int(mine.sum())}
    other = _is_other(calls, mine)
    for axis in axes:
        best = _best(of_group[of_group["signature"].map(axis_of) == axis])
        named = axis == "compartment" or with_states
        label = NOT_MACROPHAGE if other and axis != "compartment" else best[0] if named else UNASSIGNED
        majority, share = _majority(calls[axis][mine]) if axis in calls else ("", np.nan)
        row |= {
            axis: label,
            f"{axis}_nes": best[1],
            f"{axis}_q": best[2],
            f"{axis}_cells": majority,
            f"{axis}_share": share,
            f"{axis}_agree": label == majority,
        }
    return row


def _best(table: pd.DataFrame) -> tuple[str, float, float]:
    """Return the signature with the greatest NES, its NES and q; ``unassigned`` where it is not beyond chance."""
    if table.empty:
        return UNASSIGNED, np.nan, np.nan
    top = table.iloc[int(table["nes"].to_numpy().argmax())]
    named = top["nes"] > 0 and top["q"] <= MAX_Q and _holds_in_samples(top)
    label = str(top["signature"]) if named else UNASSIGNED
    return label, float(top["nes"]), float(top["q"])


def _holds_in_samples(row: pd.Series) -> bool:
    """Say whether the genes stand clearly higher in the samples; True where cells were ranked, of which nobody knows.

    Genes that go together reach a small q by chance: half of the clusters without any program would have a name.
    """
    if row["unit"] == "cell":
        return True
    agree = row["p_samples"] <= MAX_P or row["n_samples"] < _ENOUGH_SAMPLES
    return bool(agree and row["difference"] >= MIN_DIFFERENCE)


def _is_other(calls: Mapping[str, pd.Series], mine: np.ndarray) -> bool:
    """Say whether most cells were called, and most of those are no macrophages: then origin and state are not asked."""
    if "compartment" not in calls:
        return False
    own = calls["compartment"][mine]
    return bool((own == MACROPHAGE).sum() * 2 < (own != UNASSIGNED).sum())


def _majority(own: pd.Series) -> tuple[str, float]:
    """Return the label of most cells that have one, and its share of them; of equals the first by name."""
    called = own[~own.isin([UNASSIGNED])].astype(str)
    if called.empty:
        return UNASSIGNED, np.nan
    counts = called.value_counts().sort_index(kind="stable")
    return str(counts.idxmax()), float(counts.max() / counts.sum())
