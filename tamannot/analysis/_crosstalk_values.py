"""The hypotheses of crosstalk, and the values of each sample that they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.analysis._cells import CellsOfRun, detection_of, library_species
from tamannot.analysis._samples import Samples, called_as, numbers_of, table_of_samples
from tamannot.classify import MACROPHAGE, STATES, UNASSIGNED
from tamannot.errors import GeneIdError, ParameterError, among
from tamannot.signature import Signature, SignatureSet, load_signatures, read_signatures

Array = NDArray[Any]
Shares = Literal["expected", "called"]
Side = Literal["share", "program", "gene", "t_cell"]
Pairs = Literal["all", "mediators", "t_cells"] | Sequence[tuple[str, str]]
SHARE: Side = "share"
PROGRAM: Side = "program"
GENE: Side = "gene"
T_CELL: Side = "t_cell"
MALIGNANT = "malignant_"
OWN_COVARIATES = ("ambient", "hypoxia", "depth")
_HYPOXIC = "hypoxic"
_LOW_COVERAGE = 0.5
# T and NK cells: single-cell markers hardly separate them, and both produce interferon.
_T_CELLS = "t_nk"
# Highly expressed in macrophages: in malignant cells these transcripts are ambient or were taken up.
_AMBIENT = {"human": ("C1QA", "C1QB", "C1QC", "TYROBP"), "mouse": ("C1qa", "C1qb", "C1qc", "Tyrobp")}


@dataclass(frozen=True)
class Hypothesis:
    """One value of macrophages, or of T cells, to correlate with one of malignant cells."""

    measure: Side
    """Of macrophages the share of a state, the mean z of a program, the mean expression of a gene; or of T and NK cells
    the mean of a set or gene."""
    tam: str
    malignant: str
    """Id of a ferroptosis program, of a summary or of a context set; or a gene."""
    expected: Literal["positive", "negative", ""] = ""
    """Sign expected before the data were seen; empty: either."""

    @property
    def name(self) -> str:
        """Name of its row."""
        return f"{self.column} : {self.malignant}"

    @property
    def column(self) -> str:
        """Name of the macrophages' value among those of the samples."""
        return f"{self.measure}_{self.tam}"


# Fixed before any data were seen, one for each way in which, by the ferroptosis review, macrophages act on tumour
# cells: lipids and redox, iron, cytokines. Of the last the direction is open: interferon primes for ferroptosis, and
# the same cells make metabolites that protect their neighbours.
PRE_SPECIFIED = (
    Hypothesis("share", "lipid_associated", "ferroptosis_defence", "positive"),
    Hypothesis("program", "iron_export", "ferroptosis_drive", "positive"),
    Hypothesis("share", "interferon_primed", "ferroptosis_balance"),
)
# Products of macrophages. The genes of each set act in both directions, so no sign is expected.
MEDIATORS = (
    Hypothesis("program", "ferroptosis_secretome", "ferroptosis_response"),
    Hypothesis("program", "prostaglandin_s1p", "ferroptosis_response"),
    Hypothesis("program", "lipid_metabolism", "ferroptosis_defence"),
)
# Interferon gamma of CD8 T cells lowers both parts of the cystine importer in tumour cells (10.1038/s41586-019-1170-y).
T_CELLS = (Hypothesis("t_cell", "IFNG", "SLC7A11", "negative"), Hypothesis("t_cell", "IFNG", "SLC3A2", "negative"))
_WRITTEN = {"mediators": MEDIATORS, "t_cells": T_CELLS}


@dataclass(frozen=True)
class Names:
    """Names that a hypothesis may use for each side, beside the genes of the data."""

    macrophages: Sequence[str]
    malignant: Sequence[str]
    context: Sequence[str]
    """Context sets of the library: of either side, and of T cells."""
    mouse: bool = False


