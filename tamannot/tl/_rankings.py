"""Genes ranked by how far they stand above in each group: over samples where there are some, else over cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.data import Unpacked
from tamannot.scoring._expression import TARGET, group_sums
from tamannot.stats._contrasts import log_cpm, welch_t
from tamannot.stats._moderated import moderated_t
from tamannot.tl._samples import Samples

Array = NDArray[Any]

# A gene seen in fewer cells has no place in a ranking; a pseudobulk of fewer is none.
MIN_CELLS = 10


@dataclass(frozen=True)
class Ranking:
    """The genes of a data set, ranked for one group against all others.

    Parameters
    ----------
    columns
        Columns of the genes, from the greatest value to the smallest; ties in the order of columns.
    values
        What they are ranked by.
    unit
        ``"sample"`` or ``"cell"``.
    n_cells
        Cells of the group.
    differences
        In each sample, in the order of the genes, shape ``(n_samples, n_genes)``; no rows by cells.
    """

    columns: Array
    values: Array
    unit: str
    n_cells: int
    differences: Array

    @property
    def n_samples(self) -> int:
        """Samples compared; 0 by cells."""
        return len(self.differences)


@dataclass(frozen=True)
class Groups:
    """Which cell is of which group, and which groups are compared with all others."""

    names: tuple[str, ...]
    codes: Array
    tested: tuple[str, ...]

    @property
    def n_cells(self) -> Array:
        """Cells of each group."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))


def rank_genes(data: Unpacked, groups: Groups, samples: Samples | None, *, threads: int) -> dict[str, Ranking]:
    """Return the ranking of each group that has one.

    Parameters
    ----------
    data
        The matrix.
    groups
        Groups of cells.
    samples
        Their samples; None ranks by cells.
    threads
        No result depends on it.
    """
    found = _by_samples(data, groups, samples, threads) if samples is not None else {}
    if left := [name for name in groups.tested if name not in found]:
        found |= _by_cells(data, groups, left, threads)
    return {name: found[name] for name in groups.tested if name in found}


@dataclass(frozen=True)
class _Bulks:
    """Sums of each group in each sample, ``(samples, groups, …)``."""

    n_cells: Array
    sums: Array
    detected: Array
    counts: bool = field(default=True)

    def differences(self, group: int) -> Array:
        """Return log2 differences between a group and the rest, samples with both by genes."""
        rest_cells = self.n_cells.sum(axis=1) - self.n_cells[:, group]
        here = (self.n_cells[:, group] >= MIN_CELLS) & (rest_cells >= MIN_CELLS)
        own = self.sums[here, group]
        rest = self.sums[here].sum(axis=1) - own
        if self.counts:
            logs = log_cpm(np.concatenate([own, rest])) if here.any() else own
            return logs[: len(own)] - logs[len(own) :]
        return own / self.n_cells[here, group][:, None] - rest / rest_cells[here][:, None]


def _by_samples(data: Unpacked, groups: Groups, samples: Samples, threads: int) -> dict[str, Ranking]:
    bulks = _bulks(data, groups, samples, threads)
    seen = np.flatnonzero(bulks.detected >= MIN_CELLS)
    found = {}
    for name in groups.tested:
        group = groups.names.index(name)
        differences = bulks.differences(group)[:, seen]
        if len(differences) >= 2:
            n_cells = int(groups.n_cells[group])
            found[name] = _ranked(seen, moderated_t(differences).t, n_cells, differences)
    return found


def _bulks(data: Unpacked, groups: Groups, samples: Samples, threads: int) -> _Bulks:
    n_samples, n_groups = len(samples.names), len(groups.names)
    known = (samples.codes >= 0) & (groups.codes >= 0)
    codes = np.where(known, samples.codes * n_groups + groups.codes, -1)
    sums = group_sums(data.rows, codes, n_samples * n_groups, threads=threads)
    shape = (n_samples, n_groups)
    counts = data.kind in ("counts", "linear")
    return _Bulks(sums.n_cells.reshape(shape), sums.sums.reshape(*shape, -1), sums.detected, counts)


def _by_cells(data: Unpacked, groups: Groups, names: Sequence[str], threads: int) -> Mapping[str, Ranking]:
    target = TARGET if data.kind in ("counts", "linear") else 0.0
    sums = group_sums(data.rows, groups.codes, len(groups.names), target=target, squares=True, threads=threads)
    seen = np.flatnonzero(sums.detected >= MIN_CELLS)
    total, total_squares = sums.sums.sum(axis=0), sums.squares.sum(axis=0)
    found = {}
    for name in names:
        group = groups.names.index(name)
        n, n_rest = int(sums.n_cells[group]), int(sums.n_cells.sum() - sums.n_cells[group])
        if min(n, n_rest) < MIN_CELLS:
            continue
        own, own_squares = sums.sums[group], sums.squares[group]
        t = welch_t(n, own, own_squares, n_rest, total - own, total_squares - own_squares)
        found[name] = _ranked(seen, t[seen], n, np.empty((0, seen.size)))
    return found


def _ranked(columns: Array, values: Array, n_cells: int, differences: Array) -> Ranking:
    order = np.argsort(-values, kind="stable")
    unit = "sample" if len(differences) else "cell"
    return Ranking(columns[order], values[order], unit, n_cells, differences[:, order])
