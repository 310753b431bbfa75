"""Multinomial logistic regression, and probabilities that come true on cells it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sp
import scipy.special
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

Array = NDArray[Any]

# In place of the margin of a class that a fit has never seen: its probability is zero.
_NEVER = -1e6


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
    with threadpool_limits(1):  # the same sums whatever the machine
        fitted = LogisticRegression(**{"max_iter": 10_000, **settings}).fit(x, y, sample_weight=sample_weight)
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

    A weak prior, standard normal on the slope's logarithm and on the offsets, keeps them finite where classes do not
    overlap.
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
