"""Pseudo-cells with known truth: anchors mixed with background, counts thinned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import scipy.stats
from sklearn.linear_model import LogisticRegression

from tamannot.classify._call import Array
from tamannot.models._pool import Pool, to_expression

SOURCE = "simulated mixtures of anchor and background cells of these data"
SOURCE_OF_MODEL = "simulated mixtures of anchor and background cells of the model's data"


@dataclass(frozen=True)
class Sigmoid:
    """A logistic function of some evidence."""

    slopes: tuple[float, ...]
    offset: float

    def __call__(self, *evidence: Array) -> Array:
        """Return probabilities."""
        logit = self.offset + sum(s * e for s, e in zip(self.slopes, evidence, strict=True))
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -50, 50))))


def fit_sigmoid(truth: Array, *evidence: Array, balanced: bool = False) -> Sigmoid | None:
    """Fit a logistic function to truth; None if there is but one kind.

    ``balanced`` takes both kinds for equally frequent.
    """
    if truth.all() or not truth.any():
        return None
    weights = "balanced" if balanced else None
    model = LogisticRegression(C=1e3, max_iter=1000, class_weight=weights).fit(np.stack(evidence, axis=1), truth)
    return Sigmoid(tuple(float(c) for c in model.coef_[0]), float(model.intercept_[0]))


def mix(pool: Pool, first: Array, second: Array, share: Array, rng: np.random.Generator) -> sp.csr_array:
    """Return the expression of pseudo-cells that are ``share`` of one cell and the rest of another.

    Parameters
    ----------
    pool
        Where the cells are.
    first, second
        Places in the pool, one a pseudo-cell.
    share
        Between 0 and 1.
    rng
        Draws the counts; of linear values and logarithms, which have no counts, the values are mixed.
    """
    a, b = pool.values[first], pool.values[second]
    if pool.kind == "log":
        a, b = a.expm1(), b.expm1()
    total_a, total_b = (np.maximum(np.asarray(m.sum(axis=1)).ravel(), 1e-9) for m in (a, b))
    if pool.kind == "counts":
        # As many counts as both can give at these shares: a pseudo-cell is no deeper than its sources.
        total = np.minimum(total_a / np.maximum(share, 1e-9), total_b / np.maximum(1 - share, 1e-9))
        mixed = _thin(a, share * total / total_a, rng) + _thin(b, (1 - share) * total / total_b, rng)
        return to_expression(sp.csr_array(mixed), "counts")
    mixed = sp.diags_array(share / total_a) @ a + sp.diags_array((1 - share) / total_b) @ b
    if pool.kind == "log":  # back to the scale of the data
        return sp.csr_array(sp.diags_array((total_a + total_b) / 2) @ mixed).log1p()
    return to_expression(sp.csr_array(mixed), "linear")


def threshold_for(accuracy: float, confidence: Array, right: Array) -> float | None:
    """Return the smallest confidence above which the accuracy is reached, by its Clopper-Pearson lower bound.

    None if no threshold that keeps thirty pseudo-cells reaches it.
    """
    order = np.argsort(-confidence, kind="stable")
    n = np.arange(1, order.size + 1)
    wrong = np.cumsum(~right[order])
    lower = scipy.stats.beta.ppf(0.05, n - wrong, wrong + 1)
    reached = np.flatnonzero((lower >= accuracy) & (n >= 30))
    return float(confidence[order][reached[-1]]) if reached.size else None


def stricter(accuracy: float, share: float) -> float:
    """Return the accuracy to ask of pseudo-cells where the data have a share of the genes only.

    Pseudo-cells are made of anchors that the genes at hand picked, so that they cannot show what the absent ones
    would have said: the errors allowed shrink as the share does.
    """
    return 1.0 - (1.0 - accuracy) * share


def _thin(counts: sp.csr_array, share: Array, rng: np.random.Generator) -> sp.csr_array:
    chance = np.repeat(np.minimum(share, 1.0), np.diff(counts.indptr))
    data = rng.binomial(np.rint(counts.data).astype(np.int64), chance).astype(np.float64)
    return sp.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