def names_of_run(adata: AnnData, key: str) -> Names:
    """Return the names that the run and the library offer for each side."""
    scored = [str(name) for name in slots.read_table(adata, key, "z").columns]
    mouse = slots.read_record(adata, key).matrix.species == "mouse"
    library = load_signatures(species=library_species(slots.read_record(adata, key)))
    of_axis = {axis: [i for i, s in library.items() if s.axis == axis] for axis in ("ferroptosis", "context")}
    return Names(scored, of_axis["ferroptosis"], of_axis["context"], mouse)


def hypotheses_of(asked: Pairs | None, programs: Sequence[str], known: Names) -> list[Hypothesis]:
    """Return the requested hypotheses; ``programs`` are those of macrophages in ``"all"``."""
    if asked is None:
        return list(PRE_SPECIFIED)
    for name in programs:
        _check_name(name, (*known.macrophages, *known.context), "programs has")
    if isinstance(asked, str) and asked in _WRITTEN:
        return [_in_species(h, known) for h in _WRITTEN[asked]]
    if isinstance(asked, str):
        if asked != "all":
            msg = f"hypotheses must be None, 'mediators', 't_cells', 'all' or pairs of names, not {asked!r}."
            raise ParameterError(msg)
        left = [*((SHARE, state) for state in STATES), *((PROGRAM, name) for name in programs)]
        return [_pair(measure, name, other) for (measure, name), other in product(left, known.malignant)]
    found = [_named(pair, known) for pair in asked]
    if not found:
        msg = (
            "hypotheses is empty. Give pairs (macrophage value, program of malignant cells), or None for the default "
            "three."
        )
        raise ParameterError(msg)
    return list(dict.fromkeys(found))


def _is_gene(name: str) -> bool:
    """Return whether a name can be a gene name; ids of signatures are in lower case."""
    return name != name.lower()


def _in_species(h: Hypothesis, known: Names) -> Hypothesis:
    if not known.mouse:
        return h
    tam, malignant = (n.capitalize() if _is_gene(n) else n for n in (h.tam, h.malignant))
    return replace(h, tam=tam, malignant=malignant)


def _named(pair: tuple[str, str], known: Names) -> Hypothesis:
    if isinstance(pair, str) or len(pair) != 2:
        msg = f"A hypothesis must be a pair like ('share_lipid_associated', 'ferroptosis_defence'), not {pair!r}."
        raise ParameterError(msg)
    left, right = pair
    if not _is_gene(right):
        _check_name(right, (*known.malignant, *known.context), "Of malignant cells there is")
    programs = (*known.macrophages, *known.context)
    for measure, names in ((SHARE, STATES), (PROGRAM, programs)):
        if left.removeprefix(f"{measure}_") in names and (left.startswith(f"{measure}_") or left in names):
            return _pair(measure, left.removeprefix(f"{measure}_"), right)
    for measure, sets in ((GENE, ()), (T_CELL, known.context)):
        name = left.removeprefix(f"{measure}_")
        if name != left and (_is_gene(name) or name in sets):
            return _pair(measure, name, right)
    everything = (*(f"share_{s}" for s in STATES), *(f"program_{n}" for n in programs))
    _check_name(left, (*everything, *(f"t_cell_{n}" for n in known.context)), "Of macrophages there is")
    raise AssertionError(left)


def _pair(measure: Side, tam: str, malignant: str) -> Hypothesis:
    plain = Hypothesis(measure, tam, malignant)
    written = (*PRE_SPECIFIED, *MEDIATORS, *T_CELLS)
    return next((h for h in written if h.name == plain.name), plain)


def _check_name(name: str, known: Sequence[str], where: str) -> None:
    if name not in known:
        msg = f"{where} no '{name}'.{among(name, known)}"
        raise ParameterError(msg)


