"""The evidence behind the label of one cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot._adata as slots
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.get._cells import row_of
from tamannot.get._kept import Kept

Array = NDArray[Any]

# Names in the text of genes.
_SHOWN = 8


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
    data), ``called``: whether it is the cell's label on that axis, ``n_detected``: how many of its genes the cell
    has, and ``genes``: the eight highest expressed of them, genes that speak against it with a minus. A high z
    that is not called is a rival. ``n_detected`` and ``genes`` are missing values where the matrix is no longer that
    of the run (`contributions` says why), or the run was only scored.

    Raises
    ------
    ParameterError
        No such cell.
    ResultNotFoundError
        The object was not annotated, or was scored without a null.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.get.evidence(adata, 0).loc["macrophage", "genes"]
    'C1QB, P2RY12, GPR34, C1QC, AIF1, C1QA, CSF1R, C3'
    """
    row = row_of(adata, cell)
    record = slots.read_record(adata, key)
    tables = {kind: slots.read_table(adata, key, kind).iloc[row] for kind in ("score", "z", "p")}
    out = pd.DataFrame(
        {"axis": record.signatures["axis"].astype(str)} | tables | {"coverage": record.coverage["coverage"]}
    ).loc[[i for i in tables["z"].index if i in record.signatures.index]]
    out["called"] = out.index.isin(_labels(adata, row, key))
    out = out.join(_detected(adata, row, key, list(out.index)))
    axes = {axis: i for i, axis in enumerate(dict.fromkeys(out["axis"]))}
    order = pd.DataFrame({"axis": out["axis"].map(axes), "z": -out["z"]}).sort_values(["axis", "z"], kind="stable")
    return out.loc[order.index].rename_axis("signature")


def _labels(adata: AnnData, row: int, key: str) -> set[str]:
    try:
        labels = slots.read_obs(adata, key, ("compartment", "origin", "state")).iloc[row]
    except ResultNotFoundError:
        return set()
    return set(labels.astype(str))


def _detected(adata: AnnData, row: int, key: str, signatures: list[str]) -> pd.DataFrame:
    try:
        kept = Kept(adata, key, row)
        block = kept.row(row)
    except (ResultNotFoundError, MatrixError):  # the tables stand without the matrix
        found: list[tuple[object, object]] = [(pd.NA, pd.NA)] * len(signatures)
    else:
        values = np.bincount(block.indices, weights=block.values, minlength=kept.matrix.n_vars)
        found = [_of_signature(kept, values, s) if s in kept.axis_of else (pd.NA, pd.NA) for s in signatures]
    number, text = ([f[i] for f in found] for i in range(2))
    return pd.DataFrame(
        {
            "n_detected": pd.Series(number, index=signatures, dtype="Int64"),
            "genes": pd.Series(text, index=signatures, dtype=object),
        }
    )


def _of_signature(kept: Kept, values: Array, signature: str) -> tuple[object, object]:
    columns = kept.columns(signature)
    names = [f"{'−' if w < 0 else ''}{n}" for n, w in zip(kept.names(columns), kept.weights(signature), strict=True)]
    here = sorted((-values[c], n) for c, n in zip(columns, names, strict=True) if values[c] > 0)
    return len(here), ", ".join(n for _, n in here[:_SHOWN])
