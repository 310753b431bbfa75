"""Scores where they are in the tissue."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

import tamannot._adata as slots
from tamannot.errors import ParameterError
from tamannot.pl._style import new_axes, pretty
from tamannot.tl._regions import Kind, coordinates_of

_UNKNOWN = "#b0b0b0"
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
        Area of a point in square points; None goes by their number.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes: x and y on one scale, y downwards as in images, points rasterized. Grey has no value. Where a spot holds
    several cells the score is that of their mixture.

    Raises
    ------
    ParameterError
        There are no coordinates, or the signature was not scored.
    ResultNotFoundError
        Nothing was scored under ``key``.
    """
    where, table = coordinates_of(adata), slots.read_table(adata, key, kind)
    if signature not in table:
        msg = f"'{signature}' was not scored under the key '{key}'. There are: {', '.join(map(str, table.columns))}."
        raise ParameterError(msg)
    values = table[signature].to_numpy(float)
    ax = ax if ax is not None else new_axes(6, 5)
    area = size if size is not None else float(np.clip(_AREA / max(len(values), 1), _SMALLEST, _LARGEST))
    known = np.isfinite(values)
    ax.scatter(where[~known, 0], where[~known, 1], s=area, color=_UNKNOWN, linewidths=0, rasterized=True)
    points = ax.scatter(
        where[known, 0], where[known, 1], s=area, c=values[known], cmap=_MAPS[kind], linewidths=0, rasterized=True
    )
    if kind == "z":
        span = float(np.abs(values[known]).max(initial=1e-9))
        points.set_clim(-span, span)
    ax.figure.colorbar(points, ax=ax, label=kind, shrink=0.7)
    ax.set(title=pretty(signature), xticks=[], yticks=[], aspect="equal")
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    return ax
