"""Tables of an AnnData that `read_lazy` has left in their file."""

from __future__ import annotations

from typing import Any

import pandas as pd
from anndata import AnnData

from tamannot._adata._slots import runs_of


def loaded(table: Any) -> pd.DataFrame:
    """Return ``obs`` or ``var`` as a table in memory; the same if it is."""
    if isinstance(table, pd.DataFrame):
        return table
    name = table.index.name  # anndata 0.12.2 to 0.12.10 loses it, here and in the table itself
    return table.to_memory().rename_axis(index=name)


def to_work_on(adata: AnnData, *, copy: bool) -> AnnData:
    """Return the object, or a copy, with ``obs`` and ``var`` in memory; its matrices stay where they are.

    Raises
    ------
    ResultNotFoundError
        ``uns["tamannot"]`` holds something else than records: said before anything is written.
    """
    runs_of(adata)
    target = adata.copy() if copy else adata
    for name in ("obs", "var"):
        if not isinstance(table := getattr(adata, name), pd.DataFrame):
            setattr(target, name, loaded(table))
    return target
