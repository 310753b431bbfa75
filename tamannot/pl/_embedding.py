"""Cells on an embedding, coloured by label, signature or column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.lines import Line2D

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.data import AXES
from tamannot.data._slots import TABLES
from tamannot.errors import ParameterError, among
from tamannot.pl import _style as common
from tamannot.pl._cells import MAX_POINTS, Array, Labels, as_labels, embedding_of, labels_of, point_size, rows_to_draw
from tamannot.pl._style import FigureOptions, Palette, figure, naming, plain, pretty

_UNITS = {"z": "z against matched genes", "score": "score"}
_UNKNOWN = "#dddddd"
# Colours end at this quantile: a few extreme values would use most of them.
_MOST = 0.99


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
    The axes. The legend has the number of cells with each label. Colours of numbers end at the 1st and 99th
    percentiles; cells without a value are grey.

    Raises
    ------
    ParameterError
        No such embedding, signature or column, or a palette that does not fit.
    ResultNotFoundError
        The object is not annotated.
    """
    name = embedding_of(adata, basis)
    return draw_embedding(adata, name, color, key, Dots(max_points, rng, palette, size, ax))


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
    name = embedding_of(adata, "umap")
    return draw_embedding(adata, name, color, key, Dots(max_points, rng, palette, size, ax))


class Dots(NamedTuple):
    """How cells are drawn on an embedding, as the user asked."""

    max_points: int
    rng: int | np.random.Generator
    palette: Palette | None
    size: float | None
    ax: Axes | None


def draw_embedding(adata: AnnData, name: str, color: str, key: str, dots: Dots) -> Axes:
    """Draw cells with finite coordinates on an embedding in ``obsm``, coloured by an axis, a signature or a column."""
    palette, numbers, unit = dots.palette, None, ""
    if color in AXES:
        labels, colors = labels_of(adata, key, color), common.colors_of(adata, key, color, palette)
    else:
        values, unit = _values(adata, key, color)
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            numbers, colors = values, {}
            labels = pd.Categorical.from_codes(np.zeros(adata.n_obs, int), pd.Index([""]))  # all alike
        else:
            labels = as_labels(values)
            palette = palette or _own(adata, color, labels) or _many(len(labels.categories))
            colors = common.of_palette(palette, list(labels.categories))
    table = adata.obsm[name]
    places = np.asarray(table.iloc[:, :2] if hasattr(table, "iloc") else table[:, :2], float)
    codes = np.where(np.isfinite(places).all(axis=1), labels.codes, -1)
    drawn = rows_to_draw(codes, len(labels.categories), dots.max_points, dots.rng)
    points = Points(places, drawn, {"s": dots.size or point_size(drawn.size), "linewidths": 0, "rasterized": True})
    if numbers is None:
        ax = dots.ax or common.new_axes(4.2 + 2.2 * common.legend_columns(len(labels.categories)), 4.2)
        _draw_labels(ax, labels, colors, points, naming(color, key))
        of = "macrophages" if color in ("state", "origin") else "cells"
        what = f"{color.capitalize()}s" if color in AXES else plain(color)
        said = f"{what} of {(labels != NOT_MACROPHAGE).sum():,} {of}"
    else:
        if palette is not None and not isinstance(palette, str):
            msg = "For numbers, palette= is the name of a colormap of matplotlib, such as 'viridis'."
            raise ParameterError(msg)
        ax = dots.ax or common.new_axes(6.0, 4.2)
        known = _draw_values(ax, numbers.to_numpy(float, na_value=np.nan), points, unit or pretty(color), palette)
        said = f"{pretty(color)} in {known:,} cells"
    some = f"\n{drawn.size:,} of {adata.n_obs:,} cells drawn" if drawn.size < adata.n_obs else ""
    plane = name.removeprefix("X_").replace("_", " ").upper()
    ax.set(xticks=[], yticks=[], xlabel=f"{plane} 1", ylabel=f"{plane} 2", title=said + some)
    return ax


class Points(NamedTuple):
    """Coordinates of all cells, the rows to draw, and the style of points."""

    places: Array
    drawn: Array
    style: dict[str, Any]


def _draw_labels(
    ax: Axes, labels: Labels, colors: Mapping[str, str], points: Points, written: Callable[[str], str]
) -> None:
    """Draw labels with their numbers of cells, other cells beneath the macrophages."""
    rgba = to_rgba_array([colors.get(name, colors.get(UNASSIGNED, _UNKNOWN)) for name in labels.categories])
    is_macrophage = labels != NOT_MACROPHAGE
    inside = is_macrophage[points.drawn]
    for cells, above in ((points.drawn[~inside], 1), (points.drawn[inside], 2)):
        x, y = points.places[cells].T
        ax.scatter(x, y, c=rgba[labels.codes[cells]], zorder=above, **points.style)
    dots, total = [], int(is_macrophage.sum())
    each = zip(labels.categories, rgba, np.bincount(labels.codes).tolist(), strict=True)
    for label, color, n in sorted(each, key=lambda item: item[0] == NOT_MACROPHAGE):  # other cells last
        text = f"{written(label)}  {n:,}" + ("" if label == NOT_MACROPHAGE else f" ({n / total:.1%})")
        dots.append(Line2D([], [], linestyle="", marker="o", markersize=6, color=color, label=text))
    common.legend_beside(ax, len(dots), handles=dots)


def _draw_values(ax: Axes, values: Array, points: Points, name: str, colormap: str | None) -> int:
    """Draw numbers, of which the extremes are above, with a colour bar; return how many cells have one."""
    is_z = name == _UNITS["z"]
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [1 - _MOST, _MOST]) if known.size else (0.0, 1.0)
    if is_z:
        high = max(abs(low), abs(high))
        low = -high
    drawn = points.drawn[np.argsort(np.nan_to_num(np.abs(values[points.drawn]), nan=-1.0), kind="stable")]
    x, y = points.places[drawn].T
    missing = ~np.isfinite(values[drawn])
    ax.scatter(x[missing], y[missing], color=_UNKNOWN, **points.style)
    colors: dict[str, Any] = {"cmap": colormap or (common.DIVERGING if is_z else "viridis"), "vmin": low, "vmax": high}
    dots = ax.scatter(x[~missing], y[~missing], c=values[drawn][~missing], **colors, **points.style)
    ax.figure.colorbar(dots, ax=ax, shrink=0.7, extend="both").set_label(name, fontsize="small")
    return int(known.size)


def _values(adata: AnnData, key: str, color: str) -> tuple[pd.Series, str]:
    """Return the values of a signature or a column, and their unit."""
    for kind, unit in _UNITS.items():
        slot = f"{key}_{TABLES[kind]}"
        if slot in adata.obsm and color in (table := slots.read_table(adata, key, kind)):
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


def _many(n: int) -> str:
    return "tab10" if n <= 10 else "tab20" if n <= 20 else "turbo"
