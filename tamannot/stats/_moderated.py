"""Moderated t: the variances of many genes lend one another strength where samples are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

Array = NDArray[Any]

_MAX_STEPS, _CLOSE = 50, 1e-8
# limma's: a variance of zero is none, and its logarithm would rule the fit.
_SMALLEST = 1e-5


@dataclass(frozen=True)
class Moderated:
    """Mean difference of each gene and its moderated t.

    Parameters
    ----------
    difference
        Mean over samples, shape ``(n_genes,)``.
    t
        Moderated t, of the same shape.
    df_prior
        Degrees of freedom of the prior; infinite where genes differ in variance no more than by chance.
    variance_prior
        Variance that the genes share.
    """

    difference: Array
    t: Array
    df_prior: float
    variance_prior: float


def moderated_t(differences: Array) -> Moderated:
    """Return the moderated t of differences that are taken within samples.

    Parameters
    ----------
    differences
        One row a sample, one column a gene, shape ``(n_samples, n_genes)``, at least two samples; finite.

    Returns
    -------
    Moderated

    Notes
    -----
    Source: Smyth 2004, doi:10.2202/1544-6115.1027, as limma's ``eBayes`` of a design with the intercept alone.
    """
    n, mean = differences.shape[0], differences.mean(axis=0)
    variance = differences.var(axis=0, ddof=1)
    df_prior, prior = fit_prior(variance, n - 1)
    shared = _shrunk(variance, n - 1, df_prior, prior)
    t = np.divide(mean, np.sqrt(shared / n), out=np.zeros_like(mean), where=shared > 0)
    return Moderated(mean, t, df_prior, prior)


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
    df_prior = 2 * _trigamma_inverse(spread)
    return df_prior, float(np.exp(logs.mean() + digamma(df_prior / 2) - np.log(df_prior / 2)))


def _shrunk(variance: Array, df: int, df_prior: float, prior: float) -> Array:
    if np.isinf(df_prior):
        return np.full_like(variance, prior)
    return (df_prior * prior + df * variance) / (df_prior + df)


def _trigamma_inverse(x: float) -> float:
    """Return y with trigamma(y) = x, by Newton on 1/trigamma, which is nearly a straight line."""
    y = 0.5 + 1 / x
    for _ in range(_MAX_STEPS):
        value = float(polygamma(1, y))
        step = value * (1 - value / x) / float(polygamma(2, y))
        y += step
        if -step / y < _CLOSE:
            break
    return y
