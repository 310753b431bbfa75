"""Rank correlation over samples: exact or permutation p, partial correlation, bootstrap, one sample left out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from tamannot.errors import ParameterError

Array = NDArray[Any]

EXACT_UP_TO = 8
"""Samples of which all orders are looked at: 40,320 of eight."""
N_PERMUTATIONS = 9_999
FEWEST = 4
"""Samples of a correlation: with three every order is one of six."""
# Correlations this close are equal: a tie that rounding broke would count against the one observed.
_SAME = 1e-9


@dataclass(frozen=True)
class Correlation:
    """A rank correlation and what chance makes of it."""

    rho: float
    """NaN where one side has but one value."""
    p: float
    """Two-sided; the share of orders of the samples that correlate as much or more."""
    n: int
    """Samples."""
    exact: bool
    """Whether all orders were looked at."""


def spearman(
    x: Array, y: Array, *, n_permutations: int = N_PERMUTATIONS, rng: int | np.random.Generator = 0
) -> Correlation:
    """Return Spearman's ρ of two values of each sample.

    Parameters
    ----------
    x, y
        (n,) finite numbers; equal ones share their mean rank.
    n_permutations
        Orders drawn where there are more than `EXACT_UP_TO` samples; the order observed counts as one more.
    rng
        Draws them.
    """
    return partial_spearman(x, y, np.empty((len(x), 0)), n_permutations=n_permutations, rng=rng)


def partial_spearman(
    x: Array,
    y: Array,
    covariates: Array,
    *,
    n_permutations: int = N_PERMUTATIONS,
    rng: int | np.random.Generator = 0,
) -> Correlation:
    """Return Spearman's ρ of what covariates leave of two values of each sample.

    The ranks of both sides are regressed on the ranks of the covariates, and the residuals correlated. p is by
    permutation of the residuals of ``y`` among the samples (Freedman and Lane): each order is added to what the
    covariates predict and regressed again, so that the degrees of freedom that they cost are paid for.

    Parameters
    ----------
    x, y
        (n,) finite numbers.
    covariates
        (n, k) finite numbers; none for the plain correlation.
    n_permutations, rng
        As in `spearman`.
    """
    space = _space(_ranks(covariates))
    left_x, left_y = (_residuals(_ranks(side[:, None])[:, 0], space) for side in (x, y))
    n, exact = len(x), len(x) <= EXACT_UP_TO
    size_x, size_y = float(np.linalg.norm(left_x)), float(np.linalg.norm(left_y))
    # Two samples more than what is fitted: with one, every correlation is 1 or -1.
    if n - space.shape[1] < 2 or min(size_x, size_y) < _SAME * n:
        return Correlation(math.nan, math.nan, n, exact)
    rho = float(left_x @ left_y) / (size_x * size_y)
    orders = _all_orders(n) if exact else _some_orders(n, n_permutations, rng)
    shuffled = left_y[orders]
    left = np.sqrt(np.maximum((shuffled**2).sum(axis=1) - ((shuffled @ space) ** 2).sum(axis=1), 0.0))
    as_much = np.abs(shuffled @ left_x) >= (abs(rho) - _SAME) * size_x * left
    p = as_much.mean() if exact else (1 + as_much.sum()) / (1 + len(orders))
    return Correlation(rho, float(p), n, exact)


def bootstrap_interval(
    x: Array,
    y: Array,
    covariates: Array | None = None,
    *,
    n_bootstrap: int = 1000,
    level: float = 0.95,
    rng: int | np.random.Generator = 0,
) -> tuple[float, float]:
    """Return the percentile interval of a (partial) ρ over samples drawn with replacement.

    Draws in which one side has but one value say nothing and are left out. With few samples such an interval is
    too narrow or, at a ρ near ±1, does not reach the truth: read it as a range of what these samples support.

    Raises
    ------
    ParameterError
        ``level`` is no share.
    """
    if not 0 < level < 1:
        msg = f"level is between 0 and 1, not {level}."
        raise ParameterError(msg)
    if n_bootstrap < 1:
        return math.nan, math.nan
    n = len(x)
    drawn = np.random.default_rng(rng).integers(0, n, (n_bootstrap, n))
    found = _partials(x[drawn], y[drawn], None if covariates is None else covariates[drawn])
    found = found[np.isfinite(found)]
    if not found.size:
        return math.nan, math.nan
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def leave_one_out(x: Array, y: Array) -> tuple[float, float]:
    """Return the least and greatest ρ that is found with one of the samples left out."""
    n = len(x)
    rest = np.array([np.delete(np.arange(n), i) for i in range(n)])
    found = _partials(x[rest], y[rest], None)
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if found.size else (math.nan, math.nan)


def smallest_p(n: int) -> float:
    """Return the smallest two-sided p that the ranks of so many samples can have: 2/n!."""
    return 2 / math.factorial(n) if n > 1 else 1.0


def supports_q(n: int, n_tests: int, level: float = 0.05) -> bool:
    """Say whether so many samples can give a q below a level to the one best of so many tests."""
    return smallest_p(n) * n_tests <= level


def fewest_samples(n_tests: int, level: float = 0.05) -> int:
    """Return the number of samples from which on `supports_q` holds."""
    n = 2
    while not supports_q(n, n_tests, level):
        n += 1
    return n


def adjusted(p: Array) -> Array:
    """Return p adjusted by Benjamini and Hochberg over those that are no NaN."""
    q = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = scipy.stats.false_discovery_control(p[known])
    return q


def _partials(x: Array, y: Array, covariates: Array | None) -> Array:
    """Return a partial ρ for each row: (draws, n), and (draws, n, k) of covariates."""
    left = [_ranks(side.T).T for side in (x, y)]
    left = [side - side.mean(axis=1, keepdims=True) for side in left]
    if covariates is not None and covariates.shape[2]:
        z = scipy.stats.rankdata(covariates, axis=1)
        z = z - z.mean(axis=1, keepdims=True)
        turned = z.transpose(0, 2, 1)
        inverse = np.linalg.pinv(turned @ z, rcond=_SAME, hermitian=True)
        left = [side - (z @ (inverse @ (turned @ side[:, :, None])))[:, :, 0] for side in left]
    size = np.sqrt((left[0] ** 2).sum(axis=1) * (left[1] ** 2).sum(axis=1))
    known = size > _SAME * x.shape[1]
    out = np.full(len(x), np.nan)
    out[known] = np.clip((left[0] * left[1]).sum(axis=1)[known] / size[known], -1, 1)
    return out


def _ranks(columns: Array) -> Array:
    return np.asarray(scipy.stats.rankdata(columns, axis=0), float) if columns.size else columns.astype(float)


def _space(columns: Array) -> Array:
    """Return an orthonormal basis of the constant and the columns: (n, rank)."""
    design = np.column_stack([np.ones(len(columns)), columns])
    u, size, _ = np.linalg.svd(design, full_matrices=False)
    return np.asarray(u[:, size > _SAME * size[0]])


def _residuals(values: Array, space: Array) -> Array:
    return np.asarray(values - space @ (space.T @ values))


@lru_cache(maxsize=EXACT_UP_TO)
def _all_orders(n: int) -> Array:
    orders = np.array(list(permutations(range(n))), np.intp).reshape(-1, n)
    orders.flags.writeable = False
    return orders


def _some_orders(n: int, n_permutations: int, rng: int | np.random.Generator) -> Array:
    return _drawn_orders(n, n_permutations, rng) if isinstance(rng, int) else _draw_orders(n, n_permutations, rng)


def _draw_orders(n: int, n_permutations: int, rng: int | np.random.Generator) -> Array:
    order = np.broadcast_to(np.arange(n, dtype=np.intp), (n_permutations, n))
    return np.random.default_rng(rng).permuted(order, axis=1)


@lru_cache(maxsize=4)  # many tests of the same samples start from the same seed
def _drawn_orders(n: int, n_permutations: int, seed: int) -> Array:
    orders = _draw_orders(n, n_permutations, seed)
    orders.flags.writeable = False
    return orders
