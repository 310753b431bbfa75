"""States and origins of macrophages: on an embedding, as bars, and one against the other."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.pl._cells import MAX_POINTS, Labels, as_labels, check_some, count_pairs, embedding_of, labels_of
from tamannot.pl._embedding import draw_labels, points_of
from tamannot.pl._style import (
    LEGEND_BESIDE,
    FigureOptions,
    Palette,
    check_positive,
    colors_of,
    figure,
    naming,
    new_axes,
    open_corner,
    pretty,
)

Array = NDArray[Any]

# Inches a bar: few are thick, a hundred samples still fit a page.
_BAR, _THIN_BAR, _MANY_BARS = 0.5, 0.22, 20
# From this shade on, white text is easier to read than black.
_DARK = 0.55
_SMALL_SHARE = 0.005
_POOLED = "state, and share of the origin, as called"
_OVER_SAMPLES = "state as called, mean share of the origin over samples\nand least and greatest"


@figure
def states(
    adata: AnnData,
    *,
    basis: str | None = None,
    groupby: str | None = None,
    key: str = "tam",
    max_points: int = MAX_POINTS,
    rng: int | np.random.Generator = 0,
    palette: Palette | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the states of macrophages on an embedding, or their shares as one bar a group.

    Parameters
    ----------
    adata
        An annotated object.
    basis
        Embedding in ``obsm`` to draw on, as in scanpy: ``"umap"`` or ``"X_umap"``. None takes the first there is of
        ``X_umap``, ``X_tsne``, ``X_phate``, ``X_draw_graph_fa``, ``X_draw_graph_fr``, ``X_mde``, ``X_diffmap``,
        ``X_pca``, and draws bars where there is none.
    groupby
        Column of ``obs`` to group by, such as the sample: always bars. Bars without it are by the called origin.
    key
        The ``key_added`` of the run.
    max_points
        Most cells to draw. Of more, some are chosen at random, nearly in proportion: rare labels keep more. The counts
        in the legend are of all cells.
    rng
        Seed or generator of that choice, and of the order in which cells lie upon each other.
    palette
        Colours in place of ours: ``{label: colour}``, a list in the order of the labels, or a colormap of matplotlib.
    size
        Area of a point in square points; None goes by their number.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. On an embedding other cells are light grey beneath the macrophages, and the legend has the cells of each
    state and their share of the macrophages. In bars shares are of the macrophages of a group; their number stands
    beside the bar. ``unassigned`` is shown in both. Cells are not replicates: compare conditions by samples. That cells
    of a state lie together in an embedding does not confirm the state: both come from the same genes.

    Raises
    ------
    ParameterError
        No such embedding or column, both of them asked for, or ``max_points`` below 100.
    ResultNotFoundError
        The object is not annotated.
    """
    labels, colors = labels_of(adata, key, "state"), colors_of(adata, key, "state", palette)
    found = _basis(adata, basis, groupby)
    if found is not None:
        points = points_of(adata, found, labels, max_points, rng)
        return draw_labels(ax, "state of macrophages", labels, colors, points, size)
    return _draw_bars(ax, _counts(adata, labels, groupby or slots.slot(key, "origin"), key), colors)


