"""Rows of a dense matrix on disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from tamannot.data._names import name_of, reading
from tamannot.scoring._rows import RowBlock, joined, packable
from tamannot.scoring._survey import pack_rows

# Values of a block: 32 MB of 32-bit floats.
_MOST_VALUES = 1 << 23
_MOST_ROWS = 4096


class DenseRowsOnDisk:
    """Rows of a two-dimensional dataset of HDF5 or zarr, packed a block at a time."""

    in_memory = False

    def __init__(self, dataset: Any) -> None:
        self._dataset, self._name = dataset, name_of(dataset)
        n_obs, n_vars = map(int, dataset.shape)
        self.shape = (n_obs, n_vars)
        self.step = _step(self.shape, int(dataset.chunks[0]) if dataset.chunks else 1)

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``.

        Raises
        ------
        InputFileError
            The file is damaged there.
        """
        # A few rows at a time: what is asked for at once may be as many as a user wants.
        firsts = range(start, stop, self.step) or [start]
        return joined([self._packed(first, min(first + self.step, stop)) for first in firsts])

    def _packed(self, start: int, stop: int) -> RowBlock:
        with reading(self._name, start, stop, "rows"):
            rows = np.asarray(self._dataset[start:stop])
        return RowBlock(*pack_rows(packable(np.ascontiguousarray(rows))))


def _step(shape: tuple[int, int], chunk: int) -> int:
    """Return how many rows to read at once: whole chunks, unless one is too much."""
    most = min(max(_MOST_VALUES // max(shape[1], 1), 1), _MOST_ROWS)
    return most - most % chunk if chunk <= most else most
