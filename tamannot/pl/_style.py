"""What all plots share: names, colours, axes, legends, checks of numbers."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from anndata import AnnData
from matplotlib.axes import Axes

import tamannot.data as slots
from tamannot.errors import ParameterError
from tamannot.tl._write import ORIGIN_COLORS, STATE_COLORS

# Of Okabe & Ito's palette, which is told apart with any colour vision.
BLUE, VERMILION = "#0072b2", "#d55e00"
# Differences from a middle, white.
DIVERGING = "PuOr_r"
LEGEND_ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "frameon": False, "fontsize": "small"}
LEGEND_BESIDE: dict[str, Any] = {
    "loc": "upper left",
    "bbox_to_anchor": (1.01, 1.02),
    "frameon": False,
    "fontsize": "small",
    "title_fontsize": "small",
}


def pretty(name: str) -> str:
    """Return a name as it is read: without underscores."""
    return name.replace("_", " ")


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, in inches."""
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def open_corner(ax: Axes) -> None:
    """Take away the lines above and at the right."""
    ax.spines[["top", "right"]].set_visible(False)


def colors_of(adata: AnnData, key: str, axis: str) -> dict[str, str]:
    """Return the colour of each label of an axis: the user's where there are some, ours otherwise."""
    own = slots.read_colors(adata, key, axis)
    names = slots.read_obs(adata, key, (axis,)).iloc[:, 0].cat.categories if own else ()
    return {**STATE_COLORS, **ORIGIN_COLORS} | dict(zip(names, own, strict=False))


def check_positive(name: str, value: int) -> None:
    """Refuse a number below 1 where things are counted."""
    if value < 1:
        msg = f"{name} is at least 1, not {value}."
        raise ParameterError(msg)
