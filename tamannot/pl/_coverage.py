"""How many genes of each signature the data have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.errors import ParameterError, among
from tamannot.get import coverage as coverage_of
from tamannot.pl._style import new_axes, pretty

Array = NDArray[Any]

# Dark enough for white figures, and apart with any colour vision; few are hatched as well.
_ENOUGH, _FEW, _MISSING = "#0072b2", "#d55e00", "#e6e6e6"
_FEW_TEXT = "#a04000"


def coverage(
    adata: AnnData,
    *,
    axis: str | Sequence[str] | None = None,
    threshold: float = 0.5,
    key: str = "tam",
    ax: Axes | None = None,
) -> Axes:
    """Draw which share of the genes of each signature is in the data.

    Parameters
    ----------
    adata
        A scored or annotated object.
    axis
        Axis or axes of the signatures to draw, such as ``"state"``; None draws all.
    threshold
        Share below which a signature is marked. `tl.annotate` says ``low_coverage`` instead of ``low_signal`` below
        the half that is the default.
    key
        The ``key_added`` of the run.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes: one bar a signature, by axis in the order of the run, with its genes in the data of all its genes, and
    those that are missing named where they are four or fewer. Present means that the gene is a column of the matrix,
    not that any cell expresses it.

    Raises
    ------
    ParameterError
        No such axis, or ``threshold`` outside 0 to 1.
    ResultNotFoundError
        Nothing has been computed under the key.
    """
    if not 0 <= threshold <= 1:
        msg = f"threshold is a share, 0 to 1, not {threshold}."
        raise ParameterError(msg)
    table = _table(adata, axis, key)
    axes = list(dict.fromkeys(table["axis"]))
    # a gap between axes
    place = np.arange(len(table)) + 0.8 * table["axis"].map(axes.index).to_numpy()
    each = 0.3 if len(table) <= 12 else 0.2
    ax = ax if ax is not None else new_axes(7.2, 1.2 + each * (place[-1] + 1))
    share = table["coverage"].to_numpy(float)
    few = share < threshold
    ax.barh(place, 1.0, 0.75, color=_MISSING, label="missing")
    ax.barh(place[~few], share[~few], 0.75, color=_ENOUGH, label="in the data")
    if few.any():
        name = f"in the data, below {threshold:.0%}"
        ax.barh(place[few], share[few], 0.75, color=_FEW, hatch="////", edgecolor="white", linewidth=0, label=name)
    ax.axvline(threshold, color="black", linestyle="--", linewidth=1)
    _write(ax, table, place, axes, few)
    return ax


def _table(adata: AnnData, axis: str | Sequence[str] | None, key: str) -> pd.DataFrame:
    table = coverage_of(adata, key)
    table["axis"] = slots.read_record(adata, key).signatures["axis"].reindex(table.index)
    have = list(dict.fromkeys(map(str, table["axis"])))
    wanted = have if axis is None else [axis] if isinstance(axis, str) else list(axis)
    if unknown := [a for a in wanted if a not in have]:
        msg = f"No axis {', '.join(map(repr, unknown))} in the run '{key}'.{among(unknown[0], have)}"
        raise ParameterError(msg)
    table = table[table["axis"].isin(wanted)]
    return table.assign(axis=table["axis"].astype(str)).sort_values(
        "axis", key=lambda a: a.map(have.index), kind="stable"
    )


def _write(ax: Axes, table: pd.DataFrame, place: Array, axes: list[str], few: Array) -> None:
    size = "medium" if len(table) <= 12 else "x-small"
    ax.set_yticks(place, [pretty(str(i)) for i in table.index], fontsize=size)
    for y, row, is_low in zip(place, table.itertuples(), few, strict=True):
        names = [s for s in str(row.missing).split(",") if s]
        without = f", without {', '.join(names)}" if 0 < len(names) <= 4 else ""
        color = _FEW_TEXT if is_low else "black"
        ax.text(1.01, y, f"{row.n_present} of {row.n_genes}{without}", va="center", fontsize="x-small", color=color)
    if len(axes) > 1:
        for name in axes:
            first = place[(table["axis"] == name).to_numpy()][0]
            ax.text(0.008, first - 0.62, name, fontsize="x-small", style="italic", va="bottom", color="0.3")
    ax.set(xlim=(0, 1), ylim=(place[-1] + 0.6, -0.6 - 0.8 * (len(axes) > 1)), xlabel="share of the genes in the data")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, fontsize="small", borderaxespad=0.2)
