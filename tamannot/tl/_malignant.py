"""Which cells the user says are malignant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.errors import ParameterError, among

Array = NDArray[Any]
Malignant = str | tuple[str, str | bool | Sequence[str | bool]]
"""A column of yes and no, or a column and those of its values that are malignant."""

_NEVER = (
    "Which cells are malignant is never inferred here: give the column of obs that says so, for example from copy "
    "numbers, as malignant='is_malignant' (True and False) or malignant=('cell_type', 'Malignant')."
)


def malignant_cells(adata: AnnData, malignant: Malignant) -> Array:
    """Return which cells the user says are malignant.

    Raises
    ------
    ParameterError
        Nothing was said, no such column, the column is not yes and no, no such value, or no cell is malignant.
    """
    if not malignant:
        raise ParameterError(_NEVER)
    name, values = (malignant, None) if isinstance(malignant, str) else malignant
    column = slots.obs_column(adata, name)
    chosen = _yes(column, name) if values is None else _among(column, name, values)
    if not chosen.any():
        msg = f"obs['{name}'] says of no cell that it is malignant. {_NEVER}"
        raise ParameterError(msg)
    return chosen


def malignant_as_text(malignant: Malignant) -> str:
    """Return what the user said as text: the column, and its values if there were any."""
    if isinstance(malignant, str):
        return malignant
    name, values = malignant
    return f"{name}: {', '.join(map(str, [values] if isinstance(values, str | bool) else values))}"


def _yes(column: pd.Series, name: str) -> Array:
    kinds = set(column.dropna().unique())
    if not all(isinstance(k, bool | np.bool_) for k in kinds):
        shown = ", ".join(sorted(map(str, kinds))[:5])
        msg = (
            f"obs['{name}'] is not True and False: it has {shown}. "
            f"Say which of its values are malignant: malignant=('{name}', 'Malignant')."
        )
        raise ParameterError(msg)
    return column.astype("boolean").fillna(value=False).to_numpy(bool)


def _among(column: pd.Series, name: str, values: str | bool | Sequence[str | bool]) -> Array:
    asked = [values] if isinstance(values, str | bool) else list(values)
    wanted, have = {str(v) for v in asked}, set(column.dropna().astype(str))
    if unknown := sorted(wanted - have):
        msg = f"obs['{name}'] has no value {', '.join(unknown)}.{among(unknown[0], sorted(have))}"
        raise ParameterError(msg)
    return np.asarray(column.astype(str).isin(wanted) & column.notna(), bool)
