"""The blocks of a report: plain data that the template turns into HTML, and how tables and figures become blocks."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tamannot.data as slots
from tamannot import pl
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.pl._cells import PLANES, plane_in
from tamannot.pl._style import figures_for_a_file, pretty
from tamannot.report._material import Material


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
    source: str  # a file, or an object in memory
    made: str  # date and version
    sections: tuple[Section, ...]


MOST_ROWS, MOST_COLUMNS = 300, 40
_MOST_LETTERS = 400
# Longer lists without blanks are given some, so that lines break between words.
_LONG, _BETWEEN = 32, re.compile(r"(?<=[;,])(?=\S)")
_SHA256, _DIGITS = re.compile(r"[0-9a-f]{64}"), 12
NOTHING = "–"
_PERCENT = "\u00a0%"  # no line is broken before a unit


def table_of(frame: pd.DataFrame, title: str, *, note: str = "", most: int = MOST_ROWS) -> Table:
    """Return a table, with an index that is not row numbers; of a long one the first rows, or the smallest q or p."""
    whole = frame.reset_index(drop=True)
    # Numbers of rows; a file keeps them as text.
    counted = pd.api.types.is_integer_dtype(frame.index) or set(frame.index) == set(map(str, whole.index))
    if not counted or frame.index.name is not None:
        index, taken = frame.index.to_frame(index=False), set(map(str, frame.columns))
        names = [name if isinstance(name, str) else "name" for name in index.columns]
        index.columns = [next(free for n in count() if (free := name + "_" * n) not in taken) for name in names]
        whole = pd.concat([index, whole], axis=1)
    shown, said = whole, [note] if note else []
    if whole.shape[1] > MOST_COLUMNS:
        said.append(f"The first {MOST_COLUMNS} of {whole.shape[1]:,} columns are shown.")
    if len(whole) > most:
        by = next((c for c in ("q", "p") if c in whole.columns), None)
        shown = (whole if by is None else whole.sort_values(by, kind="stable")).iloc[:most]
        which = "first" if by is None else f"smallest {by}"
        said.append(f"Shown are {most:,} of {len(whole):,} rows: the {which}.")
    shown = shown.iloc[:, :MOST_COLUMNS]

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
    frame = whole.rename(columns=lambda c: pretty(str(c)))
    return Table(title, columns, tuple(numeric), rows, " ".join(said), frame=frame)


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


_DPI = 130
_MOST_SAMPLES = 60  # more bars are read in the table


@dataclass(frozen=True)
class Drawing:
    """A figure that a report may have, and its section."""

    section: str
    title: str
    alt: str  # for screen readers
    plot: Callable[..., Axes]
    # The labels of all cells; tables and embeddings of at most 50,000 points; or the matrix of few measured cells.
    cells: Literal["cells", "points", "measured"] = "cells"
    options: Callable[[Material], dict[str, Any] | None] = lambda _: {}  # None: there is nothing to draw
    chosen_by: str | None = None  # the option that chooses among several results of an analysis


def _on_embedding(material: Material) -> dict[str, Any] | None:
    basis = plane_in(material.points, PLANES)
    return None if basis is None else {"basis": basis}


def _by_sample(material: Material) -> dict[str, Any] | None:
    few = material.samples is not None and len(material.samples.names) <= _MOST_SAMPLES
    return {"groupby": material.sample_key} if few else None


# Texts for screen readers.
_BY_ORIGIN = "Bars: share of each state among the macrophages of each origin."
_MARKERS = "Dots: share of macrophages of each state that express genes outside the signatures, and how strongly."
_NULL = "Distribution of z of each state over macrophages, with baselines and the share of called cells."
_OF_SAMPLE = "Bars: share of each {} among the macrophages of each sample; the table has the numbers by {}."
_CROSSED = "Shades: share of each state among the macrophages of each origin; the mean over samples if they are known."
_ODDS = "Points with intervals: odds ratio of each label between conditions; the table has the numbers."
_PROGRAMS = (
    "Shades: mean z over samples of each ferroptosis program in each label; numbers: share of the cells with too "
    "little signal."
)
_ENRICHED = "Dots: enrichment of the leading signatures in each group; the table has the numbers."
_RHO = "Points with intervals: correlation over samples of each test, raw and adjusted; the table has the numbers."
_BARS = "Bars: share of each label in each sample, by condition."
_COVERED = "Bars: share of the genes of each signature that are in the data."

DRAWINGS = (
    Drawing("calls", "Origins", "Cells on an embedding, coloured by origin.", pl.origins, "points", _on_embedding),
    Drawing("calls", "States", "Cells on an embedding, coloured by state.", pl.states, "points", _on_embedding),
    Drawing(
        "calls", "States by origin", _BY_ORIGIN, pl.states, options=lambda m: {"groupby": slots.slot(m.key, "origin")}
    ),
    Drawing("calls", "Calls against marker genes", _MARKERS, pl.markers, "measured"),
    Drawing("calls", "States compared with their null", _NULL, pl.scores, "points"),
    Drawing("calls", "M1 and M2", "Macrophages by the z of their M1 and M2 arms.", pl.polarization, "points"),
    Drawing("samples", "States by sample", _OF_SAMPLE.format("state", "origin"), pl.states, options=_by_sample),
    Drawing("samples", "Origins by sample", _OF_SAMPLE.format("origin", "state"), pl.origins, options=_by_sample),
    Drawing("samples", "State × origin", _CROSSED, pl.state_by_origin, options=lambda m: {"sample_key": m.sample_key}),
    Drawing("composition", "Shares by sample", _BARS, pl.composition, chosen_by="axis"),
    Drawing("composition", "Differences between conditions", _ODDS, pl.composition_tests, chosen_by="axis"),
    Drawing("ferroptosis_summary", "Programs by label", _PROGRAMS, pl.ferroptosis, chosen_by="groupby"),
    Drawing("enrichment", "Signatures of groups", _ENRICHED, pl.enrichment, chosen_by="groupby"),
    Drawing("crosstalk", "Associations over samples", _RHO, pl.crosstalk),
    Drawing("signatures", "Coverage", _COVERED, pl.coverage),
)


def pictures_of(material: Material, section: str, *, of: str | None = None) -> tuple[Picture, ...]:
    """Return the figures of a section for which there are data; ``of`` chooses among results."""
    found = []
    for drawing in DRAWINGS:
        options = drawing.options(material) if drawing.section == section else None
        if options is not None:
            chosen = {drawing.chosen_by: of} if drawing.chosen_by else {}
            cells = getattr(material, drawing.cells)
            files = drawn(partial(drawing.plot, cells, key=material.key, **options, **chosen), svg=material.svg)
            n, n_obs = cells.n_obs, material.cells.n_obs
            note = "" if n == n_obs else f"Showing {n:,} of {n_obs:,} cells, the same ones every time."
            found += [Picture(drawing.title, drawing.alt, *files, note)] if files else []
    return tuple(found)


def drawn(draw: Callable[[], Axes], *, svg: bool = False) -> tuple[bytes, bytes] | None:
    """Return a figure as PNG, and as SVG or empty; None if its data are missing or incomplete."""
    with figures_for_a_file():
        try:
            figure = cast("Figure", draw().figure)  # get_figure(root=) is not in matplotlib 3.9
        except (ResultNotFoundError, MatrixError, KeyError):  # a key: a record of another release, shown as tables
            return None
        return _painted(figure, "png"), _painted(figure, "svg") if svg else b""


def _painted(figure: Figure, kind: str) -> bytes:
    out = io.BytesIO()
    unstated = {"Software": None} if kind == "png" else {"Date": None}
    figure.savefig(out, format=kind, dpi=_DPI, bbox_inches="tight", metadata=unstated)
    return out.getvalue()
