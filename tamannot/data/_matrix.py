"""The candidate matrices of an AnnData, and the kind of their values."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.abc import CSCDataset, CSRDataset

from tamannot._settings import in_order, settings
from tamannot.data._genes import Features, GeneMatch, features_of
from tamannot.data._kind import LARGEST_LOG, Kind, fault_of, judge_rows, nan_problem
from tamannot.data._rows import Slices, genes_of, is_dask, is_on_disk, row_source
from tamannot.data._slots import loaded
from tamannot.errors import MatrixError, ParameterError, TamannotError, among
from tamannot.scoring._rows import RowBlock, RowSource, Seen, is_sparse, joined, rows_in_memory, seen_in, spread_rows

_VALUES_A_LOOK = 1 << 21
_ROWS_A_LOOK = 4096
# Stored values that are looked at in a file: enough to tell counts from logarithms, and read in a second.
_SAMPLED, _PIECES, _VALUES_A_PIECE = 1 << 21, 16, 1 << 17
# Rows that say how a matrix was made, and rows whose values are looked at where a file has more than genes: in so many
# runs. More rows are read to see which genes reach the largest value, where it is 1.
_RUNS, _ROWS_JUDGED, _ROWS_LOOKED, _ROWS_OF_RANGE = 16, 512, 2048, 1 << 14
# The share of genes that do, and how many may in each cell where every cell was divided by its largest value.
_MANY_GENES, _TIES_AT_TOP = 0.05, 5
_MIN_MAX = (
    "its largest value is 1, and {:.0%} of the genes reach it, as after scaling each gene to between 0 and 1, so "
    "genes cannot be ranked within a cell"
)
# Columns of a file are loaded below so many bytes, and turned by a temporary file above.
_SMALL = 256 << 20


@dataclass(frozen=True, eq=False)
class MatrixInspection:
    """A candidate matrix of an AnnData, with the results of its inspection so far."""

    name: str  # X, raw, or the name of a layer
    matrix: Any
    features: Features = field(default_factory=lambda: Features(pd.DataFrame()))  # which of its columns are genes
    kind: Kind | None = None  # the kind of its values; None if it cannot be used or was not inspected
    problem: str = ""  # the reason why it cannot be used; empty if it can
    caveat: str = ""  # a caveat for the user, although the matrix can be used; empty if there is none
    high: float = np.nan  # the largest value
    has_nan: bool = False
    rows: RowSource | None = None  # its rows, once they were judged
    genes: GeneMatch | None = None  # its genes by the ids that find most of those asked for, once they were matched

    def describe(self) -> str:
        """Describe the matrix in one line."""
        if self.kind is None:
            return f"{self.name}: not usable, {self.problem}"
        by = "" if self.genes is None else f", {self.genes.n_found} signature genes by {self.genes.ids_from}"
        line = f"{self.name}: {self.kind}, {len(self.features.var):,} genes{by}"
        return ", ".join([line, *filter(None, (self.features.describe(), self.caveat))])


def candidates(adata: AnnData, layer: str | None) -> list[MatrixInspection]:
    """Return the matrices to consider: the one that ``layer`` names, or ``counts``, ``raw`` and ``X``."""
    if adata.n_obs == 0:
        raise MatrixError("The data have no cells (n_obs is 0). Check the filtering steps before this one.")
    layers = [name for name in adata.layers if name is not None]  # newer anndata lists X there, under no name
    is_there = {"counts": "counts" in layers, "raw": adata.raw is not None, "X": adata.X is not None}
    usual = [name for name, there in is_there.items() if there or name in layers]
    if layer is not None and layer not in (*usual, *layers):
        raise ParameterError(f"No layer '{layer}' in the data.{among(layer, dict.fromkeys(usual + layers))}")
    if layer is None and not usual:
        hint = f" Choose one of the layers with layer=: {', '.join(layers)}." if layers else ""
        none = "The data have no expression matrix: X is empty, and neither raw nor a layer 'counts' exists."
        raise MatrixError(f"{none}{hint}")
    of_var = cache(lambda: features_of(loaded(adata.var)))
    found = []
    for name in usual if layer is None else [layer]:
        if name in layers:
            matrix, features = adata.layers[name], of_var()
        elif name == "raw":
            matrix, features = adata.raw.X, features_of(loaded(adata.raw.var))
        else:
            matrix, features = adata.X, of_var()
        if isinstance(matrix, CSCDataset):  # each row crosses all columns: a few of a file are loaded
            parts = [matrix.group[key] for key in ("data", "indices", "indptr")]
            if sum(int(part.size) * int(part.dtype.itemsize) for part in parts) < _SMALL:
                with suppress(ValueError):  # numbers that scipy does not take, as those of another byte order
                    matrix = matrix.to_memory()
        found.append(MatrixInspection(name, matrix, features))
    return found


def inspect_values(one: MatrixInspection, *, signed: bool = False) -> MatrixInspection:
    """Inspect the values of a matrix block by block, and add their kind.

    For a large matrix on disk, only a fixed sample of the values is inspected; `Check` sees the others when they are
    read. With ``signed``, negative values can be used, so that what was scaled by gene can, too.
    """
    shape = one.matrix.shape
    if one.features.left_out and not len(one.features.var):
        return replace(one, problem=f"it has no genes: {one.features.describe()}")
    if len(shape) != 2:
        return replace(one, problem=f"it has {len(shape)} dimensions, not 2")
    if 0 in shape:
        return replace(one, problem="it is empty")
    seen, is_all, some = _look_at(one, whole=False)
    # Nothing but one value in a sample says little: the others may be anywhere else.
    if isinstance(seen, Seen) and seen.low == seen.high and not is_all:
        seen, _, some = _look_at(one, whole=True)
    if isinstance(seen, str):
        return replace(one, problem=f"it contains {seen}, not numbers")
    if fault := fault_of(seen, signed=signed):
        looks = ", so it looks scaled" if seen.low < 0 and not signed else ""
        found = replace(one, problem=f"it has {fault}{looks}", has_nan=bool(np.isnan(seen.low)))
    elif seen.low == seen.high:
        found = replace(one, problem=f"all its values are {seen.low:g}")
    elif seen.low < 0:
        found = replace(one, kind="signed")
    else:
        kind: Kind = "counts" if seen.whole else "log" if seen.high <= LARGEST_LOG else "linear"
        found = replace(one, kind=kind, high=seen.high)
    needs_rows = found.has_nan or (found.kind is not None and not signed)
    # To read a row of columns on disk is to turn them all: that is done only for the matrix that is used.
    if not needs_rows or isinstance(one.matrix, CSCDataset):
        return found
    try:
        return inspect_rows(found, some)
    except TamannotError:  # damaged: said if it is this matrix that is used
        return found


def inspect_rows(one: MatrixInspection, some: RowBlock | None = None) -> MatrixInspection:
    """Add to what the values of a matrix are what some of its rows say; they are read unless given."""
    rows = row_source(one.matrix, one.features.columns)
    if some is None:
        runs = spread_rows(rows.shape[0], _ROWS_JUDGED, _ROWS_JUDGED // _RUNS)
        some = joined([rows.block(run.start, run.stop) for run in runs])
    if one.has_nan:
        return replace(one, problem=nan_problem(some, rows.shape[1]), rows=rows)
    problem, caveat = judge_rows(some, rows.shape[1], whole=one.kind == "counts")
    if not problem and one.high == 1 and one.kind != "counts":
        # Many genes reach 1, the largest value, and not since each cell was divided by its largest?
        genes, short, n_cells, n_top = np.zeros(rows.shape[1], bool), 0, 0, 0
        for run in spread_rows(rows.shape[0], _ROWS_OF_RANGE, _ROWS_OF_RANGE // _RUNS):
            for start in range(run.start, run.stop, rows.step):
                block = rows.block(start, min(start + rows.step, run.stop))
                top = block.values == 1
                genes[block.indices[top]] = True
                of_cell = block.totals(top)
                short += int(((of_cell == 0) & (np.diff(block.indptr) > 0)).sum())
                n_cells, n_top = n_cells + of_cell.size, n_top + int(top.sum())
        share = float(genes.mean())
        by_cell = short == 0 and n_top < _TIES_AT_TOP * n_cells
        problem = _MIN_MAX.format(share) if share > _MANY_GENES and not by_cell else ""
    return replace(one, kind=None if problem else one.kind, problem=problem, caveat=caveat, rows=rows)


def _look_at(one: MatrixInspection, *, whole: bool) -> tuple[Seen | str, bool, RowBlock | None]:
    """Look at the values of a matrix, a few at a time; of a file only at a sample unless ``whole``.

    Returned are what they are, or their type if they are not numbers; whether all were looked at; and some rows, if
    they came along.
    """
    matrix, genes = one.matrix, one.features.columns
    n_obs, n_vars, threads = int(matrix.shape[0]), int(matrix.shape[1]), settings.n_threads()
    if is_dask(matrix):
        from tamannot.data._dask import DaskRows  # noqa: PLC0415 - brings dask

        chunks = DaskRows(genes_of(matrix, genes))
        found, n_rows = chunks.looks(_glance_and_rows, whole=whole)
        seen = _total((seen for seen, _ in found), n_rows * chunks.shape[1])
        return seen, n_rows == n_obs, joined([some for _, some in found])
    if genes is not None:
        rows = row_source(matrix, genes)
        most = _ROWS_LOOKED if is_on_disk(matrix) and not whole else n_obs
        runs = spread_rows(n_obs, most, _ROWS_LOOKED // _RUNS)
        spans = [range(i, min(i + rows.step, run.stop)) for run in runs for i in range(run.start, run.stop, rows.step)]
        blocks = in_order(lambda i, _: rows.block(spans[i].start, spans[i].stop), len(spans), threads=threads, step=1)
        n_rows = sum(map(len, runs))
        return _total((_glance(block.values) for block in blocks), n_rows * genes.size), n_rows == n_obs, None
    if is_on_disk(matrix):
        sparse = isinstance(matrix, CSRDataset | CSCDataset)
        stored, width = (Slices(matrix.group["data"]), 1) if sparse else (Slices(matrix, "rows"), n_vars)
        n, step = stored.size, max(1, _VALUES_A_PIECE // width)
        is_all = whole or n * width <= _SAMPLED or n <= _PIECES * step
        # Always the same places, so that a file is always judged alike.
        starts = range(0, n, step) if is_all else np.linspace(0, n - step, _PIECES).astype(int).tolist()
        n_left_out = 0 if is_all else (n - _PIECES * step) * width
        seen = _total((_glance(stored[start : start + step]) for start in starts), n_obs * n_vars - n_left_out)
        return seen, is_all, None
    values, step = (matrix.data, _VALUES_A_LOOK) if is_sparse(matrix) else (matrix, _ROWS_A_LOOK)
    glances = in_order(lambda i, j: _glance(values[i:j]), values.shape[0], threads=threads, step=step)
    return _total(glances, n_obs * n_vars), True, None


def _total(glances: Iterable[Seen | str], n_values: int) -> Seen | str:
    """Return what so many values are together; of those that no glance saw, all are zeros that are not stored."""
    low, high, whole, size = np.inf, -np.inf, True, 0
    for seen in glances:
        if isinstance(seen, str):
            return seen
        # numpy's minimum keeps a NaN, Python's may drop it
        low, high = float(np.minimum(low, seen.low)), float(np.maximum(high, seen.high))
        whole, size = whole and seen.whole, size + seen.size
        if np.isnan(low):
            break
    if size < n_values:
        low, high = float(np.minimum(low, 0.0)), float(np.maximum(high, 0.0))
    return Seen(low, high, whole, size)


def _glance(values: Any) -> Seen | str:
    """Look at values, or at those that a matrix stores; return their type if they are not numbers."""
    values = values.data if is_sparse(values) else np.asarray(values)
    return seen_in(values) if values.dtype.kind in "fiub" else str(values.dtype)


def _glance_and_rows(chunk: Any, n_chunks: int) -> tuple[Seen | str, RowBlock]:
    """Return a glance at a chunk and some of its rows, so many that all chunks together give enough."""
    n = chunk.shape[0]
    some = chunk[np.unique(np.linspace(0, n - 1, min(n, -(-_ROWS_JUDGED // n_chunks))).astype(int))]
    seen = _glance(chunk)
    some = some if isinstance(seen, Seen) else np.zeros((1, 1))
    return seen, rows_in_memory(some).block(0, some.shape[0])
