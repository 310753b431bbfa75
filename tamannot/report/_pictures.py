"""Pictures of a report: those of ``tamannot.pl`` for which there is something to draw."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tamannot.data as slots
from tamannot import pl
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.report._blocks import Picture
from tamannot.report._material import Material

_DPI = 130
# More bars than this are read in the table.
_MOST_SAMPLES = 60

Cells = Literal["cells", "points", "measured"]


@dataclass(frozen=True)
class Drawing:
    """A picture that a report may have.

    Parameters
    ----------
    section
        Where it stands.
    title, alt
        Its title; what it shows, for those who cannot see it.
    function
        Of ``tamannot.pl``; the picture is left out while there is none of that name.
    cells
        What it is drawn from: labels of all ``cells``, tables and embeddings of at most 50,000 ``points``, or the
        matrix of few ``measured`` cells.
    arguments
        Names of parameters and where their values come from: fields of `Material`.
    needs
        Fields of `Material` that must be known.
    chosen_by
        The parameter that chooses among the results of an analysis.
    """

    section: str
    title: str
    function: str
    alt: str
    cells: Cells = "cells"
    arguments: tuple[tuple[str, Any], ...] = ()
    needs: tuple[str, ...] = ()
    chosen_by: str = ""


def _samples(material: Material) -> str | None:
    return material.sample_key


def _origin(material: Material) -> str:
    return slots.slot(material.key, "origin")


def _embedding(material: Material) -> str | None:
    return material.embedding


_ON = (("basis", _embedding),)
_BY_SAMPLE = (("groupby", _samples),)

DRAWINGS = (
    Drawing("calls", "Origins", "origins", "Cells on an embedding, coloured by origin.", "points", _ON, ("embedding",)),
    Drawing("calls", "States", "states", "Cells on an embedding, coloured by state.", "points", _ON, ("embedding",)),
    Drawing(
        "calls",
        "States by origin",
        "states",
        "Bars: share of each state among the macrophages of each origin.",
        arguments=(("groupby", _origin),),
    ),
    Drawing(
        "calls",
        "Calls against marker genes",
        "markers",
        "Dots: in how many macrophages of each state genes outside the signatures are detected, and how strongly.",
        "measured",
    ),
    Drawing(
        "calls",
        "States against their null",
        "scores",
        "Distributions of z of each state over macrophages, with baselines and the share called.",
        "points",
    ),
    Drawing("calls", "M1 and M2", "polarization", "Macrophages by the z of their M1 and M2 arms.", "points"),
    Drawing(
        "samples",
        "States by sample",
        "states",
        "Bars: share of each state among the macrophages of each sample; the table has the numbers by origin.",
        arguments=_BY_SAMPLE,
        needs=("sample_key",),
    ),
    Drawing(
        "samples",
        "Origins by sample",
        "origins",
        "Bars: share of each origin among the macrophages of each sample; the table has the numbers by state.",
        arguments=_BY_SAMPLE,
        needs=("sample_key",),
    ),
    Drawing(
        "samples",
        "State × origin",
        "state_by_origin",
        "Shades: share of each state among the macrophages of each origin, where samples are known their mean.",
        arguments=(("sample_key", _samples),),
    ),
    Drawing(
        "composition",
        "Shares by sample",
        "composition",
        "Bars: share of each label in each sample, by condition.",
        chosen_by="axis",
    ),
    Drawing(
        "composition",
        "Differences between conditions",
        "composition_tests",
        "Points with intervals: odds ratio of each label between conditions; the table has the numbers.",
        chosen_by="axis",
    ),
    Drawing(
        "ferroptosis_summary",
        "Programs by label",
        "ferroptosis",
        "Shades: mean z over samples of each ferroptosis program in each label; figures: share of the cells with too "
        "little signal.",
        chosen_by="groupby",
    ),
    Drawing(
        "enrichment",
        "Signatures of groups",
        "enrichment",
        "Dots: enrichment of the leading signatures in each group; the table has the numbers.",
        chosen_by="groupby",
    ),
    Drawing(
        "crosstalk",
        "Associations over samples",
        "crosstalk",
        "Points with intervals: correlation over samples of each test, raw and adjusted; the table has the numbers.",
    ),
    Drawing("signatures", "Coverage", "coverage", "Bars: share of the genes of each signature that are in the data."),
)


def pictures_of(material: Material, section: str, *, of: str | None = None) -> tuple[Picture, ...]:
    """Return the pictures of a section for which there is something to draw; ``of`` chooses among results."""
    return tuple(p for drawing in DRAWINGS if drawing.section == section for p in _drawn(material, drawing, of))


def _drawn(material: Material, drawing: Drawing, of: str | None) -> Iterator[Picture]:
    function = getattr(pl, drawing.function, None)
    if function is None or any(getattr(material, need) is None for need in drawing.needs):
        return
    if drawing.cells == "measured" and not material.has_matrix:
        return
    if drawing.arguments == _BY_SAMPLE and _too_many(material):
        return
    arguments = _arguments(material, drawing, function)
    if arguments is None:
        return
    if of is not None and drawing.chosen_by:
        arguments[drawing.chosen_by] = of
    png = drawn(lambda: function(getattr(material, drawing.cells), **arguments))
    if png is not None:
        yield Picture(drawing.title, drawing.alt, png, _how_many(material, drawing.cells))


def _too_many(material: Material) -> bool:
    return material.samples is not None and len(material.samples.names) > _MOST_SAMPLES


def _arguments(material: Material, drawing: Drawing, function: Callable[..., object]) -> dict[str, Any] | None:
    """Return what the function is called with; None if it asks for what is not known, or cannot take it."""
    known = {"sample_key": material.sample_key, "condition": material.condition}
    given = {"key": material.key} | {name: value(material) for name, value in drawing.arguments}
    parameters = list(inspect.signature(function).parameters.values())
    required = [p.name for p in parameters[1:] if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    given |= {name: known[name] for name in required if known.get(name) is not None}
    return given if set(required) <= set(given) <= {p.name for p in parameters} else None


def _how_many(material: Material, cells: Cells) -> str:
    n, n_obs = getattr(material, cells).n_obs, material.cells.n_obs
    return "" if n == n_obs else f"Drawn from {n:,} of {n_obs:,} cells, the same ones every time."


def drawn(draw: Callable[[], object]) -> bytes | None:
    """Return what a function draws as PNG; None if the result that it shows is not there, or not whole."""
    before = set(plt.get_fignums())
    # Names of the user's are no formulas: a '$' stays one.
    with mpl.rc_context({"text.parse_math": False, "savefig.facecolor": "white"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        try:
            return _png(_figure_of(draw()))
        except (ResultNotFoundError, MatrixError, KeyError):  # a key: a record of another release, shown as tables
            return None
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)


def _figure_of(made: object) -> Figure:
    """Return the figure of whatever a function of ``pl`` returns."""
    if isinstance(made, Figure):
        return made
    if isinstance(made, Axes):
        return cast("Figure", made.figure)  # get_figure(root=) is not in matplotlib 3.9
    parts = made.values() if isinstance(made, Mapping) else made
    return _figure_of(next(iter(parts)))  # type: ignore[call-overload]


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    return out.getvalue()
