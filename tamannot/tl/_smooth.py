"""``tl.smooth``: scores averaged over an existing neighbour graph."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.errors import ParameterError, ResultNotFoundError

Array = NDArray[Any]


def smooth(
    adata: AnnData,
    *,
    key: str = "tam",
    kind: Literal["score", "z"] = "score",
    neighbors_key: str = "neighbors",
    decay: float = 0.1,
    up_only: bool = False,
    copy: bool = False,
) -> AnnData | None:
    """Average scores over the nearest neighbours of each cell, as UCell's ``SmoothKNN``.

    A cell weighs 1, its nearest neighbour ``1 - decay``, the next ``(1 - decay)²``, and so on. Drop-outs are
    evened out, and so are rare cells: a smoothed score says what a cell's surroundings are like, and its
    cells are no longer independent. No graph is ever computed here.

    Parameters
    ----------
    adata
        A scored object with a neighbour graph, such as ``scanpy.pp.neighbors`` makes.
    key
        The ``key_added`` of the scores.
    kind
        ``"score"`` or ``"z"``.
    neighbors_key
        Entry of ``uns`` that names the graph.
    decay
        Between 0 (all neighbours weigh the same) and 1 (the cell alone). Neighbours at the same distance
        share their weights.
    up_only
        Keep a cell's own score where the smoothed one is lower.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. Written is ``obsm["{key}_smooth"]``, cells × signatures, float32; read it with
    ``get.scores(adata, kind="smooth")``.

    Raises
    ------
    ParameterError
        ``decay`` is out of range, or there is no such ``kind``.
    ResultNotFoundError
        There are no scores, or there is no graph.

    Notes
    -----
    Source: Andreatta & Carmona 2021, doi:10.1016/j.csbj.2021.06.043; ``SmoothKNN`` of the R package.
    """
    adata = slots.to_work_on(adata, copy=copy)
    if not 0 <= decay <= 1:
        msg = f"decay is between 0 and 1, not {decay}."
        raise ParameterError(msg)
    if kind not in ("score", "z"):
        msg = f"kind is 'score' or 'z', not {kind!r}."
        raise ParameterError(msg)
    table = slots.read_table(adata, key, kind)
    values = table.to_numpy(np.float64)
    smoothed = neighbour_weights(neighbour_distances(adata, neighbors_key), decay) @ values
    if up_only:
        smoothed = np.maximum(smoothed, values)
    slots.write_obsm(adata, slots.slot(key, "smooth"), list(table.columns), smoothed)
    how = {"kind": kind, "neighbors_key": neighbors_key, "decay": decay, "up_only": up_only}
    slots.add_to_record(adata, key, "smooth", how)
    return adata if copy else None


def neighbour_weights(distances: sp.csr_matrix, decay: float) -> sp.csr_array:
    """Return the matrix, rows summing to 1, that averages over each cell and its neighbours.

    Parameters
    ----------
    distances
        Distances to the neighbours of each cell; what is not stored is no neighbour.
    decay
        As in `smooth`.
    """
    n = distances.shape[0]
    row = np.repeat(np.arange(n), np.diff(distances.indptr))
    others = row != distances.indices
    row, column, distance = row[others], distances.indices[others], distances.data[others]
    order = np.lexsort((distance, row))
    row, column, distance = row[order], column[order], distance[order]
    place = np.arange(row.size) - np.searchsorted(row, row)
    weight = (1.0 - decay) ** (place + 1.0)
    # Neighbours at the same distance have no order: they share.
    new = np.r_[True, (np.diff(row) != 0) | (np.diff(distance) != 0)] if row.size else np.empty(0, bool)
    tie = np.cumsum(new) - 1
    weight = (np.bincount(tie, weight) / np.bincount(tie))[tie] if row.size else weight
    graph = sp.csr_array((weight, (row, column)), shape=(n, n)) + sp.eye_array(n, format="csr")
    return sp.csr_array(sp.diags_array(1.0 / graph.sum(axis=1)) @ graph)


def neighbour_distances(adata: AnnData, neighbors_key: str) -> sp.csr_matrix:
    """Return the distances of an existing graph.

    Raises
    ------
    ResultNotFoundError
        There is none of that name.
    """
    known = adata.uns.get(neighbors_key, {})
    # Without an entry of uns there may be a graph by scanpy's usual name, but no other name stands for that one.
    usual = "distances" if neighbors_key == "neighbors" else f"{neighbors_key}_distances"
    name = known.get("distances_key", usual) if hasattr(known, "get") else usual
    if name not in adata.obsp:
        msg = (
            f"No neighbour graph under '{neighbors_key}' (obsp['{name}'] is not there), and none is computed unasked. "
            "Run scanpy.pp.neighbors(adata) first, or name yours with neighbors_key=."
        )
        raise ResultNotFoundError(msg)
    return sp.csr_matrix(adata.obsp[name])
