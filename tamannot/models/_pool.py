"""The cells that a model is trained on: a sample, with all their genes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from tamannot.classify._call import Array
from tamannot.classify._cells import take_rows
from tamannot.classify._scale import TARGET
from tamannot.kernels._rows import RowSource

N_FEATURES = 3000
FOLDS = 5
# With fewer samples than this cells are drawn for folds, whatever their sample.
_FEWEST_SAMPLES = 3


def lottery(names: Sequence[str], rng: int) -> Array:
    """Return a number in [0, 1) for each cell, from its name and the seed alone: the same on every path."""
    seed = str(rng).encode()
    digests = (hashlib.blake2b(n.encode(), digest_size=8, key=seed).digest() for n in names)
    return np.array([int.from_bytes(d, "little") / 2.0**64 for d in digests])


def sample_folds(sample: Sequence[str] | None) -> dict[str, int]:
    """Return the fold of each sample, so that samples stay together; empty if there are too few of them.

    There are as many folds as samples, `FOLDS` at most.
    """
    if sample is None:
        return {}
    names, number = np.unique(np.asarray(sample, str), return_inverse=True)
    if names.size < _FEWEST_SAMPLES:
        return {}
    largest_first = np.argsort(-np.bincount(number), kind="stable")
    return {str(names[n]): rank % min(names.size, FOLDS) for rank, n in enumerate(largest_first)}


def number_of_folds(of_sample: Mapping[str, int]) -> int:
    """Return how many folds there are."""
    return max(of_sample.values(), default=FOLDS - 1) + 1


def folds(ticket: Array, sample: Sequence[str] | None, of_sample: Mapping[str, int], n_folds: int) -> Array:
    """Return the fold of each cell: its sample's, or where there is none what the lottery says."""
    # From the low digits: the high ones decide who is drawn.
    drawn = np.asarray((ticket * 2**40).astype(np.int64) % n_folds)
    if sample is None or not of_sample:
        return drawn
    names, number = np.unique(np.asarray(sample, str), return_inverse=True)
    known = np.array([of_sample.get(str(n), -1) for n in names], np.int64)[number]
    return np.where(known >= 0, known, drawn)


def at_most(cells: Array, n: int, ticket: Array) -> Array:
    """Return at most ``n`` of some cells, those with the lowest tickets, in their order."""
    if cells.size <= n:
        return cells
    return np.sort(cells[np.argsort(ticket[cells], kind="stable")[:n]])


@dataclass(frozen=True)
class Pool:
    """Some cells of a data set with the values of all genes."""

    cells: Array
    """Their row numbers; in the order of tickets no order of rows can show in what is learned."""
    values: sp.csr_array
    """As in the data: counts, linear values or logarithms, float64."""
    kind: str
    """``counts``, ``linear`` or ``log``."""

    @cached_property
    def expression(self) -> sp.csr_array:
        """``log1p`` of 10,000 per cell; logarithms as they are."""
        return to_expression(self.values, self.kind)

    def narrowed(self, columns: Array) -> Pool:
        """Return the pool with some genes, and a last one for all the others together: totals stay."""
        linear = self.values.expm1() if self.kind == "log" else self.values
        mine = sp.csr_array(linear[:, columns])
        rest = np.asarray(linear.sum(axis=1) - mine.sum(axis=1)).reshape(-1, 1)
        values = sp.csr_array(sp.hstack([mine, sp.csr_array(np.maximum(rest, 0.0))], format="csr"))
        return Pool(self.cells, values.log1p() if self.kind == "log" else values, self.kind)

    def of(self, cells: Array) -> Array:
        """Return the places of some of the cells in the pool, rising."""
        by_row = np.argsort(self.cells)
        return np.sort(by_row[np.searchsorted(self.cells, cells, sorter=by_row)])


def draw_pool(rows: RowSource, kind: str, cells: Array, ticket: Array | None = None) -> Pool:
    """Read some cells, given by their row numbers, block by block; in the order of their tickets, else of rows."""
    cells = np.unique(cells)
    order = np.arange(cells.size) if ticket is None else np.argsort(ticket[cells], kind="stable")
    return Pool(cells[order], take_rows(rows, cells[order]), kind)


def to_expression(values: sp.csr_array, kind: str) -> sp.csr_array:
    """Return ``log1p`` of 10,000 per cell; logarithms as they are."""
    if kind == "log":
        return values
    total = np.asarray(values.sum(axis=1)).ravel()
    scale = TARGET / np.where(total > 0, total, 1.0)
    data = np.repeat(scale, np.diff(values.indptr))
    data *= values.data
    np.log1p(data, out=data)
    return sp.csr_array((data, values.indices, values.indptr), shape=values.shape)
