"""The samples of an annotated object: the unit of every comparison."""

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

Array = NDArray[Any]


@dataclass(frozen=True)
class Samples:
    """Which cell is of which sample.

    Parameters
    ----------
    names
        The samples, sorted.
    codes
        Of each cell the place of its sample in ``names``; -1 where the column has no value.
    """

    names: tuple[str, ...]
    codes: Array

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
    """Return the samples of an object.

    Raises
    ------
    ParameterError
        No such column, or it names no sample.
    """
    column = slots.obs_column(adata, sample_key)
    known = column.notna().to_numpy()
    codes, names = pd.factorize(pd.Series(slots.texts_of(column), dtype=object).where(known), sort=True)
    if not len(names):
        msg = f"obs['{sample_key}'] names no sample."
        raise ParameterError(msg)
    return Samples(tuple(map(str, names)), codes)


def table_of_samples(adata: AnnData, samples: Samples, columns: Sequence[str]) -> pd.DataFrame:
    """Return what is known of each sample: columns of ``obs`` with one value a sample.

    Raises
    ------
    ParameterError
        No such column, or it differs between the cells of one sample: then it is no property of samples.
    """
    table = pd.DataFrame(index=pd.Index(samples.names, name="sample"))
    for name in columns:
        # As objects: whatever the column was, a missing value counts as one.
        known = samples.codes >= 0
        found = pd.Series(slots.obs_column(adata, name).to_numpy(dtype=object)[known]).groupby(samples.codes[known])
        varied = [samples.names[i] for i in np.flatnonzero(found.nunique(dropna=False).to_numpy() > 1)]
        if varied:
            msg = (
                f"obs['{name}'] has more than one value in sample '{varied[0]}'. The sample is the unit of comparison: "
                "give a column with one value a sample, or a sample_key that tells these cells apart."
            )
            raise ParameterError(msg)
        table[name] = found.first().infer_objects().to_numpy()
    return table
