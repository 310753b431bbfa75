"""The blocks of a report: plain data that the template turns into HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tamannot.pl._style import pretty


@dataclass(frozen=True)
class Text:
    """A paragraph, or with the kind ``quote`` a text to copy."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Point:
    """An entry of a list: a heading and a sentence."""

    head: str
    text: str
    link: str = ""


@dataclass(frozen=True)
class Points:
    """A list."""

    points: tuple[Point, ...]
    kind: str = "points"


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Cell:
    """A value of a table as shown, and its sort key; None sorts by the text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table; ``numeric`` marks the columns with numbers, ``frame`` has all rows and columns."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    kind: str = "table"
    frame: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False, repr=False)


@dataclass(frozen=True)
class Picture:
    """A figure, PNG, and SVG if it will be exported."""

    title: str
    alt: str
    png: bytes
    svg: bytes = b""
    note: str = ""
    kind: str = "figure"


@dataclass(frozen=True)
class Embedding(Picture):
    """Cells on an embedding, as JSON for the browser; the figure, if there is one, is shown without a script."""

    cells: str = ""
    kind: str = "embedding"


Block = Text | Points | Facts | Table | Picture


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading; ``name`` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """The content of a report."""

    title: str
    source: str
    """The source: a file, or an object in memory."""
    made: str
    """Date and version."""
    sections: tuple[Section, ...]
    head: Section | None = None
    """The overview at the top."""


MOST_ROWS, MOST_COLUMNS = 300, 40
_MOST_LETTERS = 400
# Longer lists without blanks are given some, so that lines break between words.
_LONG, _BETWEEN = 32, re.compile(r"(?<=[;,])(?=\S)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGITS = 12
_BEST_FIRST = ("q", "p")
NOTHING = "–"
# No line is broken before a unit.
_PERCENT = "\u00a0%"


def table_of(frame: pd.DataFrame, title: str, *, note: str = "", most: int = MOST_ROWS) -> Table:
    """Return a table; for a long table the first rows, or those with the smallest q or p.

    The index is shown if it has a name or differs from row numbers. The note, with the number of omitted rows, stands
    below.
    """
    whole = _with_index(frame)
    shown, cut = _first(whole, most)
    numeric, cells = [], list[list[Cell]]()
    for i in range(shown.shape[1]):
        column = shown.iloc[:, i]
        numeric.append(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))
        if numeric[-1]:
            values = column.to_numpy(dtype=float, na_value=np.nan)
            cells.append([Cell(number(v), None if np.isnan(v) else float(v)) for v in values])
        else:
            cells.append([Cell(_text(v)) for v in column.astype(object)])
    columns, rows = tuple(pretty(str(c)) for c in shown.columns), tuple(zip(*cells, strict=True))
    said = " ".join(filter(None, (note, cut)))
    return Table(title, columns, tuple(numeric), rows, said, frame=whole.rename(columns=lambda c: pretty(str(c))))


def number(value: float) -> str:
    """Return a number with few digits."""
    if not np.isfinite(value):
        return NOTHING if np.isnan(value) else str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) < 1e-4 or abs(value) >= 1e6:
        return f"{value:.2e}"
    return f"{value:,.3g}" if abs(value) < 1e3 else f"{value:,.0f}"


def percent(share: float) -> str:
    """Return a share in per cent; a small share is never shown as 0."""
    if np.isnan(share):
        return NOTHING
    if 0 < share < 0.001:
        return f"<\u00a00.1{_PERCENT}"
    return f"{100 * share:.{1 if 0 < share < 0.1 else 0}f}{_PERCENT}"


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    # Numbers of rows; a file keeps them as text.
    counted = pd.api.types.is_integer_dtype(frame.index) or set(frame.index) == set(map(str, range(len(frame))))
    if counted and frame.index.name is None:
        return frame.reset_index(drop=True)
    taken, index = set(map(str, frame.columns)), frame.index.to_frame(index=False)
    index.columns = [_free(n if isinstance(n, str) else "name", taken) for n in index.columns]
    return pd.concat([index, frame.reset_index(drop=True)], axis=1)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _first(frame: pd.DataFrame, most: int) -> tuple[pd.DataFrame, str]:
    said = []
    if frame.shape[1] > MOST_COLUMNS:
        said.append(f"The first {MOST_COLUMNS} of {frame.shape[1]:,} columns are shown.")
    if len(frame) > most:
        by = next((c for c in _BEST_FIRST if c in frame.columns), None)
        n = len(frame)
        frame = (frame if by is None else frame.sort_values(by, kind="stable")).iloc[:most]
        which = "first" if by is None else f"smallest {by}"
        said.append(f"Shown are {most:,} of {n:,} rows: the {which}.")
    return frame.iloc[:, :MOST_COLUMNS], " ".join(said)


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return NOTHING
    text = str(value)
    if _SHA256.fullmatch(text):
        return text[:_DIGITS]
    if len(text) > _LONG and " " not in text:
        text = _BETWEEN.sub(" ", text)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]} …"
