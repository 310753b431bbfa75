"""Rank correlations within and over samples: exact or permutation p, partial, bootstrap, one sample left out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
import scipy.stats

from tamannot.stats import LEVEL, Array

# Samples of which all orders are looked at: 40,320 of eight.
_EXACT_UP_TO = 8
FEWEST = 4  # samples of a correlation: with three every order is one of six
N_PERMUTATIONS = 9_999
# Correlations this close are equal: a tie that rounding broke would count against the one observed.
_SAME = 1e-9
# A rank correlation of 1 would have an infinite z.
_CLIP = 0.999


@dataclass(frozen=True)
class Correlation:
    """A rank correlation and what chance makes of it."""

    rho: float  # NaN where one side has but one value
    p: float  # two-sided; the share of orders of the samples that correlate as much or more
    n: int  # samples
    exact: bool  # whether all permutations were used


def spearman(
    x: Array, y: Array, covariates: Array | None = None, *, n_permutations: int = N_PERMUTATIONS, rng: int = 0
) -> Correlation:
    """Return Spearman's ρ of two finite values of each sample, or of what covariates, ``(n, k)``, leave of them.

    p is by permutation of the residuals of ``y`` among the samples (Freedman and Lane): each order is added to what the
    covariates predict and regressed again, so that the degrees of freedom that they cost are paid for. Of more than
    eight samples ``n_permutations`` orders are drawn, with the seed ``rng``; the one observed counts as one more.
    """
    n, exact = len(x), len(x) <= _EXACT_UP_TO
    covariates = np.empty((n, 0)) if covariates is None else covariates
    order = np.lexsort([*covariates.T, y, x])  # which names of samples do not change: draws are by position
    rho, left_x, left_y, space = _correlated(x[order], y[order], covariates[order])
    if math.isnan(rho):
        return Correlation(math.nan, math.nan, n, exact)
    shuffled = left_y[_orders(n, n_permutations, rng)]
    left = np.sqrt(np.maximum((shuffled**2).sum(axis=1) - ((shuffled @ space) ** 2).sum(axis=1), 0.0))
    as_much = np.abs(shuffled @ left_x) >= (abs(rho) - _SAME) * float(np.linalg.norm(left_x)) * left
    p = as_much.mean() if exact else (1 + as_much.sum()) / (1 + len(shuffled))
    return Correlation(rho, float(p), n, exact)


def partial_rho(x: Array, y: Array, covariates: Array) -> float:
    """Return Spearman's ρ of residuals of ranks regressed on ranks; NaN where too few values or no spread are left."""
    return _correlated(x, y, covariates)[0]


def _correlated(x: Array, y: Array, covariates: Array) -> tuple[float, Array, Array, Array]:
    """Return ρ, the residuals of both sides, and an orthonormal basis of what they were regressed on, (n, rank)."""
    design = np.column_stack([np.ones(len(x)), scipy.stats.rankdata(covariates, axis=0)])
    u, size, _ = np.linalg.svd(design, full_matrices=False)
    space = np.asarray(u[:, size > _SAME * size[0]])
    ranks = [scipy.stats.rankdata(side) for side in (x, y)]
    left_x, left_y = (np.asarray(side - space @ (space.T @ side)) for side in ranks)
    size_x, size_y = float(np.linalg.norm(left_x)), float(np.linalg.norm(left_y))
    # Two values more than what is fitted: with one, every correlation is 1 or -1. And what is left of a side that is a
    # function of the covariates is rounding.
    unknown = len(x) - space.shape[1] < 2 or min(size_x, size_y) < _SAME * len(x)
    rho = math.nan if unknown else float(left_x @ left_y) / (size_x * size_y)
    return rho, left_x, left_y, space


