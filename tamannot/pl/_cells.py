"""The cells of a figure: their labels and coordinates, which of many are drawn, and how on an embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba_array
from matplotlib.lines import Line2D

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.data import AXES, Array
from tamannot.data._slots import TABLES
from tamannot.errors import ParameterError, ResultNotFoundError, among
from tamannot.pl import _style as common
from tamannot.pl._style import FigureOptions, Palette, figure, naming, plain, pretty

Labels: TypeAlias = "pd.Categorical[str]"

MAX_POINTS = 200_000
# In this order: first those that show groups best.
PLANES = ("X_umap", "X_tsne", "X_phate", "X_draw_graph_fa", "X_draw_graph_fr", "X_mde")
EMBEDDINGS = (*PLANES, "X_diffmap", "X_pca")
_MIN_POINTS = 100
_EVENLY = 0.1  # this share of the points is divided evenly among labels, to show rare ones; the rest is proportional

_UNITS = {"z": "z against matched genes", "score": "score"}
_UNKNOWN = "#dddddd"
_MOST = 0.99  # the quantile at which colours end: a few extreme values would use most of them
_COLORMAPS = {"tab10": 10, "tab20": 20, "turbo": np.inf}  # and up to how many labels


def labels_of(adata: AnnData, key: str, axis: str) -> Labels:
    """Return the labels of an axis that occur, in the order of the run."""
    return as_labels(slots.read_obs(adata, key, (axis,)).iloc[:, 0], missing=NOT_MACROPHAGE)


def as_labels(column: pd.Series, *, missing: str = "missing") -> Labels:
    """Return a column as labels, in the order of its categories, else sorted; cells without a value are ``missing``."""
    found = pd.Categorical(column)
    texts = [*map(str, found.categories), missing]  # the code of a missing value is -1
    names = list(dict.fromkeys(texts))  # a category may have the name of the missing
    codes = np.array([names.index(text) for text in texts])[found.codes]
    return pd.Categorical.from_codes(codes, pd.Index(names)).remove_unused_categories()


def check_some(cells: Array) -> None:
    """Raise an error if no cell would be drawn."""
    if not cells.any():
        raise ResultNotFoundError("There are no macrophages to draw.")


def count_pairs(rows: Labels, columns: Labels, cells: Array) -> pd.DataFrame:
    """Return the number of cells with each pair of labels, among those of a mask."""
    shape = len(rows.categories), len(columns.categories)
    both = rows.codes[cells].astype(np.int64) * shape[1] + columns.codes[cells]
    counts = np.bincount(both, minlength=shape[0] * shape[1]).reshape(shape)
    return pd.DataFrame(counts, index=rows.categories, columns=columns.categories)


def plane_in(adata: AnnData, names: Iterable[str]) -> str | None:
    """Return the first of some names in ``obsm`` that has two columns or more; None if there is none."""
    slots.check_adata(adata)
    shapes = {name: np.shape(adata.obsm[name]) for name in names if name in adata.obsm}
    return next((name for name, shape in shapes.items() if len(shape) == 2 and shape[1] > 1), None)


def rows_to_draw(codes: Array, n_labels: int, max_points: int, rng: int | np.random.Generator) -> Array:
    """Return the rows of at most ``max_points`` cells, in random order; those with the code -1 are not drawn."""
    if max_points < _MIN_POINTS:
        raise ParameterError(f"max_points is {max_points}; draw at least {_MIN_POINTS}.")
    order = np.random.default_rng(rng).permutation(codes.size)
    order = order[codes[order] >= 0]
    if order.size <= max_points:
        return order
    share = np.bincount(codes[order], minlength=n_labels) / order.size
    quota = ((1 - _EVENLY) * max_points * share + _EVENLY * max_points / n_labels).astype(np.int64)
    drawn = np.zeros(order.size, bool)
    for label, most in enumerate(quota):
        drawn[np.flatnonzero(codes[order] == label)[:most]] = True
    return order[drawn]


def point_size(n: int) -> float:
    """Return the area of each of ``n`` points, in square points."""
    return float(np.clip(60_000 / max(n, 1), 0.4, 26))


@figure
def embedding(
    adata: AnnData,
    basis: str,
    *,
    color: str = "state",
    key: str = "tam",
    max_points: int = MAX_POINTS,
    rng: int | np.random.Generator = 0,
    palette: Palette | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw cells on any embedding in ``obsm``, coloured by a label, a signature or a column of ``obs``.

    Parameters
    ----------
    adata
        An annotated or scored object; any object if ``color`` is a column of ``obs``.
    basis
        Embedding in ``obsm``, as in scanpy: ``"umap"`` or ``"X_umap"``.
    color
        ``"state"``, ``"origin"`` or ``"compartment"``; the id of a signature, drawn by z, or by score if no z was
        computed; or a column of ``obs``.

    Returns
    -------
    The axes. The legend has the number of cells with each label. Colours of numbers span the 1st to the 99th
    percentile; cells without a value are grey.

    Raises
    ------
    ParameterError
        No such embedding, signature or column, or a palette that does not fit.
    ResultNotFoundError
        The object is not annotated.
    """
    return draw_embedding(adata, basis, color, key, Dots(max_points, rng, palette, size, ax))


