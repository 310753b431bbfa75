"""Rows of logarithms on the scale that a model keeps."""

from __future__ import annotations

from tamannot.classify._scale import Scale, to_features
from tamannot.kernels._rows import RowBlock, RowSource


class ScaledRows:
    """Rows of logarithms as ``log1p`` of 10,000 per cell, or as ranks within the cell.

    Parameters
    ----------
    rows
        Logarithms.
    scale, base
        What `find_scale` returned.
    """

    def __init__(self, rows: RowSource, scale: Scale, base: float | None) -> None:
        self._rows, self._scale, self._base = rows, scale, base
        self.shape, self.step, self.in_memory = rows.shape, rows.step, rows.in_memory

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        block = self._rows.block(start, stop)
        values = to_features(block.values, block.indptr, self._scale, self._base)
        return RowBlock(values, block.indices, block.indptr)
