"""Which matrix of an AnnData to use, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from tamannot.errors import MatrixError, ParameterError
from tamannot.kernels._rows import CscRows, CsrRows, DenseRows, RowBlock, RowSource, is_sparse
from tamannot.kernels._survey import all_whole, survey

Kind = Literal["counts", "log", "linear", "signed"]
# The order of preference; signed values (scaled, or residuals) are for methods that can use them.
KINDS: tuple[Kind, ...] = ("counts", "log", "linear", "signed")
# log1p of a million is 13.8, log2 of it 20: no logarithm of an expression value goes beyond.
_LARGEST_LOG = 30.0
_VALUES_A_LOOK = 1 << 19
_ROWS_A_LOOK = 4096
# Rows read at once from a file, where every read has its price.
_ROWS_A_READ = 4096


@dataclass(frozen=True)
class Candidate:
    """A matrix of the object that could be used."""

    name: str
    """``X``, ``raw``, or the name of a layer."""
    matrix: Any
    var: pd.DataFrame


@dataclass(frozen=True)
class Finding:
    """What a look at all values of a matrix found."""

    kind: Kind | None
    problem: str = ""
    """Why the matrix cannot be used; empty if it can."""


def candidates(adata: AnnData, layer: str | None) -> list[Candidate]:
    """Return the matrices to consider: the one that ``layer`` names, or ``counts``, ``raw`` and ``X``.

    Raises
    ------
    ParameterError
        There is no such layer.
    MatrixError
        The object has no cells, or no expression matrix at all.
    """
    if adata.n_obs == 0:
        msg = "The data have no cells (n_obs is 0): check the filter that came before."
        raise MatrixError(msg)
    found = [c for name in ("counts", "raw", "X") if (c := _candidate(adata, name))]
    if layer is not None:
        if (named := _candidate(adata, layer)) is None:
            have = ", ".join(dict.fromkeys([c.name for c in found] + layer_names(adata)))
            msg = f"No layer '{layer}' in the data. There are: {have or 'none'}."
            raise ParameterError(msg)
        return [named]
    if not found:
        msg = "The data have no expression matrix: X is empty, and there is no raw and no layer 'counts'."
        raise MatrixError(msg)
    return found


def look_at(matrix: Any, *, signed: bool = False) -> Finding:
    """Look at every value of a matrix, block by block, and say what it holds.

    Parameters
    ----------
    matrix
        In any container.
    signed
        Whether negative values can be used.
    """
    low, high, whole = np.inf, -np.inf, True
    if 0 in matrix.shape:
        return Finding(None, "it is empty")
    n_stored = 0
    for values in _values(matrix):
        if values.dtype.kind not in "fiub":
            return Finding(None, f"it holds {values.dtype}, not numbers")
        if not values.size:
            continue
        n_stored += values.size
        flat = _as_surveyed(values)
        block_low, block_high = survey(flat)
        # numpy's minimum keeps a NaN, Python's may drop it
        low, high = np.minimum(low, block_low), np.maximum(high, block_high)
        if np.isnan(low) or np.isnan(high):
            return Finding(None, "it has NaN values")
        whole = whole and (values.dtype.kind in "iub" or all_whole(flat))
    if n_stored < int(matrix.shape[0]) * int(matrix.shape[1]):  # the rest are zeros that are not stored
        low, high = min(low, 0.0), max(high, 0.0)
    return _judge(float(low), float(high), whole=whole, signed=signed)


def row_source(matrix: Any) -> RowSource:
    """Return the rows of a matrix in any container for the kernels; no second matrix is ever made."""
    if is_sparse(matrix):
        return CscRows(matrix) if matrix.format == "csc" else CsrRows(matrix.tocsr())
    if hasattr(matrix, "compute"):
        return DenseRows(_Lazy(matrix), step=int(max(matrix.chunks[0])))
    return DenseRows(matrix, step=512 if isinstance(matrix, np.ndarray) else _ROWS_A_READ)


def one_row(matrix: Any, row: int) -> RowBlock:
    """Return one row of a matrix in any container; no other is read."""
    return DenseRows(_Lazy(matrix) if hasattr(matrix, "compute") else matrix).block(row, row + 1)


class _Lazy:
    """A dask array whose slices are computed."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix
        self.shape = matrix.shape

    def __getitem__(self, rows: slice) -> Any:
        return self._matrix[rows].compute()


def _as_surveyed(values: NDArray[Any]) -> NDArray[Any]:
    """Return values flat, in one of the few number types that are compiled for."""
    flat = values.reshape(-1)
    if flat.dtype.kind == "f" and flat.dtype.itemsize in (4, 8) and flat.dtype.isnative:
        return flat
    return flat.astype(np.float32 if flat.dtype.itemsize < 4 else np.float64)


def layer_names(adata: AnnData) -> list[str]:
    """Return the names of the layers; newer anndata also lists X there, under no name."""
    return [name for name in adata.layers if name is not None]


def _candidate(adata: AnnData, name: str) -> Candidate | None:
    if name in layer_names(adata):
        return Candidate(name, _readable(adata.layers[name]), adata.var)
    if name == "raw" and adata.raw is not None:
        return Candidate("raw", _readable(adata.raw.X), adata.raw.var)
    if name == "X" and adata.X is not None:
        return Candidate("X", _readable(adata.X), adata.var)
    return None


def _readable(matrix: Any) -> Any:
    """Return a matrix whose rows can be read; columns of a file are loaded, since each row crosses them all."""
    if getattr(matrix, "format", "") == "csc" and hasattr(matrix, "to_memory"):
        return matrix.to_memory()
    return matrix


def _values(matrix: Any) -> Iterator[NDArray[Any]]:
    """Give out all stored values, a few at a time."""
    if is_sparse(matrix):
        for start in range(0, matrix.data.size, _VALUES_A_LOOK):
            yield matrix.data[start : start + _VALUES_A_LOOK]
        return
    for start in range(0, matrix.shape[0], _ROWS_A_LOOK):
        rows = matrix[start : start + _ROWS_A_LOOK]
        rows = rows.compute() if hasattr(rows, "compute") else rows
        yield rows.data if is_sparse(rows) else np.asarray(rows)


def _judge(low: float, high: float, *, whole: bool, signed: bool) -> Finding:
    if low < 0 and not signed:
        return Finding(None, f"it has negative values (smallest {low:.3g}), so it looks scaled")
    if np.isinf(high) or np.isinf(low):
        return Finding(None, "it has infinite values")
    if low == high:
        return Finding(None, f"all its values are {low:g}")
    if low < 0:
        return Finding("signed")
    return Finding("counts" if whole else "log" if high <= _LARGEST_LOG else "linear")
