"""Means over samples with their intervals, differences of means, and p-values of several tests at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.special
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[Any]

# Fewer samples than these cannot speak for others.
MIN_SAMPLES = 3
_LEVEL = 0.95
# A correlation of 1 has no Fisher z; of so few spots it is 1 by chance.
_LARGEST = 1 - 1e-6


@dataclass(frozen=True)
class OverSamples:
    """Means over samples, or differences of two such: numbers of one test, arrays ``(n_tests,)`` of several."""

    mean: Any
    low: Any
    """Lower end of the 95 % interval by Student's t, NaN where samples are too few."""
    high: Any
    p: Any
    """Two-sided, of no difference; NaN without an interval or without any spread."""
    n: Any
    """Samples that have a value."""
    n_same: Any
    """Samples on the same side of zero as the mean."""
    hedges_g: Any
    """Mean over standard deviation, corrected for few samples; NaN where there is no p."""


def over_samples(values: Array, *, fewest: int = MIN_SAMPLES) -> OverSamples:
    """Return the mean of one value a sample, with its interval and p by t against 0.

    Parameters
    ----------
    values
        Shape ``(n_samples,)``, or ``(n_samples, n_tests)``; NaN where a sample has no value.
    fewest
        Samples without which there is a mean, but neither interval nor p.
    """
    by_test = np.ascontiguousarray(np.asarray(values, float).T)
    known = np.isfinite(by_test)
    n = known.sum(axis=-1)
    df = n - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, by_test, 0.0).sum(axis=-1) / n
        squares = np.where(known, (by_test - mean[..., None]) ** 2, 0.0).sum(axis=-1)
        sd = np.where(n >= fewest, np.sqrt(squares / df), np.nan)
        reach = _quantile(df) * (sd / np.sqrt(n))
        spread = np.where(sd > 0, sd, np.nan)  # without any there is no test, not a p of 0
        p = _two_sided(mean / (spread / np.sqrt(n)), df)
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
    ea, eb = va / a.size, vb / b.size
    error = float(np.sqrt(ea + eb))
    if error == 0:
        return OverSamples(difference, difference, difference, np.nan, n, n_same, np.nan)
    df = (ea + eb) ** 2 / (ea**2 / (a.size - 1) + eb**2 / (b.size - 1))
    reach = _quantile(df) * error
    pooled = np.sqrt(((a.size - 1) * va + (b.size - 1) * vb) / (n - 2))
    g = _small_sample(n - 2) * difference / pooled
    p = _two_sided(difference / error, df)
    return OverSamples(difference, difference - reach, difference + reach, p, n, n_same, g)


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


def benjamini_hochberg(p: Array) -> Array:
    """Return p-values adjusted by Benjamini and Hochberg; those that are not known (NaN) stay so and count for none."""
    p = np.asarray(p, np.float64)
    q = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = scipy.stats.false_discovery_control(p[known])
    return q


def _quantile(df: Any) -> Any:
    return scipy.stats.t.ppf((1 + _LEVEL) / 2, df)


def _two_sided(t: Any, df: Any) -> Any:
    return 2 * scipy.stats.t.sf(np.abs(t), df)


def _small_sample(df: Any) -> Any:
    """Return Hedges' exact correction."""
    log = scipy.special.gammaln(df / 2) - scipy.special.gammaln((df - 1) / 2)
    return np.exp(log) / np.sqrt(df / 2)
