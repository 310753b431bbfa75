"""The cells of a figure: their labels, their coordinates, and which of many are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE
from tamannot.errors import ParameterError, ResultNotFoundError, among

Array = NDArray[Any]
Labels: TypeAlias = "pd.Categorical[str]"

MAX_POINTS = 200_000
# In this order: first those that show groups best.
PLANES = ("X_umap", "X_tsne", "X_phate", "X_draw_graph_fa", "X_draw_graph_fr", "X_mde")
EMBEDDINGS = (*PLANES, "X_diffmap", "X_pca")
_MIN_POINTS = 100
# This share of the points is divided evenly among labels, to show rare ones; the rest is proportional.
_EVENLY = 0.1
# Total area of all points, in square points, and the smallest and largest area of one.
_TOTAL_AREA, _SMALLEST, _LARGEST = 60_000.0, 0.4, 26.0


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
        msg = "There are no macrophages to draw."
        raise ResultNotFoundError(msg)


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


def embedding_of(adata: AnnData, basis: str) -> str:
    """Return the key of an embedding in ``obsm``, given with or without ``X_``."""
    names = (basis, f"X_{basis}")
    if (found := plane_in(adata, names)) is not None:
        return found
    if flat := next((name for name in names if name in adata.obsm), None):
        msg = f"obsm['{flat}'] has fewer than two columns, so it cannot be drawn as an embedding."
        raise ParameterError(msg)
    msg = f"No embedding '{basis}' in obsm.{among(basis, adata.obsm)}"
    raise ParameterError(msg)


def rows_to_draw(codes: Array, n_labels: int, max_points: int, rng: int | np.random.Generator) -> Array:
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
