"""The object that was given: whether it is an AnnData, and its tables that `read_lazy` has left in their file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
from anndata import AnnData

from tamannot.errors import ParameterError


def loaded(table: Any) -> pd.DataFrame:
    """Return ``obs`` or ``var`` as a table in memory; the same if it is."""
    if isinstance(table, pd.DataFrame):
        return table
    name = table.index.name  # anndata 0.12.2 to 0.12.10 loses it, here and in the table itself
    return table.to_memory().rename_axis(index=name)


def check_adata(adata: object) -> None:
    """Refuse what is no AnnData.

    Raises
    ------
    ParameterError
        It is a path, a table, a container of several AnnData or something else; the message says what to give.
    """
    if not isinstance(adata, AnnData):
        msg = f"An AnnData is needed here, not {_what_it_is(adata)}"
        raise ParameterError(msg)


def _what_it_is(given: object) -> str:
    """Say what was given instead of an AnnData, and how to come by one."""
    if isinstance(given, str | os.PathLike):
        read = "read_zarr" if str(given).rstrip("/").endswith(".zarr") else "read_h5ad"
        line = f"anndata.{read}({os.fspath(given)!r})"
        return f"the path of a file. Read it first, {line}, or annotate the file itself with tamannot.annotate_file."
    name = type(given).__name__
    for parts, call in (("mod", "mdata.mod"), ("tables", "sdata.tables")):  # MuData, SpatialData
        inside = getattr(given, parts, None)
        if isinstance(inside, Mapping):
            return f"a {name}. Give one of its objects: {', '.join(f'{call}[{key!r}]' for key in inside) or 'none'}."
    if hasattr(given, "shape"):
        return f"a {name}. Make one of cells × genes first: anndata.AnnData(table), with the gene names in var_names."
    if isinstance(given, list | tuple | dict):
        return f"a {name}. Give one object at a time, or join them first: anndata.concat(…)."
    return f"{'None' if given is None else f'an object of type {name}'}."
