"""``tl.vote``: majority labels of a group or a neighbourhood, next to the cell's own label."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis._spatial import neighbour_distances, neighbour_weights
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import ParameterError
from tamannot.stats._vote import ABSENT, NO_LABEL, vote_among_neighbours, vote_in_groups
from tamannot.tl._write import colors_for

# UCell's default, and that of `smooth`.
_DECAY = 0.1


def vote(
    adata: AnnData,
    groupby: str | None = None,
    *,
    key: str = "tam",
    neighbors_key: str = "neighbors",
    min_share: float = 0.5,
    copy: bool = False,
) -> AnnData | None:
    """Give each cell the most frequent label of its group or of its neighbourhood.

    The cell's own label is never changed; the vote and its share are added. Groups, such as clusters, and the graph
    must exist: neither is computed here.

    Parameters
    ----------
    adata
        An annotated object.
    groupby
        Column of ``obs``: each cell of a group has one vote. A cell without a value gets ``unassigned``. None: the cell
        and its neighbours vote, with the weights of `smooth` (UCell's default): 1 for the cell, 0.9 for the nearest
        neighbour, 0.81 for the next, and so on, so that smoothed scores and votes use the same neighbourhood.
        (Connectivities give the cell itself no weight.)
    key
        The ``key_added`` of the annotation.
    neighbors_key
        Entry of ``uns`` that names the graph.
    min_share
        Minimum share of a label, between 0 and 1. ``unassigned`` cells do not vote: they count only in the denominator.
        If two labels tie, or the share of the leading label is too small, the vote is ``unassigned``.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. For each of compartment, origin and state that was called, the results are
    ``obs["{key}_state_vote"]``, categorical with the order and colours of the call, and
    ``obs["{key}_state_vote_share"]``, float32: the share of the leading label, even if it is below ``min_share``; NaN
    if no cell voted. The settings are in ``uns["tamannot"]["{key}"]["vote"]``. For origin and state only macrophages
    vote and get a vote: ``not_macrophage`` stays, with a share of NaN. Annotating again removes the votes.

    Raises
    ------
    ParameterError
        ``min_share`` is out of range, or the column is missing.
    ResultNotFoundError
        The object is not annotated, or has no neighbour graph.

    Notes
    -----
    Limits of a vote. Cells of a cluster are not independent evidence: they were grouped because their transcripts are
    similar. A share of 0.9 of 500 cells is neither a probability nor a test, and the sample remains the unit of
    statistics. A state of few cells disappears among its neighbours: compare proportions by the cells' own labels. A
    vote depends on the other cells in the object and on the clustering, and neighbours may come from another sample. A
    vote does not pool evidence over cells either: ``unassigned`` cells do not vote, so a weak program shared by all
    cells does not win, and ``transitional`` wins only if most cells were called so individually.

    Similar to celltypist's majority voting (Domínguez Conde et al. 2022, doi:10.1126/science.abl5197), which computes a
    graph and clusters if none are given and by default requires no minimum share.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.tl.vote(adata, "author_label")
    >>> theirs = adata.obs["author_label"] == "Microglia/Macrophage"
    >>> adata.obs.loc[theirs, "tam_compartment_vote"].unique().tolist()
    ['macrophage']
    """
    if not 0 <= min_share <= 1:
        raise ParameterError(f"min_share must be between 0 and 1, not {min_share}.")
    calls = slots.read_obs(adata, key, slots.AXES)
    how: dict[str, Any] = {"groupby": groupby} if groupby else {"neighbors_key": neighbors_key, "decay": _DECAY}
    if groupby:
        group, _ = pd.factorize(slots.obs_column(adata, groupby))
        poll = partial(vote_in_groups, group=group, min_share=min_share)
    else:
        weights = neighbour_weights(neighbour_distances(adata, neighbors_key), _DECAY)
        poll = partial(vote_among_neighbours, weights=weights, min_share=min_share)
    adata = slots.to_work_on(adata, copy=copy)
    for axis in (a for a in slots.AXES if slots.slot(key, a) in calls):
        own = pd.Categorical(calls[slots.slot(key, axis)])
        # Taking a part of an object drops categories without cells.
        categories = [*own.categories, *([] if UNASSIGNED in own.categories else [UNASSIGNED])]
        ballots = own.codes.astype(np.int64)
        ballots[ballots < 0] = ABSENT
        for name, code in ((UNASSIGNED, NO_LABEL), (NOT_MACROPHAGE, ABSENT)):
            if name in own.categories:
                ballots[ballots == categories.index(name)] = code
        votes = poll(ballots)
        codes = np.where(votes.winner == NO_LABEL, categories.index(UNASSIGNED), votes.winner)
        codes = np.where(votes.winner == ABSENT, own.codes, codes)
        label = pd.Categorical.from_codes(codes, pd.Index(categories)).remove_unused_categories()
        slots.write_obs(adata, key, {f"{axis}_vote": label, f"{axis}_vote_share": votes.share})
        given = dict(zip(own.categories, slots.read_colors(adata, key, axis), strict=False))
        slots.write_colors(adata, key, {f"{axis}_vote": colors_for(axis, label.categories, given)})
    slots.add_to_record(adata, key, "vote", {**how, "min_share": float(min_share)})
    return adata if copy else None
