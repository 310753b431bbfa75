"""Values of cells: two signatures or genes against each other, and scores at their place in the tissue."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

import tamannot.data as slots
from tamannot.analysis._samples import some_genes
from tamannot.analysis._spatial import Kind, coordinates_of
from tamannot.classify import NOT_MACROPHAGE, TRANSITIONAL
from tamannot.data import Array
from tamannot.errors import ParameterError, among
from tamannot.get._evidence import columns_of
from tamannot.pl import _style as common
from tamannot.pl._cells import MAX_POINTS, as_labels, check_some, labels_of, point_size, rows_to_draw
from tamannot.pl._style import FigureOptions, Palette, figure, pretty

_POINTS = 5_000  # more cells are drawn as hexagons: points would hide each other
_TRANSITIONAL = 1_000  # most such cells to draw: more would hide the others
_CUT = 0.01
_ENOUGH, _NAMED = 30, 15  # the mean of fewer macrophages is uncertain; the names of more samples are not legible
_UNKNOWN = "#b0b0b0"
# Tiles along the longer side of the tissue, for points too many to be distinguished: about a pixel each.
_TILES = 800
_MAPS = {"score": "viridis", "smooth": "viridis", "z": common.DIVERGING}
_UNITS = {"score": "score", "smooth": "score, smoothed over neighbours", "z": "z against matched genes"}


@figure
def polarization(
    adata: AnnData,
    *,
    by: tuple[str, str] = ("m1", "m2"),
    sample_key: str | None = None,
    key: str = "tam",
    rng: int | np.random.Generator = 0,
    palette: Palette | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw two signatures or genes of the macrophages against each other: M1 and M2, or CXCL9 and SPP1.

    Parameters
    ----------
    adata
        An annotated object; for genes with the matrix that was annotated.
    by
        Two signatures of the tables, drawn by z: ``("m1", "m2")``; or two genes, drawn by their expression (``log1p``
        of 10,000 per cell): ``("CXCL9", "SPP1")``, the polarity of Bill et al. 2023 (doi:10.1126/science.ade2292,
        abstract).
    sample_key
        Column of ``obs`` with the sample. Each sample is one point, the mean of its macrophages; means of fewer than 30
        macrophages are hollow.

    Returns
    -------
    The axes. Up to 5,000 macrophages are points; more are counted in hexagons, on a logarithmic scale. Cells called
    ``transitional``, at most 1,000 of them, are drawn above. The title has the share of macrophages in which only one
    of the two, both or neither is active (p < 0.01) or, for genes, detected.

    Limits: M1 and M2 are extremes of cultured cells; in tumours most macrophages are neither, or a mixture, and the two
    are not ends of one axis. ``transitional`` means both arms in one cell, not a transition in time; doublets have the
    same pattern. z of two signatures are not on one scale, so a cell above the diagonal does not have more of one than
    of the other. Zeros of single genes are mostly dropouts, so "only one" in a cell says little about two genes:
    compare means of samples. A ratio of CXCL9 to SPP1 that predicts outcome in one tumour type may not in another.

    Raises
    ------
    ParameterError
        ``by`` is not a pair of signatures or a pair of genes in the data, or there is no such column.
    ResultNotFoundError
        The object is not annotated, its matrix is missing, or there are no macrophages.
    MatrixError
        The matrix is not the one that was annotated.
    """
    if isinstance(by, str) or len(by) != 2 or by[0] == by[1]:
        raise ParameterError(f"by is a pair of signatures or genes, such as ('m1', 'm2'), not {by!r}.")
    state = labels_of(adata, key, "state")
    here = np.asarray(state != NOT_MACROPHAGE)
    check_some(here)
    values, active, units, how = _both_values(adata, key, (by[0], by[1]), here)
    ax = ax or common.new_axes(6.4, 5.2)
    if sample_key is not None:
        samples = as_labels(slots.obs_column(adata, sample_key))
        _draw_samples(ax, values, list(samples.categories), samples.codes[here], size or 36)
        units = [f"mean {unit}" for unit in units]
    else:
        both = np.asarray(state == TRANSITIONAL)[here]
        _draw_cells(ax, values, both, common.colors_of(adata, key, "state", palette)[TRANSITIONAL], rng, size)
        for line in (ax.axhline, ax.axvline) if how != "detected" else ():  # z has a middle
            line(0, color="0.3", linewidth=0.6, linestyle=":")
    ax.set(xlabel=units[0], ylabel=units[1])
    known = np.isfinite(active).all(axis=1)
    said = "Too few genes of one are in the data for a p."
    if known.any():
        one, other = active[known].T.astype(bool)
        shares = [(one & ~other).mean(), (other & ~one).mean(), (one & other).mean(), (~one & ~other).mean()]
        names = [f"only {pretty(by[0])}", f"only {pretty(by[1])}", "both", "neither"]
        of = "" if known.all() else f" in {one.size:,} with a p for both"
        said = f"{how}{of}: " + ", ".join(f"{name} {share:.1%}" for name, share in zip(names, shares, strict=True))
    ax.set_title(f"{pretty(by[0])} and {pretty(by[1])} of {here.sum():,} macrophages\n{said}")
    return ax


