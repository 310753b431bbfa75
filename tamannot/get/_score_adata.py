"""Scores as an AnnData of their own."""

from __future__ import annotations

from copy import deepcopy

import anndata as ad
import numpy as np
import pandas as pd

import tamannot.data as slots
from tamannot.get._tables import Kind, coverage, scores


def score_adata(adata: ad.AnnData, key: str = "tam", *, kind: Kind = "score") -> ad.AnnData:
    """Return the scores as cells × signatures, so that scanpy's plots and tests work on them.

    Parameters
    ----------
    adata
        A scored or annotated object.
    key
        The ``key_added`` of the run.
    kind
        As in `scores`.

    Returns
    -------
    A new object: X is the table (float32), ``obs``, embeddings, graphs and colours are those of ``adata``,
    ``var`` has version, axis, digest and coverage of each signature. Scores are no counts: do not normalise
    them, and remember that tests between cells take cells for replicates.

    Raises
    ------
    ResultNotFoundError
        It has not been computed.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.score(adata, tam.load_signatures(axis="state"), min_coverage=0)
    >>> tam.get.score_adata(adata).shape
    (184, 5)
    """
    table = scores(adata, key, kind=kind)
    about = slots.read_record(adata, key).signatures
    table = table[[i for i in table if i in about.index]]  # others are of a run whose record was lost
    var = about.join(coverage(adata, key)[["n_genes", "n_present", "coverage"]]).loc[table.columns]
    out = ad.AnnData(table.to_numpy(np.float32, copy=True), obs=adata.obs.copy(), var=var.rename_axis(None))
    ours = tuple(slots.slot(run, "") for run in slots.runs_of(adata))
    for name, values in adata.obsm.items():
        if not (isinstance(values, pd.DataFrame) and name.startswith(ours)):  # our own tables stay where they are
            out.obsm[name] = values.copy()
    for name, values in adata.obsp.items():
        out.obsp[name] = values.copy()
    out.uns.update({name: deepcopy(value) for name, value in adata.uns.items() if name != slots.UNS})
    return out
