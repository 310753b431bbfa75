"""Classifiers: fitting, calibration and evaluation on held-out cells; calibration curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sp
import scipy.special
import scipy.stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, precision_recall_fscore_support
from threadpoolctl import threadpool_limits

from tamannot.stats import Array
from tamannot.stats._shares import wilson

# In place of the margin of a class that a fit has never seen: its probability is zero.
_NEVER = -1e6

_MIN_CALLED, _LEVEL = 30, 0.95
# Probabilities to try as thresholds, from more likely right than wrong; a fixed grid, so that no last digit of
# a probability can move one.
_GRID = np.arange(500, 1000) / 1000

N_BINS = 15
# What is stated as impossible or certain has no logit; float32 holds no more digits near 1.
_NEAREST = 1e-6
# Products of a matrix with more values than this share take half the time if it is dense, of at most 128 MiB.
_DENSE, _MOST_DENSE = 0.4, 2**24
# In place of no penalty, whose name differs between releases of scikit-learn.
_NO_PENALTY = 1e12


def fit_multinomial(
    x: sp.csr_matrix, y: Array, n_classes: int, *, sample_weight: Array | None = None, **settings: Any
) -> tuple[Array, Array]:
    """Fit a multinomial logistic regression; return coefficients, classes × genes, and intercepts.

    Both are NaN for a class without cells, and for all classes if cells are of one only. ``settings`` go to
    `sklearn.linear_model.LogisticRegression`.
    """
    coef, intercept = np.full((n_classes, x.shape[1]), np.nan), np.full(n_classes, np.nan)
    present = np.unique(y)
    if present.size < 2:
        return coef, intercept
    features = x.toarray() if _DENSE * np.prod(x.shape) < x.nnz and np.prod(x.shape) <= _MOST_DENSE else x
    with threadpool_limits(1):  # the same sums whatever the machine
        fitted = LogisticRegression(**{"max_iter": 10_000, **settings}).fit(features, y, sample_weight=sample_weight)
    weights, constant = fitted.coef_, fitted.intercept_
    if present.size == 2:  # scikit-learn gives the difference of the two
        weights, constant = np.concatenate([-weights, weights]) / 2, np.concatenate([-constant, constant]) / 2
    coef[present], intercept[present] = weights, constant
    return coef, intercept


def probabilities(margins: Array, slope: float, offset: Array) -> Array:
    """Return the softmax of ``slope * margin + offset``, cells × classes; zero where a margin is NaN."""
    return np.asarray(scipy.special.softmax(np.nan_to_num(slope * margins + offset, nan=_NEVER), axis=1))


def calibrate(margins: Array, y: Array, weight: Array) -> tuple[float, Array]:
    """Return the slope and the offset of each class by which the labels of held-out cells are most likely.

    Standard normal priors of the slope's logarithm and of the offsets keep them finite where classes do not overlap.
    """
    number, finite = np.arange(margins.shape[1]), np.nan_to_num(margins)

    def loss(theta: Array) -> tuple[float, Array]:
        slope = np.exp(theta[0])
        proba = probabilities(margins, slope, theta[1:])
        fit = log_loss(y, proba, labels=number, sample_weight=weight, normalize=False)
        residual = weight[:, None] * (proba - (y[:, None] == number))
        return fit + theta @ theta / 2, np.r_[slope * (residual * finite).sum(), residual.sum(axis=0)] + theta

    theta = scipy.optimize.minimize(loss, np.zeros(1 + margins.shape[1]), jac=True, method="BFGS").x
    return float(np.exp(theta[0])), theta[1:]


def judge(
    proba: Array, truth: Array, weight: Array, sample: Array | None, classes: Sequence[str], target: float
) -> dict[str, Any]:
    """Return the metrics on held-out cells, with the threshold, as plain values.

    The threshold is the smallest probability, at least 0.5, above which the lower 95 % bound of the accuracy reaches
    the target; None if there is none. ``proba`` are probabilities, cells × classes, ``truth`` the class number of each
    cell; ``sample`` is its sample number, or None if cells are independent.
    """
    call, confidence = proba.argmax(axis=1), proba.max(axis=1)
    right = call == truth
    bounds = np.array([lower_bound(right, weight, sample, confidence >= t) for t in _GRID])
    at = next(iter(np.flatnonzero(bounds >= target)), None)
    called = np.zeros(truth.size, bool) if at is None else confidence >= _GRID[at]
    bins = np.array_split(np.argsort(confidence, kind="stable"), N_BINS)
    of_class = precision_recall_fscore_support(
        truth, call, labels=np.arange(len(classes)), sample_weight=weight, zero_division=np.nan
    )
    n = np.bincount(truth, minlength=len(classes)).tolist()
    figures = [[None if np.isnan(v) else float(v) for v in row] for row in np.transpose(of_class[:3])]
    return {
        "n_held_out": truth.size,
        "accuracy": float(np.average(right, weights=weight)),
        "balanced_accuracy": float(np.nanmean(of_class[1])),
        "macro_f1": float(np.nanmean(of_class[2])),
        "ece": float(sum(abs(weight[b] @ (confidence - right)[b]) for b in bins) / weight.sum()),
        "target_accuracy": target,
        "threshold": None if at is None else float(_GRID[at]),
        "called": float(np.average(called, weights=weight)),
        "accuracy_called": float(np.average(right[called], weights=weight[called])) if called.any() else None,
        "accuracy_called_lower": None if at is None else float(bounds[at]),
        "best_lower": float(bounds.max()),
        "per_class": {
            c: {"n": k, "precision": p, "recall": r, "f1": f}
            for c, k, (p, r, f) in zip(classes, n, figures, strict=True)
        },
    }


def lower_bound(right: Array, weight: Array, sample: Array | None, called: Array) -> float:
    """Return the lower bound of the accuracy of what is called: Clopper and Pearson's, by clusters.

    With samples the number of cells is divided by the design effect and corrected for the few samples, as
    Korn and Graubard (1998, Survey Methodology 24:193) do; weights count by Kish's effective size.
    """
    if called.sum() < _MIN_CALLED:
        return 0.0
    right, weight = right[called], weight[called]
    share = float(np.average(right, weights=weight))
    n = float(weight.sum() ** 2 / (weight @ weight))
    if sample is not None:
        used, number = np.unique(sample[called], return_inverse=True)
        if used.size < 2:
            return 0.0
        excess = np.bincount(number, weight * (right - share)) / weight.sum()
        by_samples, by_chance = float(excess @ excess) * used.size / (used.size - 1), share * (1 - share) / n
        design = max(by_samples / by_chance, 1.0) if by_chance > 0 else 1.0
        few = scipy.stats.t.ppf(_LEVEL, max(n - 1, 1)) / scipy.stats.t.ppf(_LEVEL, used.size - 1)
        n = max(n / design * float(few) ** 2, 1.0)
    return float(scipy.stats.beta.ppf(1 - _LEVEL, max(share * n, 1e-9), (1 - share) * n + 1))


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted probabilities and observed frequencies, by bins of equal mass and overall."""

    stated: Array  # mean predicted probability of each bin, increasing
    observed: Array  # observed frequency in each bin
    low: Array  # Wilson's 95 % interval of ``observed``
    high: Array
    count: Array  # cells of each bin
    ece: float  # mean difference of predicted and observed over the bins, weighted by their cells
    brier: float  # mean squared distance of probability and outcome
    slope: float  # of the outcome's logit on the stated one: below 1 overconfident; NaN if undefined
    intercept: float  # of the same line; with a slope of 1 below 0 where too much is promised


