"""Cells by sample and label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.errors import ParameterError
from tamannot.tl._samples import Samples

Array = NDArray[Any]

MALIGNANT = "malignant"
_OURS = ("compartment", "origin", "state")


@dataclass(frozen=True)
class Groups:
    """Which cell is of which sample and label."""

    by: list[str]
    malignant: bool
    """Whether the malignant cells are a label of their own."""
    samples: Samples
    labels: list[str]
    codes: Array
    """Of each cell the place of its label, -1 for those that are left out."""

    @property
    def cell(self) -> Array:
        """Of each cell the number of its sample and label, -1 for those that are left out."""
        known = (self.codes >= 0) & (self.samples.codes >= 0)
        return np.where(known, self.samples.codes * len(self.labels) + self.codes, -1)

    @property
    def n(self) -> Array:
        """Cells, samples by labels."""
        cell = self.cell
        shape = (len(self.samples.names), len(self.labels))
        return np.bincount(cell[cell >= 0], minlength=shape[0] * shape[1]).reshape(shape)


def groups_of(
    adata: AnnData, key: str, groupby: str | Sequence[str], malignant: Array | None, samples: Samples
) -> Groups:
    """Return the groups by one column or more, crossed; macrophages only, unless compartments are asked for.

    Raises
    ------
    ParameterError
        No such column, or no cell in any group.
    """
    by = [groupby] if isinstance(groupby, str) else list(groupby)
    names = [slots.slot(key, b) if b in _OURS else b for b in by]
    if not by:
        msg = "groupby is empty. Give 'state', 'origin', 'compartment' or a column of obs."
        raise ParameterError(msg)
    compartment = slots.read_obs(adata, key, ("compartment",)).iloc[:, 0].astype(str).to_numpy()
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
            msg = f"No cell to summarise has a value of {' and '.join(map(repr, names))} in obs."
        else:
            msg = "There is no macrophage to summarise. With groupby='compartment' all cells are."
        raise ParameterError(msg)
    codes, labels = pd.factorize(words.where(known), sort=True)
    return Groups(by, malignant is not None, samples, [str(w) for w in labels], codes)


def mean_of(groups: Groups, values: Array) -> Array:
    """Return the mean of each column by sample and label, (samples, labels, columns); NaN where there is no cell."""
    cell, n = groups.cell, groups.n
    kept = cell >= 0
    out = np.zeros((n.size, values.shape[1]))
    for at in range(values.shape[1]):
        out[:, at] = np.bincount(cell[kept], weights=values[kept, at], minlength=n.size)
    with np.errstate(invalid="ignore"):
        out /= n.reshape(-1, 1)
    return out.reshape(*n.shape, -1)
