"""What the pictures share: names, colours, new axes."""

from __future__ import annotations

import matplotlib.pyplot as plt
from anndata import AnnData
from matplotlib.axes import Axes

import tamannot.data as slots
from tamannot.tl._write import ORIGIN_COLORS, STATE_COLORS


def pretty(name: str) -> str:
    """Return a name as it is read: without underscores."""
    return name.replace("_", " ")


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, in inches."""
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def colors_of(adata: AnnData, key: str, axis: str) -> dict[str, str]:
    """Return the colour of each label of an axis: the user's where there are some, ours otherwise."""
    own = slots.read_colors(adata, key, axis)
    names = slots.read_obs(adata, key, (axis,)).iloc[:, 0].cat.categories if own else ()
    return {**STATE_COLORS, **ORIGIN_COLORS} | dict(zip(names, own, strict=False))
