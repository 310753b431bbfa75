"""Which matrix of an AnnData to use, and what it holds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from tamannot._settings import in_order, settings
from tamannot.data._genes import Features, features_of
from tamannot.data._kind import LARGEST_LOG, LARGEST_VALUE, Check, CheckedRows, Kind, judge_rows, nan_problem
from tamannot.data._on_disk import bytes_in_memory, is_on_disk, rows_on_disk, sample_of
from tamannot.data._slots import loaded
from tamannot.errors import MatrixError, ParameterError, TamannotError, among
from tamannot.scoring._rows import (
    DenseRows,
    RowBlock,
    RowSource,
    SomeColumns,
    is_sparse,
    joined,
    places,
    rows_in_memory,
)
from tamannot.scoring._survey import NOTHING_SEEN, ZERO_SEEN, Seen, seen_in

Array = NDArray[Any]

_VALUES_A_LOOK = 1 << 21
_ROWS_A_LOOK = 4096
# Rows read at once from what is sliced, where every read has its price.
_ROWS_A_READ = 4096
# Rows that say how a matrix was made, and rows whose values are looked at where a file has more than genes: in so many
# runs. More rows are read to see which genes reach the largest value, where it is 1.
_RUNS, _ROWS_JUDGED, _ROWS_LOOKED, _ROWS_OF_RANGE = 16, 512, 2048, 1 << 14
# The share of genes that do, and how many may in each cell where every cell was divided by its largest value.
_MANY_GENES, _TIES_AT_TOP = 0.05, 5
_MIN_MAX = (
    "its largest value is 1, and {:.0%} of the genes reach it, as after scaling each gene to between 0 and 1, which "
    "leaves no order of genes within a cell"
)
# Columns of a file are loaded below so many bytes, and turned by a temporary file above.
_SMALL = 256 << 20


@dataclass(frozen=True)
class Candidate:
    """A matrix of the object that could be used."""

    name: str
    """``X``, ``raw``, or the name of a layer."""
    matrix: Any
    features: Features
    """Which of its columns are genes."""

    @property
    def var(self) -> pd.DataFrame:
        """The genes."""
        return self.features.var


@dataclass(frozen=True)
class Finding:
    """What a look at the values of a matrix found."""

    kind: Kind | None
    problem: str = ""
    """Why the matrix cannot be used; empty if it can."""
    constant: float | None = None
    """The one value that it has everywhere."""
    high: float = np.nan
    """The largest value."""
    has_nan: bool = False
    caveat: str = ""
    """What a user should know of it though it can be used; empty if nothing."""
    judged: bool = False
    """Whether rows of it were looked at."""
    rows: RowSource | None = None
    """The rows, if they were."""


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
    of_var = cache(lambda: features_of(loaded(adata.var)))
    found = [c for name in ("counts", "raw", "X") if (c := _candidate(adata, name, of_var))]
    if layer is not None:
        if (named := _candidate(adata, layer, of_var)) is None:
            have = dict.fromkeys([c.name for c in found] + layer_names(adata))
            msg = f"No layer '{layer}' in the data.{among(layer, have)}"
            raise ParameterError(msg)
        return [named]
    if not found:
        msg = "The data have no expression matrix: X is empty, and there is no raw and no layer 'counts'."
        raise MatrixError(msg)
    return found


def look_at(matrix: Any, genes: Array | None = None, *, signed: bool = False) -> Finding:
    """Look at the values of a matrix, block by block, and say what it holds.

    Of a large matrix on disk some of the values are looked at, from all over it and always the same ones:
    `checked_rows` looks at the others as they are read. Some rows say more, see `judge_rows`.

    Parameters
    ----------
    matrix
        In any container.
    genes
        The columns that are genes; None if all are.
    signed
        Whether negative values can be used, so that what was scaled by gene can, too.
    """
    if len(matrix.shape) != 2:
        return Finding(None, f"it has {len(matrix.shape)} dimensions, not 2")
    if 0 in matrix.shape:
        return Finding(None, "it is empty")
    if is_dask(matrix):
        found, some = _look_at_dask(genes_of(matrix, genes), signed=signed)
    else:
        found, some = _look_at_values(matrix, genes, signed=signed), None
    if (signed or found.kind is None) and not found.has_nan:
        return found
    # To read a row of columns on disk is to turn them all: that is done only for the matrix that is used.
    by_columns = is_on_disk(matrix) and getattr(matrix, "format", "") == "csc"
    if by_columns:
        return found
    try:
        return judged(found, row_source(matrix, genes), some)
    except TamannotError:  # damaged: said if it is this matrix that is used
        return found


def _look_at_values(matrix: Any, genes: Array | None, *, signed: bool) -> Finding:
    if genes is not None:
        return _look_at_rows(row_source(matrix, genes), signed=signed, whole=not is_on_disk(matrix))
    if not is_on_disk(matrix):
        return _finding(_glances(matrix), matrix.shape, signed=signed)
    sample = sample_of(matrix)
    found = _finding(map(_glance, sample.pieces), matrix.shape, signed=signed, n_stored=sample.n_stored)
    if sample.is_all or found.constant is None:
        return found
    # Nothing but one value in a sample says little: the others may be anywhere else.
    return _finding(map(_glance, sample_of(matrix, whole=True).pieces), matrix.shape, signed=signed)


def judged(found: Finding, rows: RowSource, some: RowBlock | None = None) -> Finding:
    """Add to what the values of a matrix are what some of its rows say; they are read unless given."""
    if some is None:
        some = joined([rows.block(run.start, run.stop) for run in _runs(rows.shape[0], _ROWS_JUDGED)])
    if found.has_nan:
        return replace(found, problem=nan_problem(some, rows.shape[1]), judged=True)
    verdict = judge_rows(some, rows.shape[1], whole=found.kind == "counts")
    if not verdict.problem and found.high == 1 and found.kind != "counts":
        verdict = replace(verdict, problem=_fills_range(rows))
    kind = None if verdict.problem else found.kind
    return replace(found, kind=kind, problem=verdict.problem, caveat=verdict.caveat, judged=True, rows=rows)


def _runs(n_obs: int, most: int) -> list[range]:
    """Return at most so many rows as runs spread evenly over a matrix, all of them where there are no more."""
    if n_obs <= most:
        return [range(n_obs)]
    run = most // _RUNS
    return [range(start, start + run) for start in np.linspace(0, n_obs - run, _RUNS).astype(int).tolist()]


def _fills_range(rows: RowSource) -> str:
    """Say why not if many genes reach 1, the largest value, and not since each cell was divided by its largest."""
    genes, short, n_cells, n_top = np.zeros(rows.shape[1], bool), 0, 0, 0
    for run in _runs(rows.shape[0], _ROWS_OF_RANGE):
        for start in range(run.start, run.stop, rows.step):
            block = rows.block(start, min(start + rows.step, run.stop))
            top = block.values == 1
            genes[block.indices[top]] = True
            of_cell = block.totals(top)
            short += int(((of_cell == 0) & (np.diff(block.indptr) > 0)).sum())
            n_cells, n_top = n_cells + of_cell.size, n_top + int(top.sum())
    share = float(genes.mean())
    by_cell = short == 0 and n_top < _TIES_AT_TOP * n_cells
    return _MIN_MAX.format(share) if share > _MANY_GENES and not by_cell else ""


def _look_at_rows(rows: RowSource, *, signed: bool, whole: bool) -> Finding:
    runs = _runs(rows.shape[0], rows.shape[0] if whole else _ROWS_LOOKED)
    spans = [range(i, min(i + rows.step, run.stop)) for run in runs for i in range(run.start, run.stop, rows.step)]

    def look(first: int, _: int) -> _Glance:
        return _glance(rows.block(spans[first].start, spans[first].stop).values)

    glances = in_order(look, len(spans), threads=settings.n_threads(), step=1)
    found = _finding(glances, (sum(map(len, runs)), rows.shape[1]), signed=signed)
    return found if whole or found.constant is None else _look_at_rows(rows, signed=signed, whole=True)


def _look_at_dask(matrix: Any, *, signed: bool, whole: bool = False) -> tuple[Finding, RowBlock]:
    from tamannot.data._dask import looks  # noqa: PLC0415 - brings dask

    seen, n_rows, is_all = looks(matrix, _glance_and_rows, whole=whole)
    found = _finding((glance for glance, _ in seen), (n_rows, matrix.shape[1]), signed=signed)
    if not is_all and found.constant is not None:
        return _look_at_dask(matrix, signed=signed, whole=True)
    return found, joined([rows for _, rows in seen])


def _glance_and_rows(chunk: Any, n_chunks: int) -> tuple[_Glance, RowBlock]:
    """Return a glance at a chunk and some of its rows, so many that all chunks together give enough."""
    n = chunk.shape[0]
    some = chunk[np.unique(np.linspace(0, n - 1, min(n, -(-_ROWS_JUDGED // n_chunks))).astype(int))]
    glance = _glance_at_rows(chunk)
    some = some if glance.seen is not None else np.zeros((1, 1))
    return glance, rows_in_memory(some).block(0, some.shape[0])


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
            return Finding(None, "it has NaN values", has_nan=True)
    if (n_stored or n_seen) < int(shape[0]) * int(shape[1]):  # the rest are zeros that are not stored
        seen |= ZERO_SEEN
    return _judge(seen, signed=signed)


def row_source(matrix: Any, genes: Array | None = None) -> RowSource:
    """Return the rows of a matrix in any container for the kernels; no second matrix is ever made.

    Parameters
    ----------
    matrix
        In any container.
    genes
        The columns to read; None for all.
    """
    if is_dask(matrix):
        return _dask_rows(genes_of(matrix, genes))
    rows = _all_columns(matrix)
    return rows if genes is None else SomeColumns(rows, genes)


def _all_columns(matrix: Any) -> RowSource:
    if is_on_disk(matrix):
        return rows_on_disk(matrix)
    if is_sparse(matrix) or isinstance(matrix, np.ndarray):
        return rows_in_memory(matrix, threads=settings.n_threads())
    return DenseRows(matrix, step=_ROWS_A_READ)


def checked_rows(
    matrix: Any, name: str, kind: Kind, genes: Array | None = None, rows: RowSource | None = None
) -> RowSource:
    """Return the rows of a matrix that was found to be of a kind; what no look has seen is checked as it is read."""
    check = Check(name, kind)
    if is_dask(matrix):
        return _dask_rows(genes_of(matrix, genes), check)
    rows = rows or row_source(matrix, genes)
    return CheckedRows(rows, check) if is_on_disk(matrix) else rows


def one_row(matrix: Any, row: int, genes: Array | None = None) -> RowBlock:
    """Return one row of a matrix in any container; no other is read."""
    rows = _dask_rows(genes_of(matrix, genes)) if is_dask(matrix) else DenseRows(matrix)
    block = rows.block(row, row + 1)
    return block if genes is None or is_dask(matrix) else block.at(places(genes, matrix.shape[1]))


def genes_of(matrix: Any, genes: Array | None) -> Any:
    """Return a dask array of the columns that are genes; neighbours as a slice, which costs nothing."""
    if genes is None:
        return matrix
    neighbours = genes[-1] - genes[0] == genes.size - 1
    return matrix[:, genes[0] : genes[-1] + 1] if neighbours else matrix[:, genes]


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
    from tamannot.data._dask import DaskRows  # noqa: PLC0415 - brings dask

    return DaskRows(matrix, check)


def layer_names(adata: AnnData) -> list[str]:
    """Return the names of the layers; newer anndata also lists X there, under no name."""
    return [name for name in adata.layers if name is not None]


def _candidate(adata: AnnData, name: str, of_var: Callable[[], Features]) -> Candidate | None:
    if name in layer_names(adata):
        return Candidate(name, _readable(adata.layers[name]), of_var())
    if name == "raw" and adata.raw is not None:
        return Candidate("raw", _readable(adata.raw.X), features_of(loaded(adata.raw.var)))
    if name == "X" and adata.X is not None:
        return Candidate("X", _readable(adata.X), of_var())
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
    return Finding("counts" if seen.whole else "log" if high <= LARGEST_LOG else "linear", high=high)
