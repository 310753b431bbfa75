"""Figures of a report: those of ``tamannot.pl`` for which there are data."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Drawing:
    """A figure that a report may have, and its section.

    ``alt`` is the text for screen readers. ``draw`` gets the material and, if an analysis has several results, the
    name of one. It plots labels of all ``cells``, tables and embeddings of at most 50,000 ``points``, or the matrix
    of few ``measured`` cells.
    """

    section: str
    title: str
    alt: str
    draw: Callable[[Material, Any], Axes]
    cells: Literal["cells", "points", "measured"] = "cells"
    is_possible: Callable[[Material], bool] = lambda _: True


def _has_embedding(material: Material) -> bool:
    return material.embedding is not None


def _has_few_samples(material: Material) -> bool:
    return material.samples is not None and len(material.samples.names) <= _MOST_SAMPLES


DRAWINGS = (
    Drawing(
        "calls",
        "Origins",
        "Cells on an embedding, coloured by origin.",
        lambda m, _: pl.origins(m.points, basis=m.embedding, key=m.key),
        "points",
        _has_embedding,
    ),
    Drawing(
        "calls",
        "States",
        "Cells on an embedding, coloured by state.",
        lambda m, _: pl.states(m.points, basis=m.embedding, key=m.key),
        "points",
        _has_embedding,
    ),
    Drawing(
        "calls",
        "States by origin",
        "Bars: share of each state among the macrophages of each origin.",
        lambda m, _: pl.states(m.cells, groupby=slots.slot(m.key, "origin"), key=m.key),
    ),
    Drawing(
        "calls",
        "Calls against marker genes",
        "Dots: share of macrophages of each state that express genes outside the signatures, and how strongly.",
        lambda m, _: pl.markers(m.measured, key=m.key),
        "measured",
        lambda m: m.has_matrix,
    ),
    Drawing(
        "calls",
        "States compared with their null",
        "Distribution of z of each state over macrophages, with baselines and the share of called cells.",
        lambda m, _: pl.scores(m.points, key=m.key),
        "points",
    ),
    Drawing(
        "calls",
        "M1 and M2",
        "Macrophages by the z of their M1 and M2 arms.",
        lambda m, _: pl.polarization(m.points, key=m.key),
        "points",
    ),
    Drawing(
        "samples",
        "States by sample",
        "Bars: share of each state among the macrophages of each sample; the table has the numbers by origin.",
        lambda m, _: pl.states(m.cells, groupby=m.sample_key, key=m.key),
        is_possible=_has_few_samples,
    ),
    Drawing(
        "samples",
        "Origins by sample",
        "Bars: share of each origin among the macrophages of each sample; the table has the numbers by state.",
        lambda m, _: pl.origins(m.cells, groupby=m.sample_key, key=m.key),
        is_possible=_has_few_samples,
    ),
    Drawing(
        "samples",
        "State × origin",
        "Shades: share of each state among the macrophages of each origin; the mean over samples if they are known.",
        lambda m, _: pl.state_by_origin(m.cells, sample_key=m.sample_key, key=m.key),
    ),
    Drawing(
        "composition",
        "Shares by sample",
        "Bars: share of each label in each sample, by condition.",
        lambda m, of: pl.composition(m.cells, axis=of, key=m.key),
    ),
    Drawing(
        "composition",
        "Differences between conditions",
        "Points with intervals: odds ratio of each label between conditions; the table has the numbers.",
        lambda m, of: pl.composition_tests(m.cells, axis=of, key=m.key),
    ),
    Drawing(
        "ferroptosis_summary",
        "Programs by label",
        "Shades: mean z over samples of each ferroptosis program in each label; numbers: share of the cells with too "
        "little signal.",
        lambda m, of: pl.ferroptosis(m.cells, groupby=of, key=m.key),
    ),
    Drawing(
        "enrichment",
        "Signatures of groups",
        "Dots: enrichment of the leading signatures in each group; the table has the numbers.",
        lambda m, of: pl.enrichment(m.cells, groupby=of, key=m.key),
    ),
    Drawing(
        "crosstalk",
        "Associations over samples",
        "Points with intervals: correlation over samples of each test, raw and adjusted; the table has the numbers.",
        lambda m, _: pl.crosstalk(m.cells, key=m.key),
    ),
    Drawing(
        "signatures",
        "Coverage",
        "Bars: share of the genes of each signature that are in the data.",
        lambda m, _: pl.coverage(m.cells, key=m.key),
    ),
)


def pictures_of(material: Material, section: str, *, of: str | None = None) -> tuple[Picture, ...]:
    """Return the figures of a section for which there are data; ``of`` chooses among results."""
    found = []
    for drawing in DRAWINGS:
        if drawing.section == section and drawing.is_possible(material):
            files = drawn(lambda draw=drawing.draw: draw(material, of), svg=material.svg)  # type: ignore[misc]
            n, n_obs = getattr(material, drawing.cells).n_obs, material.cells.n_obs
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