@dataclass(frozen=True)
class Values:
    """One row per sample."""

    table: pd.DataFrame
    """Numbers of cells, shares and programs of macrophages, of T cells what was asked for, programs of malignant cells,
    covariates."""
    low_signal: pd.DataFrame
    """Share of cells with too little signal for each requested program and gene, by the names of `table`."""
    covariates: tuple[str, ...]
    """The requested covariates that are available."""
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class Sides:
    """The cells that a hypothesis can use, by sample."""

    samples: Samples
    macrophages: Array
    t_cells: Array
    malignant: Array
    doubtful: Array
    """Macrophages by their transcripts and malignant by the user's column; they count as malignant."""


def sides_of(adata: AnnData, key: str, samples: Samples, malignant: Array) -> Sides:
    """Return which cells are macrophages, T and NK cells, and malignant cells, each on one side only."""
    compartment = called_as(adata, key, "compartment")
    called = compartment == MACROPHAGE
    t_cells = (compartment == _T_CELLS) & ~malignant
    return Sides(samples, called & ~malignant, t_cells, malignant, called & malignant)


def values_of_samples(
    adata: AnnData, key: str, sides: Sides, asked: Sequence[Hypothesis], shares: Shares, covariates: Sequence[str]
) -> Values:
    """Return the values of each sample: means over its macrophages, its T cells and its malignant cells."""
    samples, macrophages, malignant = sides.samples, sides.macrophages, sides.malignant
    library = load_signatures(species=library_species(slots.read_record(adata, key)))
    own = read_malignant(adata, key, malignant, [h.malignant for h in asked if h.malignant in library])
    ids = [str(name) for name in own.programs if name != _HYPOXIC]
    z = slots.read_table(adata, key, "z")
    columns: dict[str, Array] = {
        "n_macrophages": _count(samples, macrophages),
        "n_malignant": _count(samples, malignant),
        **_shares(adata, samples, macrophages, shares, key),
        **{f"{PROGRAM}_{name}": samples.mean(z[name].to_numpy(float), macrophages) for name in z},
        **{f"{MALIGNANT}{name}": samples.mean(own.programs[name].to_numpy(), malignant) for name in ids},
    }
    measured = {"ambient": own.ambient, "hypoxia": own.programs[_HYPOXIC].to_numpy(), "depth": own.depth}
    columns |= {name: samples.mean(values, malignant) for name, values in measured.items() if values is not None}
    low = _read_asked(adata, key, sides, asked, library, columns)
    table = pd.DataFrame(columns, index=pd.Index(samples.names, name="sample"))
    if any(h.measure == T_CELL for h in asked):
        table["n_t_cells"] = _count(samples, sides.t_cells)
    given = table_of_samples(adata, samples, [c for c in covariates if c not in OWN_COVARIATES])
    numbers = {name: numbers_of(given[name], f"The covariate obs['{name}']") for name in given}
    table = table.join(pd.DataFrame(numbers, index=given.index))
    usable = tuple(c for c in dict.fromkeys(covariates) if c in table)
    cautions = _cautions(sides.doubtful, own, covariates, ids)
    return Values(table, pd.DataFrame(low, index=table.index), usable, tuple(cautions))


def _read_asked(
    adata: AnnData,
    key: str,
    sides: Sides,
    asked: Sequence[Hypothesis],
    library: SignatureSet,
    columns: dict[str, Array],
) -> dict[str, Array]:
    """Add means of the requested sets and genes; return the share of cells with too little signal for each."""
    low: dict[str, Array] = {}
    mean = sides.samples.mean
    matrix = slots.matrix_of_run(adata, slots.read_record(adata, key))
    cells = {PROGRAM: sides.macrophages, GENE: sides.macrophages, T_CELL: sides.t_cells, "malignant": sides.malignant}
    for side, of in cells.items():
        right = side == "malignant"
        names = list(dict.fromkeys(h.malignant if right else h.tam for h in asked if right or h.measure == side))
        if not names:
            continue
        sets = {n: library[n] for n in names if n in library}
        genes, few = detection_of(matrix, sets, [n for n in names if n not in sets], of)
        z = _z_of_sets(adata, key, of, {n: s for n, s in sets.items() if f"{side}_{n}" not in columns})
        columns |= {f"{side}_{n}": mean(t[n].to_numpy(float), of) for t in (z, genes) for n in t}
        low |= {f"{side}_{n}": mean(few[n].to_numpy(float), of) for n in few}
    return low


