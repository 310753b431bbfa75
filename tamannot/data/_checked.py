"""Rows that are checked as they are read, where nobody has looked at all values before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tamannot.data._kind import LARGEST_LOG, LARGEST_VALUE, Kind
from tamannot.errors import MatrixError
from tamannot.scoring._rows import RowBlock, RowSource
from tamannot.scoring._survey import Seen, seen_in


@dataclass(frozen=True)
class Check:
    """Whether rows are of the kind that a sample of the matrix was found to be of."""

    name: str
    """``X``, ``raw``, or the name of a layer."""
    kind: Kind
    """What every value must agree with."""

    def __call__(self, block: RowBlock, start: int, stop: int) -> None:
        """Refuse rows ``start`` to ``stop`` if they have a value that a matrix of this kind has not.

        Raises
        ------
        MatrixError
            They have one.
        """
        problem = _problem(seen_in(block.values), self.kind) if block.values.size else ""
        if problem:
            msg = (
                f"Rows {start:,} to {stop:,} of {self.name} {problem}, while values sampled from all over it are "
                f"{self.kind}. Mend those rows, or use another matrix with layer=."
            )
            raise MatrixError(msg)


class CheckedRows:
    """Rows of a matrix that are checked as they are read.

    Parameters
    ----------
    rows
        The rows.
    check
        What they must pass.
    """

    def __init__(self, rows: RowSource, check: Check) -> None:
        self._rows, self._check = rows, check
        self.shape, self.step, self.in_memory = rows.shape, rows.step, rows.in_memory

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``.

        Raises
        ------
        MatrixError
            They have a value that a matrix of this kind has not.
        """
        block = self._rows.block(start, stop)
        self._check(block, start, stop)
        return block


def _problem(seen: Seen, kind: Kind) -> str:
    """Say what a matrix of this kind cannot have; empty if there is nothing."""
    if seen.has_nan:
        return "have NaN values"
    if np.isinf(seen.low) or np.isinf(seen.high):
        return "have infinite values"
    if max(seen.high, -seen.low) > LARGEST_VALUE:
        return f"have values as large as {max(seen.high, -seen.low):.3g}, which no expression is"
    if seen.low < 0 and kind != "signed":
        return f"have negative values (smallest {seen.low:.3g})"
    if kind == "counts" and not seen.whole:
        return "have values that are not whole"
    if kind == "log" and seen.high > LARGEST_LOG:
        return f"have values of {seen.high:.3g}, beyond any logarithm"
    return ""
