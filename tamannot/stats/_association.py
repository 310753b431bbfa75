"""How two measures of cells go together within a sample, and two measures of samples across samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[Any]

# A rank correlation of 1 would have an infinite z.
_CLIP = 0.999
_MIN_CELLS = 4


def partial_spearman(one: Array, two: Array, given: Array) -> float:
    """Return the rank correlation of two measures with the ranks of a third taken out of both.

    NaN where there are too few cells, or where a measure does not vary, or varies only with the third.
    """
    if one.size < _MIN_CELLS:
        return np.nan
    a, b, c = (_centred(scipy.stats.rankdata(v)) for v in (one, two, given))
    if (size := float(c @ c)) > 0:
        a, b = a - c * (a @ c) / size, b - c * (b @ c) / size
    norm = np.sqrt(float(a @ a) * float(b @ b))
    # What is left of a measure that is a function of the third is rounding.
    return float(np.clip(a @ b / norm, -1, 1)) if norm > 1e-9 * one.size**3 else np.nan


def spearman_interval(one: Array, two: Array, *, level: float = 0.95) -> tuple[float, float, float]:
    """Return the rank correlation over samples and its interval by Bonett and Wright (2000, Psychometrika).

    The interval is NaN with fewer than five samples: with four no order of them is rarer than 1 in 12.
    """
    n = one.size
    if n < 3 or not (np.ptp(one) > 0 and np.ptp(two) > 0):
        return np.nan, np.nan, np.nan
    rho = float(scipy.stats.spearmanr(one, two).statistic)
    if n < 5:
        return rho, np.nan, np.nan
    z = fisher(rho)
    reach = float(scipy.stats.norm.ppf((1 + level) / 2)) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    return rho, float(np.tanh(z - reach)), float(np.tanh(z + reach))


def fisher(rho: float) -> float:
    """Return Fisher's z of a correlation, finite also for -1 and 1."""
    return float(np.arctanh(np.clip(rho, -_CLIP, _CLIP)))


def matched_difference(hit: Array, here: Array, strata: Array) -> float:
    """Return by how much the share of hits is higher here than elsewhere, among cells of the same stratum.

    Mantel and Haenszel's difference of shares: strata count by ``n_here n_there / (n_here + n_there)``, so that
    one without cells of both kinds has no say. NaN if none has.

    Parameters
    ----------
    hit
        Of each cell whether it is one, bool.
    here
        Of each cell whether it is of the first kind, bool.
    strata
        Of each cell its stratum, such as a class of depth: whole numbers from 0.
    """
    n_strata = int(strata.max()) + 1 if strata.size else 0
    n = [np.bincount(strata[of], minlength=n_strata) for of in (here, ~here)]
    hits = [np.bincount(strata[of & hit], minlength=n_strata) for of in (here, ~here)]
    both = (n[0] > 0) & (n[1] > 0)
    if not both.any():
        return np.nan
    shares = [h[both] / k[both] for h, k in zip(hits, n, strict=True)]
    weight = n[0][both] * n[1][both] / (n[0][both] + n[1][both])
    return float(weight @ (shares[0] - shares[1]) / weight.sum())


def classes_of(values: Array, n: int) -> Array:
    """Return of each value its class of ``n`` of about equal size; equal values are in one class."""
    edges = np.quantile(values, np.arange(1, n) / n) if values.size else np.empty(0)
    return np.searchsorted(edges, values, side="left")


def _centred(values: Array) -> Array:
    return np.asarray(values - values.mean())
