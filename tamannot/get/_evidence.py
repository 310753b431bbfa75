"""The evidence behind the label of one cell."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot.errors import ParameterError, ResultNotFoundError


def evidence(adata: AnnData, cell: str | int, key: str = "tam") -> pd.DataFrame:
    """Return what speaks for and against the labels of one cell.

    Parameters
    ----------
    adata
        An annotated object.
    cell
        Name of the cell, or its number.
    key
        The ``key_added`` of the run.

    Returns
    -------
    One row a signature, the greatest z of each axis first: ``axis``, ``score`` (0 to 1), ``z`` and ``p``
    against the matched null (p is NaN where nothing can be said), ``coverage`` (share of its genes in the
    data), and ``called``: whether it is the cell's label on that axis. A high z that is not called is a rival.

    Raises
    ------
    ParameterError
        No such cell.
    ResultNotFoundError
        The object was not annotated, or was scored without a null.
    """
    row = _row_of(adata, cell)
    record = slots.read_provenance(adata, key)
    tables = {kind: slots.read_table(adata, key, kind).iloc[row] for kind in ("score", "z", "p")}
    out = pd.DataFrame(
        {"axis": pd.DataFrame(record["signatures"])["axis"].astype(str)}
        | tables
        | {"coverage": pd.DataFrame(record["coverage"])["coverage"]}
    ).loc[tables["score"].index]
    out["called"] = out.index.isin(_labels(adata, row, key))
    axes = {axis: i for i, axis in enumerate(dict.fromkeys(out["axis"]))}
    order = pd.DataFrame({"axis": out["axis"].map(axes), "z": -out["z"]}).sort_values(["axis", "z"], kind="stable")
    return out.loc[order.index].rename_axis("signature")


def _row_of(adata: AnnData, cell: str | int) -> int:
    if isinstance(cell, int):
        if not -adata.n_obs <= cell < adata.n_obs:
            msg = f"No cell number {cell}: the data have {adata.n_obs} cells."
            raise ParameterError(msg)
        return cell
    places = [i for i, name in enumerate(adata.obs_names) if name == cell]
    if len(places) != 1:
        msg = f"{len(places)} cells are named '{cell}'. Give the number of the cell, 0 to {adata.n_obs - 1}."
        raise ParameterError(msg)
    return places[0]


def _labels(adata: AnnData, row: int, key: str) -> set[str]:
    try:
        labels = slots.read_obs(adata, key, ("compartment", "origin", "state")).iloc[row]
    except ResultNotFoundError:
        return set()
    return set(labels.astype(str))
