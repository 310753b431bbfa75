"""The mean of something that was measured once in each sample, with the sample as the unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[Any]

# A correlation of 1 has no Fisher z; of so few spots it is 1 by chance.
_LARGEST = 1 - 1e-6


@dataclass(frozen=True)
class OverSamples:
    """Means over samples, each of shape ``(n_tests,)``.

    Parameters
    ----------
    mean, low, high
        Mean, and its interval by t; the interval is NaN where there are fewer than two samples.
    p
        Two-sided, against a mean of 0; NaN likewise.
    n_samples
        Samples that have a value.
    """

    mean: Array
    low: Array
    high: Array
    p: Array
    n_samples: Array


def mean_over_samples(values: Array, *, level: float = 0.95) -> OverSamples:
    """Return means with intervals and p by t.

    Parameters
    ----------
    values
        One row a sample, one column a test, shape ``(n_samples, n_tests)``; NaN where a sample has none.
    level
        Of the interval, between 0 and 1.
    """
    known = np.isfinite(values)
    n = known.sum(axis=0)
    mean = np.divide(np.where(known, values, 0.0).sum(axis=0), n, out=np.full(n.size, np.nan), where=n > 0)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    enough = n >= 2
    error = np.sqrt(np.divide(squares, n * (n - 1.0), out=np.full(n.size, np.nan), where=enough))
    df = np.maximum(n - 1, 1)
    half = scipy.stats.t.ppf((1 + level) / 2, df) * error
    # without any spread there is no test, not a p of 0
    t = np.divide(mean, error, out=np.full(n.size, np.nan), where=enough & (error > 0))
    return OverSamples(mean, mean - half, mean + half, 2 * scipy.stats.t.sf(np.abs(t), df), n)


def correlation_over_samples(correlations: Array, *, level: float = 0.95) -> OverSamples:
    """Return the same of correlations: averaged and tested as Fisher z, given back as correlations."""
    found = mean_over_samples(np.arctanh(np.clip(correlations, -_LARGEST, _LARGEST)), level=level)
    return OverSamples(np.tanh(found.mean), np.tanh(found.low), np.tanh(found.high), found.p, found.n_samples)
