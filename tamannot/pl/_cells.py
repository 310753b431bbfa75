"""The cells of a figure: their labels, their coordinates, and which of many are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE
from tamannot.errors import ParameterError, ResultNotFoundError, among

Array = NDArray[Any]

MAX_POINTS = 200_000
# In this order: first those that show groups best.
EMBEDDINGS = ("X_umap", "X_tsne", "X_phate", "X_draw_graph_fa", "X_draw_graph_fr", "X_mde", "X_diffmap", "X_pca")
_MIN_POINTS = 100
# This share of the points is divided evenly among labels, to show rare ones; the rest is proportional.
_EVENLY = 0.1
# Total area of all points, in square points, and the smallest and largest area of one.
_TOTAL_AREA, _SMALLEST, _LARGEST = 60_000.0, 0.4, 26.0


@dataclass(frozen=True)
class Labels:
    """The labels that occur, in the order of the run, and the index of each cell's label."""

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
        """Number of cells of each label."""
        return dict(zip(self.names, np.bincount(self.codes, minlength=len(self.names)).tolist(), strict=True))


def labels_of(adata: AnnData, key: str, axis: str) -> Labels:
    """Return the labels of an axis."""
    return as_labels(slots.read_obs(adata, key, (axis,)).iloc[:, 0], missing=NOT_MACROPHAGE)


def as_labels(column: pd.Series, *, missing: str = "missing") -> Labels:
    """Return a column as labels, in the order of its categories, else sorted; cells without a value are ``missing``."""
    found = column.astype("category").cat
    known = [*map(str, found.categories), missing]
    codes = np.where(found.codes == -1, len(known) - 1, found.codes).astype(np.int64)
    occurs = np.bincount(codes, minlength=len(known)) > 0
    # a category may have the name of the missing
    names = tuple(dict.fromkeys(n for n, here in zip(known, occurs, strict=True) if here))
    place = np.array([names.index(n) if n in names else -1 for n in known])
    return Labels(names, place[codes])


def check_some(cells: Array) -> None:
    """Raise an error if no cell would be drawn."""
    if not cells.any():
        msg = "There are no macrophages to draw."
        raise ResultNotFoundError(msg)


def count_pairs(rows: Labels, columns: Labels, cells: Array) -> pd.DataFrame:
    """Return the number of cells with each pair of labels, among those of a mask."""
    shape = len(rows.names), len(columns.names)
    both = rows.codes[cells] * shape[1] + columns.codes[cells]
    counts = np.bincount(both, minlength=shape[0] * shape[1]).reshape(shape)
    return pd.DataFrame(counts, index=rows.names, columns=columns.names)


def embedding_of(adata: AnnData, basis: str | None) -> str | None:
    """Return the key of the embedding in ``obsm``; None if none was requested and none is found."""
    slots.check_adata(adata)
    names = EMBEDDINGS if basis is None else (basis, f"X_{basis}")
    found = next((name for name in names if name in adata.obsm), None)
    is_plane = found is not None and adata.obsm[found].ndim == 2 and adata.obsm[found].shape[1] > 1
    if basis is None:
        return found if is_plane else None
    if found is None:
        msg = f"No embedding '{basis}' in obsm.{among(basis, adata.obsm)}"
        raise ParameterError(msg)
    if not is_plane:
        msg = f"obsm['{found}'] has fewer than two columns, so it cannot be drawn as an embedding."
        raise ParameterError(msg)
    return found


def places_in(adata: AnnData, name: str) -> Array:
    """Return the first two coordinates of each cell."""
    values = adata.obsm[name]
    two = values.iloc[:, :2] if hasattr(values, "iloc") else values[:, :2]
    return np.asarray(two, float)


def some_of(codes: Array, n_labels: int, max_points: int, rng: int | np.random.Generator) -> Array:
    """Return the rows of the cells to draw, in random order: all, or at most ``max_points``.

    ``codes`` are labels from 0 to ``n_labels - 1``, or -1 for cells that are not drawn.
    """
    if max_points < _MIN_POINTS:
        msg = f"max_points is {max_points}; draw at least {_MIN_POINTS}."
        raise ParameterError(msg)
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
    return float(np.clip(_TOTAL_AREA / max(n, 1), _SMALLEST, _LARGEST))