def _both_values(adata: AnnData, key: str, by: tuple[str, str], here: Array) -> tuple[Array, Array, list[str], str]:
    """Return both values of each macrophage, which are active (1, 0, or NaN without a p), units, and the criterion."""
    z = slots.read_table(adata, key, "z")
    of_z = [name in z.columns for name in by]
    if all(of_z):
        values, p = (table[list(by)].to_numpy(float)[here] for table in (z, slots.read_table(adata, key, "p")))
        active = np.where(np.isfinite(p), p < _CUT, np.nan)
        return values, active, [f"{pretty(name)}: {_UNITS['z']}" for name in by], f"p < {_CUT}"
    if any(of_z):
        raise ParameterError(
            f"by={by!r} mixes a signature and a gene, or names a signature that was not scored. Give two of a kind."
        )
    matrix = slots.matrix_of_run(adata, slots.read_record(adata, key))
    values = np.concatenate([values for _, values in some_genes(matrix, columns_of(matrix, by), here)])
    return values, np.where(values > 0, 1.0, 0.0), [f"{name}: log1p expression" for name in by], "detected"


def _draw_cells(
    ax: Axes, values: Array, both: Array, color: str, rng: int | np.random.Generator, size: float | None
) -> None:
    """Draw cells as points or hexagons, and above them some of the transitional ones, in which both are active."""
    (x, y), rng = values.T, np.random.default_rng(rng)
    if x.size > _POINTS:
        shades: dict[str, Any] = {"bins": "log", "mincnt": 1, "cmap": "Blues", "linewidths": 0.1, "rasterized": True}
        hexagons = ax.hexbin(x, y, gridsize=50, **shades)
        # Plain numbers: powers of ten need mathtext, which reports do without.
        bar = ax.figure.colorbar(hexagons, ax=ax, shrink=0.6, format="{x:,.0f}")
        bar.minorformatter = NullFormatter()
        bar.set_label("macrophages in a hexagon", fontsize="small")
    else:
        rest = rows_to_draw(np.where(both, -1, 0), 1, MAX_POINTS, rng)
        ax.scatter(x[rest], y[rest], s=size or point_size(rest.size), color="0.45", alpha=0.6, linewidths=0)
    if both.any():
        some = rows_to_draw(np.where(both, 0, -1), 1, _TRANSITIONAL, rng)
        drawn = f"{some.size:,} of " if some.size < both.sum() else ""
        style: dict[str, Any] = {"edgecolors": "black", "linewidths": 0.5, "rasterized": True, "zorder": 3}
        style["label"] = f"transitional ({drawn}{both.sum():,})"
        ax.scatter(x[some], y[some], s=size or 12, color=color, **style)
        ax.legend(loc="best", framealpha=0.9, edgecolor="none", fontsize="small")


def _draw_samples(ax: Axes, values: Array, names: list[str], codes: Array, size: float) -> None:
    """Draw the mean of each sample, hollow if it is of few macrophages."""
    n = np.bincount(codes, minlength=len(names))
    some = np.flatnonzero(n)
    x, y = (np.bincount(codes, weights=v, minlength=n.size)[some] / n[some] for v in values.T)
    fill = np.where((n[some] >= _ENOUGH)[:, None], to_rgba(common.BLUE), to_rgba("white"))
    ax.scatter(x, y, s=size, facecolors=fill, edgecolors=common.BLUE)
    if some.size <= _NAMED:
        for place, a, b in zip(some, x, y, strict=True):
            ax.annotate(names[place], (a, b), xytext=(5, 3), textcoords="offset points", fontsize="x-small")
    ax.margins(0.12)
    if (n[some] < _ENOUGH).any():
        hollow = Line2D([], [], linestyle="", marker="o", color=common.BLUE, markerfacecolor="white")
        ax.legend([hollow], [f"fewer than {_ENOUGH} macrophages"], loc="best", fontsize="small")


