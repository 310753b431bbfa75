"""The cells that are learned from: all of them, or runs of neighbours from all over a large matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot._progress import Tick
from tamannot._settings import in_order
from tamannot.scoring._elsewhere import RowsElsewhere
from tamannot.scoring._rows import RowBlock, RowSource, joined
from tamannot.scoring._survey import seen_in

Array = NDArray[Any]

MOST_CELLS = 40_000
# Neighbours are read together: a file gives out 500 rows as fast as one.
_RUN = 500


def learning_rows(n_obs: int, most: int = MOST_CELLS) -> list[range]:
    """Return the rows to learn from, as runs spread evenly over the matrix, whatever its container and blocks."""
    if n_obs <= most:
        return [range(n_obs)]
    n_runs = max(2, most // _RUN)
    starts = (i * (n_obs - _RUN) // (n_runs - 1) for i in range(n_runs))
    return [range(start, start + _RUN) for start in starts]


class SampledRows:
    """Rows that were read once, kept in memory in as few bytes as hold them, and given out as they were.

    Forty thousand cells of 2,000 genes each are 640 MB as they are read, and 320 MB if they are counts.

    Parameters
    ----------
    parts
        The rows, in their order; what is kept of them shares no memory with them.
    n_vars
        Columns of the matrix.
    """

    step = 512
    in_memory = True

    def __init__(self, parts: Iterable[RowBlock], n_vars: int) -> None:
        index_type = np.uint16 if n_vars <= np.iinfo(np.uint16).max else np.int32
        self._parts = [
            (b.values.dtype, RowBlock(_narrow(b.values), b.indices.astype(index_type), b.indptr)) for b in parts
        ]
        self._starts = np.cumsum([0, *(part.indptr.size - 1 for _, part in self._parts)])
        self.shape: tuple[int, int] = (int(self._starts[-1]), n_vars)

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = max(int(np.searchsorted(self._starts, stop)), first + 1)
        found = []
        for (kind, part), at in zip(self._parts[first:last], self._starts[first:last].tolist(), strict=True):
            ends = part.indptr[max(start - at, 0) : stop - at + 1]
            mine = slice(ends[0], ends[-1])
            found.append(RowBlock(part.values[mine].astype(kind), part.indices[mine].astype(np.int32), ends - ends[0]))
        return joined(found)


def _narrow(values: Array) -> Array:
    """Return whole numbers in bytes, or in two, if they fit; other values as they are; always a copy."""
    seen = seen_in(values)
    fits = (k for k in (np.uint8, np.uint16) if seen.whole and seen.low >= 0 and seen.high <= np.iinfo(k).max)
    return values.astype(next(fits, values.dtype))


def taken(rows: RowSource, runs: list[range], *, threads: int, tick: Tick) -> RowSource:
    """Return the rows of some runs, in memory; the matrix itself if they are all of it and it is there."""
    if rows.in_memory and runs == [range(rows.shape[0])]:
        return rows
    runs = [range(i, min(i + _RUN, run.stop)) for run in runs for i in range(run.start, run.stop, _RUN)]
    if isinstance(rows, RowsElsewhere):
        fetched = rows.blocks(runs)
        tick(sum(map(len, runs)))
        return SampledRows(fetched, rows.shape[1])

    def read(first: int, _: int) -> RowBlock:
        tick(len(runs[first]))
        return rows.block(runs[first].start, runs[first].stop)

    return SampledRows(in_order(read, len(runs), threads=threads, step=1), rows.shape[1])
