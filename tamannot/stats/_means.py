"""Means and differences of means over samples, of one measure or of many genes; p-values of several tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats
from scipy.special import digamma, polygamma

from tamannot.stats import LEVEL, Array

# Fewer samples than these cannot speak for others.
MIN_SAMPLES = 3
# A correlation of 1 has no Fisher z; of so few spots it is 1 by chance.
_LARGEST = 1 - 1e-6
# edgeR's: what is added to a count, in a library of the mean size.
_PRIOR_COUNT, _MILLION = 2.0, 1e6
_CLOSE = 1e-8
# limma's: the logarithm of a variance of zero would rule the fit.
_SMALLEST = 1e-5


@dataclass(frozen=True)
class OverSamples:
    """Means over samples, or differences of two such: numbers of one test, arrays ``(n_tests,)`` of several."""

    mean: Any
    low: Any  # lower end of the 95 % interval by Student's t, NaN where samples are too few
    high: Any
    p: Any  # two-sided, of no difference; NaN without an interval or without any spread
    n: Any  # samples that have a value
    n_same: Any  # samples on the same side of zero as the mean
    hedges_g: Any  # mean over standard deviation, corrected for few samples; NaN where there is no p


def over_samples(values: Array, *, fewest: int = MIN_SAMPLES) -> OverSamples:
    """Return the mean of one value per sample, with its interval and p by t against 0.

    ``values`` are ``(n_samples,)`` or ``(n_samples, n_tests)``, NaN where a sample has no value. With less than
    ``fewest`` samples there is a mean, but neither interval nor p.
    """
    by_test = np.ascontiguousarray(np.asarray(values, float).T)
    known = np.isfinite(by_test)
    n = known.sum(axis=-1)
    df = n - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, by_test, 0.0).sum(axis=-1) / n
        squares = np.where(known, (by_test - mean[..., None]) ** 2, 0.0).sum(axis=-1)
        sd = np.where(n >= fewest, np.sqrt(squares / df), np.nan)
        reach = scipy.stats.t.ppf((1 + LEVEL) / 2, df) * (sd / np.sqrt(n))
        spread = np.where(sd > 0, sd, np.nan)  # without any there is no test, not a p of 0
        p = 2 * scipy.stats.t.sf(np.abs(mean / (spread / np.sqrt(n))), df)
        hedges_g = _small_sample(df) * mean / spread
    n_same = ((np.sign(by_test) == np.sign(mean)[..., None]) & known).sum(axis=-1) * (mean != 0)
    return OverSamples(mean, mean - reach, mean + reach, p, n, n_same, hedges_g)


def correlation_over_samples(correlations: Array, *, fewest: int = MIN_SAMPLES) -> OverSamples:
    """Return the same of correlations: averaged and tested as Fisher z, given back as correlations."""
    found = over_samples(np.arctanh(np.clip(correlations, -_LARGEST, _LARGEST)), fewest=fewest)
    return replace(found, mean=np.tanh(found.mean), low=np.tanh(found.low), high=np.tanh(found.high))


def between_groups(one: Array, two: Array) -> OverSamples:
    """Return the difference of the means of two groups of samples, one minus two, by Welch's t.

    ``n`` are the samples of both; with fewer than `MIN_SAMPLES` in either there is no interval. ``hedges_g`` is by the
    pooled standard deviation, ``n_same`` the samples of ``one`` on the difference's side of the mean of ``two``.
    """
    a, b = (v[np.isfinite(v)] for v in (np.asarray(one, float), np.asarray(two, float)))
    n = a.size + b.size
    if not a.size or not b.size:
        return OverSamples(np.nan, np.nan, np.nan, np.nan, n, 0, np.nan)
    difference = float(a.mean() - b.mean())
    n_same = int((np.sign(a - b.mean()) == np.sign(difference)).sum()) if difference else 0
    if min(a.size, b.size) < MIN_SAMPLES:
        return OverSamples(difference, np.nan, np.nan, np.nan, n, n_same, np.nan)
    va, vb = float(a.var(ddof=1)), float(b.var(ddof=1))
    # Welch's t; that of scipy warns of groups without variance, and takes four times as long.
    ea, eb = va / a.size, vb / b.size
    error = float(np.sqrt(ea + eb))
    if error == 0:
        return OverSamples(difference, difference, difference, np.nan, n, n_same, np.nan)
    df = (ea + eb) ** 2 / (ea**2 / (a.size - 1) + eb**2 / (b.size - 1))
    reach = scipy.stats.t.ppf((1 + LEVEL) / 2, df) * error
    g = _small_sample(n - 2) * difference / np.sqrt(((a.size - 1) * va + (b.size - 1) * vb) / (n - 2))
    p = 2 * scipy.stats.t.sf(abs(difference / error), df)
    return OverSamples(difference, difference - reach, difference + reach, p, n, n_same, g)


def means_by_region(values: Array, region: Array, codes: Array, n_regions: int, n_samples: int) -> tuple[Array, Array]:
    """Return means (samples, regions, columns) and numbers of spots (samples, regions); -1 stands for none."""
    known = (region >= 0) & (codes >= 0)
    place = codes[known] * n_regions + region[known]
    n = np.bincount(place, minlength=n_samples * n_regions)
    sums = np.zeros((n.size, values.shape[1]))
    np.add.at(sums, place, values[known])
    with np.errstate(invalid="ignore"):
        means = sums / n[:, None]
    return means.reshape(n_samples, n_regions, -1), n.reshape(n_samples, n_regions)


def benjamini_hochberg(p: Array) -> Array:
    """Return p-values adjusted by Benjamini and Hochberg; those that are not known (NaN) stay so and count for none."""
    p = np.asarray(p, np.float64)
    q = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = scipy.stats.false_discovery_control(p[known])
    return q


def _small_sample(df: Any) -> Any:
    """Return Hedges' exact correction."""
    return np.exp(scipy.special.gammaln(df / 2) - scipy.special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)


