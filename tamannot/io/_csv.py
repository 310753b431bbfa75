"""Tables as CSV that a spreadsheet can open: a name in them is never a formula."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from tamannot.errors import printable

# What a spreadsheet runs begins so; a number may as well.
_STARTS = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table of cells, one row a cell, with the ids of the cells as the column ``cell``.

    Texts that a spreadsheet would take for a formula (they begin with ``=``, ``+``, ``-`` or ``@``, and are no
    numbers) get an apostrophe before them, the ids of cells and the names of columns included; in those that do not
    print (tabs, line breaks, escapes) that is written as an escape. All others stay as they are.

    Parameters
    ----------
    table
        One row a cell; not changed.
    path
        Made anew.
    """
    safe = table.set_axis(pd.Index(_harmless(table.index)), axis=0).set_axis(_harmless(table.columns), axis=1)
    for place, kind in enumerate(table.dtypes):
        values = table.iloc[:, place]
        if isinstance(kind, pd.CategoricalDtype):
            if any(map(_is_harmful, kind.categories)):
                safe.isetitem(place, _harmless(values))
        elif not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
            safe.isetitem(place, _harmless(values))
    safe.to_csv(path, index_label="cell")


def _harmless(names: Iterable[object]) -> list[object]:
    return [_mended(name) if _is_harmful(name) else name for name in names]


def _is_harmful(name: object) -> bool:
    return isinstance(name, str) and not (name.isprintable() and (not name.startswith(_STARTS) or _is_number(name)))


def _is_number(name: str) -> bool:
    return _NUMBER.fullmatch(name) is not None


def _mended(name: object) -> str:
    words = printable(name)
    return f"'{words}" if words.startswith(_STARTS) and not _is_number(words) else words
