"""The input of a report: labels of all cells, and values of some cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis._samples import Samples, depth_of, samples_of
from tamannot.data import AXES, Array
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError

MOST_POINTS, MOST_MEASURED, _MOST_OTHERS = 50_000, 5_000, 1_000
RUN = 50  # neighbours are read together from a file


@dataclass(frozen=True)
class Material:
    """An annotated data set with its name in the report; columns of ``obs`` are None if unknown."""

    cells: AnnData  # all, with their labels and the record of the run; those of a file lack matrices and tables
    name: str
    key: str = "tam"
    sample_key: str | None = None
    condition: str | None = None
    from_file: Callable[..., AnnData] | None = None  # `take` of cells in a file
    svg: bool = False  # whether figures are exported, too

    def take(self, rows: Array, *, matrix: bool) -> AnnData:
        """Return some cells with tables and embeddings, and the matrix of the run if asked."""
        if self.from_file is not None:
            return self.from_file(rows, matrix=matrix)
        return self.cells if rows.size == self.cells.n_obs else self.cells[rows]

    @cached_property
    def run(self) -> slots.RunRecord:
        """The record of the run."""
        return slots.read_record(self.cells, self.key)

    @cached_property
    def points(self) -> AnnData:
        """At most 50,000 cells with tables and embeddings."""
        return self.take(spread(np.arange(self.cells.n_obs), MOST_POINTS, 1), matrix=False)

    @cached_property
    def measured(self) -> AnnData:
        """At most 6,000 cells, macrophages before others, with the matrix of the run."""
        macrophages = self.macrophages
        if macrophages.size <= MOST_MEASURED:
            return self.take(np.arange(macrophages.size), matrix=True)
        mine = spread(np.flatnonzero(macrophages), MOST_MEASURED, RUN)
        others = spread(np.flatnonzero(~macrophages), _MOST_OTHERS, RUN)
        return self.take(np.sort(np.concatenate([mine, others])), matrix=True)

    @cached_property
    def macrophages(self) -> Array:
        """Which cells are macrophages."""
        return (self.labels("compartment") == "macrophage").to_numpy()

    @cached_property
    def samples(self) -> Samples | None:
        """The sample of each cell; None if unknown."""
        return None if self.sample_key is None else samples_of(self.cells, self.sample_key)

    @cached_property
    def depth(self) -> tuple[Array, Array] | None:
        """The depth of the measured macrophages (see `depth_of`), and whether each has a state; None if unknown."""
        labels = slots.read_obs(self.measured, self.key, ("compartment", "state")).astype(str).to_numpy()
        chosen = labels[:, 0] == "macrophage"
        if chosen.sum() < 30:
            return None
        try:
            depth = depth_of(slots.matrix_of_run(self.measured, self.run), chosen)
        except (MatrixError, ResultNotFoundError):  # the matrix is gone or another: the labels stand without it
            return None
        return depth[chosen], labels[chosen, 1] != "unassigned"

    def labels(self, name: str) -> pd.Series:
        """Return a categorical column of the run."""
        return self.column(name).astype("category")

    def column(self, name: str) -> pd.Series:
        """Return a column of the run."""
        return slots.read_obs(self.cells, self.key, (name,)).iloc[:, 0]

    def has(self, name: str) -> bool:
        """Return whether the run wrote a column."""
        return slots.slot(self.key, name) in self.cells.obs


def material_of(
    cells: AnnData,
    *,
    name: str,
    key: str = "tam",
    sample_key: str | None = None,
    condition: str | None = None,
    from_file: Callable[..., AnnData] | None = None,
) -> Material:
    """Return the input of a report, after checking that the cells are annotated and the columns exist."""
    run = slots.read_record(cells, key)
    for column in (slots.slot(key, axis) for axis in AXES):
        if column not in cells.obs:
            raise ResultNotFoundError(
                f"A report needs annotated cells, but obs has no '{column}'. Run tamannot.tl.annotate(adata) first."
            )
    if sample_key is None and run.sample_key in cells.obs:
        sample_key = run.sample_key
    for given in (sample_key, condition):
        if given is not None:
            slots.obs_column(cells, given)
    if condition is not None and sample_key is None:
        raise ParameterError("A condition is a property of samples: pass sample_key= as well.")
    return Material(cells, name, key, sample_key, condition, from_file)


def spread(rows: Array, most: int, run: int) -> Array:
    """Return at most so many of some rows, in runs from all over them; the same ones every time."""
    if rows.size <= most:
        return rows
    starts = np.arange(0, rows.size, run)
    chosen = np.sort(np.random.default_rng(0).choice(starts, most // run, replace=False))
    places = (chosen[:, None] + np.arange(run)).ravel()
    return rows[places[places < rows.size]]


def counts_of(material: Material, axis: str) -> dict[str, int]:
    """Return the number of macrophages (for compartments: cells) per label, in the order of the labels."""
    labels = material.labels(axis)
    counts = (labels if axis == "compartment" else labels[material.macrophages]).value_counts(sort=False)
    return {str(k): int(v) for k, v in counts.items() if v}


def cells_with(material: Material, program: str) -> Array:
    """Return which cells have a program (p < 0.01); none if it was not scored."""
    if not material.has("programs"):
        return np.zeros(material.cells.n_obs, dtype=bool)
    column = material.labels("programs")
    having = np.array([program in str(c).split("+") for c in column.cat.categories] + [False])  # the last: missing
    return having[column.cat.codes.to_numpy()]


def share_with(material: Material, program: str, among: Array | None = None) -> float:
    """Return the share of macrophages with a program, of all or of some; NaN if there are none."""
    chosen = material.macrophages if among is None else material.macrophages & among
    return float(cells_with(material, program)[chosen].mean()) if chosen.any() else float("nan")