@figure
def spatial(
    adata: AnnData,
    signature: str,
    *,
    key: str = "tam",
    kind: Kind = "score",
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the scores of a signature at the coordinates of the spots or cells.

    Parameters
    ----------
    adata
        A scored object with coordinates in ``obsm["spatial"]``. Select one sample if the coordinates of several
        overlap: ``adata[adata.obs["sample"] == "a"]``.
    signature
        Id of the signature.
    kind
        ``"score"``, ``"z"`` or ``"smooth"``.
    size
        Area of a point in square points; None depends on the number of points, and draws more than 200,000 as tiles of
        about a pixel with the mean of their cells.

    Returns
    -------
    The axes: x and y on one scale, y downwards as in images; points are rasterised in PDF and SVG. Cells without a
    value are grey. The score of a spot with several cells is that of their mixture.

    Raises
    ------
    ParameterError
        There are no coordinates, or the signature was not scored.
    ResultNotFoundError
        There are no scores under ``key``.
    """
    where, table = coordinates_of(adata), slots.read_table(adata, key, kind)
    if signature not in table:
        raise ParameterError(f"'{signature}' was not scored under the key '{key}'.{among(signature, table.columns)}")
    values = table[signature].to_numpy(float)
    ax = ax or common.new_axes(6, 5)
    if size is None and len(values) > MAX_POINTS:
        drawn = _draw_tiles(ax, where, values, _MAPS[kind])
    else:
        area = size if size is not None else float(np.clip(40_000 / max(len(values), 1), 0.2, 60))  # square points
        style: dict[str, Any] = {"s": area, "linewidths": 0, "rasterized": True}
        known = np.isfinite(values)
        x, y = where.T
        ax.scatter(x[~known], y[~known], color=_UNKNOWN, **style)
        drawn = ax.scatter(x[known], y[known], c=values[known], cmap=_MAPS[kind], **style)
    if kind == "z":
        shown: Array = np.ma.masked_invalid(np.ma.asarray(drawn.get_array())).compressed()
        span = float(np.abs(shown).max(initial=1e-9))
        drawn.set_clim(-span, span)
    ax.figure.colorbar(drawn, ax=ax, label=_UNITS[kind], shrink=0.7)
    ax.set(title=f"{pretty(signature)} in {len(values):,} spots or cells", xticks=[], yticks=[], aspect="equal")
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    return ax


def _draw_tiles(ax: Axes, where: Array, values: Array, colours: str) -> ScalarMappable:
    """Draw the mean of each tile; tiles of cells without a value are grey, tiles without cells are empty."""
    placed = np.isfinite(where).all(axis=1)
    where, values = where[placed], values[placed]
    low, high = where.min(axis=0), where.max(axis=0)
    side = max(float((high - low).max()) / _TILES, 1e-12)
    columns, rows = np.floor((high - low) / side).astype(int) + 1
    x, y = np.minimum(((where - low) / side).astype(int), (columns - 1, rows - 1)).T
    tile, known = y * columns + x, np.isfinite(values)
    total = np.bincount(tile[known], values[known], columns * rows)
    n_known, n = np.bincount(tile[known], minlength=total.size), np.bincount(tile, minlength=total.size)
    mean = np.ma.masked_where(n_known == 0, total / np.maximum(n_known, 1)).reshape(rows, columns)
    empty = np.ma.masked_where((n == 0) | (n_known > 0), np.ones(total.size)).reshape(rows, columns)
    extent = (low[0], low[0] + columns * side, low[1], low[1] + rows * side)
    ax.imshow(empty, cmap=ListedColormap([_UNKNOWN]), interpolation="nearest", extent=extent, origin="lower")
    return ax.imshow(mean, cmap=colours, interpolation="nearest", extent=extent, origin="lower")
