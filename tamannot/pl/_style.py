"""What all plots share: the options of a figure, names, colours, axes, legends, checks of numbers."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like, to_hex
from matplotlib.figure import Figure

import tamannot.data as slots
from tamannot._settings import annotations_with, with_options
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import ParameterError
from tamannot.tl._write import COLORS

F = TypeVar("F", bound=Callable[..., Axes])
Palette = str | Sequence[str] | Mapping[str, str]

# Of Okabe & Ito's palette, which is told apart with any colour vision.
BLUE, VERMILION = "#0072b2", "#d55e00"
# Differences from a middle, white.
DIVERGING = "PuOr_r"
LEGEND_ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "frameon": False, "fontsize": "small"}
LEGEND_BESIDE: dict[str, Any] = {
    "loc": "upper left",
    "bbox_to_anchor": (1.01, 1.02),
    "frameon": False,
    "fontsize": "small",
    "title_fontsize": "small",
}


class FigureOptions(TypedDict, total=False):
    """What every function of ``tamannot.pl`` takes beside its own parameters, as those of scanpy do."""

    show: bool | None
    save: str | os.PathLike[str] | None
    return_fig: bool
    figsize: tuple[float, float] | None
    title: str | None


_OPTIONS_DOC = """\
show
    Show the figure and return None. None shows it where the backend has windows, unless ``ax`` is given.
save
    File to write, such as ``"figure.png"`` or ``"figure.svg"``; the suffix is the format.
return_fig
    Return the `matplotlib.figure.Figure` instead of the axes, and do not show it.
figsize
    Width and height of a new figure, in inches; None fits the content.
title
    Title above the axes. It replaces the default title.
"""
_DEFAULTS: dict[str, Any] = {"show": None, "save": None, "return_fig": False, "figsize": None, "title": None}
_MAY_SHOW: ContextVar[bool] = ContextVar("_MAY_SHOW", default=True)


@contextmanager
def figures_for_a_file() -> Iterator[None]:
    """Within it figures are drawn to be written: none is shown unless asked for, and all are closed at the end."""
    before, token = set(plt.get_fignums()), _MAY_SHOW.set(False)
    # Names of the user's are not formulas: a '$' stays one. Salted, the same figure is the same file.
    style: dict[Any, Any] = {"text.parse_math": False, "savefig.facecolor": "white", "svg.hashsalt": "tamannot"}
    try:
        with mpl.rc_context(style), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            yield
    finally:
        _MAY_SHOW.reset(token)
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def figure(draw: F) -> F:
    """Give a function that draws on ``ax`` the options of `FigureOptions`, in its signature and help, too."""
    signature, doc = with_options(draw, FigureOptions, _DEFAULTS, _OPTIONS_DOC)

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        signature.bind(*args, **kwargs)  # refuses what is no parameter
        asked = _DEFAULTS | {name: kwargs.pop(name) for name in _DEFAULTS if name in kwargs}
        given = kwargs.get("ax")
        if asked["figsize"] is not None:
            if given is not None:
                msg = "figsize sets the size of a new figure, but ax= belongs to one already. Give one of them."
                raise ParameterError(msg)
            kwargs["ax"] = new_axes(*asked["figsize"])
        try:
            ax = draw(*args, **kwargs)
        except BaseException:
            if given is None and "ax" in kwargs and kwargs["ax"] is not None:
                plt.close(kwargs["ax"].figure)
            raise
        if asked["title"] is not None:
            _set_title(ax, asked["title"])
        return _finish(ax, asked, is_new=given is None)

    drawn.__signature__ = signature  # type: ignore[attr-defined]
    drawn.__annotations__ = annotations_with(draw, FigureOptions)
    drawn.__doc__ = doc
    return cast("F", drawn)


def _finish(ax: Axes, asked: dict[str, Any], *, is_new: bool) -> Axes | Figure | None:
    """Write, show and return a figure as scanpy does."""
    whole = ax.figure.figure  # of a part of a figure, the whole
    if asked["save"] is not None:
        _save(whole, Path(asked["save"]))
    if asked["return_fig"]:
        return whole
    has_windows = getattr(whole.canvas, "required_interactive_framework", None) is not None
    if asked["show"] or (asked["show"] is None and is_new and has_windows and _MAY_SHOW.get()):
        plt.show()
    return None if asked["show"] else ax


def _save(whole: Figure, path: Path) -> None:
    """Write a file whole, or not at all."""
    name = path.suffix.removeprefix(".").lower() or str(plt.rcParams["savefig.format"])
    known = whole.canvas.get_supported_filetypes()
    if name not in known:
        msg = f"save='{path}' has no suffix of a figure format. Available: {', '.join(sorted(known))}."
        raise ParameterError(msg)
    out = io.BytesIO()
    whole.savefig(out, format=name, bbox_inches="tight")
    try:
        path.with_name(path.name if path.suffix else f"{path.name}.{name}").write_bytes(out.getvalue())
    except OSError as error:
        msg = f"save='{path}' cannot be written: {error.strerror}. Give a path in a folder that exists."
        raise ParameterError(msg) from error


def _set_title(ax: Axes, title: str) -> None:
    """Put a title above the axes and all that stands above them, in place of the default one."""
    for place in ("left", "center", "right"):
        ax.set_title("", loc=place)
    dpi = ax.figure.get_dpi()
    whole = ax.get_tightbbox()
    above = 0.0 if whole is None else (whole.y1 - ax.get_window_extent().y1) * 72 / dpi
    ax.set_title(title, loc="left", pad=max(above, 0.0) + 6)


# Ids as people write them; others lose their underscores.
_NAMES = {
    "b": "B cell",
    "bbb_disruption": "BBB disruption",
    "border_associated": "border-associated",
    "cystine_gsh": "cystine–GSH",
    "dhodh_mitochondrial": "mitochondrial DHODH",
    "ecm_remodelling": "ECM remodelling",
    "epithelial_like": "epithelial-like",
    "fsp1_coq10": "FSP1–CoQ10",
    "gch1_bh4": "GCH1–BH4",
    "glial_like": "glial-like",
    "gpx4_axis": "GPX4 axis",
    "interferon_primed": "interferon-primed",
    "lipid_associated": "lipid-associated",
    "m1": "M1",
    "m2": "M2",
    "monocyte_derived": "monocyte-derived",
    "mufa_protection": "MUFA protection",
    "nrf2_targets": "NRF2 targets",
    "opc": "OPC",
    "pro_angiogenic": "pro-angiogenic",
    "pufa": "PUFA",
    "pufa_pl_synthesis": "PUFA-PL synthesis",
    "t_nk": "T/NK",
    "wnt_signalling": "WNT signalling",
}
_ID_IN_TEXT = re.compile(r"\w+_\w+")


def plain(name: str) -> str:
    """Return a name of the user's, which means what it says: a cluster 'b' is no B cell."""
    return name.replace("_", " ")


