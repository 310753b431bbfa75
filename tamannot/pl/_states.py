"""How many macrophages run which program, by origin."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes

import tamannot._adata as slots
from tamannot.pl._style import colors_of, new_axes, pretty

_NOT = "not_macrophage"


def states(adata: AnnData, *, groupby: str | None = None, key: str = "tam", ax: Axes | None = None) -> Axes:
    """Draw the share of each state among the macrophages, one bar a group.

    Parameters
    ----------
    adata
        An annotated object.
    groupby
        Column of ``obs`` to group by, such as the sample; None groups by the called origin.
    key
        The ``key_added`` of the run.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. Shares are of the macrophages of a group, ``unassigned`` among them; their number stands
    beside the bar. Cells are no replicates: for a comparison of conditions look at samples.

    Raises
    ------
    ParameterError
        No such column.
    ResultNotFoundError
        The object is not annotated.
    """
    counts = _counts(adata, groupby, key)
    colors = colors_of(adata, key, "state")
    ax = ax if ax is not None else new_axes(8, 1.2 + 0.5 * len(counts))
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    left = pd.Series(0.0, index=shares.index)
    names = [pretty(g) for g in shares.index]
    for state in shares.columns:
        ax.barh(
            names, shares[state], left=left, color=colors[state], label=pretty(state), edgecolor="white", height=0.7
        )
        left += shares[state]
    for place, total in enumerate(counts.sum(axis=1)):
        ax.text(1.01, place, f"n = {total:,}", va="center", fontsize="small")
    ax.set(xlim=(0, 1), xlabel="share of macrophages")
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.12, 1.02), frameon=False, fontsize="small")
    return ax


def _counts(adata: AnnData, groupby: str | None, key: str) -> pd.DataFrame:
    column = groupby or slots.slot(key, "origin")
    table = slots.read_obs(adata, key, ("state",))
    state = table[slots.slot(key, "state")]
    here = (state != _NOT).to_numpy()
    counts = pd.crosstab(slots.obs_column(adata, column).astype(str)[here], state.astype(str)[here])
    order = [s for s in state.cat.categories if s in counts.columns]
    return counts[order] if len(counts) else pd.DataFrame({"unassigned": [0]}, index=["no macrophages"])
