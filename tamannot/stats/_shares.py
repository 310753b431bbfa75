"""Shares of labels in samples, compared between conditions; many labels or cohorts at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
from scipy.special import expit, logit

from tamannot.errors import ParameterError
from tamannot.stats import LEVEL, Array

_STEPS, _ROUNDS, _CLOSE = 30, 40, 1e-8
# A logit beyond this is a share that is fitted as 0 or 1: there is no estimate.
_FAR, _FARTHEST = 14.0, 30.0
_STRIDE = 1.7  # with steps of logits below 1.79 the likelihood never falls; longer ones can diverge


def wilson(k: Array, n: Array) -> tuple[Array, Array]:
    """Return Wilson's 95 % interval of the share ``k`` of ``n``, cells as independent draws; NaN where n is 0."""
    k, n = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(n, np.float64))
    z2 = scipy.stats.norm.ppf((1 + LEVEL) / 2) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (k + z2 / 2) / (n + z2)
        half = np.sqrt(z2) / (n + z2) * np.sqrt(np.maximum(k * (n - k) / n, 0) + z2 / 4)
    # Of none and of all the ends are 0 and 1, which rounding misses.
    low = np.where(k > 0, np.clip(middle - half, 0, 1), 0.0)
    high = np.where(k < n, np.clip(middle + half, 0, 1), 1.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


@dataclass(frozen=True)
class Comparison:
    """Results of a comparison of shares. Arrays are tests × contrasts; those of whole tests are (tests,)."""

    log_odds: Array  # log odds ratio of each contrast
    low: Array  # its 95 % interval, t with ``df``
    high: Array
    t: Array
    p: Array  # two-sided
    df: int
    p_overall: Array  # (tests,) F test that no contrast differs from 0
    dispersion: Array  # (tests,) Pearson's X² by its degrees of freedom: 1 where cells were independent
    rho: Array  # (tests,) correlation of two cells of a sample that is left when the design is known, 0 or more
    half_added: Array  # (tests,) bool: half a cell was added to both sides, since a condition has none or only such


def compare_shares(k: Array, n: Array, design: Array, n_contrasts: int) -> Comparison:
    """Compare shares by a quasi-binomial regression with the sample as unit.

    Logit link; the variance of a share is ``p (1 - p) / n × (1 + ρ (n - 1))``, ρ by moments (Williams 1982), so that a
    sample with many cells does not outweigh the others unduly; scaled by Pearson's X² and compared with
    t with the residual degrees of freedom. With samples of unequal size a regression that weighs by cells finds too
    much where there is nothing.

    ``k`` are the cells of the label, tests × samples, whole numbers or expected counts; ``n`` all cells, 1 or more,
    samples or tests × samples. ``design`` is samples × terms, or tests × samples × terms: the intercept, then the
    contrasts, then covariates. All results are NaN of tests without a cell of the label, and of those with no other. A
    design that `check_design` refuses is an error.
    """
    k = np.atleast_2d(np.asarray(k, np.float64))
    n = np.broadcast_to(np.asarray(n, np.float64), k.shape)
    design = np.broadcast_to(np.asarray(design, np.float64), (k.shape[0], *np.shape(design)[-2:]))
    df = check_design(design)
    varies: Array = np.logical_and((k > 0).any(axis=1), (k < n).any(axis=1))
    of = slice(1, 1 + n_contrasts)
    # Half a cell is added to either side of each sample where a condition has no cell of the label, or no other.
    contrasts = design[:, :, of]
    reference = np.logical_not(contrasts.any(axis=2, keepdims=True))
    groups = np.concatenate([reference, contrasts != 0], axis=2).astype(float)
    seen, rest = (np.einsum("ts,tsg->tg", x, groups) for x in (k, n - k))
    half_added = ((seen <= 0) | (rest <= 0)).any(axis=1)
    k, n = np.where(half_added[:, None], k + 0.5, k), np.where(half_added[:, None], n + 1, n)
    plain, rho, fit = _weighed(k, n, design)
    far = (np.abs(fit.eta) > _FAR).any(axis=1) & ~half_added
    if far.any():  # a share of 0 by covariates
        k, n = np.where(far[:, None], k + 0.5, k), np.where(far[:, None], n + 1, n)
        half_added = half_added | far
        plain, rho, fit = _weighed(k, n, design)
    variance = fit.inverse * (fit.x2 / df)[:, None, None]
    estimate = fit.beta[:, of]
    error = np.sqrt(np.diagonal(variance, axis1=1, axis2=2))[:, of]
    reach = scipy.stats.t.ppf((1 + LEVEL) / 2, df) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        t = estimate / error
        # Where the variance is 0 the tiny diagonal keeps it from being singular.
        tiny = np.eye(n_contrasts) * 1e-300
        solved = np.linalg.solve(variance[:, of, of] + tiny, estimate[:, :, None])[:, :, 0]
        f = (estimate * solved).sum(axis=1) / n_contrasts
    by_contrast = {"log_odds": estimate, "low": estimate - reach, "high": estimate + reach, "t": t}
    by_contrast["p"] = 2 * scipy.stats.t.sf(np.abs(t), df)
    by_test = {"p_overall": scipy.stats.f.sf(f, n_contrasts, df), "dispersion": plain.x2 / df, "rho": rho}
    return Comparison(
        **{name: np.where(varies[:, None], values, np.nan) for name, values in by_contrast.items()},
        **{name: np.where(varies, values, np.nan) for name, values in by_test.items()},
        df=df,
        half_added=half_added & varies,
    )


def check_design(design: Array) -> int:
    """Return the residual degrees of freedom of a design, or of a stack; refuse one that cannot be estimated."""
    n_samples, n_terms = design.shape[-2:]
    if n_samples - n_terms < 1:
        raise ParameterError(
            f"{n_samples} samples for {n_terms} terms (intercept, conditions, covariates) leave no degrees of "
            "freedom to estimate the variation between samples. Add samples, or use fewer covariates."
        )
    if (np.asarray(np.linalg.matrix_rank(design)) < n_terms).any():
        raise ParameterError(
            "A covariate is determined by the condition or by other covariates, so their effects cannot be separated."
        )
    return int(n_samples - n_terms)


def centred_log_ratios(counts: Array) -> Array:
    """Return counts, samples × parts, as logarithms against the mean logarithm of their sample.

    Half a cell is added to each count. Parts that occur in no sample have no say in the mean.
    """
    logs = np.log(np.asarray(counts, np.float64) + 0.5)
    seen = np.asarray(counts).sum(axis=0) > 0
    return logs - logs[:, seen].mean(axis=1, keepdims=True) if seen.any() else np.zeros_like(logs)


def compare_means(values: Array, design: Array, n_contrasts: int) -> Array:
    """Return the two-sided p of each contrast by least squares, every sample weighing the same.

    ``values`` are samples × tests, the design samples × terms, what is returned tests × contrasts; NaN where the values
    do not vary.
    """
    df = check_design(design)
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ values
    spread = ((values - design @ beta) ** 2).sum(axis=0) / df
    of = slice(1, 1 + n_contrasts)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = beta[of].T / np.sqrt(spread[:, None] * np.diag(inverse)[of])
    return np.where(np.ptp(values, axis=0)[:, None] > 0, 2 * scipy.stats.t.sf(np.abs(t), df), np.nan)


@dataclass(frozen=True)
class _Fit:
    beta: Array
    eta: Array
    variance: Array  # of the counts, as binomial
    inverse: Array  # of the weighted cross-product of the design
    x2: Array  # Pearson's, weighted
    squares: Array  # squared residuals by their binomial variance


def _weighed(k: Array, n: Array, design: Array) -> tuple[_Fit, Array, _Fit]:
    """Return the fit that weighs by cells, ρ by moments (Williams 1982), and the fit whose weights know of ρ."""
    plain = _fitted(k, n, design, np.ones_like(k), np.asarray(logit((k + 0.5) / (n + 1))))
    rho, eta, left = np.zeros(len(k)), plain.eta, np.arange(len(k))
    for _ in range(_ROUNDS):
        weight = 1 / (1 + rho[left, None] * (n[left] - 1))
        fit = _fitted(k[left], n[left], design[left], weight, eta[left])
        leverage = weight * fit.variance * np.einsum("tsi,tij,tsj->ts", design[left], fit.inverse, design[left])
        free = weight * (1 - leverage)
        with np.errstate(invalid="ignore", divide="ignore"):
            new = ((weight * fit.squares).sum(axis=1) - free.sum(axis=1)) / (free * (n[left] - 1)).sum(axis=1)
        new = np.clip(np.nan_to_num(new, nan=0.0, posinf=0.0, neginf=0.0), 0, 1)
        moved = np.abs(new - rho[left]) > _CLOSE
        rho[left], eta[left] = new, fit.eta
        left = left[moved]
        if not left.size:
            break
    return plain, rho, _fitted(k, n, design, 1 / (1 + rho[:, None] * (n - 1)), eta)


def _fitted(k: Array, n: Array, design: Array, weight: Array, eta: Array) -> _Fit:
    """Fit a logistic regression by reweighted least squares, from a first guess of the logits."""
    transposed = design.transpose(0, 2, 1)
    for _ in range(_STEPS):
        share = expit(eta)
        variance = np.maximum(n * share * (1 - share), 1e-12)
        w = (weight * variance)[:, :, None]
        aim = eta + (k - n * share) / variance
        beta = np.linalg.solve(transposed @ (w * design), transposed @ (w * aim[:, :, None]))
        move = np.clip((design @ beta)[:, :, 0], -_FARTHEST, _FARTHEST) - eta
        far = np.abs(move).max(axis=1, keepdims=True, initial=0)
        eta = eta + move * (_STRIDE / np.maximum(far, _STRIDE))
        if far.max(initial=0) < _CLOSE:
            break
    share = expit(eta)
    variance = np.maximum(n * share * (1 - share), 1e-12)
    inverse = np.linalg.inv(transposed @ ((weight * variance)[:, :, None] * design))
    squares = (k - n * share) ** 2 / variance
    return _Fit(beta[:, :, 0], eta, variance, inverse, (weight * squares).sum(axis=1), squares)
