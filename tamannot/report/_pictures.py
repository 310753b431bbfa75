"""Figures of a report: those of ``tamannot.pl`` for which there are data."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tamannot.data as slots
from tamannot import pl
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.pl._style import figures_for_a_file
from tamannot.report._blocks import Picture
from tamannot.report._material import Material

_DPI = 130
# More bars than this are read in the table.
_MOST_SAMPLES = 60

Options = dict[str, Any]


@dataclass(frozen=True)
class Drawing:
    """A figure that a report may have, and its section.

    ``alt`` is the text for screen readers. ``plot`` draws labels of all ``cells``, tables and embeddings of at most
    50,000 ``points``, or the matrix of few ``measured`` cells. ``options`` gets the material and, if an analysis has
    several results, the name of one; it returns None if there is nothing to draw.
    """

    section: str
    title: str
    alt: str
    plot: Callable[..., Axes]
    cells: Literal["cells", "points", "measured"] = "cells"
    options: Callable[[Material, str | None], Options | None] = lambda *_: {}


def _on_embedding(material: Material, _of: str | None) -> Options | None:
    return None if material.embedding is None else {"basis": material.embedding}


def _by_sample(material: Material, _of: str | None) -> Options | None:
    few = material.samples is not None and len(material.samples.names) <= _MOST_SAMPLES
    return {"groupby": material.sample_key} if few else None


def _of_axis(_: Material, of: str | None) -> Options:
    return {"axis": of}


def _of_groups(_: Material, of: str | None) -> Options:
    return {"groupby": of}


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

DRAWINGS = (
    Drawing("calls", "Origins", "Cells on an embedding, coloured by origin.", pl.origins, "points", _on_embedding),
    Drawing("calls", "States", "Cells on an embedding, coloured by state.", pl.states, "points", _on_embedding),
    Drawing(
        "calls",
        "States by origin",
        _BY_ORIGIN,
        pl.states,
        "cells",
        lambda m, _: {"groupby": slots.slot(m.key, "origin")},
    ),
    Drawing("calls", "Calls against marker genes", _MARKERS, pl.markers, "measured"),
    Drawing("calls", "States compared with their null", _NULL, pl.scores, "points"),
    Drawing("calls", "M1 and M2", "Macrophages by the z of their M1 and M2 arms.", pl.polarization, "points"),
    Drawing("samples", "States by sample", _OF_SAMPLE.format("state", "origin"), pl.states, "cells", _by_sample),
    Drawing("samples", "Origins by sample", _OF_SAMPLE.format("origin", "state"), pl.origins, "cells", _by_sample),
    Drawing(
        "samples", "State × origin", _CROSSED, pl.state_by_origin, "cells", lambda m, _: {"sample_key": m.sample_key}
    ),
    Drawing(
        "composition",
        "Shares by sample",
        "Bars: share of each label in each sample, by condition.",
        pl.composition,
        "cells",
        _of_axis,
    ),
    Drawing("composition", "Differences between conditions", _ODDS, pl.composition_tests, "cells", _of_axis),
    Drawing("ferroptosis_summary", "Programs by label", _PROGRAMS, pl.ferroptosis, "cells", _of_groups),
    Drawing("enrichment", "Signatures of groups", _ENRICHED, pl.enrichment, "cells", _of_groups),
    Drawing("crosstalk", "Associations over samples", _RHO, pl.crosstalk),
    Drawing("signatures", "Coverage", "Bars: share of the genes of each signature that are in the data.", pl.coverage),
)


def pictures_of(material: Material, section: str, *, of: str | None = None) -> tuple[Picture, ...]:
    """Return the figures of a section for which there are data; ``of`` chooses among results."""
    found = []
    for drawing in DRAWINGS:
        options = drawing.options(material, of) if drawing.section == section else None
        if options is not None:
            cells = getattr(material, drawing.cells)
            files = drawn(partial(drawing.plot, cells, key=material.key, **options), svg=material.svg)
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
