"""Many cells as points: which of them, how large, and where an embedding has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot._printable import among
from tamannot.classify import NOT_MACROPHAGE
from tamannot.errors import ParameterError

Array = NDArray[Any]

MAX_POINTS = 200_000
# What is looked for, in this order: what shows groups best comes first.
EMBEDDINGS = (
    "X_umap",
    "X_tsne",
    "X_phate",
    "X_draw_graph_fa",
    "X_draw_graph_fr",
    "X_mde",
    "X_diffmap",
    "X_pca",
)
_FEWEST = 100
# Points of a label that may be rare: this part of all is dealt out evenly, the rest in proportion.
_EVENLY = 0.1
_INK, _SMALLEST, _LARGEST = 60_000.0, 0.4, 26.0


def embedding_of(adata: AnnData, basis: str | None) -> str | None:
    """Return the key of ``obsm`` that has the embedding; None where none is asked for and none is found.

    Raises
    ------
    ParameterError
        There is none of that name, or it has fewer than two columns.
    """
    names = EMBEDDINGS if basis is None else (basis, f"X_{basis}")
    found = next((name for name in names if name in adata.obsm), None)
    if basis is None:
        return found if found is not None and _is_plane(adata, found) else None
    if found is None:
        msg = f"No embedding '{basis}' in obsm.{among(basis or '', adata.obsm)}"
        raise ParameterError(msg)
    if not _is_plane(adata, found):
        msg = f"obsm['{found}'] has fewer than two columns; it is no embedding to draw."
        raise ParameterError(msg)
    return found


def _is_plane(adata: AnnData, name: str) -> bool:
    shape = adata.obsm[name].shape
    return len(shape) == 2 and shape[1] > 1


def places_in(adata: AnnData, name: str) -> Array:
    """Return the first two coordinates of each cell."""
    values = adata.obsm[name]
    two = values.iloc[:, :2] if hasattr(values, "iloc") else values[:, :2]
    return np.asarray(two, float)


def some_of(codes: Array, n_labels: int, max_points: int, rng: int | np.random.Generator) -> Array:
    """Return the rows of cells to draw, in random order: all, or at most ``max_points``.

    A tenth of the points is dealt out evenly to the labels, so that rare ones are seen, the others in proportion.

    Parameters
    ----------
    codes
        Of each cell its label, 0 to ``n_labels - 1``; -1 for cells that are not drawn.
    n_labels
        Labels.
    max_points
        Most points.
    rng
        Seed or generator.

    Raises
    ------
    ParameterError
        ``max_points`` is below 100.
    """
    if max_points < _FEWEST:
        msg = f"max_points is {max_points}; draw at least {_FEWEST}."
        raise ParameterError(msg)
    order = np.random.default_rng(rng).permutation(codes.size)
    order = order[codes[order] >= 0]
    if order.size <= max_points:
        return order
    share = np.bincount(codes[order], minlength=n_labels) / order.size
    quota = ((1 - _EVENLY) * max_points * share + _EVENLY * max_points / n_labels).astype(np.int64)
    kept = np.zeros(order.size, bool)
    for label, most in enumerate(quota):
        kept[np.flatnonzero(codes[order] == label)[:most]] = True
    return order[kept]


def point_size(n: int) -> float:
    """Return the area of a point, in square points, where there are so many."""
    return float(np.clip(_INK / max(n, 1), _SMALLEST, _LARGEST))


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


def count_both(rows: Labels, columns: Labels, here: Array) -> pd.DataFrame:
    """Return how many of some cells, given as a mask, have each pair of labels."""
    shape = len(rows.names), len(columns.names)
    both = rows.codes[here] * shape[1] + columns.codes[here]
    return pd.DataFrame(
        np.bincount(both, minlength=shape[0] * shape[1]).reshape(shape), index=rows.names, columns=columns.names
    )
