"""Rows with their values replaced by groups of equal values: all that rank methods need to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._ranks import Depths, rank_rows
from tamannot.scoring._rows import CscRows, RowBlock, RowSource

Array = NDArray[Any]

# Bytes of ranked rows that are kept; what is beyond is ranked again.
_MOST_KEPT = 1 << 29


@dataclass(frozen=True)
class RankedBlock:
    """Consecutive rows: the group of each entry, and what each group of a row is.

    Groups of row ``i`` are entries ``ptr[i]`` to ``ptr[i + 1]`` of ``depth`` and ``high``, the first of them the zeros
    that are not stored.
    """

    indices: Array
    indptr: Array
    group: Array
    """Number of the group within its row, from 1, shape ``(n_entries,)``."""
    ptr: Array
    depth: Array
    """Depth by each method in whole steps, shape ``(n_methods, n_groups)``."""
    high: Array
    """Whether a group is above zero, shape ``(n_groups,)``."""

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays; indices may be those of the matrix itself."""
        return sum(a.nbytes for a in (self.indices, self.indptr, self.group, self.ptr, self.depth, self.high))


def rank_block(block: RowBlock, n_genes: int, how: Depths) -> RankedBlock:
    """Return rows with their values replaced by groups."""
    n_entries, n_cells = block.indices.size, block.indptr.size - 1
    # A row has no more groups than entries.
    ptr, room = np.zeros(n_cells + 1, np.int64), n_entries + n_cells
    depth, high = np.empty((how.cap.size, room), np.int64), np.empty(room, np.uint8)
    done, group = 0, np.empty(0, np.uint8)
    # Most cells have fewer distinct values than a byte numbers; from the first that has more on it takes a wider type.
    # Where the first cell has more, the kernel for bytes is not even compiled.
    n_distinct = np.unique(block.bits[: block.indptr[min(1, n_cells)]]).size
    for kind in (k for k in (np.uint8, np.uint16, np.int32) if n_distinct <= np.iinfo(k).max):
        narrower, group = group[: block.indptr[done]], np.empty(n_entries, kind)
        group[: narrower.size] = narrower
        rest = (block.bits, block.indptr[done:], n_genes, how.cap, how.ties, how.step, int(np.iinfo(kind).max))
        done += rank_rows(*rest, group, ptr[done:], depth, high)
        if done == n_cells:
            break
    n = int(ptr[-1])  # of the room mostly next to nothing is used
    return RankedBlock(block.indices, block.indptr, group, ptr, depth[:, :n].copy(), high[:n].copy())


class RankedRows:
    """Ranks of the rows of a matrix; in memory they are kept, up to a limit, for the next pass.

    Of a matrix by columns they are not: with the indices of its rows they would take more than its values.

    Parameters
    ----------
    rows
        The matrix.
    how
        How ranks become depths.
    keep
        Whether there is a next pass.
    """

    def __init__(self, rows: RowSource, how: Depths, *, keep: bool) -> None:
        self._rows, self._how = rows, how
        self._kept: dict[tuple[int, int], RankedBlock] = {}
        lasting = keep and rows.in_memory and not isinstance(rows, CscRows)
        self._room, self._lock = _MOST_KEPT if lasting else 0, Lock()

    def block(self, start: int, stop: int) -> RankedBlock:
        """Return rows ``start`` to ``stop``; several threads may ask."""
        if (found := self._kept.get((start, stop))) is not None:
            return found
        made = rank_block(self._rows.block(start, stop), self._rows.shape[1], self._how)
        with self._lock:
            if made.nbytes <= self._room:
                self._kept[start, stop] = made
                self._room -= made.nbytes
        return made
