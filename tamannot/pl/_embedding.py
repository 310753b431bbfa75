"""Cells on an embedding, coloured by label, signature or column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.lines import Line2D
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.data._slots import table_slot
from tamannot.errors import ParameterError, among
from tamannot.pl import _style as common
from tamannot.pl._cells import MAX_POINTS, Labels, as_labels, embedding_of, labels_of, places_in, point_size, some_of
from tamannot.pl._style import FigureOptions, Palette, figure, naming, plain, pretty

Array = NDArray[Any]
Written = Callable[[str], str]

_AXES = ("compartment", "origin", "state")
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
    assert name is not None  # noqa: S101 - a basis was given
    if color in _AXES:
        labels = labels_of(adata, key, color)
        points = points_of(adata, name, labels, max_points, rng, size)
        return draw_labels(ax, color, labels, common.colors_of(adata, key, color, palette), points)
    values, unit = _values(adata, key, color)
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        one = Labels(("",), np.zeros(adata.n_obs, np.int64))
        points = points_of(adata, name, one, max_points, rng, size)
        return _draw_values(ax, pretty(color), unit, values.to_numpy(float, na_value=np.nan), points, palette)
    labels = as_labels(values)
    points = points_of(adata, name, labels, max_points, rng, size)
    colors = common.of_palette(palette or _own(adata, color, labels) or _many(len(labels.names)), labels.names)
    return draw_labels(ax, color, labels, colors, points, naming(color, key))


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
    given: dict[str, Any] = {"color": color, "key": key, "max_points": max_points, "rng": rng, "show": False}
    return embedding(adata, "umap", palette=palette, size=size, ax=ax, **given)


class Points(NamedTuple):
    """Coordinates of all cells, the rows to draw, the key of the embedding, and the style of points."""

    places: Array
    drawn: Array
    name: str
    style: dict[str, Any]


def points_of(
    adata: AnnData, name: str, labels: Labels, max_points: int, rng: int | np.random.Generator, size: float | None
) -> Points:
    """Return the cells to draw on an embedding: those with finite coordinates."""
    places = places_in(adata, name)
    codes = np.where(np.isfinite(places).all(axis=1), labels.codes, -1)
    drawn = some_of(codes, len(labels.names), max_points, rng)
    return Points(places, drawn, name, {"s": size or point_size(drawn.size), "linewidths": 0, "rasterized": True})


def draw_labels(
    ax: Axes | None, column: str, labels: Labels, colors: dict[str, str], points: Points, written: Written = pretty
) -> Axes:
    """Draw labels of an axis or a column, with other cells beneath the macrophages."""
    ax, drawn = ax or common.new_axes(4.2 + 2.2 * common.legend_columns(len(labels.names)), 4.2), points.drawn
    rgba = to_rgba_array([colors.get(name, colors.get(UNASSIGNED, _UNKNOWN)) for name in labels.names])
    inside = labels.is_macrophage[drawn]
    for cells, above in ((drawn[~inside], 1), (drawn[inside], 2)):
        x, y = points.places[cells].T
        ax.scatter(x, y, c=rgba[labels.codes[cells]], zorder=above, **points.style)
    _name_places(ax, points)
    total = int(labels.is_macrophage.sum())
    dots = []
    order = sorted(zip(labels.names, rgba, strict=True), key=lambda item: item[0] == NOT_MACROPHAGE)  # other cells last
    for label, color in order:
        n = labels.counts[label]
        text = f"{written(label)}  {n:,}" + ("" if label == NOT_MACROPHAGE else f" ({n / total:.1%})")
        dots.append(Line2D([], [], linestyle="", marker="o", markersize=6, color=color, label=text))
    common.legend_beside(ax, len(dots), handles=dots)
    of = "macrophages" if column in ("state", "origin") else "cells"
    what = f"{column.capitalize()}s" if column in _AXES else plain(column)
    ax.set_title(f"{what} of {total:,} {of}{_some(points)}")
    return ax


def _draw_values(ax: Axes | None, name: str, unit: str, values: Array, points: Points, palette: Palette | None) -> Axes:
    ax = ax or common.new_axes(6.0, 4.2)
    if palette is not None and not isinstance(palette, str):
        msg = "For numbers, palette= is the name of a colormap of matplotlib, such as 'viridis'."
        raise ParameterError(msg)
    is_z = unit == _UNITS["z"]
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [1 - _MOST, _MOST]) if known.size else (0.0, 1.0)
    if is_z:
        high = max(abs(low), abs(high))
        low = -high
    drawn = points.drawn
    drawn = drawn[np.argsort(np.nan_to_num(np.abs(values[drawn]), nan=-1.0), kind="stable")]  # extremes above
    x, y = points.places[drawn].T
    missing = ~np.isfinite(values[drawn])
    ax.scatter(x[missing], y[missing], color=_UNKNOWN, **points.style)
    colors: dict[str, Any] = {"cmap": palette or (common.DIVERGING if is_z else "viridis"), "vmin": low, "vmax": high}
    dots = ax.scatter(x[~missing], y[~missing], c=values[drawn][~missing], **colors, **points.style)
    ax.figure.colorbar(dots, ax=ax, shrink=0.7, extend="both").set_label(unit or name, fontsize="small")
    ax.set_title(f"{name} in {known.size:,} cells{_some(points)}")
    _name_places(ax, points)
    return ax


def _some(points: Points) -> str:
    n, n_drawn = len(points.places), points.drawn.size
    return f"\n{n_drawn:,} of {n:,} cells drawn" if n_drawn < n else ""


def _name_places(ax: Axes, points: Points) -> None:
    name = points.name.removeprefix("X_").replace("_", " ").upper()
    ax.set(xticks=[], yticks=[], xlabel=f"{name} 1", ylabel=f"{name} 2")
    common.open_corner(ax)


def _values(adata: AnnData, key: str, color: str) -> tuple[pd.Series, str]:
    """Return the values of a signature or a column, and their unit."""
    for kind, unit in _UNITS.items():
        slot = table_slot(key, kind)
        if slot in adata.obsm and color in (table := slots.read_table(adata, key, kind)):
            return table[color], unit
    if color not in adata.obs:
        known = [*_AXES, *(slots.read_table(adata, key, "score") if f"{key}_scores" in adata.obsm else ()), *adata.obs]
        msg = f"color='{color}' is not a label, a signature under the key '{key}' or a column of obs."
        raise ParameterError(msg + among(color, known))
    return slots.obs_column(adata, color), ""


def _own(adata: AnnData, column: str, labels: Labels) -> dict[str, str] | None:
    """Return the colours of a column in ``uns``, as scanpy keeps them."""
    kept = adata.uns.get(f"{column}_colors")
    if kept is None or not isinstance(adata.obs[column].dtype, pd.CategoricalDtype):
        return None
    found = dict(zip(map(str, adata.obs[column].cat.categories), map(str, kept), strict=False))
    return {"missing": _UNKNOWN} | found if set(labels.names) <= {*found, "missing"} else None


def _many(n: int) -> str:
    return "tab10" if n <= 10 else "tab20" if n <= 20 else "turbo"
