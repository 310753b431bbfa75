"""Which macrophage value is held against which value of malignant cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from tamannot._printable import among
from tamannot.classify import STATES
from tamannot.errors import ParameterError

Side = Literal["share", "program"]
Pairs = Literal["all"] | Sequence[tuple[str, str]]
SHARE, PROGRAM = "share", "program"


@dataclass(frozen=True)
class Hypothesis:
    """One value of macrophages against one of malignant cells."""

    measure: Side
    """Share of a state, or mean z of a program over macrophages."""
    tam: str
    malignant: str
    """Id of a ferroptosis program or summary."""
    expected: Literal["positive", "negative", ""] = ""
    """Sign that was expected before the data were seen; empty: either."""

    @property
    def name(self) -> str:
        """Name of its row."""
        return f"{self.column} : {self.malignant}"

    @property
    def column(self) -> str:
        """Name of the macrophages' value among those of the samples."""
        return f"{self.measure}_{self.tam}"


# Written down before any data are seen, one for each way that the ferroptosis review gives macrophages to act on tumour
# cells: lipids and redox, iron, cytokines. Of the last the direction is open: interferon primes for ferroptosis, and
# the same cells make metabolites that protect their neighbours.
PRE_SPECIFIED = (
    Hypothesis("share", "lipid_associated", "ferroptosis_defence", "positive"),
    Hypothesis("program", "iron_export", "ferroptosis_drive", "positive"),
    Hypothesis("share", "interferon_primed", "ferroptosis_balance"),
)


def hypotheses_of(
    asked: Pairs | None, programs: Sequence[str], of_macrophages: Sequence[str], of_malignant: Sequence[str]
) -> list[Hypothesis]:
    """Return the hypotheses that a user asked for.

    Parameters
    ----------
    asked
        None: the three that are written down; ``"all"``; or pairs of names.
    programs
        Programs of macrophages in ``"all"``.
    of_macrophages, of_malignant
        Programs that there are of each side.

    Raises
    ------
    ParameterError
        A name that is none of these, a pair that is none, or no pair at all.
    """
    if asked is None:
        return list(PRE_SPECIFIED)
    for name in programs:
        _check(name, of_macrophages, "programs has")
    if isinstance(asked, str):
        if asked != "all":
            msg = f"hypotheses is None, 'all' or pairs of names, not {asked!r}."
            raise ParameterError(msg)
        left = [*((SHARE, state) for state in STATES), *((PROGRAM, name) for name in programs)]
        return [_pair(measure, name, other) for (measure, name), other in product(left, of_malignant)]
    found = [_named(pair, of_macrophages, of_malignant) for pair in asked]
    if not found:
        msg = "hypotheses names no pair: give (macrophage value, program of malignant cells), or None for three."
        raise ParameterError(msg)
    return list(dict.fromkeys(found))


def _named(pair: tuple[str, str], of_macrophages: Sequence[str], of_malignant: Sequence[str]) -> Hypothesis:
    if isinstance(pair, str) or len(pair) != 2:
        msg = f"A hypothesis is a pair like ('share_lipid_associated', 'ferroptosis_defence'), not {pair!r}."
        raise ParameterError(msg)
    left, right = pair
    _check(right, of_malignant, "Of malignant cells there is")
    for measure, names in ((SHARE, STATES), (PROGRAM, of_macrophages)):
        if left.removeprefix(f"{measure}_") in names and (left.startswith(f"{measure}_") or left in names):
            return _pair(measure, left.removeprefix(f"{measure}_"), right)
    _check(
        left, (*(f"share_{s}" for s in STATES), *(f"program_{n}" for n in of_macrophages)), "Of macrophages there is"
    )
    raise AssertionError(left)


def _pair(measure: str, tam: str, malignant: str) -> Hypothesis:
    plain = Hypothesis("share" if measure == SHARE else "program", tam, malignant)
    return next((h for h in PRE_SPECIFIED if (h.name) == plain.name), plain)


def _check(name: str, known: Sequence[str], where: str) -> None:
    if name not in known:
        msg = f"{where} no '{name}'.{among(name, known)}"
        raise ParameterError(msg)
