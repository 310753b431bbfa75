"""One-versus-rest heads: how much of a program a cell has, learned from cells that are beyond doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tamannot.classify._call import Array

# Strong regularisation: there are more genes than anchors.
_C = 0.01


@dataclass(frozen=True)
class Anchors:
    """Row numbers of the cells that surely have a program, and of those that surely have not."""

    positive: Array
    negative: Array


@dataclass(frozen=True)
class Head:
    """Linear scores of one class, one a fold; a cell is scored by the fold that did not see it."""

    weights: Array
    """Shape ``(n_folds, n_features)``."""
    intercepts: Array
    zero: float
    """Median score of the background."""
    one: float
    """Median score of the anchors, out of fold."""

    @property
    def n_folds(self) -> int:
        """Folds that it was fitted on."""
        return int(self.weights.shape[0])

    def amount(self, scores: Array) -> Array:
        """Return scores on the scale on which background is 0 and anchors are 1."""
        return np.asarray((scores - self.zero) / (self.one - self.zero))

    def mean_of_folds(self) -> tuple[Array, float]:
        """Return the mean weights and intercept of the folds, on the scale of amounts."""
        scale = self.one - self.zero
        return self.weights.mean(axis=0) / scale, float((self.intercepts.mean() - self.zero) / scale)


def train_head(x: sp.csr_array, fold: Array, n_folds: int, anchors: Anchors, background: Array) -> Head | None:
    """Fit a head on each set of folds but one.

    Parameters
    ----------
    x
        Expression of the pool's cells, features only.
    fold, n_folds
        Fold of each cell of the pool, and how many there are.
    anchors, background
        Places in the pool.

    Returns
    -------
    None if a fold lacks one side, or anchors do not stand above the background.
    """
    cells = np.concatenate([anchors.positive, anchors.negative])
    y = np.concatenate([np.ones(anchors.positive.size), np.zeros(anchors.negative.size)])
    weights, intercepts = [], []
    for k in range(n_folds):
        seen = fold[cells] != k
        if not 0 < y[seen].sum() < seen.sum():
            return None
        fitted = _fit(x[cells[seen]], y[seen])
        weights.append(fitted.coef_.ravel())
        intercepts.append(float(fitted.intercept_[0]))
    head = Head(np.array(weights), np.array(intercepts), 0.0, 1.0)
    zero = float(np.median(out_of_fold(head, x[background], fold[background])))
    one = float(np.median(out_of_fold(head, x[anchors.positive], fold[anchors.positive])))
    return Head(head.weights, head.intercepts, zero, one) if one > zero else None


def out_of_fold(head: Head, x: sp.csr_array, fold: Array) -> Array:
    """Return the score of each cell by the fold that did not see it."""
    every = x @ head.weights.T + head.intercepts
    return np.asarray(every[np.arange(x.shape[0]), fold])


def amounts(heads: Mapping[str, Head], x: sp.csr_array, fold: Array) -> Array:
    """Return the amounts of all heads, cells by heads."""
    return np.stack([h.amount(out_of_fold(h, x, fold)) for h in heads.values()], axis=1)


def _fit(x: sp.csr_array, y: Array) -> LogisticRegression:
    with threadpool_limits(1):  # the same sums whatever the machine
        model = LogisticRegression(
            C=_C, class_weight="balanced", solver="liblinear", dual=True, tol=1e-3, max_iter=200, random_state=0
        )
        # scikit-learn takes 32-bit indices only; a pool is never that large
        small = (x.data, x.indices.astype(np.int32), x.indptr.astype(np.int32))
        return model.fit(sp.csr_matrix(small, shape=x.shape), y)
