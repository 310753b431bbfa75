"""What scoring is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._ranked import RankMethod

Array = NDArray[Any]


@dataclass(frozen=True)
class NullBins:
    """Expression bin of each gene: all that the null takes from the reference cells."""

    bin_of: Array

    @property
    def sizes(self) -> Array:
        """Genes of each bin."""
        return np.bincount(self.bin_of)


@dataclass(frozen=True)
class Scores:
    """Results, cells by outputs of the plan."""

    ids: tuple[str, ...]
    score: Array
    """float32."""

    def put(self, rows: slice, found: Scores) -> None:
        """Take over the results of some cells."""
        for field in (f.name for f in fields(self) if f.name != "ids"):
            getattr(self, field)[rows] = getattr(found, field)

    def rows(self, rows: slice) -> Self:
        """Return the results of some cells."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "ids"})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the results of blocks of cells as one."""
        names = [f.name for f in fields(cls) if f.name != "ids"]
        tables: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
        return replace(parts[0], **tables)

    def column(self, table: str, signature_id: str) -> Array:
        """Return one column of a table, such as ``score``."""
        return np.asarray(getattr(self, table)[:, self.ids.index(signature_id)])


@dataclass(frozen=True)
class NullScores(Scores):
    """Results with their matched null; tables are float32 but for ``detected``."""

    detected: Array
    """Genes with a value above zero, int16; of a composite, those of the part with the greatest z."""
    z: Array
    p: Array
    expected: Array
    """How many genes of a matched random signature would be above zero in the cell."""


@dataclass(frozen=True)
class Run:
    """A method, and the expression bins of its null if it has one."""

    method: RankMethod
    null: NullBins | None = None
    only: tuple[str, ...] | None = None
    """Ids of the outputs wanted; None: all of the plan."""
