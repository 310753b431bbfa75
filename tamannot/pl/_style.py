"""What all plots share: options, names, colours, axes, titles, legends, checks of numbers."""

from __future__ import annotations

import inspect
import io
import os
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib import transforms
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like, to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox, BboxBase, ScaledTranslation, TransformedBbox

import tamannot.data as slots
from tamannot._settings import with_options
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import ParameterError
from tamannot.tl._write import COLORS

F = TypeVar("F", bound=Callable[..., Axes])
Palette = str | Sequence[str] | Mapping[str, str]

# Okabe & Ito's colours without the faint ones, distinct with any colour vision; more curves or conditions repeat them
# with another marker.
BLUE, VERMILION = "#0072b2", "#d55e00"
CURVES = (BLUE, VERMILION, "#009e73", "#cc79a7", "#000000", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DIVERGING = "PuOr_r"  # from a middle, white
# Inches; points below which a label cannot be read; rows of a legend.
_WIDEST, _TALLEST, _LEGIBLE, _MOST_ROWS = 30.0, 24.0, 5.0, 16


class FigureOptions(TypedDict, total=False):
    """Options that every function of ``tamannot.pl`` has, as in scanpy."""

    show: bool | None
    save: str | os.PathLike[str] | None
    return_fig: bool
    figsize: tuple[float, float] | None
    title: str | None


# The help of parameters that several functions have.
_HELP = {
    "max_points": "Most cells to draw, at least 100: of more, a random subset that favours rare labels.",
    "rng": "Seed or generator of random subsets and of the drawing order.",
    "palette": "Colours: ``{label: colour}``, a list in the order of the labels, or a colormap, which numbers need.",
    "size": "Area of a point in square points; None depends on the number of points.",
    "key": "The ``key_added`` of the run.",
    "ax": "Axes to draw on; None makes a figure. Labels and legends stay within the subplot.",
    "show": "Show the figure and return None. None shows it if the backend has windows and ``ax`` is not given.",
    "save": 'File to write, such as ``"figure.png"`` or ``"figure.svg"``; the suffix is the format.',
    "return_fig": "Return the `matplotlib.figure.Figure` instead of the axes, and do not show it.",
    "figsize": "Width and height of a new figure, in inches; None fits the content.",
    "title": "Title above the axes. It replaces the default title.",
}
_DEFAULTS: dict[str, Any] = {"show": None, "save": None, "return_fig": False, "figsize": None, "title": None}
_MAY_SHOW: ContextVar[bool] = ContextVar("_MAY_SHOW", default=True)


@contextmanager
def figures_for_a_file() -> Iterator[None]:
    """Draw figures for files: they are shown only if the user asks, and are closed at the end."""
    before, token = set(plt.get_fignums()), _MAY_SHOW.set(False)
    # The user's names are not formulas: a '$' stays one. With a salt, the same figure gives the same file.
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
    """Give a function that draws on ``ax`` the options of `FigureOptions`, and help for its usual parameters."""
    names, own = (*inspect.signature(draw).parameters, *_DEFAULTS), inspect.cleandoc(draw.__doc__ or "")
    added = "".join(f"{name}\n    {_HELP[name]}\n" for name in names if name in _HELP and f"\n{name}\n" not in own)

    def drawn(*args: Any, **kwargs: Any) -> Axes | Figure | None:
        signature.bind(*args, **kwargs)  # refuses unknown parameters
        show, save, return_fig, figsize, title = (kwargs.pop(name, default) for name, default in _DEFAULTS.items())
        given = kwargs.get("ax")
        room, others = (None, []) if given is None else (_room(given), given.figure.axes)
        if figsize is not None:
            if given is not None:
                raise ParameterError(
                    "figsize sets the size of a new figure, but ax= belongs to one already. Give one of them."
                )
            kwargs["ax"] = new_axes(*figsize)
        try:
            ax = draw(*args, **kwargs)
        except BaseException:
            if given is None and kwargs.get("ax") is not None:
                plt.close(kwargs["ax"].figure)
            raise
        ax.spines[["top", "right"]].set_visible(False)
        parts = [ax, *(a for a in ax.figure.axes if a is not ax and a not in others)]  # with its colour bars
        _arrange(parts, room or ax.figure.bbox, title)
        whole = ax.figure.figure  # of a part of a figure, the whole
        if save is not None:
            _save(whole, Path(save))
        if return_fig:
            return whole
        has_windows = getattr(whole.canvas, "required_interactive_framework", None) is not None
        if show or (show is None and given is None and has_windows and _MAY_SHOW.get()):
            plt.show()
        return None if show else ax

    signature = with_options(drawn, draw, FigureOptions, _DEFAULTS, added)
    return cast("F", drawn)


def _save(whole: Figure, path: Path) -> None:
    """Write a file completely or not at all."""
    name = path.suffix.removeprefix(".").lower() or str(plt.rcParams["savefig.format"])
    known = whole.canvas.get_supported_filetypes()
    if name not in known:
        raise ParameterError(f"save='{path}' has no suffix of a figure format. Available: {', '.join(sorted(known))}.")
    out = io.BytesIO()
    whole.savefig(out, format=name, bbox_inches="tight")
    try:
        path.with_name(path.name if path.suffix else f"{path.name}.{name}").write_bytes(out.getvalue())
    except OSError as error:
        raise ParameterError(
            f"save='{path}' cannot be written: {error.strerror}. Give a path in a folder that exists."
        ) from error


def _room(ax: Axes) -> BboxBase:
    """Return the part of the figure that belongs to axes: up to the middle of the gaps to other subplots."""
    spec = ax.get_subplotspec()
    if spec is None:
        return ax.figure.bbox
    below, above, left, right = map(list, spec.get_gridspec().get_grid_positions(ax.figure))  # type: ignore[arg-type]
    rows, columns = spec.rowspan, spec.colspan
    x, y = ([1.0, *right], [*left, 1.0]), ([1.0, *below], [*above, 1.0])  # the ends of the gaps
    x0, x1 = ((x[0][i] + x[1][i]) / 2 if 0 < i < len(left) else float(i > 0) for i in (columns.start, columns.stop))
    y1, y0 = ((y[0][i] + y[1][i]) / 2 if 0 < i < len(below) else float(i == 0) for i in (rows.start, rows.stop))
    return TransformedBbox(Bbox.from_extents(x0, y0, x1, y1), ax.figure.transSubfigure)


def _arrange(axes: list[Axes], room: BboxBase, title: str | None) -> None:
    """Set the title, and fit axes with their legend and colour bars into their room of the figure."""
    ax, engine = axes[0], axes[0].figure.get_layout_engine()
    arrange = partial(_shrink, axes, room) if engine is None else partial(engine.execute, ax.figure.figure)
    places: tuple[Literal["left", "center", "right"], ...] = ("left", "center", "right")
    text = title if title is not None else next(filter(None, (ax.get_title(loc=place) for place in places)), "")
    for place in places:
        ax.set_title("", loc=place)
    below = ax.get_xlabel()
    ax.xaxis.label.set_text("")  # it is wrapped to the width that is left
    arrange()
    inner, whole = ax.get_window_extent(), ax.get_tightbbox() or ax.get_window_extent()
    above = max((whole.y1 - inner.y1) * 72 / ax.figure.dpi, 0) + 6
    ax.xaxis.label.set_text(below)
    said = ax.set_title(text, loc="left", pad=above, fontsize=mpl.rcParams["font.size"])
    for words in (said, ax.xaxis.label):
        excess = words.get_window_extent().width / max(room.x1 - inner.x0 - 4, 40)
        if excess > 1:
            lines = words.get_text().splitlines()
            letters = max(int(max(map(len, lines)) / excess), 12)
            words.set_text("\n".join(textwrap.fill(line, letters, break_on_hyphens=False) for line in lines))
    if engine is None or ax.get_aspect() != "auto":  # else the engine arranges in time when the figure is drawn
        arrange()


def _shrink(axes: list[Axes], room: BboxBase) -> None:
    """Move axes of a figure without a layout engine so that they are within their room with all their parts."""
    to_pixels = axes[0].figure.transSubfigure
    for _ in range(3):  # legends and colour bars move with the axes
        inner = Bbox.union([a.get_window_extent() for a in axes])
        outer = Bbox.union([box for a in axes if (box := a.get_tightbbox()) is not None])
        x0, y0 = np.maximum(np.subtract(room.min, outer.min), 0) + inner.min
        x1, y1 = np.minimum(np.subtract(room.max, outer.max), 0) + inner.max
        fitted = Bbox.from_extents(x0, y0, max(x1, x0 + inner.width / 5), max(y1, y0 + inner.height / 5))
        into = transforms.BboxTransformFrom(inner) + transforms.BboxTransformTo(fitted)
        move = to_pixels + into + to_pixels.inverted()
        for a in axes:
            a.set_position(a.get_position(original=True).transformed(move))
            a.set_in_layout(True)  # a later tight_layout() includes it


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
    """Return a name of the user's without underscores; a cluster 'b' is not a B cell."""
    return name.replace("_", " ")


def naming(column: str | None, key: str) -> Callable[[str], str]:
    """Return the function that writes the values of a column: ours as labels, the user's unchanged."""
    return pretty if column in COLORS or str(column).startswith(slots.slot(key, "")) else plain


def pretty(name: str) -> str:
    """Return an id of ours, or a sentence that contains ids, as people write it."""
    return _NAMES.get(name) or _ID_IN_TEXT.sub(lambda m: _NAMES.get(m[0]) or m[0].replace("_", " "), name)


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, in inches."""
    _, ax = plt.subplots(figsize=(min(width, _WIDEST), min(height, _TALLEST)), layout="constrained")
    return ax


def name_ticks(ax: Axes, which: Literal["x", "y"], places: Any, names: Any, **style: Any) -> float:
    """Write names at places of an axis with limits, as large as they fit, or every few; return the font size."""
    low, high = getattr(ax, f"get_{which}lim")()
    room = (ax.bbox.height if which == "y" else ax.bbox.width) * 72 / ax.figure.dpi / max(abs(high - low), 1)
    parts = [name.split("\n") for name in names] or [[""]]
    flat = which == "x" and "rotation" not in style
    size = room / (0.6 * max(len(line) for part in parts for line in part) if flat else 1.25 * max(map(len, parts)))
    step = int(np.ceil(_LEGIBLE / size))
    size = float(np.clip(size, _LEGIBLE, mpl.rcParams["font.size"]))
    getattr(ax, f"set_{which}ticks")(places[::step], names[::step], fontsize=size, **style)
    return size


def write_beside(ax: Axes, places: Any, texts: Any, size: float, **style: Any) -> float:
    """Write texts right of rows whose names have a font size; return their width in points."""
    step = int(np.ceil(len(texts) / max(len(ax.get_yticks()), 1)))
    where: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points", "xytext": (4, 0)}
    where |= {"va": "center", "fontsize": min(size, 0.85 * mpl.rcParams["font.size"])} | style
    rows = zip(places[::step], texts[::step], strict=True)
    drawn = [ax.annotate(text, (1, place), **where) for place, text in rows]
    return 4 + max((t.get_window_extent().width for t in drawn), default=0.0) * 72 / ax.figure.dpi


def legend_above(ax: Axes, *handles: Any, ncols: int = 2, **options: Any) -> None:
    """Draw a legend above axes, in as many columns as there is room for."""
    style: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "frameon": False, "fontsize": "small"}
    for columns in range(ncols, 0, -1):
        legend = ax.legend(*handles, ncols=columns, **style | options)
        if legend.get_window_extent().width <= _room(ax).x1 - ax.bbox.x0:
            return


def legend_beside(ax: Axes, n: int, *handles: Any, after: float = 0.0, **options: Any) -> None:
    """Draw a legend of ``n`` entries right of axes, as many points from them as other texts take."""
    moved = ax.transAxes + ScaledTranslation((after + 6) / 72, 0, ax.figure.dpi_scale_trans)
    style: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "bbox_transform": moved}
    style |= {"frameon": False, "title_fontsize": "small", "borderpad": 0, "borderaxespad": 0, "alignment": "left"}
    for columns in range(legend_columns(n), 0, -1):
        room = ax.bbox.height * 72 / ax.figure.dpi / np.ceil(n / columns)
        size = np.clip(0.58 * room, _LEGIBLE, 0.85 * mpl.rcParams["font.size"])
        legend = ax.legend(*handles, ncols=columns, **style | {"fontsize": size} | options)
        if legend.get_window_extent().width <= 0.6 * _room(ax).width:
            return


def legend_columns(n: int) -> int:
    """Return how many columns a legend of so many entries has."""
    return 1 + (n - 1) // _MOST_ROWS


def colors_of(adata: AnnData, key: str, axis: str, palette: Palette | None = None) -> dict[str, str]:
    """Return the colour of each label of an axis: from the palette, else the user's in ``uns``, else ours."""
    own = slots.read_colors(adata, key, axis)
    names = slots.read_obs(adata, key, (axis,)).iloc[:, 0].cat.categories if own or palette else ()
    greys = {name: COLORS["state"][name] for name in (UNASSIGNED, NOT_MACROPHAGE)}
    ours = greys | COLORS.get(axis, {}) | dict(zip(names, own, strict=False))
    return ours if palette is None else ours | of_palette(palette, [str(name) for name in names])


def of_palette(palette: Palette, names: Sequence[str]) -> dict[str, str]:
    """Return the colours of names by a palette; labels of absence stay grey unless the palette names them."""
    labels = [name for name in names if name not in (UNASSIGNED, NOT_MACROPHAGE)]
    if isinstance(palette, Mapping):
        found: dict[str, Any] = dict(palette)
    elif isinstance(palette, str):
        if palette not in mpl.colormaps:
            msg = f"palette='{palette}' is not a colormap. Give one of matplotlib such as 'tab10', a list, or "
            raise ParameterError(msg + "{label: colour}.")
        steps, last = mpl.colormaps[palette], max(len(labels) - 1, 1)
        found = {name: steps(i if steps.N <= 20 else i / last) for i, name in enumerate(labels)}
    elif len(palette) < len(labels):
        raise ParameterError(
            f"palette has {len(palette)} colours for {len(labels)} labels: {', '.join(labels)}. Give as many."
        )
    else:
        found = dict(zip(labels, palette, strict=False))
    if wrong := [color for color in found.values() if not is_color_like(color)]:
        raise ParameterError(
            f"palette: {wrong[0]!r} is not a colour. Give names or hex codes of matplotlib, such as '#e69f00'."
        )
    return {name: to_hex(color) for name, color in found.items()}


def check_positive(name: str, value: int) -> None:
    """Raise an error if a count is below 1."""
    if value < 1:
        raise ParameterError(f"{name} must be at least 1, not {value}.")
