"""The tables of an analysis of samples, with what a reader of them should know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.errors import ParameterError, ResultNotFoundError


def analysis_table(
    adata: AnnData,
    key: str,
    name: str,
    chosen: str,
    tables: Mapping[str, str],
    *,
    call: str,
    of: str | list[str] | None = None,
    asked: str = "kind",
    left_out: str | None = None,
) -> pd.DataFrame:
    """Return a copy of a table of an analysis; ``attrs`` has all of its record that is no table.

    Parameters
    ----------
    adata
        An object that was analysed.
    key
        The ``key_added`` of the run.
    name
        Name of the analysis among the results of the run.
    chosen
        The table, as its caller knows it.
    tables
        The tables by that name, as the record knows them.
    call
        What makes the analysis, for whoever has not run it.
    of
        What the analysis is of, such as the axis; None takes the latest.
    asked
        The parameter by which the caller chose.
    left_out
        What to say of a table that only some runs make.

    Raises
    ------
    ParameterError
        There is no such table.
    ResultNotFoundError
        The analysis was not run, or made no such table.
    """
    if chosen not in tables:
        msg = f"{asked} is one of {', '.join(tables)}, not {chosen!r}."
        raise ParameterError(msg)
    record = slots.read_analysis(adata, key, name, of=of, call=call)
    if tables[chosen] not in record:
        msg = (
            left_out
            or f"The results of '{name}' under the key '{key}' have no table '{chosen}'. Run tamannot.{call} again."
        )
        raise ResultNotFoundError(msg)
    table = pd.DataFrame(record[tables[chosen]]).copy()
    table.attrs = {name: _plain(value) for name, value in record.items() if not isinstance(value, pd.DataFrame)}
    return table


def _plain(value: Any) -> Any:
    """Return texts as lists, not arrays: pandas compares attrs when it joins or prints tables."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [str(v) for v in value] if isinstance(value, np.ndarray) else value
