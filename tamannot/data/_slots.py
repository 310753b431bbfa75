"""The slots of an AnnData that tamannot writes or reads: columns of obs, tables of obsm, colours; and what is given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from tamannot.errors import ParameterError, ResultNotFoundError, among
from tamannot.scoring._njit import Array

AXES = ("compartment", "origin", "state")
"""What `tl.annotate` calls for each cell."""
LABELS = (*AXES, "label")
TABLES = {"score": "scores", "z": "z", "p": "p", "smooth": "smooth"}


def slot(key: str, name: str) -> str:
    """Return the key of a result: ``tam_state`` for ``state``."""
    return f"{key}_{name}"


def check_key(key: str) -> str:
    """Return the key if results can be stored under it."""
    if not isinstance(key, str) or not key or "/" in key:
        raise ParameterError(f"key_added must be a string without '/', not {key!r}.")
    return key


def check_adata(adata: object) -> None:
    """Raise if the object is not an AnnData; the message says what it is, and how to get one."""
    if isinstance(adata, AnnData):
        return
    name = type(adata).__name__
    what = "None." if adata is None else f"an object of type {name}."
    if isinstance(adata, str | os.PathLike):
        read = "read_zarr" if str(adata).rstrip("/").endswith(".zarr") else "read_h5ad"
        line = f"anndata.{read}({os.fspath(adata)!r})"
        what = f"the path of a file. Read it first with {line}, or annotate the file with tamannot.annotate_file."
    elif hasattr(adata, "shape"):
        what = f"a {name}. Create one (cells × genes) first: anndata.AnnData(table), with the gene names in var_names."
    elif isinstance(adata, list | tuple | dict):
        what = f"a {name}. Pass one object at a time, or join them first: anndata.concat(…)."
    for parts, call in (("mod", "mdata.mod"), ("tables", "sdata.tables")):  # MuData, SpatialData
        inside = getattr(adata, parts, None)
        if isinstance(inside, Mapping):
            objects = ", ".join(f"{call}[{key!r}]" for key in inside) or "none"
            what = f"a {name}. Pass one of its objects: {objects}."
    raise ParameterError(f"This function needs an AnnData, not {what}")


def loaded(table: Any) -> pd.DataFrame:
    """Return ``obs`` or ``var`` as a table in memory; the same if it is."""
    if isinstance(table, pd.DataFrame):
        return table
    name = table.index.name  # anndata 0.12.2 to 0.12.10 loses it, here and in the table itself
    return table.to_memory().rename_axis(index=name)


def write_obs(adata: AnnData, key: str, columns: Mapping[str, Any]) -> None:
    """Write columns of obs, each named ``{key}_{name}``."""
    for name, values in columns.items():
        adata.obs[slot(key, name)] = values


def write_obsm(adata: AnnData, name: str, columns: Sequence[str], values: Array) -> None:
    """Write a table, cells by columns, float32."""
    narrow = values.astype(np.float32, copy=False)
    adata.obsm[name] = pd.DataFrame(narrow, index=adata.obs_names, columns=list(columns))


def write_tables(adata: AnnData, key: str, ids: Sequence[str], tables: Mapping[str, Array | None]) -> None:
    """Write ``obsm["{key}_scores"]``, ``_z`` and ``_p``; those not given are removed: a group is one run."""
    for kind, suffix in TABLES.items():
        name, values = slot(key, suffix), tables.get(kind)
        if values is None:
            adata.obsm.pop(name, None)
        else:
            write_obsm(adata, name, ids, values)


def write_colors(adata: AnnData, key: str, colors: Mapping[str, Sequence[str]]) -> None:
    """Write the colours of categorical columns where scanpy looks for them."""
    for name, values in colors.items():
        adata.uns[f"{slot(key, name)}_colors"] = np.array(list(values), dtype=object)


def read_obs(adata: AnnData, key: str, names: Sequence[str]) -> pd.DataFrame:
    """Return columns that tamannot wrote into obs, those that are there."""
    check_adata(adata)
    have = [slot(key, n) for n in names if slot(key, n) in adata.obs]
    if not have:
        raise ResultNotFoundError(f"No '{slot(key, names[0])}' in obs. Run tamannot.tl.annotate(adata) first.")
    return pd.DataFrame(adata.obs[have])


def labels_of(adata: AnnData, key: str, axis: str) -> Array:
    """Return the label of each cell on an axis, as text."""
    return read_obs(adata, key, (axis,)).iloc[:, 0].astype(str).to_numpy(dtype=object)


def read_obsm(adata: AnnData, name: str) -> pd.DataFrame:
    """Return a table that tamannot wrote."""
    check_adata(adata)
    if name not in adata.obsm:
        raise ResultNotFoundError(
            f"No '{name}' in obsm. Run tamannot.tl.annotate(adata) or tamannot.tl.score(adata, …) first."
        )
    return pd.DataFrame(adata.obsm[name])


def read_table(adata: AnnData, key: str, kind: str) -> pd.DataFrame:
    """Return a table of scores, z or p."""
    if kind not in TABLES:
        raise ParameterError(f"kind must be one of score, z, p, q, smooth, not {kind!r}.")
    return read_obsm(adata, slot(key, TABLES[kind]))


def read_colors(adata: AnnData, key: str, name: str) -> list[str]:
    """Return the colours of a categorical column, empty if there are none."""
    return [str(c) for c in adata.uns.get(f"{slot(key, name)}_colors", [])]


def obs_column(adata: AnnData, name: str) -> pd.Series:
    """Return a column of ``obs``."""
    check_adata(adata)
    return pd.Series(column_of(adata.obs, name, "obs"))


def column_of(table: pd.DataFrame, name: str, where: str) -> pd.Series:
    """Return a column of ``obs`` or ``var``; ``where`` names the table in errors."""
    if name not in table.columns:
        raise ParameterError(f"No column '{name}' in {where}.{among(str(name), table.columns)}")
    column = table[name]
    if isinstance(column, pd.DataFrame):
        raise ParameterError(f"{where} has more than one column '{name}'. Rename all but one.")
    return column


def texts_of(column: pd.Series | pd.Index) -> list[str]:
    """Return names as strings; bytes that are not UTF-8 are escaped, missing values are what pandas makes of them."""
    texts = column.tolist()
    if set(map(type, texts)) <= {str}:
        return texts
    try:
        return list(map(str, column.astype(str).tolist()))
    except (UnicodeError, TypeError):
        return [v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else str(v) for v in column.tolist()]
