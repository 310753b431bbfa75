"""States and origins of macrophages: on an embedding, as bars, and crossed with each other."""

from __future__ import annotations

from typing import Unpack

import matplotlib as mpl
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.pl import _cells as cells
from tamannot.pl import _style as common
from tamannot.pl._style import FigureOptions, Palette, figure, naming, pretty

_DARK = 0.55  # on darker shades white text is easier to read than black
_SMALL_SHARE = 0.005


@figure
def states(
    adata: AnnData,
    *,
    basis: str | None = None,
    groupby: str | None = None,
    key: str = "tam",
    max_points: int = cells.MAX_POINTS,
    rng: int | np.random.Generator = 0,
    palette: Palette | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the states of macrophages on an embedding, or their shares as one bar per group.

    Parameters
    ----------
    adata
        An annotated object.
    basis
        Embedding in ``obsm`` to draw on, as in scanpy: ``"umap"`` or ``"X_umap"``. None uses the first that exists of
        ``X_umap``, ``X_tsne``, ``X_phate``, ``X_draw_graph_fa``, ``X_draw_graph_fr``, ``X_mde``, ``X_diffmap``,
        ``X_pca``, and draws bars if none exists.
    groupby
        Column of ``obs`` to group bars by, such as the sample. Bars without it are by the called origin.

    Returns
    -------
    The axes. On an embedding, other cells are light grey beneath the macrophages, and the legend has the number of
    cells of each state and their share of the macrophages. Bars are shares, from 0 to 1, of the macrophages of a group,
    whose number is beside the bar. Both include ``unassigned``. Cells are not replicates: compare samples. Cells of a
    state lie together in an embedding because both are computed from the same genes; this does not confirm the state.

    Raises
    ------
    ParameterError
        No such embedding or column, both of them given, or ``max_points`` below 100.
    ResultNotFoundError
        The object is not annotated.
    """
    return _draw(adata, "state", key, basis, groupby, cells.Dots(max_points, rng, palette, size, ax))


@figure
def origins(
    adata: AnnData,
    *,
    basis: str | None = None,
    groupby: str | None = None,
    key: str = "tam",
    max_points: int = cells.MAX_POINTS,
    rng: int | np.random.Generator = 0,
    palette: Palette | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the origins of macrophages on an embedding, or their shares as one bar per sample.

    Parameters
    ----------
    adata
        An annotated object.
    basis
        Embedding in ``obsm`` to draw on, found as in `states`; bars if none exists.
    groupby
        Column of ``obs`` to group bars by. Bars without it are by the ``sample_key`` of the run, if it had one.

    Returns
    -------
    The axes, as of `states`. An origin is similarity of transcripts, not lineage.

    Raises
    ------
    ParameterError
        No such embedding or column, both of them given, or ``max_points`` below 100.
    ResultNotFoundError
        The object is not annotated.
    """
    return _draw(adata, "origin", key, basis, groupby, cells.Dots(max_points, rng, palette, size, ax))


def _draw(adata: AnnData, axis: str, key: str, basis: str | None, groupby: str | None, dots: cells.Dots) -> Axes:
    """Draw macrophages on an embedding, or the shares of their labels as a bar per group, or one bar for all."""
    if basis is not None and groupby is not None:
        raise ParameterError(f"basis='{basis}' draws cells, and groupby='{groupby}' draws bars. Give one of them.")
    if basis is None and groupby is None:
        basis = cells.plane_in(adata, cells.EMBEDDINGS)
    if basis is not None:
        return cells.draw_embedding(adata, basis, axis, key, dots)
    colors, column = common.colors_of(adata, key, axis, dots.palette), groupby
    if column is None and axis == "state":
        column = slots.slot(key, "origin")
    elif column is None:
        sample_key = slots.read_record(adata, key).sample_key  # may be gone by now
        column = sample_key if sample_key in adata.obs else None
    labels = cells.labels_of(adata, key, axis)
    everyone = pd.Series("macrophages", index=adata.obs_names)
    groups = cells.as_labels(everyone if column is None else slots.obs_column(adata, column))
    counts = pd.DataFrame({UNASSIGNED: [0]}, index=["no macrophages"])
    if (is_macrophage := labels != NOT_MACROPHAGE).any():
        counts = cells.count_pairs(groups, labels, is_macrophage)
        counts.index = pd.Index(map(naming(column, key), groups.categories))
        counts = counts.loc[counts.sum(axis=1) > 0, counts.sum(axis=0) > 0]

    each = 0.5 if len(counts) <= 20 else 0.22  # inches; a hundred samples still fit a page
    ax = dots.ax or common.new_axes(8, max(1.5 + each * len(counts), 0.9 + 0.22 * counts.shape[1]))
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    left, places = np.zeros(len(shares)), np.arange(len(shares))
    for label in shares.columns:
        width, color = shares[label].to_numpy(), colors.get(label, colors[UNASSIGNED])
        ax.barh(places, width, left=left, color=color, label=pretty(label), edgecolor="white", height=0.7)
        left += width
    ax.set(xlim=(0, 1), ylim=(len(counts) - 0.5, -0.5), xlabel="share of macrophages, as called")
    size = common.name_ticks(ax, "y", places, list(shares.index))
    taken = common.write_beside(ax, places, [f"n = {total:,}" for total in counts.sum(axis=1)], size)
    ax.set_title(f"{axis.capitalize()}s of {counts.to_numpy().sum():,} macrophages")
    common.legend_beside(ax, counts.shape[1], after=taken)
    return ax


@figure
def state_by_origin(
    adata: AnnData,
    *,
    sample_key: str | None = None,
    min_cells: int = 10,
    key: str = "tam",
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the share of each state among the macrophages of each origin, as a table with shades.

    Parameters
    ----------
    adata
        An annotated object.
    sample_key
        Column of ``obs`` with the sample; each has the same weight. None pools all cells: large samples weigh more.
    min_cells
        Fewest macrophages, at least 1, of a row that is shaded, or with ``sample_key`` of a sample in a row.

    Returns
    -------
    The axes, origins × states, both with ``unassigned``. Without samples each field has the number of cells and their
    share of the row; with samples, the mean share over samples, and beneath it the minimum and maximum. Shades are the
    shares, from 0 to 1. State and origin are called from the same cells by different genes; whether they are associated
    must be tested across samples, and ``unassigned`` is not an origin of its own.

    Raises
    ------
    ParameterError
        No such column, or ``min_cells`` below 1.
    ResultNotFoundError
        The object is not annotated, it has no macrophages, or no sample has ``min_cells`` macrophages of one origin.
    """
    common.check_positive("min_cells", min_cells)
    origin, state = cells.labels_of(adata, key, "origin"), cells.labels_of(adata, key, "state")
    here = (origin != NOT_MACROPHAGE) & (state != NOT_MACROPHAGE)
    cells.check_some(here)
    counts = cells.count_pairs(origin, state, here)
    found = counts.index[counts.sum(axis=1) > 0], counts.columns[counts.sum(axis=0) > 0]
    rows, columns = ([*(name for name in names if name != UNASSIGNED), UNASSIGNED] for names in found)
    if sample_key is None:
        counts = counts.reindex(index=rows, columns=columns, fill_value=0)
        total = counts.sum(axis=1)
        shares = counts.div(total.clip(lower=1), axis=0)
        texts = counts.map("{:,}".format) + "\n" + shares.map(_percent)
        ax = _draw_table(ax, shares[total >= min_cells].reindex(rows), texts, [f"n = {n:,}" for n in total])
        xlabel = "state: cells as called, and their share of the origin"
        ax.set(title=f"States by origin, {here.sum():,} macrophages", xlabel=xlabel)
        return ax

    samples = cells.as_labels(slots.obs_column(adata, sample_key))
    in_each = (cells.count_pairs(origin, state, here & (samples.codes == i)) for i in range(len(samples.categories)))
    by_sample = np.array([n.reindex(index=rows, columns=columns, fill_value=0) for n in in_each], float)
    n_cells = by_sample.sum(axis=2, keepdims=True)
    too_few = np.broadcast_to(n_cells < min_cells, by_sample.shape)
    shares_in = np.ma.masked_where(too_few, by_sample / np.maximum(n_cells, 1))
    n_samples = shares_in.count(axis=0)[:, 0]
    if not n_samples.any():
        raise ResultNotFoundError(
            f"No sample has {min_cells} macrophages of one origin. Leave out sample_key=, or lower min_cells."
        )
    mean, low, high = (
        pd.DataFrame(over(axis=0).filled(np.nan), index=rows, columns=columns)
        for over in (shares_in.mean, shares_in.min, shares_in.max)
    )
    texts = mean.map(_percent) + "\n" + low.map(_percent) + "–" + high.map(_percent)
    said = [f"{n} of {len(samples.categories)} samples" for n in n_samples]
    ax = _draw_table(ax, mean, texts.where(mean.notna(), "–"), said)
    xlabel = "state: mean share of the origin over samples, as called\n(minimum–maximum)"
    ax.set(title=f"States by origin, macrophages in {len(samples.categories)} samples", xlabel=xlabel)
    return ax


def _percent(share: float) -> str:
    return "<1%" if 0 < share < _SMALL_SHARE else f"{share:.0%}"


def _draw_table(ax: Axes | None, shares: pd.DataFrame, texts: pd.DataFrame, said: list[str]) -> Axes:
    """Draw shares as shades under their texts; a line below the name of each row says of how many they are."""
    n_rows, n_columns = shares.shape
    ax = ax or common.new_axes(2.2 + 0.95 * n_columns, 1.8 + 0.6 * n_rows)
    values = np.ma.masked_invalid(shares.to_numpy(float))
    ax.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set_facecolor("0.92")
    columns = [pretty(s).replace(" ", "\n").replace("-", "-\n") for s in shares.columns]
    size = min(common.name_ticks(ax, "x", range(n_columns), columns), 0.85 * mpl.rcParams["font.size"])
    for (i, j), text in np.ndenumerate(texts.to_numpy()):
        color = "white" if values[i, j] >= _DARK else "black"
        ax.text(j, i, text, ha="center", va="center", fontsize=size, color=color)
    names = [f"{pretty(row)}\n{of}" for row, of in zip(shares.index, said, strict=True)]
    ax.set_yticks(range(n_rows), names, fontsize="small")
    ax.set_xticks(np.arange(0.5, n_columns - 1), minor=True)
    ax.set_yticks(np.arange(0.5, n_rows - 1), minor=True)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    return ax
