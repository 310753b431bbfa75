"""Labels of macrophages on an embedding or as shares of groups: what `states` and `origins` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.lines import Line2D
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import ParameterError
from tamannot.pl._points import embedding_of, places_in, point_size, some_of
from tamannot.pl._style import colors_of, new_axes, pretty

Array = NDArray[Any]

_NOBODY = "no macrophages"
# Inches a bar: few are thick, a hundred samples still fit a page.
_BAR, _THIN_BAR, _MANY = 0.5, 0.22, 20


@dataclass(frozen=True)
class Labels:
    """The label of each cell on an axis.

    Parameters
    ----------
    names
        The labels that occur, in the order of the run.
    codes
        Of each cell its place in ``names``.
    """

    names: tuple[str, ...]
    codes: Array

    @property
    def is_macrophage(self) -> Array:
        """Which cells are macrophages."""
        if NOT_MACROPHAGE not in self.names:
            return np.ones(self.codes.size, bool)
        return np.asarray(self.codes != self.names.index(NOT_MACROPHAGE))

    @property
    def counts(self) -> dict[str, int]:
        """Cells of each label."""
        return dict(zip(self.names, np.bincount(self.codes, minlength=len(self.names)).tolist(), strict=True))


def labels_of(adata: AnnData, key: str, axis: str) -> Labels:
    """Return the labels of an axis.

    Raises
    ------
    ResultNotFoundError
        The object is not annotated.
    """
    return as_labels(slots.read_obs(adata, key, (axis,)).iloc[:, 0], missing=NOT_MACROPHAGE)


def as_labels(column: pd.Series, *, missing: str = "missing") -> Labels:
    """Return a column as labels, in the order of its categories, else sorted; cells without a value are ``missing``."""
    found = column.astype("category").cat
    known = [*map(str, found.categories), missing]
    codes = np.where(found.codes == -1, len(known) - 1, found.codes).astype(np.int64)
    occurs = np.bincount(codes, minlength=len(known)) > 0
    # two names may be one: a category that is called as the missing are
    names = tuple(dict.fromkeys(n for n, here in zip(known, occurs, strict=True) if here))
    place = np.array([names.index(n) if n in names else -1 for n in known])
    return Labels(names, place[codes])


def draw_labels(
    adata: AnnData,
    axis: str,
    *,
    bars_by: str | None,
    basis: str | None,
    groupby: str | None,
    key: str,
    max_points: int,
    rng: int | np.random.Generator,
    ax: Axes | None,
) -> Axes:
    """Draw the labels of an axis on an embedding, or the shares of them in groups where there is none to draw on.

    Raises
    ------
    ParameterError
        Both a basis and groups, no such embedding or column, too few points.
    ResultNotFoundError
        The object is not annotated.
    """
    if basis is not None and groupby is not None:
        msg = f"basis='{basis}' draws cells and groupby='{groupby}' bars. Give one of them."
        raise ParameterError(msg)
    labels, colors = labels_of(adata, key, axis), colors_of(adata, key, axis)
    where = embedding_of(adata, basis) if groupby is None else None
    if where is not None:
        places = places_in(adata, where)
        drawn = some_of(np.where(np.isfinite(places).all(axis=1), labels.codes, -1), len(labels.names), max_points, rng)
        return _draw_cells(ax, places, labels, colors, drawn, axis=axis, where=where)
    return _draw_bars(ax, _counts(adata, labels, groupby or bars_by), colors)


def _draw_cells(
    ax: Axes | None,
    places: Array,
    labels: Labels,
    colors: dict[str, str],
    drawn: Array,
    *,
    axis: str,
    where: str,
) -> Axes:
    ax = ax if ax is not None else new_axes(6.4, 4.2)
    of_label = to_rgba_array([colors.get(name, colors[UNASSIGNED]) for name in labels.names])
    inside = labels.is_macrophage[drawn]
    style: dict[str, Any] = {"s": point_size(drawn.size), "linewidths": 0, "rasterized": True}
    for cells, above in ((drawn[~inside], 1), (drawn[inside], 2)):  # macrophages above all others
        x, y = places[cells].T
        ax.scatter(x, y, c=of_label[labels.codes[cells]], zorder=above, **style)
    some = f"\n{drawn.size:,} of {labels.codes.size:,} cells drawn" if drawn.size < labels.codes.size else ""
    name = where.removeprefix("X_").replace("_", " ").upper()
    ax.set(xticks=[], yticks=[], xlabel=f"{name} 1", ylabel=f"{name} 2")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(
        handles=[_dot(text, colors.get(name, colors[UNASSIGNED])) for name, text in _counted(labels)],
        title=f"{axis} of macrophages{some}",
        alignment="left",
        **_BESIDE,
    )
    return ax


_BESIDE: dict[str, Any] = {
    "loc": "upper left",
    "bbox_to_anchor": (1.01, 1.02),
    "frameon": False,
    "fontsize": "small",
    "title_fontsize": "small",
}


def _counted(labels: Labels) -> list[tuple[str, str]]:
    """Return the labels with what the legend says of each: cells, and their share of the macrophages."""
    n_macrophages = max(int(labels.is_macrophage.sum()), 1)
    said = [
        (name, f"{pretty(name)}  {n:,}" + ("" if name == NOT_MACROPHAGE else f" ({n / n_macrophages:.1%})"))
        for name, n in labels.counts.items()
    ]
    return sorted(said, key=lambda pair: pair[0] == NOT_MACROPHAGE)


def _dot(text: str, color: str) -> Line2D:
    return Line2D([], [], linestyle="", marker="o", markersize=6, color=color, label=text)


def _counts(adata: AnnData, labels: Labels, column: str | None) -> pd.DataFrame:
    """Return the macrophages of each group, groups × labels."""
    everyone = pd.Series("macrophages", index=adata.obs_names)
    groups = as_labels(everyone if column is None else slots.obs_column(adata, column))
    here = labels.is_macrophage
    if not here.any():
        return pd.DataFrame({UNASSIGNED: [0]}, index=[_NOBODY])
    table = count_both(groups, labels, here)
    return table.loc[table.sum(axis=1) > 0, table.sum(axis=0) > 0]


def count_both(rows: Labels, columns: Labels, here: Array) -> pd.DataFrame:
    """Return how many of some cells, given as a mask, have each pair of labels."""
    shape = len(rows.names), len(columns.names)
    both = rows.codes[here] * shape[1] + columns.codes[here]
    return pd.DataFrame(
        np.bincount(both, minlength=shape[0] * shape[1]).reshape(shape), index=rows.names, columns=columns.names
    )


def _draw_bars(ax: Axes | None, counts: pd.DataFrame, colors: dict[str, str]) -> Axes:
    each = _BAR if len(counts) <= _MANY else _THIN_BAR
    ax = ax if ax is not None else new_axes(8, max(1.2 + each * len(counts), 0.6 + 0.22 * counts.shape[1]))
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    left, places = np.zeros(len(shares)), np.arange(len(shares))
    for label in shares.columns:
        width = shares[label].to_numpy()
        color = colors.get(label, colors[UNASSIGNED])
        ax.barh(places, width, left=left, color=color, label=pretty(label), edgecolor="white", height=0.7)
        left += width
    for place, total in enumerate(counts.sum(axis=1)):
        ax.text(1.01, place, f"n = {total:,}", va="center", fontsize="small")
    size = "medium" if len(counts) <= _MANY else "small"
    ax.set_yticks(places, [pretty(str(g)) for g in shares.index], fontsize=size)
    ax.set(xlim=(0, 1), ylim=(len(counts) - 0.5, -0.5), xlabel="share of macrophages, as called")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(**_BESIDE | {"bbox_to_anchor": (1.14, 1.02)})
    return ax
