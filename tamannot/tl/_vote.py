"""``tl.vote``: calls by the majority of a group or a neighbourhood, beside the cell's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis._spatial import neighbour_distances, neighbour_weights
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED, Array
from tamannot.errors import ParameterError
from tamannot.stats._vote import ABSENT, NO_LABEL, Votes, vote_among_neighbours, vote_in_groups
from tamannot.tl._write import colors_for

AXES = ("compartment", "origin", "state")

# UCell's default, and that of `smooth`.
_DECAY = 0.1

Poll = Callable[[Array], Votes]


def vote(
    adata: AnnData,
    groupby: str | None = None,
    *,
    key: str = "tam",
    neighbors_key: str = "neighbors",
    min_share: float = 0.5,
    copy: bool = False,
) -> AnnData | None:
    """Give each cell the label that most cells of its group, or of its neighbourhood, were called.

    The cell's own call is never changed; the vote stands beside it, with its share. Groups are yours, such as
    clusters, and so is the graph: neither is ever computed here.

    Parameters
    ----------
    adata
        An annotated object.
    groupby
        Column of ``obs``: in each group one cell has one vote. A cell without a value is in no group and gets
        ``unassigned``. None: the cell and its neighbours vote, with the weights of `smooth` by UCell's default,
        1 for the cell, 0.9 for the nearest, 0.81 for the next, and so on, so that smoothed scores and votes are
        about the same neighbourhood. (Connectivities give a cell no weight of its own.)
    key
        The ``key_added`` of the annotation.
    neighbors_key
        Entry of ``uns`` that names the graph.
    min_share
        Share of the voters that a label needs, between 0 and 1. Cells that are ``unassigned`` are voters without
        a vote: they count in the denominator and nowhere else. Where two labels tie for the lead, and where the
        leading one has too small a share, the vote is ``unassigned``.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. Written are, for those of compartment, origin and state that were called,
    ``obs["{key}_state_vote"]``, categorical with the order and colours of the call, and
    ``obs["{key}_state_vote_share"]``, float32: the share of the leading label, also where it does not suffice;
    NaN where no one voted. In ``uns["tamannot"]["{key}"]["vote"]`` is how. Of origin and state only
    macrophages vote and only they receive: ``not_macrophage`` stays, with a share of NaN. Annotating again
    removes the votes.

    Raises
    ------
    ParameterError
        ``min_share`` is out of range, or there is no such column.
    ResultNotFoundError
        The object is not annotated, or there is no graph.

    Notes
    -----
    What a vote does not mean. Cells of a cluster are not independent evidence: they were put together because
    their transcripts are alike, so a share of 0.9 of 500 cells is no probability and no test, and the sample
    stays the unit of statistics. A state of few cells vanishes in whatever they lie among: compare
    proportions by the cells' own calls. A vote depends on which other cells are in the object and on the
    clustering, and neighbours may be of another sample where the graph was made of several. It is no evidence
    pooled over cells either: weak programs that all cells share elect nobody, and ``transitional`` wins only
    where most cells were called so one by one.

    As celltypist's majority voting (Domínguez Conde et al. 2022, doi:10.1126/science.abl5197), which computes a
    graph and clusters where none are given and by default demands no share.

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
        msg = f"min_share is between 0 and 1, not {min_share}."
        raise ParameterError(msg)
    calls = slots.read_obs(adata, key, AXES)
    poll, how = _in_groups(adata, groupby, min_share) if groupby else _among_neighbours(adata, neighbors_key, min_share)
    adata = slots.to_work_on(adata, copy=copy)
    for axis in AXES:
        if slots.slot(key, axis) in calls:
            _write_vote(adata, key, axis, pd.Categorical(calls[slots.slot(key, axis)]), poll)
    slots.add_to_record(adata, key, "vote", {**how, "min_share": float(min_share)})
    return adata if copy else None


def _in_groups(adata: AnnData, groupby: str, min_share: float) -> tuple[Poll, dict[str, Any]]:
    group, _ = pd.factorize(slots.obs_column(adata, groupby))
    return lambda codes: vote_in_groups(codes, group, min_share=min_share), {"groupby": groupby}


def _among_neighbours(adata: AnnData, neighbors_key: str, min_share: float) -> tuple[Poll, dict[str, Any]]:
    weights = neighbour_weights(neighbour_distances(adata, neighbors_key), _DECAY)
    how = {"neighbors_key": neighbors_key, "decay": _DECAY}
    return lambda codes: vote_among_neighbours(codes, weights, min_share=min_share), how


def _write_vote(adata: AnnData, key: str, axis: str, own: pd.Categorical, poll: Poll) -> None:
    votes = poll(_ballots(own))
    # Taking a part of an object drops categories without cells.
    categories = [*own.categories, *([] if UNASSIGNED in own.categories else [UNASSIGNED])]
    codes = np.where(votes.winner == NO_LABEL, categories.index(UNASSIGNED), votes.winner)
    codes = np.where(votes.winner == ABSENT, own.codes, codes)
    label = pd.Categorical.from_codes(codes, pd.Index(categories)).remove_unused_categories()
    slots.write_obs(adata, key, {f"{axis}_vote": label, f"{axis}_vote_share": votes.share})
    given = dict(zip(own.categories, slots.read_colors(adata, key, axis), strict=False))
    slots.write_colors(adata, key, {f"{axis}_vote": colors_for(axis, label.categories, given)})


def _ballots(own: pd.Categorical) -> Array:
    """Return the votes of the cells; one without a call, or to whom the question is not put, is absent."""
    codes = own.codes.astype(np.int64)
    codes[codes < 0] = ABSENT
    for name, code in ((UNASSIGNED, NO_LABEL), (NOT_MACROPHAGE, ABSENT)):
        if name in own.categories:
            codes[codes == own.categories.get_loc(name)] = code
    return codes