@figure
def umap(
    adata: AnnData,
    *,
    color: str = "state",
    key: str = "tam",
    max_points: int = MAX_POINTS,
    rng: int | np.random.Generator = 0,
    palette: Palette | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw cells on the UMAP in ``obsm["X_umap"]``, as `embedding` does.

    Parameters
    ----------
    adata
        An annotated or scored object; any object if ``color`` is a column of ``obs``.
    color
        ``"state"``, ``"origin"``, ``"compartment"``, the id of a signature, or a column of ``obs``.

    Returns
    -------
    The axes, as of `embedding`.

    Raises
    ------
    TamannotError
        As `embedding`.
    """
    return draw_embedding(adata, "umap", color, key, Dots(max_points, rng, palette, size, ax))


class Dots(NamedTuple):
    """How cells are drawn on an embedding, as the user asked."""

    max_points: int
    rng: int | np.random.Generator
    palette: Palette | None
    size: float | None
    ax: Axes | None


def draw_embedding(adata: AnnData, basis: str, color: str, key: str, dots: Dots) -> Axes:
    """Draw cells with finite coordinates on an embedding in ``obsm``, coloured by an axis, a signature or a column."""
    names, palette, numbers, unit = (basis, f"X_{basis}"), dots.palette, None, ""
    if (name := plane_in(adata, names)) is None:
        if flat := next((name for name in names if name in adata.obsm), None):
            raise ParameterError(f"obsm['{flat}'] has fewer than two columns, so it cannot be drawn as an embedding.")
        raise ParameterError(f"No embedding '{basis}' in obsm.{among(basis, adata.obsm)}")
    if color in AXES:
        labels, colors = labels_of(adata, key, color), common.colors_of(adata, key, color, palette)
    else:
        values, unit = _values(adata, key, color)
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            numbers, colors = values.to_numpy(float, na_value=np.nan), {}
            labels = pd.Categorical.from_codes(np.zeros(adata.n_obs, int), pd.Index([""]))  # all alike
        else:
            labels = as_labels(values)
            many = next(colormap for colormap, most in _COLORMAPS.items() if len(labels.categories) <= most)
            palette = palette or _own(adata, color, labels) or many
            colors = common.of_palette(palette, list(labels.categories))
    table = adata.obsm[name]
    places = np.asarray(table.iloc[:, :2] if hasattr(table, "iloc") else table[:, :2], float)
    codes = np.where(np.isfinite(places).all(axis=1), labels.codes, -1)
    drawn = rows_to_draw(codes, len(labels.categories), dots.max_points, dots.rng)
    area = dots.size or point_size(drawn.size)

    def scatter(ax: Axes, rows: Array, **style: Any) -> PathCollection:
        x, y = places[rows].T
        return ax.scatter(x, y, s=area, linewidths=0, rasterized=True, **style)

    if numbers is None:
        ax = dots.ax or common.new_axes(4.2 + 2.2 * common.legend_columns(len(labels.categories)), 4.2)
        _draw_labels(ax, labels, colors, drawn, scatter, naming(color, key))
        of = "macrophages" if color in ("state", "origin") else "cells"
        what = f"{color.capitalize()}s" if color in AXES else plain(color)
        said = f"{what} of {(labels != NOT_MACROPHAGE).sum():,} {of}"
    else:
        if palette is not None and not isinstance(palette, str):
            raise ParameterError("For numbers, palette= is the name of a colormap of matplotlib, such as 'viridis'.")
        ax = dots.ax or common.new_axes(6.0, 4.2)
        _draw_values(ax, numbers, drawn, scatter, unit or pretty(color), palette)
        said = f"{pretty(color)} in {np.isfinite(numbers).sum():,} cells"
    some = f"\n{drawn.size:,} of {adata.n_obs:,} cells drawn" if drawn.size < adata.n_obs else ""
    plane = name.removeprefix("X_").replace("_", " ").upper()
    ax.set(xticks=[], yticks=[], xlabel=f"{plane} 1", ylabel=f"{plane} 2", title=said + some)
    return ax


def _values(adata: AnnData, key: str, color: str) -> tuple[pd.Series, str]:
    """Return the values of a signature or a column, and their unit."""
    for kind, unit in _UNITS.items():
        if slots.slot(key, TABLES[kind]) in adata.obsm and color in (table := slots.read_table(adata, key, kind)):
            return table[color], unit
    if color not in adata.obs:
        known = [*AXES, *(slots.read_table(adata, key, "score") if f"{key}_scores" in adata.obsm else ()), *adata.obs]
        msg = f"color='{color}' is not a label, a signature under the key '{key}' or a column of obs."
        raise ParameterError(msg + among(color, known))
    return slots.obs_column(adata, color), ""


def _own(adata: AnnData, column: str, labels: Labels) -> dict[str, str] | None:
    """Return the colours of a column in ``uns``, as scanpy keeps them."""
    kept = adata.uns.get(f"{column}_colors")
    if kept is None or not isinstance(adata.obs[column].dtype, pd.CategoricalDtype):
        return None
    found = dict(zip(map(str, adata.obs[column].cat.categories), map(str, kept), strict=False))
    return {"missing": _UNKNOWN} | found if set(labels.categories) <= {*found, "missing"} else None


def _draw_labels(
    ax: Axes,
    labels: Labels,
    colors: Mapping[str, str],
    drawn: Array,
    scatter: Callable[..., PathCollection],
    written: Callable[[str], str],
) -> None:
    """Draw labels with their numbers of cells, other cells beneath the macrophages."""
    rgba = to_rgba_array([colors.get(name, colors.get(UNASSIGNED, _UNKNOWN)) for name in labels.categories])
    is_macrophage = labels != NOT_MACROPHAGE
    for inside, above in ((False, 1), (True, 2)):
        cells = drawn[is_macrophage[drawn] == inside]
        scatter(ax, cells, c=rgba[labels.codes[cells]], zorder=above)
    dots, total = [], int(is_macrophage.sum())
    each = zip(labels.categories, rgba, np.bincount(labels.codes).tolist(), strict=True)
    for label, color, n in sorted(each, key=lambda item: item[0] == NOT_MACROPHAGE):  # other cells last
        text = f"{written(label)}  {n:,}" + ("" if label == NOT_MACROPHAGE else f" ({n / total:.1%})")
        dots.append(Line2D([], [], linestyle="", marker="o", markersize=6, color=color, label=text))
    common.legend_beside(ax, len(dots), handles=dots)


def _draw_values(
    ax: Axes, values: Array, drawn: Array, scatter: Callable[..., PathCollection], unit: str, colormap: str | None
) -> None:
    """Draw numbers, of which the extremes are above, with a colour bar."""
    known, is_z = np.isfinite(values), unit == _UNITS["z"]
    low, high = np.quantile(values[known], [1 - _MOST, _MOST]) if known.any() else (0.0, 1.0)
    if is_z:
        high = max(abs(low), abs(high))
        low = -high
    drawn = drawn[np.argsort(np.nan_to_num(np.abs(values[drawn]), nan=-1.0), kind="stable")]
    scatter(ax, drawn[~known[drawn]], color=_UNKNOWN)
    colormap, valued = colormap or (common.DIVERGING if is_z else "viridis"), drawn[known[drawn]]
    dots = scatter(ax, valued, c=values[valued], cmap=colormap, vmin=low, vmax=high)
    ax.figure.colorbar(dots, ax=ax, shrink=0.7, extend="both").set_label(unit, fontsize="small")
