"""Results of scoring and annotation as tables, or as a separate object; the row of a cell."""

from copy import deepcopy
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.classify import SUMMARIES
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.stats._means import benjamini_hochberg

ANNOTATIONS = (
    *(f"{axis}{what}" for axis in slots.AXES for what in ("", "_prob", "_status", "_vote", "_vote_share")),
    *("programs", "mixed_lineage", "dual_m1_m2", *SUMMARIES, "model_label", "model_prob", "model_status"),
)
# The reviews also call lipid-associated macrophages immunoregulatory; this is their coarser naming.
_STATE_PARENT = {"lipid_associated": "immunoregulatory", "immunoregulatory": "immunoregulatory"}

Kind = Literal["score", "z", "p", "q", "smooth"]


def scores(adata: AnnData, key: str = "tam", *, kind: Kind = "score") -> pd.DataFrame:
    """Return the table of scores, z, p, q or smoothed scores.

    Parameters
    ----------
    adata
        A scored or annotated object.
    key
        The ``key_added`` of the run.
    kind
        ``"score"``; ``"z"`` and ``"p"`` against the matched null, if requested; ``"q"``: p adjusted
        over the cells of each signature by Benjamini and Hochberg; ``"smooth"``: the scores of `tl.smooth`.
        Cells are not independent tests, so use q only to select cells.

    Returns
    -------
    Cells × signatures, float32; a copy. NaN if a value cannot be computed: a signature below ``min_coverage``,
    a p of too few genes.

    Raises
    ------
    ResultNotFoundError
        It has not been computed.
    """
    if kind != "q":
        return slots.read_table(adata, key, kind).copy()
    # Of series, because arrays of an object without cells lose the columns.
    return slots.read_table(adata, key, "p").apply(lambda p: pd.Series(benjamini_hochberg(p), p.index, np.float32))


def coverage(adata: AnnData, key: str = "tam") -> pd.DataFrame:
    """Return how many genes of each signature were in the data.

    Parameters
    ----------
    adata
        A scored or annotated object.
    key
        The ``key_added`` of the run.

    Returns
    -------
    One row per signature: ``n_genes``, ``n_present``, ``coverage`` (0 to 1), ``missing`` (symbols).

    Raises
    ------
    ResultNotFoundError
        There are no results under the key.
    """
    return slots.read_record(adata, key).coverage.copy()


def annotations(adata: AnnData, key: str = "tam") -> pd.DataFrame:
    """Return the annotation of every cell as a table.

    Parameters
    ----------
    adata
        An annotated object.
    key
        The ``key_added`` of the run.

    Returns
    -------
    One row per cell: the columns that `tl.annotate` wrote into ``obs``, those of `tl.vote` if it was run, those of a
    label model under ``{key}_model``, and ``{key}_state_parent``, the coarser naming of the reviews, in which
    lipid-associated macrophages are immunoregulatory as well.

    Raises
    ------
    ResultNotFoundError
        The object is not annotated.
    """
    table, state = slots.read_obs(adata, key, ANNOTATIONS).copy(), slots.slot(key, "state")
    if state not in table:
        raise ResultNotFoundError(f"No '{state}' in obs. Run tamannot.tl.annotate(adata) first.")
    parent = pd.Series(pd.Categorical(table[state].astype(str).replace(_STATE_PARENT)), index=table.index)
    table.insert(list(table.columns).index(state) + 1, slots.slot(key, "state_parent"), parent)
    return table


def score_adata(adata: AnnData, key: str = "tam", *, kind: Kind = "score") -> AnnData:
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
    ``var`` has version, axis, digest and coverage of each signature. Scores are not counts: do not normalise
    them, and remember that tests between cells treat cells as replicates.

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
    out = AnnData(table.to_numpy(np.float32, copy=True), obs=adata.obs.copy(), var=var.rename_axis(None))
    ours = tuple(slots.slot(run, "") for run in slots.runs_of(adata))
    for name, values in adata.obsm.items():
        if not (isinstance(values, pd.DataFrame) and name.startswith(ours)):  # our own tables stay where they are
            out.obsm[name] = values.copy()
    out.obsp.update({name: values.copy() for name, values in adata.obsp.items()})
    out.uns.update({name: deepcopy(value) for name, value in adata.uns.items() if name != slots.UNS})
    return out


def row_of(adata: AnnData, cell: str | int) -> int:
    """Return the row of a cell given by its name or number."""
    slots.check_adata(adata)
    if isinstance(cell, (int, np.integer)):
        if not -adata.n_obs <= cell < adata.n_obs:
            raise ParameterError(f"There is no cell number {cell}: the data have {adata.n_obs} cells.")
        return int(cell) % adata.n_obs
    places = np.flatnonzero(np.asarray(adata.obs_names == cell))
    if places.size != 1:
        raise ParameterError(
            f"{places.size} cells are named '{cell}'. Use the number of the cell, 0 to {adata.n_obs - 1}."
        )
    return int(places[0])
