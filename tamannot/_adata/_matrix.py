"""Which matrix of an AnnData to use, and what it holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from tamannot._adata._checked import Check, CheckedRows
from tamannot._adata._kind import LARGEST_LOG, LARGEST_VALUE, Kind
from tamannot._adata._lazy import loaded
from tamannot._adata._on_disk import bytes_in_memory, is_on_disk, rows_on_disk, sample_of
from tamannot._printable import among
from tamannot._settings import settings
from tamannot.errors import MatrixError, ParameterError
from tamannot.kernels._rows import DenseRows, RowBlock, RowSource, is_sparse, rows_in_memory
from tamannot.kernels._survey import NOTHING_SEEN, ZERO_SEEN, Seen, seen_in
from tamannot.kernels._threads import in_order

_VALUES_A_LOOK = 1 << 21
_ROWS_A_LOOK = 4096
# Rows read at once from what is sliced, where every read has its price.
_ROWS_A_READ = 4096
# Columns of a file are loaded below so many bytes, and turned by a temporary file above.
_SMALL = 256 << 20


@dataclass(frozen=True)
class Candidate:
    """A matrix of the object that could be used."""

    name: str
    """``X``, ``raw``, or the name of a layer."""
    matrix: Any
    var: pd.DataFrame


@dataclass(frozen=True)
class Finding:
    """What a look at the values of a matrix found."""

    kind: Kind | None
    problem: str = ""
    """Why the matrix cannot be used; empty if it can."""
    constant: float | None = None
    """The one value that it has everywhere."""


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
            have = dict.fromkeys([c.name for c in found] + layer_names(adata))
            msg = f"No layer '{layer}' in the data.{among(layer, have)}"
            raise ParameterError(msg)
        return [named]
    if not found:
        msg = "The data have no expression matrix: X is empty, and there is no raw and no layer 'counts'."
        raise MatrixError(msg)
    return found


def look_at(matrix: Any, *, signed: bool = False) -> Finding:
    """Look at the values of a matrix, block by block, and say what it holds.

    Of a large matrix on disk some of the values are looked at, from all over it and always the same ones:
    `checked_rows` looks at the others as they are read.

    Parameters
    ----------
    matrix
        In any container.
    signed
        Whether negative values can be used.
    """
    if len(matrix.shape) != 2:
        return Finding(None, f"it has {len(matrix.shape)} dimensions, not 2")
    if 0 in matrix.shape:
        return Finding(None, "it is empty")
    if is_dask(matrix):
        return _look_at_dask(matrix, signed=signed)
    if not is_on_disk(matrix):
        return _finding(_glances(matrix), matrix.shape, signed=signed)
    sample = sample_of(matrix)
    found = _finding(map(_glance, sample.pieces), matrix.shape, signed=signed, n_stored=sample.n_stored)
    if sample.is_all or found.constant is None:
        return found
    # Nothing but one value in a sample says little: the others may be anywhere else.
    return _finding(map(_glance, sample_of(matrix, whole=True).pieces), matrix.shape, signed=signed)


def _look_at_dask(matrix: Any, *, signed: bool, whole: bool = False) -> Finding:
    from tamannot._adata._dask import looks  # noqa: PLC0415 - brings dask

    glances, n_rows, is_all = looks(matrix, _glance_at_rows, whole=whole)
    found = _finding(iter(glances), (n_rows, matrix.shape[1]), signed=signed)
    return found if is_all or found.constant is None else _look_at_dask(matrix, signed=signed, whole=True)


@dataclass(frozen=True)
class _Glance:
    """What is seen in some values: it is small, and may come from another process."""

    dtype: str
    seen: Seen | None
    """None if they are no numbers."""
    size: int


def _glance(values: NDArray[Any]) -> _Glance:
    is_number = values.dtype.kind in "fiub"
    return _Glance(str(values.dtype), seen_in(values) if is_number else None, values.size)


def _glance_at_rows(rows: Any) -> _Glance:
    return _glance(rows.data if is_sparse(rows) else np.asarray(rows))


def _finding(
    glances: Iterator[_Glance], shape: tuple[int, int], *, signed: bool, n_stored: int | None = None
) -> Finding:
    seen, n_seen = NOTHING_SEEN, 0
    for glance in glances:
        if glance.seen is None:
            return Finding(None, f"it holds {glance.dtype}, not numbers")
        seen, n_seen = seen | glance.seen, n_seen + glance.size
        if seen.has_nan:
            return Finding(None, "it has NaN values")
    if (n_stored or n_seen) < int(shape[0]) * int(shape[1]):  # the rest are zeros that are not stored
        seen |= ZERO_SEEN
    return _judge(seen, signed=signed)


def row_source(matrix: Any) -> RowSource:
    """Return the rows of a matrix in any container for the kernels; no second matrix is ever made."""
    if is_on_disk(matrix):
        return rows_on_disk(matrix)
    if is_dask(matrix):
        return _dask_rows(matrix)
    if is_sparse(matrix) or isinstance(matrix, np.ndarray):
        return rows_in_memory(matrix, threads=settings.n_threads())
    return DenseRows(matrix, step=_ROWS_A_READ)


def checked_rows(matrix: Any, name: str, kind: Kind) -> RowSource:
    """Return the rows of a matrix that was found to be of a kind; what no look has seen is checked as it is read."""
    check = Check(name, kind)
    if is_dask(matrix):
        return _dask_rows(matrix, check)
    rows = row_source(matrix)
    return CheckedRows(rows, check) if is_on_disk(matrix) else rows


def one_row(matrix: Any, row: int) -> RowBlock:
    """Return one row of a matrix in any container; no other is read."""
    rows = _dask_rows(matrix) if is_dask(matrix) else DenseRows(matrix)
    return rows.block(row, row + 1)


def is_dask(matrix: Any) -> bool:
    """Say whether a matrix is a dask array; dask is not imported if nobody has."""
    dask = sys.modules.get("dask.array")
    return dask is not None and isinstance(matrix, dask.Array)


def advice_on(candidate: Candidate) -> str:
    """Say how the rows of a matrix would be read faster; empty if that is how it is."""
    if not is_dask(candidate.matrix) or (n := len(candidate.matrix.chunks[1])) == 1:
        return ""
    return (
        f"Each row of {candidate.name} lies in {n:,} chunks, which are read again for every block of cells: chunks of "
        "whole rows are faster, as a file stored by rows has them, or matrix.rechunk((2000, -1)).persist()."
    )


def _dask_rows(matrix: Any, check: Check | None = None) -> RowSource:
    from tamannot._adata._dask import DaskRows  # noqa: PLC0415 - brings dask

    return DaskRows(matrix, check)


def layer_names(adata: AnnData) -> list[str]:
    """Return the names of the layers; newer anndata also lists X there, under no name."""
    return [name for name in adata.layers if name is not None]


def _candidate(adata: AnnData, name: str) -> Candidate | None:
    if name in layer_names(adata):
        return Candidate(name, _readable(adata.layers[name]), loaded(adata.var))
    if name == "raw" and adata.raw is not None:
        return Candidate("raw", _readable(adata.raw.X), loaded(adata.raw.var))
    if name == "X" and adata.X is not None:
        return Candidate("X", _readable(adata.X), loaded(adata.var))
    return None


def _readable(matrix: Any) -> Any:
    """Return a matrix whose rows can be read; a few columns of a file are loaded, since each row crosses them all."""
    small = getattr(matrix, "format", "") == "csc" and is_on_disk(matrix) and bytes_in_memory(matrix) < _SMALL
    try:
        return matrix.to_memory() if small else matrix
    except ValueError:  # numbers that scipy does not take, as those of another byte order: read as large ones are
        return matrix


def _glances(matrix: Any) -> Iterator[_Glance]:
    """Look at all stored values, a few at a time."""
    values, step = (matrix.data, _VALUES_A_LOOK) if is_sparse(matrix) else (matrix, _ROWS_A_LOOK)
    look = partial(_glance_at_rows_of, values)
    return in_order(look, values.shape[0], threads=settings.n_threads(), step=step)


def _glance_at_rows_of(values: Any, start: int, stop: int) -> _Glance:
    return _glance_at_rows(values[start:stop])


def _judge(seen: Seen, *, signed: bool) -> Finding:
    low, high = seen.low, seen.high
    if low < 0 and not signed:
        return Finding(None, f"it has negative values (smallest {low:.3g}), so it looks scaled")
    if np.isinf(high) or np.isinf(low):
        return Finding(None, "it has infinite values")
    if max(high, -low) > LARGEST_VALUE:
        return Finding(None, f"it has values as large as {max(high, -low):.3g}, which no expression is")
    if low == high:
        return Finding(None, f"all its values are {low:g}", constant=low)
    if low < 0:
        return Finding("signed")
    return Finding("counts" if seen.whole else "log" if high <= LARGEST_LOG else "linear")
