"""What is measured in the spots of each sample, before samples are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[Any]


def spearman_by_sample(values: Array, distance: Array, codes: Array, n_samples: int, *, at_least: int) -> Array:
    """Return the rank correlation of each column with a distance within each sample, ``(n_samples, n_columns)``.

    Parameters
    ----------
    values
        Spots by columns.
    distance
        Of each spot; spots without a finite one do not count.
    codes
        Sample of each spot; -1 for none.
    n_samples
        Number of samples.
    at_least
        Spots that a sample needs; NaN for one with fewer, and where either side has one value only.
    """
    out = np.full((n_samples, values.shape[1]), np.nan)
    known = (codes >= 0) & np.isfinite(distance)
    for sample in range(n_samples):
        mine = np.flatnonzero(known & (codes == sample))
        if mine.size >= at_least:
            out[sample] = _spearman(values[mine], distance[mine])
    return out


def means_by_region(values: Array, region: Array, codes: Array, n_regions: int, n_samples: int) -> tuple[Array, Array]:
    """Return means ``(n_samples, n_regions, n_columns)`` and numbers of spots ``(n_samples, n_regions)``.

    ``region`` and ``codes`` are -1 where a spot has none.
    """
    known = (region >= 0) & (codes >= 0)
    place = codes[known] * n_regions + region[known]
    n = np.bincount(place, minlength=n_samples * n_regions)
    sums = np.zeros((n.size, values.shape[1]))
    np.add.at(sums, place, values[known])
    with np.errstate(invalid="ignore"):
        means = sums / n[:, None]
    return means.reshape(n_samples, n_regions, -1), n.reshape(n_samples, n_regions)


def _spearman(values: Array, distance: Array) -> Array:
    y, x = (ranks - ranks.mean(axis=0) for ranks in (scipy.stats.rankdata(values, axis=0), _ranks(distance)))
    spread = np.sqrt((y**2).sum(axis=0) * (x**2).sum())
    found = np.divide(x @ y, spread, out=np.full(y.shape[1], np.nan), where=spread > 0)
    found[~np.isfinite(values).all(axis=0)] = np.nan
    return found


def _ranks(distance: Array) -> Array:
    return np.asarray(scipy.stats.rankdata(distance))
