"""Samples, the unit of every comparison; cells by sample and label; malignant cells by the user's column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.data import Array
from tamannot.errors import ParameterError, among

Malignant = str | tuple[str, str | bool | Sequence[str | bool]]
"""A column of yes and no, or a column and those of its values that are malignant."""

MALIGNANT = "malignant"
_NEVER = (
    "Malignant cells are never inferred here: name the column of obs that marks them, for example from copy "
    "numbers, as malignant='is_malignant' (True and False) or malignant=('cell_type', 'Malignant')."
)


@dataclass(frozen=True)
class Samples:
    """The sample of each cell."""

    names: tuple[str, ...]
    """Sorted."""
    codes: Array
    """Of each cell the place of its sample in ``names``; -1 where the column has no value."""

    def total(self, values: Array) -> Array:
        """Return the sum over the cells of each sample: (cells,) to (samples,), or (cells, k) to (samples, k)."""
        known = self.codes >= 0
        out = np.zeros((len(self.names), *values.shape[1:]))
        np.add.at(out, self.codes[known], values[known])
        return out

    def mean(self, values: Array, of: Array) -> Array:
        """Return the mean over those cells of each sample that ``of`` (bool) chooses; NaN where there is none."""
        kept = Samples(self.names, np.where(of, self.codes, -1))
        n = kept.total(np.ones(len(self.codes)))
        with np.errstate(invalid="ignore"):
            means = kept.total(np.where(of.reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)).T / n
        return means.T


def samples_of(adata: AnnData, sample_key: str) -> Samples:
    """Return the samples of an object."""
    column = slots.obs_column(adata, sample_key)
    known = column.notna().to_numpy()
    codes, names = pd.factorize(pd.Series(slots.texts_of(column), dtype=object).where(known), sort=True)
    if not len(names):
        raise ParameterError(f"obs['{sample_key}'] has no values.")
    return Samples(tuple(map(str, names)), codes)


def table_of_samples(adata: AnnData, samples: Samples, columns: Sequence[str]) -> pd.DataFrame:
    """Return the properties of each sample: columns of ``obs`` with one value per sample."""
    table = pd.DataFrame(index=pd.Index(samples.names, name="sample"))
    for name in columns:
        # As objects: whatever the column was, a missing value counts as one.
        known = samples.codes >= 0
        found = pd.Series(slots.obs_column(adata, name).to_numpy(dtype=object)[known]).groupby(samples.codes[known])
        varied = [samples.names[i] for i in np.flatnonzero(found.nunique(dropna=False).to_numpy() > 1)]
        if varied:
            raise ParameterError(
                f"obs['{name}'] has more than one value in sample '{varied[0]}'. The sample is the unit of comparison: "
                "use a column with one value per sample, or a sample_key that separates these cells."
            )
        table[name] = found.first().infer_objects().to_numpy()
    return table


def numbers_of(values: pd.Series, what: str, *, fewest_words: int = 0) -> pd.Series:
    """Return one value per sample as a number; of two categories the first is 0 and the second 1."""
    if pd.api.types.is_numeric_dtype(values):
        return values.astype(float)
    codes, words = pd.factorize(values, sort=True)
    if not fewest_words <= len(words) <= 2:
        raise ParameterError(
            f"{what} has {len(words)} categories, which have no order. Use numbers, or a column with two categories."
        )
    return pd.Series(np.where(codes < 0, np.nan, codes), index=values.index)


@dataclass(frozen=True)
class Groups:
    """The sample and the label of each cell."""

    by: list[str]
    malignant: bool
    """Whether the malignant cells are a label of their own."""
    samples: Samples
    labels: list[str]
    codes: Array
    """Of each cell the place of its label, -1 for those that are left out."""


def groups_of(
    adata: AnnData, key: str, groupby: str | Sequence[str], malignant: Array | None, samples: Samples
) -> Groups:
    """Return the groups by one or more crossed columns; macrophages only, unless compartments are included."""
    by = [groupby] if isinstance(groupby, str) else list(groupby)
    names = [slots.slot(key, b) if b in slots.AXES else b for b in by]
    if not by:
        raise ParameterError("groupby is empty. Give 'state', 'origin', 'compartment' or a column of obs.")
    compartment = slots.labels_of(adata, key, "compartment")
    columns = [slots.obs_column(adata, n) for n in names]
    words = columns[0].astype(str)
    for column in columns[1:]:
        words = words + " | " + column.astype(str)
    known = np.logical_and.reduce([c.notna().to_numpy() for c in columns])
    if "compartment" not in by:
        known &= compartment == "macrophage"
    if malignant is not None:
        words, known = words.mask(malignant, MALIGNANT), known | malignant
    if not known.any():
        if "compartment" in by or (compartment == "macrophage").any():
            msg = f"No cell has a value of {' and '.join(map(repr, names))} in obs, so there is nothing to summarise."
        else:
            msg = "There are no macrophages to summarise. Use groupby='compartment' to summarise all cells."
        raise ParameterError(msg)
    codes, labels = pd.factorize(words.where(known), sort=True)
    return Groups(by, malignant is not None, samples, [str(w) for w in labels], codes)


def malignant_cells(adata: AnnData, malignant: Malignant) -> Array:
    """Return the malignant cells by the user's column."""
    if not malignant:
        raise ParameterError(_NEVER)
    name, values = (malignant, None) if isinstance(malignant, str) else malignant
    column = slots.obs_column(adata, name)
    if values is None:
        kinds = set(column.dropna().unique())
        if not all(isinstance(k, bool | np.bool_) for k in kinds):
            shown = ", ".join(sorted(map(str, kinds))[:5])
            raise ParameterError(
                f"obs['{name}'] is not boolean: it has {shown}. "
                f"Specify which of its values are malignant: malignant=('{name}', 'Malignant')."
            )
        chosen = column.astype("boolean").fillna(value=False).to_numpy(bool)
    else:
        asked = [values] if isinstance(values, str | bool) else list(values)
        wanted, have = {str(v) for v in asked}, set(column.dropna().astype(str))
        if unknown := sorted(wanted - have):
            raise ParameterError(f"obs['{name}'] has no value {', '.join(unknown)}.{among(unknown[0], sorted(have))}")
        chosen = np.asarray(column.astype(str).isin(wanted) & column.notna(), bool)
    if not chosen.any():
        raise ParameterError(f"obs['{name}'] marks no cell as malignant. {_NEVER}")
    return chosen


def malignant_as_text(malignant: Malignant) -> str:
    """Return the user's choice as text: the column, and its values if there were any."""
    if isinstance(malignant, str):
        return malignant
    name, values = malignant
    return f"{name}: {', '.join(map(str, [values] if isinstance(values, str | bool) else values))}"
