"""Means over samples with their intervals, and how large a difference within samples is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[Any]

# Fewer samples than these cannot speak for others.
MIN_SAMPLES = 3
_LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over samples; of fewer than `MIN_SAMPLES` it has no interval."""

    value: float
    low: float
    """Lower end of the interval by Student's t, NaN where there is none."""
    high: float
    n: int
    """Samples."""
    n_same: int
    """Samples on the same side of zero as the mean."""
    hedges_g: float
    """Mean over standard deviation, corrected for few samples; NaN where there is no interval."""
    p: float
    """Two-sided, of no difference; NaN where there is no interval."""


def _unknown(value: float, n: int, n_same: int = 0) -> Estimate:
    return Estimate(value, np.nan, np.nan, n, n_same, np.nan, np.nan)


def over_samples(values: Array, *, level: float = _LEVEL) -> Estimate:
    """Return the mean of one value a sample, with its interval; NaN among the values are no samples.

    Parameters
    ----------
    values
        One a sample, shape ``(n_samples,)``: differences within samples, or shares.
    level
        Of the interval, between 0 and 1.
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    n = known.size
    if n == 0:
        return _unknown(np.nan, 0)
    mean = float(known.mean())
    n_same = int((np.sign(known) == np.sign(mean)).sum()) if mean else 0
    if n < MIN_SAMPLES:
        return _unknown(mean, n, n_same)
    sd = float(known.std(ddof=1))
    if sd == 0:
        return Estimate(mean, mean, mean, n, n_same, np.nan, np.nan)
    error, df = sd / np.sqrt(n), n - 1
    reach = _quantile(level, df) * error
    return Estimate(
        mean, mean - reach, mean + reach, n, n_same, _small_sample(df) * mean / sd, _two_sided(mean / error, df)
    )


def between_groups(one: Array, two: Array, *, level: float = _LEVEL) -> Estimate:
    """Return the difference of the means of two groups of samples, one minus two, by Welch's t.

    ``n`` are the samples of both; with fewer than `MIN_SAMPLES` in either there is no interval. ``hedges_g`` is by the
    pooled standard deviation, ``n_same`` the samples of ``one`` on the difference's side of the mean of ``two``.
    """
    a, b = (np.asarray(v, float)[np.isfinite(np.asarray(v, float))] for v in (one, two))
    n = int(a.size + b.size)
    if not (a.size and b.size):
        return _unknown(np.nan, n)
    difference = float(a.mean() - b.mean())
    n_same = int((np.sign(a - b.mean()) == np.sign(difference)).sum()) if difference else 0
    if min(a.size, b.size) < MIN_SAMPLES:
        return _unknown(difference, n, n_same)
    va, vb = float(a.var(ddof=1)), float(b.var(ddof=1))
    ea, eb = va / a.size, vb / b.size
    error = float(np.sqrt(ea + eb))
    if error == 0:
        return Estimate(difference, difference, difference, n, n_same, np.nan, np.nan)
    df = (ea + eb) ** 2 / (ea**2 / (a.size - 1) + eb**2 / (b.size - 1))
    reach = _quantile(level, df) * error
    pooled = np.sqrt(((a.size - 1) * va + (b.size - 1) * vb) / (n - 2))
    g = _small_sample(n - 2) * difference / pooled
    p = _two_sided(difference / error, df)
    return Estimate(difference, difference - reach, difference + reach, n, n_same, g, p)


def _quantile(level: float, df: float) -> float:
    return float(scipy.stats.t.ppf((1 + level) / 2, df))


def _two_sided(t: float, df: float) -> float:
    return float(2 * scipy.stats.t.sf(abs(t), df))


def _small_sample(df: int) -> float:
    """Return Hedges' exact correction."""
    log = scipy.special.gammaln(df / 2) - scipy.special.gammaln((df - 1) / 2)
    return float(np.exp(log) / np.sqrt(df / 2))
