"""Which cells the user says are malignant."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot._adata as slots
from tamannot.errors import ParameterError

Malignant: TypeAlias = str | tuple[str, str | list[str] | tuple[str, ...]]
"""A column of yes and no, or a column and those of its values that are malignant."""


def malignant_cells(adata: AnnData, malignant: Malignant | None) -> NDArray[np.bool_] | None:
    """Return a mask of the malignant cells, None if the user does not say.

    Raises
    ------
    ParameterError
        No such column or value, or a column that is not of yes and no.
    """
    if malignant is None:
        return None
    if isinstance(malignant, str):
        return _yes(slots.obs_column(adata, malignant), malignant)
    name, values = malignant[0], malignant[1]
    column = slots.obs_column(adata, name).astype(str)
    wanted = [values] if isinstance(values, str) else [str(v) for v in values]
    unknown = sorted(set(wanted) - set(column))
    if unknown or not wanted:
        there = ", ".join(map(str, pd.unique(column)[:20]))
        msg = f"obs['{name}'] has no value {', '.join(unknown) or 'named'}. There are: {there}."
        raise ParameterError(msg)
    return np.asarray(column.isin(wanted), bool)


def _yes(column: pd.Series, name: str) -> NDArray[np.bool_]:
    known: Any = column.dropna()
    if set(known.unique()) <= {True, False}:
        return np.asarray(column.map(lambda v: v is True or v is np.True_ or v == 1), bool)
    msg = f"obs['{name}'] is not of yes and no. Give the values that are malignant: malignant=('{name}', ['…'])."
    raise ParameterError(msg)
