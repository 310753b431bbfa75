"""Whether stated probabilities come true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from tamannot.stats._composition import wilson

Array = NDArray[Any]

N_BINS = 15
# What is stated as impossible or certain has no logit; float32 holds no more digits near 1.
_NEAREST = 1e-6
# In place of no penalty, whose name differs between releases of scikit-learn.
_NO_PENALTY = 1e12


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
    """Of the outcome's logit on the stated one: below 1 overconfident, above 1 underconfident; NaN if undefined."""
    intercept: float
    """Of the same line; with a slope of 1 below 0 where too much is promised."""


def reliability(proba: Array, truth: Array, n_bins: int = N_BINS) -> Reliability:
    """Compare the stated probability of each event with whether it happened.

    Equal probabilities share one of at most ``n_bins`` bins, so that no order of cells can show.
    """
    p, right = np.asarray(proba, float), np.asarray(truth, float)
    number = equal_mass(p, n_bins)
    count = np.bincount(number)
    stated, observed = (np.bincount(number, v) / count for v in (p, right))
    low, high = wilson(np.bincount(number, right), count)
    ece, brier = float(np.abs(stated - observed) @ count / p.size), float(((p - right) ** 2).mean())
    return Reliability(stated, observed, low, high, count, ece, brier, *logit_line(p, right))


def equal_mass(p: Array, n_bins: int) -> Array:
    """Return the bin of each probability: as many in each as ties allow, rising, none empty."""
    edges = np.quantile(p, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    return np.unique(np.searchsorted(edges, p), return_inverse=True)[1]


def logit_line(p: Array, right: Array) -> tuple[float, float]:
    """Return slope and intercept of the logistic regression of the outcome on the logit of its probability.

    NaN where there is no such line: one kind of outcome, one probability, or outcomes that a threshold on
    the probability separates without an error.
    """
    x, hit = scipy.special.logit(np.clip(np.asarray(p, float), _NEAREST, 1 - _NEAREST)), np.asarray(right, bool)
    if hit.all() or not hit.any() or x[hit].min() >= x[~hit].max() or x[~hit].min() >= x[hit].max():
        return float("nan"), float("nan")
    line = LogisticRegression(C=_NO_PENALTY, solver="newton-cholesky", tol=1e-9, max_iter=1000).fit(x[:, None], hit)
    return float(line.coef_[0, 0]), float(line.intercept_[0])
