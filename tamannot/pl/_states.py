"""Which program each macrophage runs."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

import tamannot.data as slots
from tamannot.pl._labels import draw_labels
from tamannot.pl._points import MAX_POINTS


def states(
    adata: AnnData,
    *,
    basis: str | None = None,
    groupby: str | None = None,
    key: str = "tam",
    max_points: int = MAX_POINTS,
    rng: int | np.random.Generator = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the states of macrophages on an embedding, or their shares as one bar a group.

    Parameters
    ----------
    adata
        An annotated object.
    basis
        Embedding in ``obsm`` to draw on, as in scanpy: ``"umap"`` or ``"X_umap"``. None takes the first there is of
        ``X_umap``, ``X_tsne``, ``X_phate``, ``X_draw_graph_fa``, ``X_draw_graph_fr``, ``X_mde``, ``X_diffmap``,
        ``X_pca``, and draws bars where there is none.
    groupby
        Column of ``obs`` to group by, such as the sample: always bars. Bars without it are by the called origin.
    key
        The ``key_added`` of the run.
    max_points
        Most cells to draw. Of more, some are chosen at random, nearly in proportion: rare labels keep more. The
        counts in the legend are of all cells.
    rng
        Seed or generator of that choice, and of the order in which cells lie upon each other.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. On an embedding other cells are light grey beneath the macrophages, and the legend has the cells of each
    state and their share of the macrophages. In bars shares are of the macrophages of a group; their number stands
    beside the bar. ``unassigned`` is shown in both. Cells are no replicates: for a comparison of conditions look at
    samples. That cells of a state lie together in an embedding is no test of the state: both come from the same genes.

    Raises
    ------
    ParameterError
        No such embedding or column, both of them asked for, or ``max_points`` below 100.
    ResultNotFoundError
        The object is not annotated.
    """
    return draw_labels(
        adata,
        "state",
        bars_by=slots.slot(key, "origin"),
        basis=basis,
        groupby=groupby,
        key=key,
        max_points=max_points,
        rng=rng,
        ax=ax,
    )