@figure
def origins(
    adata: AnnData,
    *,
    basis: str | None = None,
    groupby: str | None = None,
    key: str = "tam",
    max_points: int = MAX_POINTS,
    rng: int | np.random.Generator = 0,
    palette: Palette | None = None,
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the origins of macrophages on an embedding, or their shares as one bar a sample.

    Parameters
    ----------
    adata
        An annotated object.
    basis
        Embedding in ``obsm`` to draw on, found as in `states`; bars where there is none.
    groupby
        Column of ``obs`` to group by: always bars. Bars without it are by the ``sample_key`` of the run; one bar if
        there was none.
    key
        The ``key_added`` of the run.
    max_points
        Most cells to draw, chosen as in `states`.
    rng
        Seed or generator of that choice, and of the order in which cells lie upon each other.
    palette
        Colours in place of ours: ``{label: colour}``, a list in the order of the labels, or a colormap of matplotlib.
    size
        Area of a point in square points; None goes by their number.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes, as of `states`. An origin is similarity of transcripts, not lineage.

    Raises
    ------
    ParameterError
        No such embedding or column, both of them asked for, or ``max_points`` below 100.
    ResultNotFoundError
        The object is not annotated.
    """
    labels, colors = labels_of(adata, key, "origin"), colors_of(adata, key, "origin", palette)
    found = _basis(adata, basis, groupby)
    if found is not None:
        points = points_of(adata, found, labels, max_points, rng)
        return draw_labels(ax, "origin of macrophages", labels, colors, points, size)
    sample_key = slots.read_record(adata, key).sample_key  # may be gone by now
    column = groupby or (sample_key if sample_key in adata.obs else None)
    return _draw_bars(ax, _counts(adata, labels, column, key), colors)


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
    """Draw how the macrophages of each origin are shared out among the states, as a table with shades.

    Parameters
    ----------
    adata
        An annotated object.
    sample_key
        Column of ``obs`` with the sample. None pools all cells, so that a large sample counts more than a small one;
        with it each sample counts once.
    min_cells
        Macrophages that a row must have to be shaded; with ``sample_key`` those that a sample must have to count in it.
    key
        The ``key_added`` of the run.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes, origins × states, ``unassigned`` in both. Without samples each field has the number of cells and their
    share of the row; with samples the mean over samples of the share, and the least and the greatest beneath it. Shades
    are the shares, from 0 to 1. State and origin are called from the same cells by different genes; whether they are
    associated must be tested across samples, and ``unassigned`` is not an origin of its own.

    Raises
    ------
    ParameterError
        No such column, or ``min_cells`` below 1.
    ResultNotFoundError
        The object is not annotated, it has no macrophages, or no sample has ``min_cells``.
    """
    check_positive("min_cells", min_cells)
    origin, state = labels_of(adata, key, "origin"), labels_of(adata, key, "state")
    here = origin.is_macrophage & state.is_macrophage
    check_some(here)
    if sample_key is None:
        counts = _unassigned_last(count_pairs(origin, state, here))
        shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
        texts = [[f"{n:,}\n{_percent(s)}" for n, s in zip(*row, strict=True)] for row in _rows(counts, shares)]
        names = [f"{pretty(str(o))}\nn = {n:,}" for o, n in counts.sum(axis=1).items()]
        return _draw_table(ax, shares[counts.sum(axis=1) >= min_cells].reindex(shares.index), texts, names, _POOLED)
    samples = as_labels(slots.obs_column(adata, sample_key))
    mean, low, high, n = _over_samples(origin, state, here, samples, min_cells)
    texts = [
        [f"{_percent(m)}\n{_percent(a)}–{_percent(b)}" if np.isfinite(m) else "–" for m, a, b in zip(*row, strict=True)]
        for row in _rows(mean, low, high)
    ]
    names = [f"{pretty(str(o))}\n{k} of {len(samples.names)} samples" for o, k in n.items()]
    return _draw_table(ax, mean, texts, names, _OVER_SAMPLES)


def _basis(adata: AnnData, basis: str | None, groupby: str | None) -> str | None:
    """Return the key of the embedding to draw on; None for bars."""
    if basis is not None and groupby is not None:
        msg = f"basis='{basis}' draws cells and groupby='{groupby}' bars. Give one of them."
        raise ParameterError(msg)
    return embedding_of(adata, basis) if groupby is None else None


def _counts(adata: AnnData, labels: Labels, column: str | None, key: str) -> pd.DataFrame:
    """Return the macrophages of each group, groups × labels."""
    everyone = pd.Series("macrophages", index=adata.obs_names)
    groups = as_labels(everyone if column is None else slots.obs_column(adata, column))
    if not labels.is_macrophage.any():
        return pd.DataFrame({UNASSIGNED: [0]}, index=["no macrophages"])
    table = count_pairs(groups, labels, labels.is_macrophage)
    table.index = pd.Index(map(naming(column, key), groups.names))
    return table.loc[table.sum(axis=1) > 0, table.sum(axis=0) > 0]


def _draw_bars(ax: Axes | None, counts: pd.DataFrame, colors: dict[str, str]) -> Axes:
    are_few = len(counts) <= _MANY_BARS
    each = _BAR if are_few else _THIN_BAR
    ax = ax or new_axes(8, max(1.2 + each * len(counts), 0.6 + 0.22 * counts.shape[1]))
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    left, places = np.zeros(len(shares)), np.arange(len(shares))
    for label in shares.columns:
        width, color = shares[label].to_numpy(), colors.get(label, colors[UNASSIGNED])
        ax.barh(places, width, left=left, color=color, label=pretty(label), edgecolor="white", height=0.7)
        left += width
    for place, total in enumerate(counts.sum(axis=1)):
        ax.text(1.01, place, f"n = {total:,}", va="center", fontsize="small")
    ax.set_yticks(places, list(shares.index), fontsize="medium" if are_few else "small")
    ax.set(xlim=(0, 1), ylim=(len(counts) - 0.5, -0.5), xlabel="share of macrophages, as called")
    open_corner(ax)
    ax.legend(**LEGEND_BESIDE | {"bbox_to_anchor": (1.14, 1.02)})
    return ax


def _percent(share: float) -> str:
    return "<1%" if 0 < share < _SMALL_SHARE else f"{share:.0%}"


def _rows(*tables: pd.DataFrame) -> list[tuple[Array, ...]]:
    return list(zip(*(t.to_numpy() for t in tables), strict=True))


def _unassigned_last(counts: pd.DataFrame) -> pd.DataFrame:
    """Return a table of counts without other cells, and with ``unassigned`` last in rows and columns."""

    def kept(names: pd.Index, total: pd.Series) -> list[str]:
        return [*(s for s in names if total[s] and s not in (NOT_MACROPHAGE, UNASSIGNED)), UNASSIGNED]

    rows, columns = kept(counts.index, counts.sum(axis=1)), kept(counts.columns, counts.sum(axis=0))
    return counts.reindex(index=rows, columns=columns, fill_value=0)


def _over_samples(
    origin: Labels, state: Labels, here: Array, samples: Labels, min_cells: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return mean, least and greatest share over samples, and how many samples each row has."""
    whole = _unassigned_last(count_pairs(origin, state, here))
    shares = np.full((len(samples.names), *whole.shape), np.nan)
    for i in range(len(samples.names)):
        counts = count_pairs(origin, state, here & (samples.codes == i)).reindex_like(whole).fillna(0).to_numpy(float)
        total = counts.sum(axis=1)
        enough = total >= min_cells
        shares[i, enough] = counts[enough] / total[enough, None]
    n = np.isfinite(shares[:, :, 0]).sum(axis=0)
    if not n.any():
        msg = f"No sample has {min_cells} macrophages of one origin. Leave out sample_key=, or lower min_cells."
        raise ResultNotFoundError(msg)
    none = n == 0
    filled = np.where(none[:, None], 0.0, shares)  # so that numpy does not warn of rows without samples
    tables = [np.where(none[:, None], np.nan, f(filled, axis=0)) for f in (np.nanmean, np.nanmin, np.nanmax)]
    mean, low, high = (pd.DataFrame(t, index=whole.index, columns=whole.columns) for t in tables)
    return mean, low, high, pd.Series(n, index=whole.index)


def _draw_table(ax: Axes | None, shares: pd.DataFrame, texts: list[list[str]], names: list[str], xlabel: str) -> Axes:
    n_rows, n_columns = shares.shape
    ax = ax or new_axes(2.2 + 0.95 * n_columns, 1.5 + 0.6 * n_rows)
    values = np.ma.masked_invalid(shares.to_numpy(float))
    ax.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set_facecolor("0.92")
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            color = "white" if values[i, j] >= _DARK else "black"
            ax.text(j, i, text, ha="center", va="center", fontsize="small", color=color)
    ax.set_xticks(range(n_columns), [pretty(s).replace(" ", "\n") for s in shares.columns], fontsize="small")
    ax.set_yticks(range(n_rows), names, fontsize="small")
    ax.set_xticks(np.arange(0.5, n_columns - 1), minor=True)
    ax.set_yticks(np.arange(0.5, n_rows - 1), minor=True)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(xlabel)
    return ax