def bootstrap_interval(
    x: Array, y: Array, covariates: Array | None = None, *, n_bootstrap: int = 1000, rng: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a (partial) ρ over samples drawn with replacement.

    With few samples it is too narrow or, at a ρ near ±1, misses the truth: read it as a range that they support.
    """
    if n_bootstrap < 1:
        return math.nan, math.nan
    n, covariates = len(x), np.empty((len(x), 0)) if covariates is None else covariates
    drawn = np.lexsort([*covariates.T, y, x])[np.random.default_rng(rng).integers(0, n, (n_bootstrap, n))]
    found = _partials(x[drawn], y[drawn], covariates[drawn])
    found = found[np.isfinite(found)]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if found.size else (math.nan, math.nan)
    return float(low), float(high)


def leave_one_out(x: Array, y: Array) -> tuple[float, float]:
    """Return the least and greatest ρ that is found with one of the samples left out."""
    n = len(x)
    rest = np.array([np.delete(np.arange(n), i) for i in range(n)])
    found = _partials(x[rest], y[rest], None)
    return (math.nan, math.nan) if np.isnan(found).all() else (float(np.nanmin(found)), float(np.nanmax(found)))


def smallest_p(n: int) -> float:
    """Return the smallest two-sided p that the ranks of so many samples can have: 2/n!."""
    return 2 / math.factorial(n) if n > 1 else 1.0


def supports_q(n: int, n_tests: int) -> bool:
    """Return whether the best of this many tests can reach a q below 0.05 with this many samples."""
    return smallest_p(n) * n_tests <= 0.05


def spearman_interval(one: Array, two: Array) -> tuple[float, float, float]:
    """Return the rank correlation over samples and its 95 % interval by Bonett and Wright (2000, Psychometrika).

    The interval is NaN with fewer than five samples: with four no order of them is rarer than 1 in 12.
    """
    n = one.size
    if n < 3 or not (np.ptp(one) > 0 and np.ptp(two) > 0):
        return np.nan, np.nan, np.nan
    rho = float(scipy.stats.spearmanr(one, two).statistic)
    if n < 5:
        return rho, np.nan, np.nan
    z = fisher(rho)
    reach = float(scipy.stats.norm.ppf((1 + LEVEL) / 2)) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    return rho, float(np.tanh(z - reach)), float(np.tanh(z + reach))


def fisher(rho: float) -> float:
    """Return Fisher's z of a correlation, finite also for -1 and 1."""
    return float(np.arctanh(np.clip(rho, -_CLIP, _CLIP)))


def spearman_by_sample(values: Array, distance: Array, codes: Array, n_samples: int, *, at_least: int) -> Array:
    """Return the rank correlation of each column with a distance within each sample, ``(n_samples, n_columns)``.

    ``values`` are spots by columns; spots without a finite distance, or with -1 for their sample in ``codes``, do not
    count. NaN for a sample with fewer spots than ``at_least``, and where either side has one value only.
    """
    out = np.full((n_samples, values.shape[1]), np.nan)
    known = (codes >= 0) & np.isfinite(distance)
    for sample in range(n_samples):
        mine = np.flatnonzero(known & (codes == sample))
        if mine.size >= at_least:
            columns = values[mine].T
            out[sample] = _partials(columns, np.broadcast_to(distance[mine], columns.shape), None)
    return out


def matched_difference(hit: Array, here: Array, strata: Array) -> float:
    """Return by how much the share of hits is higher here than elsewhere, among cells of the same stratum.

    Mantel and Haenszel's difference of shares: strata count by ``n_here n_there / (n_here + n_there)``, so that
    one without cells of both kinds has no say. NaN if none has. ``hit`` and ``here`` are bool, ``strata`` whole numbers
    from 0, such as classes of depth.
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


def _partials(x: Array, y: Array, covariates: Array | None) -> Array:
    """Return a partial ρ for each row: (draws, n), and (draws, n, k) of covariates."""
    left = [scipy.stats.rankdata(side, axis=1) for side in (x, y)]
    left = [side - side.mean(axis=1, keepdims=True) for side in left]
    if covariates is not None and covariates.shape[2]:
        z = scipy.stats.rankdata(covariates, axis=1)
        z = z - z.mean(axis=1, keepdims=True)
        turned = z.transpose(0, 2, 1)
        inverse = np.linalg.pinv(turned @ z, rcond=_SAME, hermitian=True)
        left = [side - (z @ (inverse @ (turned @ side[:, :, None])))[:, :, 0] for side in left]
    size = np.sqrt((left[0] ** 2).sum(axis=1) * (left[1] ** 2).sum(axis=1))
    product, known = (left[0] * left[1]).sum(axis=1), size > _SAME * x.shape[1]
    return np.clip(np.divide(product, size, out=np.full(len(x), np.nan), where=known), -1, 1)


@lru_cache(maxsize=_EXACT_UP_TO)  # many tests of the same samples start from the same seed
def _orders(n: int, n_permutations: int, seed: int) -> Array:
    """Return all orders of few samples, or some that are drawn: (orders, n)."""
    if n <= _EXACT_UP_TO:
        orders = np.array(list(permutations(range(n))), np.intp).reshape(-1, n)
    else:
        order = np.broadcast_to(np.arange(n, dtype=np.intp), (n_permutations, n))
        orders = np.random.default_rng(seed).permuted(order, axis=1)
    orders.flags.writeable = False
    return orders
