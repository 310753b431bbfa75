"""The features of classifiers: ``log1p`` of 10,000 per cell, or ranks within the cell, of genes that vary."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import scipy.stats
from numpy.typing import NDArray
from sklearn.utils.sparsefuncs import mean_variance_axis

from tamannot.scoring._content import content_hash, take_rows
from tamannot.scoring._linear_kernel import to_log
from tamannot.scoring._rows import RowBlock, RowSource

Array = NDArray[Any]
Scale = Literal["log1p_cp10k", "ranks"]
SCALES: tuple[Scale, ...] = ("log1p_cp10k", "ranks")

TARGET = 1e4
_BASES = (np.e, 2.0, 10.0)
_CELLS = 200
# Totals of cells that are so close are the same target; values are often stored with four digits.
_SAME = 2e-3
# One target for fewer cells may be chance, unless it is a power of ten.
_FEW_CELLS = 5
# Ratios to the smallest value beyond this are not exact enough to be seen as whole numbers.
_LARGEST_RATIO = 12.0
_NEAR_WHOLE = 0.03
_MOSTLY = 0.95
# A gene is seen in this share of the cells at least; a variance of this size is that of rounding.
_MIN_DETECTED, _ROUNDING = 0.02, 1e-12


def find_scale(rows: RowSource, kind: str, gene_ids: Sequence[str], *, threads: int = 1) -> tuple[Scale, float | None]:
    """Return the scale that features of a matrix have, and the base of its logarithms if it holds such.

    ``kind`` is ``counts``, ``linear`` or ``log``. Of logarithms some cells are looked at, chosen by content, for which
    ``gene_ids`` names each column.
    """
    if kind != "log":
        return "log1p_cp10k", None
    different = np.unique(content_hash(rows, gene_ids, threads=threads), return_index=True)[1]
    base = recognise_base(take_rows(rows, different[:_CELLS]))
    return ("ranks", None) if base is None else ("log1p_cp10k", base)


def recognise_base(sample: sp.csr_array) -> float | None:
    """Return the base of logarithms of ``1 + x``, or None if it cannot be told, from all genes of some cells.

    The base is the one by which cells sum to one target, or, where genes were left out, by which the values
    of each cell are whole multiples of its smallest.
    """
    undone = {base: _undone(sample, base) for base in _BASES}
    for base, values in undone.items():
        if _one_target(np.asarray(values.sum(axis=1)).ravel()):
            return base
    whole = {base: _whole_share(values) for base, values in undone.items()}
    best = max(whole, key=lambda base: whole[base])
    return best if whole[best] >= _MOSTLY else None


def to_features(values: Array, indptr: Array, scale: Scale, base: float | None) -> Array:
    """Return the features of all genes, in the places of the non-negative values of rows in CSR form.

    ``base`` is that of the logarithms, if the values are such; None for counts and linear values.
    """
    if scale == "ranks":
        return _relative_ranks(values, indptr)
    linear = values.astype(np.float64) if base is None else np.expm1(values.astype(np.float64) * np.log(base))
    to_log(linear, np.asarray(indptr, np.int64), TARGET)
    return linear


class ScaledRows:
    """The features of all genes of a matrix.

    Parameters
    ----------
    rows
        Non-negative.
    scale, base
        What `find_scale` returned.
    """

    def __init__(self, rows: RowSource, scale: Scale, base: float | None) -> None:
        self._rows, self._scale, self._base = rows, scale, base
        self.shape, self.step, self.in_memory = rows.shape, rows.step, rows.in_memory

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        block = self._rows.block(start, stop)
        values = to_features(block.values, block.indptr, self._scale, self._base)
        return RowBlock(values, block.indices, block.indptr)


def variable_genes(expression: sp.csr_array, n: int, among: Array | None = None) -> Array:
    """Return the columns of the ``n`` most variable genes among those seen in one cell of fifty, rising.

    ``among`` is a mask of the genes that may be taken; None: all.
    """
    variance = mean_variance_axis(expression, axis=0)[1]
    detected = np.bincount(expression.indices[expression.data > 0], minlength=expression.shape[1])
    varies = (detected >= _MIN_DETECTED * expression.shape[0]) & (variance > _ROUNDING)
    usable = np.flatnonzero(varies if among is None else varies & among)
    return np.sort(usable[np.argsort(-variance[usable], kind="stable")[:n]])


def _undone(sample: sp.csr_array, base: float) -> sp.csr_array:
    data = np.expm1(sample.data.astype(np.float64) * np.log(base))
    return sp.csr_array((data, sample.indices, sample.indptr), shape=sample.shape)


def _one_target(total: Array) -> bool:
    total = total[total > 0]
    if not total.size:
        return False
    middle = float(np.median(total))
    power = 10.0 ** np.round(np.log10(middle))
    if total.size < _FEW_CELLS and not (power >= 1e3 and abs(middle / power - 1) <= _SAME):
        return False
    return float(np.mean(np.abs(total / middle - 1) <= _SAME)) >= _MOSTLY


def _whole_share(values: sp.csr_array) -> float:
    """Return the share of values that are whole multiples of the smallest of their cell."""
    data, row = values.data[values.data > 0], np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
    row = row[values.data > 0]
    smallest = np.full(values.shape[0], np.inf)
    np.minimum.at(smallest, row, data)
    ratio = data / smallest[row]
    ratio = ratio[(ratio > 1.01) & (ratio <= _LARGEST_RATIO)]
    return float(np.mean(np.abs(ratio - np.rint(ratio)) < _NEAR_WHOLE)) if ratio.size else 0.0


def _relative_ranks(values: Array, indptr: Array) -> Array:
    """Return the mean rank from below among the detected genes of each cell, in (0, 1); 0 for zeros."""
    out = np.zeros(values.size)
    for start, stop in pairwise(indptr.tolist()):
        detected = start + np.flatnonzero(values[start:stop] > 0)
        if detected.size:
            out[detected] = (scipy.stats.rankdata(values[detected]) - 0.5) / detected.size
    return out
