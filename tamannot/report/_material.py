"""What a report is made from: labels of all cells, and values of few."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError
from tamannot.tl._samples import Samples, samples_of

Array = NDArray[Any]

MOST_POINTS = 50_000
MOST_MEASURED = 5_000
_MOST_OTHERS = 1_000
# Neighbours are read together from a file.
_RUN = 50
_SEED = 0
EMBEDDINGS = ("X_umap", "X_tsne", "X_phate", "X_draw_graph_fa", "X_draw_graph_fr", "X_mde")
_AXES = ("compartment", "origin", "state")


class Source(Protocol):
    """Annotated cells that are in memory or in a file."""

    @property
    def cells(self) -> AnnData:
        """All cells with their labels and the record of the run; matrices and tables may be absent."""

    def take(self, rows: Array, *, matrix: bool) -> AnnData:
        """Return some cells with tables and embeddings, and the matrix of the run if asked."""


@dataclass(frozen=True)
class Material:
    """An annotated data set, as a report needs it.

    Parameters
    ----------
    source
        Gives out cells.
    name
        Of the data, as it is shown.
    key
        The ``key_added`` of the run.
    sample_key, condition
        Columns of ``obs``; None if not known.
    """

    source: Source
    name: str
    key: str = "tam"
    sample_key: str | None = None
    condition: str | None = None

    @property
    def cells(self) -> AnnData:
        """All cells with their labels."""
        return self.source.cells

    @cached_property
    def run(self) -> slots.RunRecord:
        """The record of the run."""
        return slots.read_record(self.cells, self.key)

    @cached_property
    def points(self) -> AnnData:
        """At most 50,000 cells with tables and embeddings."""
        return self.source.take(spread(np.arange(self.cells.n_obs), MOST_POINTS, 1), matrix=False)

    @cached_property
    def measured(self) -> AnnData:
        """At most 6,000 cells, macrophages before others, with the matrix of the run."""
        macrophages = self.macrophages
        if macrophages.size <= MOST_MEASURED:
            return self.source.take(np.arange(macrophages.size), matrix=True)
        mine = spread(np.flatnonzero(macrophages), MOST_MEASURED, _RUN)
        others = spread(np.flatnonzero(~macrophages), _MOST_OTHERS, _RUN)
        return self.source.take(np.sort(np.concatenate([mine, others])), matrix=True)

    @cached_property
    def embedding(self) -> str | None:
        """The name of an embedding to draw on; None if there is none."""
        obsm = self.points.obsm
        return next((n for n in EMBEDDINGS if n in obsm and np.ndim(obsm[n]) > 1 and obsm[n].shape[1] > 1), None)

    @cached_property
    def has_matrix(self) -> bool:
        """Whether the matrix of the run is still there, with the same genes."""
        try:
            slots.matrix_of_run(self.measured, self.run)
        except (MatrixError, ResultNotFoundError):
            return False
        return True

    @cached_property
    def macrophages(self) -> Array:
        """Which cells are macrophages."""
        return (self.labels("compartment") == "macrophage").to_numpy()

    @cached_property
    def samples(self) -> Samples | None:
        """Which cell is of which sample; None if that is not known."""
        return None if self.sample_key is None else samples_of(self.cells, self.sample_key)

    def labels(self, name: str) -> pd.Series:
        """Return a categorical column of the run."""
        column = self.column(name)
        return column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")

    def column(self, name: str) -> pd.Series:
        """Return a column of the run."""
        return slots.read_obs(self.cells, self.key, (name,)).iloc[:, 0]

    def has(self, name: str) -> bool:
        """Say whether the run wrote a column."""
        return slots.slot(self.key, name) in self.cells.obs


def material_of(
    source: Source, *, name: str, key: str = "tam", sample_key: str | None = None, condition: str | None = None
) -> Material:
    """Return what a report is made from.

    Raises
    ------
    ResultNotFoundError
        The cells are not annotated.
    ParameterError
        A column is not there.
    """
    run = slots.read_record(source.cells, key)
    absent = [slots.slot(key, axis) for axis in _AXES if slots.slot(key, axis) not in source.cells.obs]
    if absent:
        msg = f"A report is of annotated cells, and obs has no '{absent[0]}'. Run tamannot.tl.annotate(adata) first."
        raise ResultNotFoundError(msg)
    if sample_key is None and run.sample_key in source.cells.obs:
        sample_key = run.sample_key
    for column in (sample_key, condition):
        if column is not None:
            slots.obs_column(source.cells, column)
    if condition is not None and sample_key is None:
        msg = "A condition is a property of samples: give sample_key= as well."
        raise ParameterError(msg)
    return Material(source, name, key, sample_key, condition)


@dataclass(frozen=True)
class InMemory:
    """Cells of an object in memory."""

    cells: AnnData

    def take(self, rows: Array, *, matrix: bool) -> AnnData:  # noqa: ARG002 - it is there anyway
        """Return some cells; the object itself if they are all of it."""
        return self.cells if rows.size == self.cells.n_obs else self.cells[rows]


def spread(rows: Array, most: int, run: int) -> Array:
    """Return at most so many of some rows, in runs from all over them; the same ones every time."""
    if rows.size <= most:
        return rows
    starts = np.arange(0, rows.size, run)
    chosen = np.sort(np.random.default_rng(_SEED).choice(starts, most // run, replace=False))
    places = (chosen[:, None] + np.arange(run)).ravel()
    return rows[places[places < rows.size]]
