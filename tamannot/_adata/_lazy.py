"""Tables of an AnnData that `read_lazy` has left in their file."""

from __future__ import annotations

from typing import Any

import pandas as pd
from anndata import AnnData


def loaded(table: Any) -> pd.DataFrame:
    """Return ``obs`` or ``var`` as a table in memory; the same if it is."""
    return table if isinstance(table, pd.DataFrame) else table.to_memory()


def to_work_on(adata: AnnData, *, copy: bool) -> AnnData:
    """Return the object, or a copy, with ``obs`` and ``var`` in memory; its matrices stay where they are."""
    adata = adata.copy() if copy else adata
    for name in ("obs", "var"):
        if not isinstance(table := getattr(adata, name), pd.DataFrame):
            setattr(adata, name, loaded(table))
    return adata
