"""The cells that are learned from: all of them, or runs of neighbours from all over a large matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from tamannot._progress import Tick
from tamannot.kernels._elsewhere import RowsElsewhere
from tamannot.kernels._rows import CsrRows, RowBlock, RowSource
from tamannot.kernels._threads import over_rows

MOST_CELLS = 40_000
# Neighbours are read together: a file gives out 500 rows as fast as one.
_RUN = 500


def learning_rows(n_obs: int) -> list[range]:
    """Return the rows to learn from, as runs spread evenly over the matrix, whatever its container and blocks."""
    if n_obs <= MOST_CELLS:
        return [range(n_obs)]
    n_runs = MOST_CELLS // _RUN
    starts = (i * (n_obs - _RUN) // (n_runs - 1) for i in range(n_runs))
    return [range(start, start + _RUN) for start in starts]


def taken(rows: RowSource, runs: list[range], *, threads: int, tick: Tick) -> RowSource:
    """Return the rows of some runs, in memory; the matrix itself if they are all of it and it is there."""
    if rows.in_memory and runs == [range(rows.shape[0])]:
        return rows
    runs = [range(i, min(i + _RUN, run.stop)) for run in runs for i in range(run.start, run.stop, _RUN)]
    if isinstance(rows, RowsElsewhere):
        fetched: list[RowBlock | None] = [*rows.blocks(runs)]
        tick(sum(map(len, runs)))
        return CsrRows(_joined(fetched, rows.shape[1]))
    parts: list[RowBlock | None] = [None] * len(runs)

    def read(first: int, last: int) -> None:
        for i in range(first, last):
            block = rows.block(runs[i].start, runs[i].stop)
            # a copy: a part of a matrix in memory would keep all of it from being freed
            parts[i] = RowBlock(block.values.copy(), block.indices.astype(np.int32), block.indptr)
            tick(len(runs[i]))

    over_rows(read, len(runs), threads=threads, step=1)
    return CsrRows(_joined(parts, rows.shape[1]))


def _joined(parts: list[RowBlock | None], n_vars: int) -> sp.csr_array:
    """Return blocks as one matrix; each is let go as it is taken in, so that they are in memory but once."""
    blocks = [p for p in parts if p is not None]
    kind = np.result_type(*(b.values.dtype for b in blocks))
    lengths = np.concatenate([np.diff(b.indptr) for b in blocks])
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    if indptr[-1] <= np.iinfo(np.int32).max:  # else scipy makes a copy of the indices, as wide as the pointers
        indptr = indptr.astype(np.int32)
    values, indices = np.empty(indptr[-1], kind), np.empty(indptr[-1], np.int32)
    del blocks
    at = 0
    for i, part in enumerate(parts):
        parts[i] = None
        if part is not None:
            here = slice(at, at + part.values.size)
            values[here], indices[here] = part.values, part.indices
            at = here.stop
    return sp.csr_array((values, indices, indptr), shape=(lengths.size, n_vars))
