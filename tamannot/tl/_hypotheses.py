"""Which macrophage value is held against which value of malignant cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from tamannot.classify import STATES
from tamannot.errors import ParameterError, among

Side = Literal["share", "program", "gene", "t_cell"]
Pairs = Literal["all", "mediators", "t_cells"] | Sequence[tuple[str, str]]
SHARE: Side = "share"
PROGRAM: Side = "program"
GENE: Side = "gene"
T_CELL: Side = "t_cell"


@dataclass(frozen=True)
class Hypothesis:
    """One value of macrophages, or of T cells, against one of malignant cells."""

    measure: Side
    """Of macrophages the share of a state, the mean z of a program, the mean expression of a gene; or of T and NK cells
    the mean of a set or gene."""
    tam: str
    malignant: str
    """Id of a ferroptosis program, of a summary or of a context set; or a gene."""
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
# What macrophages give off. The genes of each set act both ways, so that no sign is expected.
MEDIATORS = (
    Hypothesis("program", "ferroptosis_secretome", "ferroptosis_response"),
    Hypothesis("program", "prostaglandin_s1p", "ferroptosis_response"),
    Hypothesis("program", "lipid_metabolism", "ferroptosis_defence"),
)
# Interferon gamma of CD8 T cells lowers both parts of the cystine importer in tumour cells (10.1038/s41586-019-1170-y).
T_CELLS = (Hypothesis("t_cell", "IFNG", "SLC7A11", "negative"), Hypothesis("t_cell", "IFNG", "SLC3A2", "negative"))
_WRITTEN = {"mediators": MEDIATORS, "t_cells": T_CELLS}


@dataclass(frozen=True)
class Known:
    """What there is of each side, beside the genes of the data."""

    macrophages: Sequence[str]
    malignant: Sequence[str]
    context: Sequence[str]
    """Context sets of the library: of either side, and of T cells."""
    mouse: bool = False


def hypotheses_of(asked: Pairs | None, programs: Sequence[str], known: Known) -> list[Hypothesis]:
    """Return the hypotheses that a user asked for.

    Parameters
    ----------
    asked
        None: the three that are written down; ``"mediators"`` and ``"t_cells"``: others that are; ``"all"``; or pairs
        of names.
    programs
        Programs of macrophages in ``"all"``.
    known
        What there is of each side.

    Raises
    ------
    ParameterError
        A name that is none of these, a pair that is none, or no pair at all.
    """
    if asked is None:
        return list(PRE_SPECIFIED)
    for name in programs:
        _check(name, (*known.macrophages, *known.context), "programs has")
    if isinstance(asked, str) and asked in _WRITTEN:
        return [_of_species(h, known) for h in _WRITTEN[asked]]
    if isinstance(asked, str):
        if asked != "all":
            msg = f"hypotheses is None, 'mediators', 't_cells', 'all' or pairs of names, not {asked!r}."
            raise ParameterError(msg)
        left = [*((SHARE, state) for state in STATES), *((PROGRAM, name) for name in programs)]
        return [_pair(measure, name, other) for (measure, name), other in product(left, known.malignant)]
    found = [_named(pair, known) for pair in asked]
    if not found:
        msg = "hypotheses names no pair: give (macrophage value, program of malignant cells), or None for three."
        raise ParameterError(msg)
    return list(dict.fromkeys(found))


def is_gene(name: str) -> bool:
    """Say whether a name can be that of a gene; ids of signatures are in small letters."""
    return name != name.lower()


def _of_species(h: Hypothesis, known: Known) -> Hypothesis:
    if not known.mouse:
        return h
    tam, malignant = (n.capitalize() if is_gene(n) else n for n in (h.tam, h.malignant))
    return replace(h, tam=tam, malignant=malignant)


def _named(pair: tuple[str, str], known: Known) -> Hypothesis:
    if isinstance(pair, str) or len(pair) != 2:
        msg = f"A hypothesis is a pair like ('share_lipid_associated', 'ferroptosis_defence'), not {pair!r}."
        raise ParameterError(msg)
    left, right = pair
    if not is_gene(right):
        _check(right, (*known.malignant, *known.context), "Of malignant cells there is")
    programs = (*known.macrophages, *known.context)
    for measure, names in ((SHARE, STATES), (PROGRAM, programs)):
        if left.removeprefix(f"{measure}_") in names and (left.startswith(f"{measure}_") or left in names):
            return _pair(measure, left.removeprefix(f"{measure}_"), right)
    for measure, sets in ((GENE, ()), (T_CELL, known.context)):
        name = left.removeprefix(f"{measure}_")
        if name != left and (is_gene(name) or name in sets):
            return _pair(measure, name, right)
    everything = (*(f"share_{s}" for s in STATES), *(f"program_{n}" for n in programs))
    _check(left, (*everything, *(f"t_cell_{n}" for n in known.context)), "Of macrophages there is")
    raise AssertionError(left)


def _pair(measure: Side, tam: str, malignant: str) -> Hypothesis:
    plain = Hypothesis(measure, tam, malignant)
    written = (*PRE_SPECIFIED, *MEDIATORS, *T_CELLS)
    return next((h for h in written if h.name == plain.name), plain)


def _check(name: str, known: Sequence[str], where: str) -> None:
    if name not in known:
        msg = f"{where} no '{name}'.{among(name, known)}"
        raise ParameterError(msg)
