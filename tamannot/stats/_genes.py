"""How far each gene stands above in a group of cells: over samples by a moderated t, or over cells by a plain one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

Array = NDArray[Any]

# edgeR's: what is added to a count, in a library of the mean size.
_PRIOR_COUNT, _MILLION = 2.0, 1e6
_MAX_STEPS, _CLOSE = 50, 1e-8
# limma's: the logarithm of a variance of zero would rule the fit.
_SMALLEST = 1e-5


@dataclass(frozen=True)
class Moderated:
    """Mean difference of each gene and its moderated t, ``(n_genes,)``."""

    difference: Array
    t: Array
    df_prior: float
    """Degrees of freedom of the prior; infinite where genes differ in variance no more than by chance."""
    variance_prior: float
    """Variance that the genes share."""


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
    mean, variance = _moments(n, sums, squares)
    mean_rest, variance_rest = _moments(n_rest, rest, rest_squares)
    error = np.sqrt((variance + variance_rest) / n)
    return np.divide(mean - mean_rest, error, out=np.zeros_like(error), where=error > 0)


def _moments(n: int, sums: Array, squares: Array) -> tuple[Array, Array]:
    mean = sums / n
    return mean, np.maximum(squares / n - mean**2, 0.0) * (n / max(n - 1, 1))


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
