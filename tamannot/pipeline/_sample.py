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
        fetched = rows.blocks(runs)
        tick(sum(map(len, runs)))
        return _stacked([_alone(block, rows.shape[1]) for block in fetched])
    parts: list[sp.csr_array | None] = [None] * len(runs)

    def read(first: int, last: int) -> None:
        for i in range(first, last):
            parts[i] = _alone(rows.block(runs[i].start, runs[i].stop), rows.shape[1])
            tick(len(runs[i]))

    over_rows(read, len(runs), threads=threads, step=1)
    return _stacked([p for p in parts if p is not None])


def _alone(block: RowBlock, n_vars: int) -> sp.csr_array:
    """Return a block as a matrix of its own: a part of one in memory would keep all of it from being freed."""
    arrays = (block.values.copy(), block.indices.astype(np.int32), block.indptr)
    return sp.csr_array(arrays, shape=(block.indptr.size - 1, n_vars))


def _stacked(parts: list[sp.csr_array]) -> RowSource:
    return CsrRows(sp.csr_array(sp.vstack(parts, format="csr")))
