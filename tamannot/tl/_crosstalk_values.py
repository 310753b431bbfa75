"""The values of samples that crosstalk holds against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot._adata as slots
from tamannot.classify import MACROPHAGE, STATES, UNASSIGNED
from tamannot.errors import ParameterError
from tamannot.tl._malignant_values import HYPOXIC, MalignantCells, read_malignant
from tamannot.tl._samples import Samples, table_of_samples

Array = NDArray[Any]
Shares = Literal["expected", "called"]

MALIGNANT = "malignant_"
OWN_COVARIATES = ("ambient", "hypoxia", "depth")
_LOW_COVERAGE = 0.5


@dataclass(frozen=True)
class Values:
    """One row a sample."""

    table: pd.DataFrame
    """Numbers of cells, shares and programs of macrophages, programs of malignant cells, covariates."""
    programs: tuple[str, ...]
    """Programs of malignant cells."""
    covariates: tuple[str, ...]
    """Those asked for that there are."""
    cautions: tuple[str, ...]


def values_of_samples(
    adata: AnnData,
    samples: Samples,
    malignant: Array,
    *,
    shares: Shares,
    covariates: Sequence[str],
    key: str,
) -> Values:
    """Return what each sample has: means over its macrophages and over its malignant cells.

    Raises
    ------
    ParameterError
        A covariate that is none, or differs within a sample.
    ResultNotFoundError
        The object is not annotated.
    """
    compartment = slots.read_obs(adata, key, ("compartment",)).iloc[:, 0].astype(str).to_numpy()
    called = compartment == MACROPHAGE
    macrophages = called & ~malignant
    cells = read_malignant(adata, key, malignant)
    ids = [str(name) for name in cells.programs if name != HYPOXIC]
    columns: dict[str, Array] = {
        "n_macrophages": _count(samples, macrophages),
        "n_malignant": _count(samples, malignant),
        **_shares(adata, samples, macrophages, shares, key),
        **_programs(adata, samples, macrophages, key),
        **{f"{MALIGNANT}{name}": samples.mean(cells.programs[name].to_numpy(), malignant) for name in ids},
        **_own_covariates(cells, samples, malignant),
    }
    table = pd.DataFrame(columns, index=pd.Index(samples.names, name="sample"))
    theirs = _their_covariates(adata, samples, [c for c in covariates if c not in OWN_COVARIATES])
    table = table.join(theirs)
    usable = tuple(c for c in dict.fromkeys(covariates) if c in table)
    said = [*_said_of_cells(called & malignant), *_said_of_genes(cells, covariates, ids)]
    return Values(table, tuple(ids), usable, tuple(said))


def programs_of_macrophages(adata: AnnData, key: str) -> list[str]:
    """Return the ids of which macrophages have a z."""
    return [str(name) for name in slots.read_table(adata, key, "z").columns]


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
