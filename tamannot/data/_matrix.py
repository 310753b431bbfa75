"""The candidate matrices of an AnnData, and the kind of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from tamannot._settings import in_order, settings
from tamannot.data._genes import Features, GeneMatch, features_of
from tamannot.data._kind import LARGEST_LOG, LARGEST_VALUE, Kind, judge_rows, nan_problem
from tamannot.data._on_disk import bytes_in_memory, is_on_disk, sample_of
from tamannot.data._rows import genes_of, is_dask, row_source
from tamannot.data._slots import loaded
from tamannot.errors import MatrixError, ParameterError, TamannotError, among
from tamannot.scoring._rows import RowBlock, RowSource, is_sparse, joined, rows_in_memory
from tamannot.scoring._survey import NOTHING_SEEN, ZERO_SEEN, Seen, seen_in

Array = NDArray[Any]

_VALUES_A_LOOK = 1 << 21
_ROWS_A_LOOK = 4096
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

    name: str
    """``X``, ``raw``, or the name of a layer."""
    matrix: Any
    features: Features = field(default_factory=lambda: Features(pd.DataFrame()))
    """Which of its columns are genes."""
    kind: Kind | None = None
    """The kind of its values; None if it cannot be used or was not inspected."""
    problem: str = ""
    """The reason why it cannot be used; empty if it can."""
    caveat: str = ""
    """A caveat for the user, although the matrix can be used; empty if there is none."""
    constant: float | None = None
    """The one value that it has everywhere."""
    high: float = np.nan
    """The largest value."""
    has_nan: bool = False
    rows: RowSource | None = None
    """Its rows, once they were judged."""
    rows_judged: bool = False
    genes: GeneMatch | None = None
    """Its genes by the ids that find most of those asked for, once they were matched."""

    @property
    def var(self) -> pd.DataFrame:
        """The genes."""
        return self.features.var

    @property
    def n_found(self) -> int:
        """Genes of the signatures that it has."""
        return 0 if self.genes is None else self.genes.n_found

    def describe(self) -> str:
        """Describe the matrix in one line."""
        if self.kind is None:
            return f"{self.name}: not usable, {self.problem}"
        by = "" if self.genes is None else f", {self.n_found} signature genes by {self.genes.ids_from}"
        line = f"{self.name}: {self.kind}, {len(self.var):,} genes{by}"
        return ", ".join([line, *filter(None, (self.features.describe(), self.caveat))])


def candidates(adata: AnnData, layer: str | None) -> list[MatrixInspection]:
    """Return the matrices to consider: the one that ``layer`` names, or ``counts``, ``raw`` and ``X``."""
    if adata.n_obs == 0:
        msg = "The data have no cells (n_obs is 0). Check the filtering steps before this one."
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
        msg = "The data have no expression matrix: X is empty, and neither raw nor a layer 'counts' exists."
        raise MatrixError(msg)
    return found


def layer_names(adata: AnnData) -> list[str]:
    """Return the names of the layers; newer anndata also lists X there, under no name."""
    return [name for name in adata.layers if name is not None]


def _candidate(adata: AnnData, name: str, of_var: Callable[[], Features]) -> MatrixInspection | None:
    if name in layer_names(adata):
        return MatrixInspection(name, _readable(adata.layers[name]), of_var())
    if name == "raw" and adata.raw is not None:
        return MatrixInspection("raw", _readable(adata.raw.X), features_of(loaded(adata.raw.var)))
    if name == "X" and adata.X is not None:
        return MatrixInspection("X", _readable(adata.X), of_var())
    return None


def _readable(matrix: Any) -> Any:
    """Return a matrix whose rows can be read; a few columns of a file are loaded, since each row crosses them all."""
    small = getattr(matrix, "format", "") == "csc" and is_on_disk(matrix) and bytes_in_memory(matrix) < _SMALL
    try:
        return matrix.to_memory() if small else matrix
    except ValueError:  # numbers that scipy does not take, as those of another byte order: read as large ones are
        return matrix


def inspect_values(one: MatrixInspection, *, signed: bool = False) -> MatrixInspection:
    """Inspect the values of a matrix block by block, and add their kind.

    For a large matrix on disk, only a fixed sample of the values is inspected; `checked_rows` checks the others when
    they are read. Some rows are inspected further, see `judge_rows`.

    Parameters
    ----------
    one
        The matrix, in any container.
    signed
        Whether negative values can be used, so that what was scaled by gene can, too.
    """
    matrix, genes = one.matrix, one.features.columns
    if one.features.left_out and not len(one.var):
        return replace(one, problem=f"it has no genes: {one.features.describe()}")
    if len(matrix.shape) != 2:
        return replace(one, problem=f"it has {len(matrix.shape)} dimensions, not 2")
    if 0 in matrix.shape:
        return replace(one, problem="it is empty")
    if is_dask(matrix):
        found, some = _look_at_dask(one, genes_of(matrix, genes), signed=signed)
    else:
        found, some = _look_at_values(one, signed=signed), None
    if (signed or found.kind is None) and not found.has_nan:
        return found
    # To read a row of columns on disk is to turn them all: that is done only for the matrix that is used.
    if is_on_disk(matrix) and getattr(matrix, "format", "") == "csc":
        return found
    try:
        return inspect_rows(found, some)
    except TamannotError:  # damaged: said if it is this matrix that is used
        return found


def inspect_rows(one: MatrixInspection, some: RowBlock | None = None) -> MatrixInspection:
    """Add to what the values of a matrix are what some of its rows say; they are read unless given."""
    rows = row_source(one.matrix, one.features.columns)
    if some is None:
        some = joined([rows.block(run.start, run.stop) for run in _runs(rows.shape[0], _ROWS_JUDGED)])
    if one.has_nan:
        return replace(one, problem=nan_problem(some, rows.shape[1]), rows_judged=True)
    problem, caveat = judge_rows(some, rows.shape[1], whole=one.kind == "counts")
    if not problem and one.high == 1 and one.kind != "counts":
        problem = _fills_range(rows)
    kind = None if problem else one.kind
    return replace(one, kind=kind, problem=problem, caveat=caveat, rows_judged=True, rows=rows)


def _look_at_values(one: MatrixInspection, *, signed: bool) -> MatrixInspection:
    matrix, genes = one.matrix, one.features.columns
    if genes is not None:
        return _look_at_rows(one, row_source(matrix, genes), signed=signed, whole=not is_on_disk(matrix))
    if not is_on_disk(matrix):
        values, step = (matrix.data, _VALUES_A_LOOK) if is_sparse(matrix) else (matrix, _ROWS_A_LOOK)
        threads = settings.n_threads()
        glances = in_order(lambda i, j: _glance(values[i:j]), values.shape[0], threads=threads, step=step)
        return _summed_up(one, glances, matrix.shape, signed=signed)
    sample = sample_of(matrix)
    found = _summed_up(one, map(_glance, sample.pieces), matrix.shape, signed=signed, n_stored=sample.n_stored)
    if sample.is_all or found.constant is None:
        return found
    # Nothing but one value in a sample says little: the others may be anywhere else.
    return _summed_up(one, map(_glance, sample_of(matrix, whole=True).pieces), matrix.shape, signed=signed)


def _look_at_rows(one: MatrixInspection, rows: RowSource, *, signed: bool, whole: bool) -> MatrixInspection:
    runs = _runs(rows.shape[0], rows.shape[0] if whole else _ROWS_LOOKED)
    spans = [range(i, min(i + rows.step, run.stop)) for run in runs for i in range(run.start, run.stop, rows.step)]

    def look(first: int, _: int) -> _Glance:
        return _glance(rows.block(spans[first].start, spans[first].stop).values)

    glances = in_order(look, len(spans), threads=settings.n_threads(), step=1)
    found = _summed_up(one, glances, (sum(map(len, runs)), rows.shape[1]), signed=signed)
    return found if whole or found.constant is None else _look_at_rows(one, rows, signed=signed, whole=True)


def _look_at_dask(
    one: MatrixInspection, matrix: Any, *, signed: bool, whole: bool = False
) -> tuple[MatrixInspection, RowBlock]:
    from tamannot.data._dask import looks  # noqa: PLC0415 - brings dask

    seen, n_rows, is_all = looks(matrix, _glance_and_rows, whole=whole)
    found = _summed_up(one, (glance for glance, _ in seen), (n_rows, matrix.shape[1]), signed=signed)
    if not is_all and found.constant is not None:
        return _look_at_dask(one, matrix, signed=signed, whole=True)
    return found, joined([rows for _, rows in seen])


@dataclass(frozen=True)
class _Glance:
    """Summary of some values; it is small and may come from another process."""

    dtype: str
    seen: Seen | None
    """None if they are not numbers."""
    size: int


def _glance(values: Any) -> _Glance:
    """Look at values, or at those that a matrix stores."""
    values = values.data if is_sparse(values) else np.asarray(values)
    is_number = values.dtype.kind in "fiub"
    return _Glance(str(values.dtype), seen_in(values) if is_number else None, values.size)


def _summed_up(
    one: MatrixInspection,
    glances: Iterable[_Glance],
    shape: tuple[int, int],
    *,
    signed: bool,
    n_stored: int | None = None,
) -> MatrixInspection:
    """Add what all glances together say."""
    seen, n_seen = NOTHING_SEEN, 0
    for glance in glances:
        if glance.seen is None:
            return replace(one, problem=f"it contains {glance.dtype}, not numbers")
        seen, n_seen = seen | glance.seen, n_seen + glance.size
        if seen.has_nan:
            return replace(one, problem="it has NaN values", has_nan=True)
    if (n_stored or n_seen) < int(shape[0]) * int(shape[1]):  # the rest are zeros that are not stored
        seen |= ZERO_SEEN
    low, high = seen.low, seen.high
    if low < 0 and not signed:
        return replace(one, problem=f"it has negative values (smallest {low:.3g}), so it looks scaled")
    if np.isinf(high) or np.isinf(low):
        return replace(one, problem="it has infinite values")
    if max(high, -low) > LARGEST_VALUE:
        return replace(one, problem=f"it has values as large as {max(high, -low):.3g}, too large for expression")
    if low == high:
        return replace(one, problem=f"all its values are {low:g}", constant=low)
    if low < 0:
        return replace(one, kind="signed")
    return replace(one, kind="counts" if seen.whole else "log" if high <= LARGEST_LOG else "linear", high=high)


def _glance_and_rows(chunk: Any, n_chunks: int) -> tuple[_Glance, RowBlock]:
    """Return a glance at a chunk and some of its rows, so many that all chunks together give enough."""
    n = chunk.shape[0]
    some = chunk[np.unique(np.linspace(0, n - 1, min(n, -(-_ROWS_JUDGED // n_chunks))).astype(int))]
    glance = _glance(chunk)
    some = some if glance.seen is not None else np.zeros((1, 1))
    return glance, rows_in_memory(some).block(0, some.shape[0])


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
