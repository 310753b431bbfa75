"""Whether stated probabilities come true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
import scipy.stats

from tamannot.models._call import Array

N_BINS = 15
_LEVEL = 0.95
# What is stated as impossible or certain has no logit; float32 holds no more digits near 1.
_NEAREST = 1e-6
_STEPS = 100
_FLAT = 1e-9


@dataclass(frozen=True, eq=False)
class Reliability:
    """Stated probabilities beside what came true, by bins of equal mass and as a whole."""

    stated: Array
    """Mean stated probability of each bin, rising."""
    observed: Array
    """Share that came true in each bin."""
    low: Array
    high: Array
    """Wilson's 95 % interval of ``observed``."""
    count: Array
    """Cells of each bin."""
    ece: float
    """Mean distance of stated and observed over the bins, weighted by their cells."""
    brier: float
    """Mean squared distance of probability and outcome."""
    slope: float
    """Of the outcome's logit on the stated one: below 1 too sure, above 1 not sure enough; NaN if there is none."""
    intercept: float
    """Of the same line; with a slope of 1 below 0 where too much is promised."""


def reliability(proba: Array, truth: Array, n_bins: int = N_BINS) -> Reliability:
    """Compare stated probabilities with what came true.

    Parameters
    ----------
    proba
        Probability of each event, in [0, 1].
    truth
        Whether it happened.
    n_bins
        Most bins; equal probabilities share one, so that no order of cells can show.
    """
    p, right = np.asarray(proba, float), np.asarray(truth, float)
    number = equal_mass(p, n_bins)
    count = np.bincount(number)
    stated, observed = (np.bincount(number, v) / count for v in (p, right))
    low, high = wilson(np.bincount(number, right), count)
    slope, intercept = logit_line(p, right)
    return Reliability(
        stated=stated,
        observed=observed,
        low=low,
        high=high,
        count=count,
        ece=float(count @ np.abs(stated - observed)) / p.size,
        brier=float(((p - right) ** 2).mean()),
        slope=slope,
        intercept=intercept,
    )


def equal_mass(p: Array, n_bins: int) -> Array:
    """Return the bin of each probability: as many in each as ties allow, rising, none empty."""
    edges = np.quantile(p, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    return np.unique(np.searchsorted(edges, p), return_inverse=True)[1]


def calibration_error(p: Array, right: Array, weight: Array, n_bins: int = N_BINS) -> float:
    """Return the expected calibration error of weighted cells over bins of equal mass."""
    number = equal_mass(p, n_bins)
    gaps = np.bincount(number, weight * (p - right))
    return float(np.abs(gaps).sum() / weight.sum())


def wilson(hits: Array, n: Array, level: float = _LEVEL) -> tuple[Array, Array]:
    """Return the ends of Wilson's score interval of a share (1927, JASA 22:209)."""
    z = scipy.stats.norm.ppf((1 + level) / 2)
    middle = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    # Of none and of all the ends are 0 and 1, which rounding misses.
    low = np.where(hits == 0, 0.0, np.maximum(middle - half, 0.0))
    return low, np.where(hits == n, 1.0, np.minimum(middle + half, 1.0))


def logit_line(p: Array, right: Array) -> tuple[float, float]:
    """Return slope and intercept of the logistic regression of the outcome on the logit of its probability.

    NaN where there is no such line: one kind of outcome, one probability, or outcomes that a threshold on
    the probability tells apart without a fault.
    """
    q = np.clip(np.asarray(p, float), _NEAREST, 1 - _NEAREST)
    x = np.log(q / (1 - q))
    hit = np.asarray(right, bool)
    if hit.all() or not hit.any() or _apart(x[hit], x[~hit]):
        return float("nan"), float("nan")
    theta = np.array([1.0, 0.0])
    design = np.stack([x, np.ones_like(x)], axis=1)
    loss = _loss(theta, design, hit)
    for _ in range(_STEPS):
        fitted = scipy.special.expit(design @ theta)
        step = np.linalg.solve(design.T @ (design * (fitted * (1 - fitted))[:, None]), design.T @ (hit - fitted))
        size = 1.0
        while size > _FLAT and _loss(theta + size * step, design, hit) > loss:
            size /= 2
        theta = theta + size * step
        loss = _loss(theta, design, hit)
        if np.abs(size * step).max() < _FLAT:
            break
    return float(theta[0]), float(theta[1])


def _apart(hits: Array, misses: Array) -> bool:
    return bool(hits.min() >= misses.max() or misses.min() >= hits.max())


def _loss(theta: Array, design: Array, hit: Array) -> float:
    logit = design @ theta
    return float(np.logaddexp(0.0, np.where(hit, -logit, logit)).sum())
