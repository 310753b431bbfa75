"""The inputs of an annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The axes of the tables, in their order, the user's own sets last; modules are computed beside them for the rules.
TABLE_AXES = ("compartment", "origin", "state", "overlay", "polarization", "ferroptosis", "custom")
# What of the library an annotation takes; the rest is for `tl.score`.
PROGRAM_AXES = (*TABLE_AXES[:-1], "module")
SUMMARIES = ("ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance")
MACROPHAGE = "macrophage"


@dataclass(frozen=True)
class Cells:
    """Annotations of the cells."""

    names: Sequence[str]
    """Unique or not; they change no call."""
    sample: Sequence[str] | None = None
    """Sample of each cell: ambient RNA is judged by it."""
    given: Sequence[str] | None = None
    """The user's own cell type of every cell; it replaces the gate."""
    mapping: Mapping[str, str] | None = None
    """What each of them means."""

    def take(self, rows: Sequence[int] | range) -> Cells:
        """Return the annotations of some cells."""
        names, sample, given = (
            None if column is None else [column[i] for i in rows] for column in (self.names, self.sample, self.given)
        )
        return Cells(names or [], sample, given, self.mapping)
