"""Scores where they are in the tissue."""

from __future__ import annotations

from typing import Any

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.analysis._spatial import Kind, coordinates_of
from tamannot.errors import ParameterError, among
from tamannot.pl._points import MAX_POINTS
from tamannot.pl._style import new_axes, pretty

Array = NDArray[Any]

_UNKNOWN = "#b0b0b0"
# Tiles along the longer side of the tissue, where points are too many to be told apart: about a pixel each.
_TILES = 800
# Square points that together cover about this many square points of a figure.
_AREA, _SMALLEST, _LARGEST = 40_000.0, 0.2, 60.0
# Colour-blind safe; z has a middle.
_MAPS = {"score": "viridis", "smooth": "viridis", "z": "PuOr_r"}


def spatial(
    adata: AnnData,
    signature: str,
    *,
    key: str = "tam",
    kind: Kind = "score",
    size: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the scores of a signature where the spots or cells are.

    Parameters
    ----------
    adata
        A scored object with coordinates in ``obsm["spatial"]``. Samples lie over one another if their coordinates do:
        take one, ``adata[adata.obs["sample"] == "a"]``.
    signature
        Id of the signature.
    key
        The ``key_added`` of the run.
    kind
        ``"score"``, ``"z"`` or ``"smooth"``.
    size
        Area of a point in square points; None goes by their number, and above 200,000 of them draws tiles of about a
        pixel in the colour of their mean.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes: x and y on one scale, y downwards as in images, points as pixels in PDF and SVG, too. Grey has no value.
    Where a spot holds several cells the score is that of their mixture.

    Raises
    ------
    ParameterError
        There are no coordinates, or the signature was not scored.
    ResultNotFoundError
        Nothing was scored under ``key``.
    """
    where, table = coordinates_of(adata), slots.read_table(adata, key, kind)
    if signature not in table:
        msg = f"'{signature}' was not scored under the key '{key}'.{among(signature, table.columns)}"
        raise ParameterError(msg)
    values = table[signature].to_numpy(float)
    ax = ax if ax is not None else new_axes(6, 5)
    if size is None and len(values) > MAX_POINTS:
        drawn = _draw_tiles(ax, where, values, _MAPS[kind])
    else:
        area = size if size is not None else float(np.clip(_AREA / max(len(values), 1), _SMALLEST, _LARGEST))
        drawn = _draw_points(ax, where, values, _MAPS[kind], area)
    if kind == "z":
        shown: Array = np.ma.masked_invalid(np.ma.asarray(drawn.get_array())).compressed()
        span = float(np.abs(shown).max(initial=1e-9))
        drawn.set_clim(-span, span)
    ax.figure.colorbar(drawn, ax=ax, label=kind, shrink=0.7)
    ax.set(title=pretty(signature), xticks=[], yticks=[], aspect="equal")
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    return ax


def _draw_points(ax: Axes, where: Array, values: Array, colours: str, area: float) -> ScalarMappable:
    known = np.isfinite(values)
    ax.scatter(where[~known, 0], where[~known, 1], s=area, color=_UNKNOWN, linewidths=0, rasterized=True)
    x, y = where[known].T
    return ax.scatter(x, y, s=area, c=values[known], cmap=colours, linewidths=0, rasterized=True)


def _draw_tiles(ax: Axes, where: Array, values: Array, colours: str) -> ScalarMappable:
    """Draw the mean of the cells of each tile; grey where none has a value, nothing where there is none."""
    placed = np.isfinite(where).all(axis=1)
    where, values = where[placed], values[placed]
    low, high = where.min(axis=0), where.max(axis=0)
    side = max(float((high - low).max()) / _TILES, 1e-12)
    columns, rows = np.floor((high - low) / side).astype(int) + 1
    x, y = np.minimum(((where - low) / side).astype(int), (columns - 1, rows - 1)).T
    tile, known = y * columns + x, np.isfinite(values)
    total = np.bincount(tile[known], values[known], columns * rows)
    n_known, n = np.bincount(tile[known], minlength=total.size), np.bincount(tile, minlength=total.size)
    mean = np.ma.masked_where(n_known == 0, total / np.maximum(n_known, 1)).reshape(rows, columns)
    empty = np.ma.masked_where((n == 0) | (n_known > 0), np.ones(total.size)).reshape(rows, columns)
    extent = (low[0], low[0] + columns * side, low[1], low[1] + rows * side)
    ax.imshow(empty, cmap=ListedColormap([_UNKNOWN]), interpolation="nearest", extent=extent, origin="lower")
    return ax.imshow(mean, cmap=colours, interpolation="nearest", extent=extent, origin="lower")
