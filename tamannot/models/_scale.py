"""The scale of a classifier's features: 10,000 per cell and log1p, or ranks within the cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.sparse as sp

from tamannot.kernels._linear import to_log
from tamannot.kernels._rows import RowSource
from tamannot.models._call import Array
from tamannot.models._pool import TARGET, at_most, draw_pool, lottery

Scale = Literal["log1p_cp10k", "ranks"]
SCALES: tuple[Scale, ...] = ("log1p_cp10k", "ranks")

_BASES = (np.e, 2.0, 10.0)
# Sums of a cell that are so close are the same target; values are often stored with four digits.
_SAME = 2e-3
_FEW_CELLS = 5
_LOOK_CELLS = 200
# Ratios to the smallest value beyond this are not exact enough to be seen as whole numbers.
_LARGEST_RATIO = 12.0
_NEAR_WHOLE = 0.03
_MOSTLY = 0.95


def find_scale(rows: RowSource, kind: str, names: Sequence[str]) -> tuple[Scale, float | None]:
    """Return the scale that features of a matrix have, and the base of its logarithms if it holds such."""
    if kind != "log":
        return "log1p_cp10k", None
    cells = at_most(np.arange(rows.shape[0]), _LOOK_CELLS, lottery(names, 0))
    base = recognise_base(draw_pool(rows, kind, cells).values)
    return ("ranks", None) if base is None else ("log1p_cp10k", base)


def recognise_base(sample: sp.csr_array) -> float | None:
    """Return the base of logarithms of ``1 + x``, or None if it cannot be told.

    The base is the one by which cells sum to one target, or, where genes were left out, by which the values
    of each cell are whole multiples of its smallest.

    Parameters
    ----------
    sample
        Some cells, all genes, logarithms.
    """
    undone = {base: _undone(sample, base) for base in _BASES}
    for base, values in undone.items():
        if _one_target(np.asarray(values.sum(axis=1)).ravel()):
            return base
    whole = {base: _whole_share(values) for base, values in undone.items()}
    best = max(whole, key=lambda base: whole[base])
    return best if whole[best] >= _MOSTLY else None


def to_features(values: Array, indptr: Array, scale: Scale, base: float | None) -> Array:
    """Return the features of all genes, in the places of the values.

    Parameters
    ----------
    values, indptr
        Rows in CSR form, non-negative.
    scale
        Of the features.
    base
        Of the logarithms, if the values are such; None for counts and linear values.
    """
    if scale == "ranks":
        return _relative_ranks(values, indptr)
    linear = values.astype(np.float64) if base is None else np.expm1(values.astype(np.float64) * np.log(base))
    to_log(linear, np.asarray(indptr, np.int64), TARGET)
    return linear


def _undone(sample: sp.csr_array, base: float) -> sp.csr_array:
    data = np.expm1(sample.data.astype(np.float64) * np.log(base))
    return sp.csr_array((data, sample.indices, sample.indptr), shape=sample.shape)


def _one_target(total: Array) -> bool:
    total = total[total > 0]
    if total.size >= _FEW_CELLS:
        return bool(np.ptp(total) <= _SAME * total.mean())
    power = 10.0 ** np.round(np.log10(np.maximum(total, 1.0)))
    return bool(total.size and np.all(power >= 1e3) and np.all(np.abs(total / power - 1) <= _SAME))


def _whole_share(values: sp.csr_array) -> float:
    """Return the share of values that are whole multiples of the smallest of their cell."""
    near = n = 0
    for i in range(values.shape[0]):
        row = values.data[values.indptr[i] : values.indptr[i + 1]]
        row = row[row > 0]
        ratio = row / row.min() if row.size else row
        ratio = ratio[(ratio > 1.01) & (ratio <= _LARGEST_RATIO)]
        near += int((np.abs(ratio - np.rint(ratio)) < _NEAR_WHOLE).sum())
        n += ratio.size
    return near / n if n else 0.0


def _relative_ranks(values: Array, indptr: Array) -> Array:
    """Return the mean rank from below among the detected genes of each cell, in (0, 1); 0 for zeros."""
    rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    out = np.zeros(values.size)
    kept = np.flatnonzero(values > 0)
    order = kept[np.lexsort((values[kept], rows[kept]))]
    if not order.size:
        return out
    row, value = rows[order], values[order]
    first = np.flatnonzero(np.r_[True, (row[1:] != row[:-1]) | (value[1:] != value[:-1])])
    size = np.diff(np.r_[first, order.size])
    detected = np.bincount(row, minlength=indptr.size - 1)
    begin = np.cumsum(detected) - detected
    middle = np.repeat(first + size / 2.0, size) - begin[row]
    out[order] = middle / detected[row]
    return out
