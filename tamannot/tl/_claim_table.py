"""The table of claims: which are tested, on which cells and by what."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, fields
from pathlib import Path

from tamannot._resources import resource_path
from tamannot.errors import InputFileError, ParameterError

NONE, WITHIN, ACROSS, DIFFERENCE, DETECTION, SHARE, GROUPS = (
    "none",
    "within",
    "across",
    "difference",
    "detection",
    "share",
    "groups",
)
KINDS = (NONE, WITHIN, ACROSS, DIFFERENCE, DETECTION, SHARE, GROUPS)
SIGNED = ("positive", "negative")
_EXPECTED = {NONE: ("",), DETECTION: ("detected",), WITHIN: SIGNED, ACROSS: SIGNED, DIFFERENCE: SIGNED, GROUPS: SIGNED}
# Which fields a kind needs.
_NEEDED = {
    NONE: ("note",),
    WITHIN: ("a", "cells", "b"),
    ACROSS: ("a", "cells", "b", "against"),
    DIFFERENCE: ("a", "cells", "against"),
    DETECTION: ("a", "cells"),
    SHARE: ("a", "cells"),
    GROUPS: ("a", "cells", "b"),
}


@dataclass(frozen=True)
class Claim:
    """One row of the table: a claim, and one way to test it.

    A measure (``a``, ``b``) is ``CD274`` or ``CXCL9+CXCL10`` (genes), ``@hypoxic`` (the genes of a signature),
    ``label:monocyte_derived`` (whether a cell is called so), or ``share:monocyte_derived`` (share of a sample's cells).
    """

    claim_id: str
    claim: str
    source: str
    kind: str
    a: str
    cells: str
    """Cells in which ``a`` is measured: a label, ``macrophage``, ``called_origin``, ``other_myeloid``, ``malignant``,
    ``all``, or a compartment."""
    b: str
    """The other measure; of ``groups`` which samples: ``primary=breast``, ``site=margin/core``."""
    against: str
    """Cells in which ``b`` is measured, or with which those of ``cells`` are compared."""
    expected: str
    note: str

    @property
    def measures(self) -> list[str]:
        """What is measured in cells."""
        return [m for m in (self.a, self.b if self.kind in (WITHIN, ACROSS) else "") if m]

    @property
    def limits(self) -> tuple[float, float]:
        """Of a share the expected lowest and highest."""
        low, _, high = self.expected.partition("-")
        return float(low), float(high)


def read_claims(path: str | os.PathLike[str] | None = None) -> list[Claim]:
    """Read a table of claims, tab-separated; None is the bundled one.

    Raises
    ------
    InputFileError
        There is no such file.
    ParameterError
        Another header, or a row that cannot be tested.
    """
    path = Path(path) if path is not None else resource_path("signatures") / "claims.tsv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Cannot read the table of claims '{path}': {error}."
        raise InputFileError(msg) from error
    names = [f.name for f in fields(Claim)]
    if not rows or rows[0] != names:
        msg = f"'{path}' is no table of claims: its header is not {', '.join(names)}, separated by tabs."
        raise ParameterError(msg)
    claims = [_claim(row, names, f"'{path}', line {i}") for i, row in enumerate(rows[1:], 2)]
    twice = {c.claim_id for c in claims if sum(c.claim_id == other.claim_id for other in claims) > 1}
    if twice:
        msg = f"'{path}' has the claim {', '.join(sorted(twice))} more than once; a claim_id is for one row."
        raise ParameterError(msg)
    return claims


def _claim(row: list[str], names: list[str], where: str) -> Claim:
    if len(row) != len(names):
        msg = f"{where}: {len(row)} fields instead of {len(names)}."
        raise ParameterError(msg)
    claim = Claim(*(field.strip() for field in row))
    if claim.kind not in KINDS:
        msg = f"{where}: kind is one of {', '.join(KINDS)}, not {claim.kind!r}."
        raise ParameterError(msg)
    empty = [n for n in ("claim_id", "claim", "source", *_NEEDED[claim.kind]) if not getattr(claim, n)]
    if empty:
        msg = f"{where}: a claim of kind {claim.kind} needs {', '.join(empty)}."
        raise ParameterError(msg)
    if not _is_expected(claim):
        msg = f"{where}: expected is {claim.expected!r}; it is {' or '.join(_EXPECTED.get(claim.kind, ('0.3-0.5',)))}."
        raise ParameterError(msg)
    return claim


def _is_expected(claim: Claim) -> bool:
    if claim.kind != SHARE:
        return claim.expected in _EXPECTED[claim.kind]
    try:
        low, high = claim.limits
    except ValueError:
        return False
    return 0 <= low < high <= 1
