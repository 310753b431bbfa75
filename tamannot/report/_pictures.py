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

from tamannot import pl
from tamannot.errors import ResultNotFoundError
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
    """

    section: str
    title: str
    function: str
    alt: str
    cells: Cells = "cells"
    arguments: tuple[tuple[str, Any], ...] = ()
    needs: tuple[str, ...] = ()


def _by_sample(material: Material) -> str | None:
    return material.sample_key


DRAWINGS = (
    Drawing("calls", "States by origin", "states", "Bars: share of each state among the macrophages of each origin."),
    Drawing("calls", "Origins", "origins", "Cells on the embedding of the data, coloured by origin.", "points"),
    Drawing(
        "calls", "Signatures and their genes", "coverage", "Share of the genes of each signature that are in the data."
    ),
    Drawing("calls", "Scores", "scores", "Scores of the state signatures in macrophages, by state.", "points"),
    Drawing(
        "calls",
        "Calls against marker genes",
        "markers",
        "Dots: how many cells of each state express marker genes, and how strongly.",
        "measured",
    ),
    Drawing("calls", "M1 and M2 arms", "polarization", "Macrophages by their M1 and M2 scores.", "points"),
    Drawing(
        "samples",
        "States by sample",
        "states",
        "Bars: share of each state among the macrophages of each sample; the table beside it has the numbers.",
        arguments=(("groupby", _by_sample),),
        needs=("sample_key",),
    ),
    Drawing(
        "samples",
        "States by origin and sample",
        "state_by_origin",
        "Share of each state among the macrophages of each origin, sample by sample.",
    ),
    Drawing(
        "composition",
        "Composition",
        "composition",
        "Share of each label by sample and condition, with estimates and intervals.",
    ),
    Drawing(
        "ferroptosis",
        "Ferroptosis programs",
        "ferroptosis",
        "Ferroptosis programs of macrophages by sample and label.",
        "points",
    ),
    Drawing(
        "crosstalk",
        "Crosstalk",
        "crosstalk",
        "Correlations across samples between macrophages and malignant cells, with intervals.",
    ),
)


def pictures_of(material: Material, section: str) -> tuple[Picture, ...]:
    """Return the pictures of a section for which there is something to draw."""
    return tuple(p for drawing in DRAWINGS if drawing.section == section for p in _drawn(material, drawing))


def _drawn(material: Material, drawing: Drawing) -> Iterator[Picture]:
    function = getattr(pl, drawing.function, None)
    if function is None or any(getattr(material, need) is None for need in drawing.needs):
        return
    if drawing.cells == "measured" and not material.has_matrix:
        return
    if "groupby" in dict(drawing.arguments) and _too_many(material):
        return
    arguments = _arguments(material, drawing, function)
    if arguments is None:
        return
    png = drawn(lambda: function(getattr(material, drawing.cells), **arguments))
    if png is not None:
        yield Picture(drawing.title, drawing.alt, png, _how_many(material, drawing.cells))


def _too_many(material: Material) -> bool:
    return material.samples is not None and len(material.samples.names) > _MOST_SAMPLES


def _arguments(material: Material, drawing: Drawing, function: Callable[..., object]) -> dict[str, Any] | None:
    """Return what the function is called with; None if it asks for something that is not known."""
    known = {"key": material.key, "sample_key": material.sample_key, "condition": material.condition}
    given = {name: value(material) for name, value in drawing.arguments}
    parameters = inspect.signature(function).parameters
    given |= {name: known[name] for name in parameters if known.get(name) is not None}
    required = [p.name for p in list(parameters.values())[1:] if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    return given if set(required) <= set(given) else None


def _how_many(material: Material, cells: Cells) -> str:
    n, n_obs = getattr(material, cells).n_obs, material.cells.n_obs
    return "" if n == n_obs else f"Drawn from {n:,} of {n_obs:,} cells, the same ones every time."


def drawn(draw: Callable[[], object]) -> bytes | None:
    """Return what a function draws as PNG; None if the result that it shows is not there."""
    before = set(plt.get_fignums())
    # Names of the user's are no formulas: a '$' stays one.
    with mpl.rc_context({"text.parse_math": False, "savefig.facecolor": "white"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        try:
            return _png(_figure_of(draw()))
        except ResultNotFoundError:
            return None
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)


def _figure_of(made: object) -> Figure:
    """Return the figure of whatever a function of ``pl`` returns."""
    if isinstance(made, Figure):
        return made
    if isinstance(made, Axes):
        return cast("Figure", made.get_figure(root=True))
    parts = made.values() if isinstance(made, Mapping) else made
    return _figure_of(next(iter(parts)))  # type: ignore[call-overload]


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    return out.getvalue()
