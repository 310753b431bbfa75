"""Where each macrophage resembles to come from."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

import tamannot.data as slots
from tamannot.pl._labels import draw_labels
from tamannot.pl._points import MAX_POINTS


def origins(
    adata: AnnData,
    *,
    basis: str | None = None,
    groupby: str | None = None,
    key: str = "tam",
    max_points: int = MAX_POINTS,
    rng: int | np.random.Generator = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the origins of macrophages on an embedding, or their shares as one bar a sample.

    Parameters
    ----------
    adata
        An annotated object.
    basis
        Embedding in ``obsm`` to draw on, found as in `states`; bars where there is none.
    groupby
        Column of ``obs`` to group by: always bars. Bars without it are by the ``sample_key`` of the run; one bar if
        there was none.
    key
        The ``key_added`` of the run.
    max_points
        Most cells to draw, chosen as in `states`.
    rng
        Seed or generator of that choice, and of the order in which cells lie upon each other.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes, as of `states`. An origin is resemblance of transcripts, not lineage.

    Raises
    ------
    ParameterError
        No such embedding or column, both of them asked for, or ``max_points`` below 100.
    ResultNotFoundError
        The object is not annotated.
    """
    return draw_labels(
        adata,
        "origin",
        bars_by=_sample_key(adata, key),
        basis=basis,
        groupby=groupby,
        key=key,
        max_points=max_points,
        rng=rng,
        ax=ax,
    )


def _sample_key(adata: AnnData, key: str) -> str | None:
    """Return the sample column that the run was given, if it is still there."""
    name = slots.read_record(adata, key).sample_key
    return name if name in adata.obs else None