def naming(column: str | None, key: str) -> Callable[[str], str]:
    """Return how the values of a column are written: ours as labels, the user's as they are."""
    return pretty if column in COLORS or str(column).startswith(slots.slot(key, "")) else plain


def pretty(name: str) -> str:
    """Return an id of ours, or a sentence with such, as people write it."""
    return _NAMES.get(name) or _ID_IN_TEXT.sub(lambda m: _NAMES.get(m[0]) or m[0].replace("_", " "), name)


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, in inches."""
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def open_corner(ax: Axes) -> None:
    """Take away the lines above and at the right."""
    ax.spines[["top", "right"]].set_visible(False)


def colors_of(adata: AnnData, key: str, axis: str, palette: Palette | None = None) -> dict[str, str]:
    """Return the colour of each label of an axis: of the palette given, else the user's in ``uns``, else ours."""
    own = slots.read_colors(adata, key, axis)
    names = slots.read_obs(adata, key, (axis,)).iloc[:, 0].cat.categories if own or palette else ()
    greys = {name: COLORS["state"][name] for name in (UNASSIGNED, NOT_MACROPHAGE)}
    ours = greys | COLORS.get(axis, {}) | dict(zip(names, own, strict=False))
    return ours if palette is None else ours | of_palette(palette, [str(name) for name in names])


def of_palette(palette: Palette, names: Sequence[str]) -> dict[str, str]:
    """Return the colours of names by a palette: by name, in their order, or of a colormap; greys stay, unless named."""
    if isinstance(palette, Mapping):
        found = dict(palette)
    else:
        labels = [name for name in names if name not in (UNASSIGNED, NOT_MACROPHAGE)]
        colors = _of_colormap(palette, len(labels)) if isinstance(palette, str) else list(palette)
        if len(colors) < len(labels):
            msg = f"palette has {len(colors)} colours for {len(labels)} labels: {', '.join(labels)}. Give as many."
            raise ParameterError(msg)
        found = dict(zip(labels, colors, strict=False))
    if wrong := [color for color in found.values() if not is_color_like(color)]:
        msg = f"palette: {wrong[0]!r} is no colour. Give names or hex codes that matplotlib knows, such as '#e69f00'."
        raise ParameterError(msg)
    return {name: to_hex(color) for name, color in found.items()}


def _of_colormap(name: str, n: int) -> list[str]:
    if name not in mpl.colormaps:
        msg = f"palette='{name}' is no colormap of matplotlib. Give one such as 'tab10', a list, or {{label: colour}}."
        raise ParameterError(msg)
    chosen = mpl.colormaps[name]
    return [to_hex(chosen(i if chosen.N <= 20 else i / max(n - 1, 1))) for i in range(n)]


def check_positive(name: str, value: int) -> None:
    """Refuse a number below 1 where things are counted."""
    if value < 1:
        msg = f"{name} must be at least 1, not {value}."
        raise ParameterError(msg)
