"""The values of samples that crosstalk holds against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import MACROPHAGE, STATES, UNASSIGNED
from tamannot.errors import ParameterError
from tamannot.signature import SignatureSet, load_signatures
from tamannot.tl._genes import detection_of
from tamannot.tl._hypotheses import GENE, PROGRAM, T_CELL, Hypothesis, Known
from tamannot.tl._malignant_values import HYPOXIC, MalignantCells, read_malignant, read_sets
from tamannot.tl._samples import Samples, table_of_samples

Array = NDArray[Any]
Shares = Literal["expected", "called"]

MALIGNANT = "malignant_"
OWN_COVARIATES = ("ambient", "hypoxia", "depth")
_LOW_COVERAGE = 0.5
# T and NK cells: markers of a droplet hardly part them, and both make interferon.
_T_CELLS = "t_nk"


@dataclass(frozen=True)
class Values:
    """One row a sample."""

    table: pd.DataFrame
    """Numbers of cells, shares and programs of macrophages, of T cells what was asked for, programs of malignant cells,
    covariates."""
    low_signal: pd.DataFrame
    """Of programs and genes that were asked for the share of cells with too little, by the names of `table`."""
    covariates: tuple[str, ...]
    """Those asked for that there are."""
    cautions: tuple[str, ...]


def values_of_samples(
    adata: AnnData,
    samples: Samples,
    malignant: Array,
    asked: Sequence[Hypothesis],
    *,
    shares: Shares,
    covariates: Sequence[str],
    min_cells: int,
    key: str,
) -> Values:
    """Return what each sample has: means over its macrophages, its T cells and its malignant cells.

    Raises
    ------
    ParameterError
        A covariate that is none, or differs within a sample; a gene that the data do not have.
    ResultNotFoundError
        The object is not annotated.
    """
    record = slots.read_record(adata, key)
    compartment = slots.read_obs(adata, key, ("compartment",)).iloc[:, 0].astype(str).to_numpy()
    called = compartment == MACROPHAGE
    macrophages, t_cells = called & ~malignant, (compartment == _T_CELLS) & ~malignant
    library = load_signatures(species="mouse" if record.matrix.species == "mouse" else "human")
    right = list(dict.fromkeys(h.malignant for h in asked))
    cells = read_malignant(adata, key, malignant, [n for n in right if n in library])
    ids = [str(name) for name in cells.programs if name != HYPOXIC]
    columns: dict[str, Array] = {
        "n_macrophages": _count(samples, macrophages),
        "n_malignant": _count(samples, malignant),
        **_shares(adata, samples, macrophages, shares, key),
        **_programs(adata, samples, macrophages, key),
        **{f"{MALIGNANT}{name}": samples.mean(cells.programs[name].to_numpy(), malignant) for name in ids},
        **_own_covariates(cells, samples, malignant),
    }
    sides = {PROGRAM: macrophages, GENE: macrophages, T_CELL: t_cells, "malignant": malignant}
    low = _read_asked(adata, samples, asked, sides, library, key, columns)
    table = pd.DataFrame(columns, index=pd.Index(samples.names, name="sample"))
    if of_t_cells := [c for c in table if str(c).startswith(f"{T_CELL}_")]:
        table["n_t_cells"] = _count(samples, t_cells)
        table.loc[table["n_t_cells"] < min_cells, of_t_cells] = np.nan
    theirs = _their_covariates(adata, samples, [c for c in covariates if c not in OWN_COVARIATES])
    table = table.join(theirs)
    usable = tuple(c for c in dict.fromkeys(covariates) if c in table)
    said = [*_said_of_cells(called & malignant), *_said_of_genes(cells, covariates, ids)]
    return Values(table, pd.DataFrame(low, index=table.index), usable, tuple(said))


def _read_asked(
    adata: AnnData,
    samples: Samples,
    asked: Sequence[Hypothesis],
    sides: Mapping[str, Array],
    library: SignatureSet,
    key: str,
    columns: dict[str, Array],
) -> dict[str, Array]:
    """Add means of the sets and genes that were asked for; return in which share of the cells each shows too little."""
    low: dict[str, Array] = {}
    matrix = slots.matrix_of_run(adata, slots.read_record(adata, key))
    for side, of in sides.items():
        right = side == "malignant"
        names = list(dict.fromkeys(h.malignant if right else h.tam for h in asked if right or h.measure == side))
        if not names:
            continue
        sets = {n: library[n] for n in names if n in library}
        found = detection_of(matrix, sets, [n for n in names if n not in sets], of)
        z = read_sets(adata, key, of, {n: s for n, s in sets.items() if f"{side}_{n}" not in columns})
        columns |= {f"{side}_{n}": samples.mean(t[n].to_numpy(float), of) for t in (z, found.genes) for n in t}
        low |= {f"{side}_{n}": samples.mean(found.few[n].to_numpy(float), of) for n in found.few}
    return low


def known_of_run(adata: AnnData, key: str) -> Known:
    """Return what can be asked of each side.

    Raises
    ------
    ResultNotFoundError
        The object is not annotated.
    """
    scored = [str(name) for name in slots.read_table(adata, key, "z").columns]
    mouse = slots.read_record(adata, key).matrix.species == "mouse"
    library = load_signatures(species="mouse" if mouse else "human")
    of_axis = {axis: [i for i, s in library.items() if s.axis == axis] for axis in ("ferroptosis", "context")}
    return Known(scored, of_axis["ferroptosis"], of_axis["context"], mouse)


def _count(samples: Samples, of: Array) -> Array:
    return samples.total(of.astype(float)).astype(np.int64)


def _shares(adata: AnnData, samples: Samples, of: Array, shares: Shares, key: str) -> dict[str, Array]:
    """Return the share of each state among the macrophages of each sample, and of those without a label."""
    state = slots.read_obs(adata, key, ("state",)).iloc[:, 0].astype(str).to_numpy()
    called = {name: samples.mean((state == name).astype(float), of) for name in (*STATES, UNASSIGNED)}
    rest = {f"share_{UNASSIGNED}": called[UNASSIGNED]}
    if shares == "called":
        return {f"share_{name}": called[name] for name in STATES} | rest
    proba = slots.read_obsm(adata, slots.slot(key, "state_proba"))
    return {f"share_{name}": samples.mean(proba[name].to_numpy(float), of) for name in STATES} | rest


def _programs(adata: AnnData, samples: Samples, of: Array, key: str) -> dict[str, Array]:
    z = slots.read_table(adata, key, "z")
    return {f"program_{name}": samples.mean(z[name].to_numpy(float), of) for name in z}


def _own_covariates(cells: MalignantCells, samples: Samples, malignant: Array) -> dict[str, Array]:
    found = {
        "hypoxia": samples.mean(cells.programs[HYPOXIC].to_numpy(), malignant),
        "depth": samples.mean(cells.depth, malignant),
    }
    if cells.ambient is None:
        return found
    return {"ambient": samples.mean(cells.ambient, malignant), **found}


def _their_covariates(adata: AnnData, samples: Samples, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of obs that are properties of samples, as numbers; two words are 0 and 1.

    Raises
    ------
    ParameterError
        More than two words: they have no order.
    """
    table = table_of_samples(adata, samples, names)
    for name in names:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column):
            table[name] = column.astype(float)
            continue
        codes, words = pd.factorize(column, sort=True)
        if len(words) > 2:
            msg = (
                f"The covariate obs['{name}'] has {len(words)} words, which have no order. Give numbers, or a column "
                "of two words."
            )
            raise ParameterError(msg)
        table[name] = np.where(codes < 0, np.nan, codes)
    return table


def _said_of_cells(both: Array) -> list[str]:
    if not both.any():
        return []
    said = (
        f"{int(both.sum()):,} cells are macrophages by their transcripts and malignant by your column: they count as "
        "malignant here. Doublets and eaten RNA look like this."
    )
    return [said]


def _said_of_genes(cells: MalignantCells, covariates: Sequence[str], ids: Sequence[str]) -> list[str]:
    said = []
    if cells.ambient is None and "ambient" in covariates:
        said.append("No ambient index: the data have none of C1QA, C1QB, C1QC, TYROBP. Nothing is adjusted for it.")
    low = [name for name in ids if cells.coverage[name] < _LOW_COVERAGE]
    if low:
        said.append(f"Less than half of the genes are in the data, in malignant cells: {', '.join(low)}.")
    return said
