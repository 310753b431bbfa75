"""What `tl.enrich` found, as tables."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from anndata import AnnData

from tamannot.get._analysis import analysis_table

_TABLES = {"signatures": "table", "clusters": "clusters"}


def enrichment(
    adata: AnnData,
    key: str = "tam",
    *,
    kind: Literal["signatures", "clusters"] = "signatures",
    groupby: str | None = None,
) -> pd.DataFrame:
    """Return what `tl.enrich` found.

    Parameters
    ----------
    adata
        An object after `tl.enrich`.
    key
        The ``key_added`` of the run.
    kind
        ``"signatures"``: one row a group and signature. ``"clusters"``: one row a group, with its names.
    groupby
        The column that was compared; None takes the one that was compared last.

    Returns
    -------
    A copy; parameters and cautions are in ``attrs``. Of signatures: ``group``, ``signature``, ``es`` (enrichment
    score, -1 to 1), ``nes`` (over that of random sets of the same size; above 0: higher in the group), ``p``, ``q``
    (within the group), ``difference`` (how far the genes of the signature stand above all genes in the group, log2 or
    the unit of log-normalised data, mean over samples), ``p_samples`` (of that by t over samples; NaN by cells),
    ``n_genes`` (genes in the ranking), ``leading_edge`` (those before the peak, joined by ``;``), ``rank`` (1: the
    greatest NES of the group), ``unit`` (what genes were ranked over, ``sample`` or ``cell``), ``n_samples`` (0 by
    cells), ``n_cells`` of the group.

    Of clusters: ``group``, ``n_cells``, and for each of ``compartment``, ``origin`` and ``state`` the signature with
    the greatest NES if its q is at most 0.05, over samples its ``difference`` at least 0.4, and of four samples or
    more its ``p_samples`` at most 0.05, else ``unassigned``; ``…_nes`` and ``…_q`` of that signature, also where it
    does not suffice; ``…_cells``, the label of most of the group's cells that were called; ``…_share``, its share of
    those; ``…_agree``, whether the two are the same. Origin and state are ``not_macrophage`` where most called cells
    of the group are none, and ``unassigned`` where macrophages were not compared with macrophages.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.enrich` has not been run.
    """
    return analysis_table(adata, key, "enrichment", kind, _TABLES, call="tl.enrich(adata, groupby)", of=groupby)
