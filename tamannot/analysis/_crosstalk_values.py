"""The hypotheses of crosstalk, and the values of each sample that they use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis import _samples
from tamannot.analysis._samples import MALIGNANT, Samples, library_species
from tamannot.classify import MACROPHAGE, STATES, SUMMARIES, UNASSIGNED
from tamannot.data import Array
from tamannot.errors import ParameterError, among
from tamannot.signature import GeneIndex, load_signatures

Shares = Literal["expected", "called"]
Side = Literal["share", "program", "gene", "t_cell"]
Pairs = Literal["all", "mediators", "t_cells"] | Sequence[tuple[str, str]]
OWN_COVARIATES = ("ambient", "hypoxia", "depth")
_HYPOXIC = "hypoxic"
_LOW_COVERAGE = 0.5
_T_CELLS = "t_nk"  # T and NK cells: single-cell markers hardly separate them, and both produce interferon
# Highly expressed in macrophages: in malignant cells these transcripts are ambient or were taken up.
_AMBIENT = {"human": ("C1QA", "C1QB", "C1QC", "TYROBP"), "mouse": ("C1qa", "C1qb", "C1qc", "Tyrobp")}


@dataclass(frozen=True)
class Hypothesis:
    """One value of macrophages, or of T cells, to correlate with one of malignant cells."""

    measure: Side  # a mean over macrophages, or for ``t_cell`` over T and NK cells
    tam: str
    malignant: str  # id of a ferroptosis program, of a summary or of a context set; or a gene
    expected: Literal["positive", "negative", ""] = ""  # sign expected before the data were seen; empty: either

    @property
    def name(self) -> str:
        """Name of its row in the table of tests."""
        return f"{self.column} : {self.malignant}"

    @property
    def column(self) -> str:
        """Name of the macrophages' value among those of the samples."""
        return f"{self.measure}_{self.tam}"

    @property
    def other(self) -> str:
        """Name of the malignant cells' value among those of the samples."""
        return f"{MALIGNANT}_{self.malignant}"


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


def hypotheses_of(adata: AnnData, key: str, asked: Pairs | None, programs: Sequence[str] | None) -> list[Hypothesis]:
    """Return the requested hypotheses; of macrophages ``"all"`` has ``programs``, None those of ferroptosis."""
    if asked is None:
        return list(PRE_SPECIFIED)
    record = slots.read_record(adata, key)
    library = load_signatures(species=library_species(record))
    ferroptosis, context = ([i for i, s in library.items() if s.axis == axis] for axis in ("ferroptosis", "context"))
    macrophages = [*map(str, slots.read_table(adata, key, "z")), *context]
    programs = [p for p in ferroptosis if p not in SUMMARIES] if programs is None else programs
    if unknown := [name for name in programs if name not in macrophages]:
        raise ParameterError(f"programs has no '{unknown[0]}'.{among(unknown[0], macrophages)}")
    if isinstance(asked, str) and asked in _WRITTEN:
        if record.matrix.species != "mouse":
            return list(_WRITTEN[asked])
        names = [[n.capitalize() if _is_gene(n) else n for n in (h.tam, h.malignant)] for h in _WRITTEN[asked]]
        return [replace(h, tam=t, malignant=m) for h, (t, m) in zip(_WRITTEN[asked], names, strict=True)]
    if isinstance(asked, str):
        if asked != "all":
            raise ParameterError(
                f"hypotheses must be None, 'mediators', 't_cells', 'all' or pairs of names, not {asked!r}."
            )
        of_states = [_pair("share", state, other) for state, other in product(STATES, ferroptosis)]
        return of_states + [_pair("program", name, other) for name, other in product(programs, ferroptosis)]
    found = [_named(pair, macrophages, ferroptosis, context) for pair in asked]
    if not found:
        raise ParameterError(
            "hypotheses is empty. Give pairs (macrophage value, program of malignant cells), or None for the default "
            "three."
        )
    return list(dict.fromkeys(found))


