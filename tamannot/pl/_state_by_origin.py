"""How states and origins go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.pl._labels import Labels, as_labels, count_both, labels_of
from tamannot.pl._style import new_axes, pretty

Array = NDArray[Any]

# From this shade on, white text is easier to read than black.
_DARK = 0.55
_LEAST = 0.005
_POOLED = "state, and share of the origin, as called"
_OVER_SAMPLES = "state as called, mean share of the origin over samples\nand least and greatest"


def state_by_origin(
    adata: AnnData, *, sample_key: str | None = None, min_cells: int = 10, key: str = "tam", ax: Axes | None = None
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
        Macrophages that a row must have to be shaded; with ``sample_key`` those that a sample must have to count in
        it.
    key
        The ``key_added`` of the run.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes, origins × states, ``unassigned`` in both. Without samples each field has the number of cells and their
    share of the row; with samples the mean over samples of the share, and the least and the greatest beneath it.
    Shades are the shares, from 0 to 1. State and origin are called from the same cells by different genes; whether
    they are associated is a question to samples, and origins that were left ``unassigned`` are no origin of their own.

    Raises
    ------
    ParameterError
        No such column, or ``min_cells`` below 1.
    ResultNotFoundError
        The object is not annotated, it has no macrophages, or no sample has ``min_cells``.
    """
    if min_cells < 1:
        msg = f"min_cells is at least 1, not {min_cells}."
        raise ParameterError(msg)
    origin, state = labels_of(adata, key, "origin"), labels_of(adata, key, "state")
    here = origin.is_macrophage & state.is_macrophage
    if not here.any():
        msg = "There are no macrophages to draw."
        raise ResultNotFoundError(msg)
    if sample_key is None:
        counts = _ordered(count_both(origin, state, here))
        shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
        texts = [[f"{n:,}\n{_percent(s)}" for n, s in zip(*row, strict=True)] for row in _rows(counts, shares)]
        names = [f"{pretty(str(o))}\nn = {n:,}" for o, n in counts.sum(axis=1).items()]
        return _draw(ax, shares[counts.sum(axis=1) >= min_cells].reindex(shares.index), texts, names, _POOLED)
    samples = as_labels(slots.obs_column(adata, sample_key))
    mean, low, high, n = _over_samples(origin, state, here, samples, min_cells)
    texts = [
        [f"{_percent(m)}\n{_percent(a)}–{_percent(b)}" if np.isfinite(m) else "–" for m, a, b in zip(*row, strict=True)]
        for row in _rows(mean, low, high)
    ]
    names = [f"{pretty(str(o))}\n{k} of {len(samples.names)} samples" for o, k in n.items()]
    return _draw(ax, mean, texts, names, _OVER_SAMPLES)


def _percent(share: float) -> str:
    return "<1%" if 0 < share < _LEAST else f"{share:.0%}"


def _rows(*tables: pd.DataFrame) -> list[tuple[Array, ...]]:
    return list(zip(*(t.to_numpy() for t in tables), strict=True))


def _ordered(counts: pd.DataFrame) -> pd.DataFrame:
    """Return a table of counts without what is no macrophage, and with ``unassigned`` last in both."""

    def kept(names: pd.Index, total: pd.Series) -> list[str]:
        return [*(s for s in names if total[s] and s not in (NOT_MACROPHAGE, UNASSIGNED)), UNASSIGNED]

    rows, columns = kept(counts.index, counts.sum(axis=1)), kept(counts.columns, counts.sum(axis=0))
    return counts.reindex(index=rows, columns=columns, fill_value=0)


def _over_samples(
    origin: Labels, state: Labels, here: Array, samples: Labels, min_cells: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return mean, least and greatest share over samples, and how many samples each row has."""
    whole = _ordered(count_both(origin, state, here))
    shares = np.full((len(samples.names), *whole.shape), np.nan)
    for i in range(len(samples.names)):
        counts = count_both(origin, state, here & (samples.codes == i)).reindex_like(whole).fillna(0).to_numpy(float)
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


def _draw(ax: Axes | None, shares: pd.DataFrame, texts: list[list[str]], names: list[str], xlabel: str) -> Axes:
    n_rows, n_columns = shares.shape
    ax = ax if ax is not None else new_axes(2.2 + 0.95 * n_columns, 1.5 + 0.6 * n_rows)
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