def reliability(proba: Array, truth: Array, n_bins: int = N_BINS) -> Reliability:
    """Compare the stated probability of each event with whether it happened.

    Of at most ``n_bins`` bins each has as many cells as ties allow: equal probabilities share one, so that no order of
    cells can show.
    """
    p, right = np.asarray(proba, float), np.asarray(truth, float)
    edges = np.quantile(p, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    number = np.unique(np.searchsorted(edges, p), return_inverse=True)[1]
    count = np.bincount(number)
    stated, observed = (np.bincount(number, v) / count for v in (p, right))
    low, high = wilson(np.bincount(number, right), count)
    ece, brier = float(np.abs(stated - observed) @ count / p.size), float(((p - right) ** 2).mean())
    slope = intercept = float("nan")
    x, hit = scipy.special.logit(np.clip(p, _NEAREST, 1 - _NEAREST)), right > 0
    # There is no line with one kind of outcome, one probability, or outcomes that a threshold on it separates.
    if hit.any() and not hit.all() and x[hit].min() < x[~hit].max() and x[~hit].min() < x[hit].max():
        line = LogisticRegression(C=_NO_PENALTY, solver="newton-cholesky", tol=1e-9, max_iter=1000).fit(x[:, None], hit)
        slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    return Reliability(stated, observed, low, high, count, ece, brier, slope, intercept)