def _is_gene(name: str) -> bool:
    """Return whether a name can be a gene name; ids of signatures are in lower case."""
    return name != name.lower()


def _named(
    pair: tuple[str, str], macrophages: Sequence[str], ferroptosis: Sequence[str], context: Sequence[str]
) -> Hypothesis:
    """Return the hypothesis of a pair of names; context sets are of either side, and of T cells."""
    if isinstance(pair, str) or len(pair) != 2:
        raise ParameterError(
            f"A hypothesis must be a pair like ('share_lipid_associated', 'ferroptosis_defence'), not {pair!r}."
        )
    left, right = pair
    of_malignant = (*ferroptosis, *context)
    if not _is_gene(right) and right not in of_malignant:
        raise ParameterError(f"Of malignant cells there is no '{right}'.{among(right, of_malignant)}")
    ids: dict[Side, Sequence[str]] = {"share": STATES, "program": macrophages, "gene": (), "t_cell": context}
    for measure, known_ids in ids.items():
        name = left.removeprefix(f"{measure}_")
        # Genes, and whatever is of T cells, need the name of their measure before them; states and programs do not.
        bare = measure in ("share", "program")
        if (name != left or bare) and (name in known_ids or (_is_gene(name) and not bare)):
            return _pair(measure, name, right)
    known = [*(f"share_{s}" for s in STATES), *(f"program_{n}" for n in macrophages), *(f"t_cell_{n}" for n in context)]
    raise ParameterError(f"Of macrophages there is no '{left}'.{among(left, known)}")


def _pair(measure: Side, tam: str, malignant: str) -> Hypothesis:
    plain = Hypothesis(measure, tam, malignant)
    return next((h for h in (*PRE_SPECIFIED, *MEDIATORS, *T_CELLS) if h.name == plain.name), plain)


@dataclass(frozen=True)
class Sides:
    """The cells that a hypothesis can use, by sample; each cell is on one side only."""

    samples: Samples
    cells: dict[str, Array]  # by measure the macrophages, or T and NK cells; and the malignant cells
    doubtful: Array  # macrophages by their transcripts and malignant by the user's column; they count as malignant


def sides_of(adata: AnnData, key: str, samples: Samples, malignant: Array) -> Sides:
    """Return which cells are macrophages, T and NK cells, and malignant cells."""
    compartment = slots.labels_of(adata, key, "compartment")
    called = compartment == MACROPHAGE
    cells = {"program": called & ~malignant, "gene": called & ~malignant}
    cells |= {"t_cell": (compartment == _T_CELLS) & ~malignant, MALIGNANT: malignant}
    return Sides(samples, cells, called & malignant)