def moderated_t(differences: Array) -> Array:
    """Return the moderated t of finite differences within samples, ``(n_samples, n_genes)``, of at least two samples.

    Source: Smyth 2004, doi:10.2202/1544-6115.1027, as limma's ``eBayes`` of a design with the intercept alone.
    """
    n, mean = differences.shape[0], differences.mean(axis=0)
    variance = differences.var(axis=0, ddof=1)
    df, (df_prior, prior) = n - 1, fit_prior(variance, n - 1)
    if np.isinf(df_prior):
        shared = np.full_like(variance, prior)
    else:
        shared = (df_prior * prior + df * variance) / (df_prior + df)
    return np.divide(mean, np.sqrt(shared / n), out=np.zeros_like(mean), where=shared > 0)


def log_cpm(sums: Array) -> Array:
    """Return log2 counts per million of pseudobulks, shape ``(n_pseudobulks, n_genes)``, as edgeR's ``cpm(log=TRUE)``.

    What is added to a count grows with its library, so that a gene without counts has the same value in a small and
    in a large one. Source: Robinson et al. 2010, doi:10.1093/bioinformatics/btp616.
    """
    library = sums.sum(axis=1, keepdims=True)
    prior = _PRIOR_COUNT * library / library.mean()
    return np.asarray(np.log2((sums + prior) / (library + 2 * prior) * _MILLION))


def welch_t(n: int, sums: Array, squares: Array, n_rest: int, rest: Array, rest_squares: Array) -> Array:
    """Return t of the mean in a group against that in the rest, from sums and sums of squares, each ``(n_genes,)``.

    The variance of the mean of the rest is taken as if it had only as many cells as the group, as scanpy's
    ``t-test_overestim_var``: a ranking of genes, no test.
    """
    mean, mean_rest = sums / n, rest / n_rest
    variance = np.maximum(squares / n - mean**2, 0.0) * (n / max(n - 1, 1))
    variance_rest = np.maximum(rest_squares / n_rest - mean_rest**2, 0.0) * (n_rest / max(n_rest - 1, 1))
    error = np.sqrt((variance + variance_rest) / n)
    return np.divide(mean - mean_rest, error, out=np.zeros_like(error), where=error > 0)


def fit_prior(variance: Array, df: int) -> tuple[float, float]:
    """Return degrees of freedom and value of the scaled F that variances of ``df`` degrees of freedom are drawn from.

    By the moments of their logarithms; infinite degrees of freedom where they vary no more than chance makes them.
    """
    if not (middle := float(np.median(variance))) > 0:
        return 0.0, middle
    logs = np.log(np.maximum(variance, _SMALLEST * middle)) - digamma(df / 2) + np.log(df / 2)
    spread = float(logs.var(ddof=1)) - float(polygamma(1, df / 2)) if logs.size > 1 else 0.0
    if spread <= 0:
        return np.inf, float(variance.mean())
    # Half of the degrees of freedom has the spread as its trigamma: by Newton on 1/trigamma, nearly a straight line.
    half = scipy.optimize.newton(
        lambda y: 1 / polygamma(1, y) - 1 / spread,
        0.5 + 1 / spread,
        fprime=lambda y: -polygamma(2, y) / polygamma(1, y) ** 2,
        rtol=_CLOSE,
    )
    return 2 * float(half), float(np.exp(logs.mean() + digamma(half) - np.log(half)))