def _count(samples: Samples, of: Array) -> Array:
    return samples.total(of.astype(float)).astype(np.int64)


def _shares(adata: AnnData, samples: Samples, of: Array, shares: Shares, key: str) -> dict[str, Array]:
    """Return the share of each state among the macrophages of each sample, and of those without a label."""
    state = called_as(adata, key, "state")
    member = {name: (state == name).astype(float) for name in (*STATES, UNASSIGNED)}
    if shares == "expected":
        proba = slots.read_obsm(adata, slots.slot(key, "state_proba"))
        member |= {name: proba[name].to_numpy(float) for name in STATES}
    return {f"share_{name}": samples.mean(values, of) for name, values in member.items()}


def _z_of_sets(adata: AnnData, key: str, chosen: Array, sets: Mapping[str, Signature]) -> pd.DataFrame:
    """Return z of sets in some cells, using bins of these cells; one row per cell of the object, 0 in the others."""
    if not sets or not chosen.any():
        return pd.DataFrame(0.0, index=range(chosen.size), columns=list(sets))
    return CellsOfRun.read(adata, key, chosen).scores(sets)[0]


@dataclass(frozen=True)
class MalignantCells:
    """Values of malignant cells, with one value per cell of the object; 0 in the other cells."""

    programs: pd.DataFrame
    """z of the ferroptosis programs, their summaries and hypoxia, against bins of the malignant cells alone."""
    ambient: Array | None
    """Mean log expression of the macrophages' C1QA, C1QB, C1QC and TYROBP; None where the data have none of them."""
    depth: Array
    """log10 of the counts; of the detected genes where the matrix holds no counts."""
    coverage: pd.Series
    """Share of each program's genes that are in the data."""


def read_malignant(adata: AnnData, key: str, chosen: Array, also: Sequence[str] = ()) -> MalignantCells:
    """Score the malignant cells against bins of their own, and read their depth and the ambient index.

    The z values of the annotation use the bins of macrophages: a gene that macrophages hardly express would
    appear upregulated in every malignant cell. ``also`` are ids of the library to score beside the ferroptosis
    programs.
    """
    cells = CellsOfRun.read(adata, key, chosen)
    species = library_species(cells.record)
    library = load_signatures(species=species)
    programs = {i: s for i, s in library.items() if s.axis == "ferroptosis"}
    z, _, coverage = cells.scores({**programs, **{i: library[i] for i in (*also, _HYPOXIC)}})
    rows = cells.cells.X
    counts = cells.record.matrix.kind == "counts"
    depth = np.asarray(rows.sum(axis=1)).ravel() if counts else np.diff(rows.indptr)
    try:
        found, _ = cells.means(read_signatures({"ambient": list(_AMBIENT[species])}), species)
        ambient = cells.placed(found["ambient"].to_numpy(float))
    except GeneIdError:
        ambient = None
    return MalignantCells(
        programs=z,
        ambient=ambient,
        depth=cells.placed(np.log10(np.maximum(depth, 1))),
        coverage=coverage,
    )


def _cautions(doubtful: Array, own: MalignantCells, covariates: Sequence[str], ids: Sequence[str]) -> list[str]:
    said = []
    if doubtful.any():
        said.append(
            f"{int(doubtful.sum()):,} cells are macrophages by their transcripts but malignant by your column: they "
            "count as malignant here. They may be doublets, or have phagocytosed a tumour cell."
        )
    if own.ambient is None and "ambient" in covariates:
        said.append("No ambient index: the data have none of C1QA, C1QB, C1QC, TYROBP. It is not adjusted for.")
    if low := [name for name in ids if own.coverage[name] < _LOW_COVERAGE]:
        said.append(f"In malignant cells, less than half of the genes are in the data for {', '.join(low)}.")
    return said