def values_of_samples(
    adata: AnnData, key: str, sides: Sides, asked: Sequence[Hypothesis], shares: Shares, covariates: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the values of each sample, the share of cells with too little signal for each value, and cautions.

    z of malignant cells uses bins of their own: by those of macrophages, a gene that macrophages hardly express would
    be high in every malignant cell.
    """
    samples, macrophages, malignant = sides.samples, sides.cells["program"], sides.cells[MALIGNANT]
    record = slots.read_record(adata, key)
    matrix, species = slots.matrix_of_run(adata, record), library_species(record)
    library = load_signatures(species=species)
    programs = [i for i, s in library.items() if s.axis == "ferroptosis"]
    ids = list(dict.fromkeys([*programs, *(h.malignant for h in asked if h.malignant in library)]))
    scored = {i: library[i] for i in dict.fromkeys([*ids, _HYPOXIC])}
    own, _, coverage = _samples.scores_in(adata, key, malignant, scored)
    ids = [i for i in ids if i != _HYPOXIC]
    z = slots.read_table(adata, key, "z")
    n_cells = {side: samples.total(of.astype(float)).astype(np.int64) for side, of in sides.cells.items()}
    columns: dict[str, Array] = {
        "n_macrophages": n_cells["program"],
        "n_malignant": n_cells[MALIGNANT],
        **_shares(adata, key, sides, shares),
        **{f"program_{name}": samples.mean(z[name].to_numpy(float), macrophages) for name in z},
        **{f"{MALIGNANT}_{name}": samples.mean(own[name].to_numpy(), malignant) for name in ids},
    }
    index = GeneIndex([str(i) for i in matrix.ids])
    ambient_genes = [column for gene in _AMBIENT[species] if (column := index.find(gene)) >= 0]
    if ambient_genes:
        ambient = np.zeros(malignant.size, np.float32)
        for rows, values in _samples.some_genes(matrix, ambient_genes, malignant):
            ambient[rows] = values.mean(axis=1)
        columns["ambient"] = samples.mean(ambient, malignant)
    columns["hypoxia"] = samples.mean(own[_HYPOXIC].to_numpy(), malignant)
    precision = np.float32 if matrix.kind == "counts" else np.float64  # results are the same to the last bit
    depth = np.log10(np.maximum(_samples.depth_of(matrix, malignant), 1), dtype=precision)
    columns["depth"] = samples.mean(depth, malignant)
    low = _read_asked(adata, key, sides, asked, columns)
    table = pd.DataFrame(columns, index=pd.Index(samples.names, name="sample"))
    if any(h.measure == "t_cell" for h in asked):
        table["n_t_cells"] = n_cells["t_cell"]
    given = _samples.table_of_samples(adata, samples, [c for c in covariates if c not in OWN_COVARIATES])
    for name in given:
        table[name] = _samples.numbers_of(given[name], f"The covariate obs['{name}']")
    cautions = []
    if doubtful := int(sides.doubtful.sum()):
        cautions.append(
            f"{doubtful:,} cells are macrophages by their transcripts but malignant by your column: they count as "
            "malignant here. They may be doublets, or have phagocytosed a tumour cell."
        )
    if not ambient_genes and "ambient" in covariates:
        cautions.append("No ambient index: the data have none of C1QA, C1QB, C1QC, TYROBP. It is not adjusted for.")
    if few := [name for name in ids if coverage[name] < _LOW_COVERAGE]:
        cautions.append(f"In malignant cells, less than half of the genes are in the data for {', '.join(few)}.")
    return table, pd.DataFrame(low, index=table.index), cautions


def _read_asked(
    adata: AnnData, key: str, sides: Sides, asked: Sequence[Hypothesis], columns: dict[str, Array]
) -> dict[str, Array]:
    """Add means of the requested sets and genes; return the share of cells with too little signal for each."""
    record = slots.read_record(adata, key)
    matrix, library = slots.matrix_of_run(adata, record), load_signatures(species=library_species(record))
    low: dict[str, Array] = {}
    for side, of in sides.cells.items():
        right = side == MALIGNANT
        names = list(dict.fromkeys(h.malignant if right else h.tam for h in asked if right or h.measure == side))
        if not names:
            continue
        sets = {n: library[n] for n in names if n in library}
        genes, few = _samples.detection_of(matrix, sets, [n for n in names if n not in sets], of)
        new = {n: s for n, s in sets.items() if f"{side}_{n}" not in columns}
        z = pd.DataFrame(0.0, index=genes.index, columns=list(new))
        if new and of.any():
            z = _samples.scores_in(adata, key, of, new)[0]
        columns |= {f"{side}_{n}": sides.samples.mean(t[n].to_numpy(float), of) for t in (z, genes) for n in t}
        low |= {f"{side}_{n}": sides.samples.mean(few[n].to_numpy(float), of) for n in few}
    return low


def _shares(adata: AnnData, key: str, sides: Sides, shares: Shares) -> dict[str, Array]:
    """Return the share of each state among the macrophages of each sample, and of those without a label."""
    state = slots.labels_of(adata, key, "state")
    member = {name: (state == name).astype(float) for name in (*STATES, UNASSIGNED)}
    if shares == "expected":
        proba = slots.read_obsm(adata, slots.slot(key, "state_proba"))
        member |= {name: proba[name].to_numpy(float) for name in STATES}
    return {f"share_{name}": sides.samples.mean(values, sides.cells["program"]) for name, values in member.items()}
