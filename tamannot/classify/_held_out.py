"""How well a classifier does on held-out cells: calibration, metrics, and the threshold from which it gives a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats
from sklearn.metrics import precision_recall_fscore_support

from tamannot.classify._calibration import calibration_error
from tamannot.classify._call import Array

_MIN_CALLED = 30
_LEVEL = 0.95
# Probabilities to try as thresholds, from more likely right than wrong; a fixed grid, so that no last digit of
# a probability can move one.
_GRID = np.arange(500, 1000) / 1000
# A class that a fold has never seen: its probability is zero.
_NEVER = -1e6


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Cells with the margins by a fit that did not see them."""

    margins: Array
    """Cells × classes; NaN where the other folds had no cell of the class."""
    truth: Array
    """Class number of each cell."""
    fold: Array
    weight: Array
    """So that classes are as frequent as in the data."""
    sample: Array | None
    """Sample number of each cell."""

    def some(self, cells: Array) -> HeldOut:
        """Return some of the cells."""
        sample = None if self.sample is None else self.sample[cells]
        return HeldOut(self.margins[cells], self.truth[cells], self.fold[cells], self.weight[cells], sample)


def probabilities(margins: Array, slope: float, offset: Array) -> Array:
    """Return the softmax of ``slope * margin + offset``, cells × classes; zero where a margin is NaN."""
    return np.asarray(scipy.special.softmax(np.nan_to_num(slope * margins + offset, nan=_NEVER), axis=1))


def calibrate(held: HeldOut) -> tuple[float, Array]:
    """Return the slope and the offset of each class by which the held-out cells are most likely.

    A weak prior, standard normal on the slope's logarithm and on the offsets, keeps them finite where classes do not
    overlap.
    """
    cells, margins = np.arange(held.truth.size), np.nan_to_num(held.margins)

    def loss(theta: Array) -> tuple[float, Array]:
        slope, offset = np.exp(theta[0]), theta[1:]
        residual = probabilities(held.margins, slope, offset)
        fit = -held.weight @ np.log(np.maximum(residual[cells, held.truth], 1e-300))
        residual[cells, held.truth] -= 1
        by_slope = slope * (held.weight @ (residual * margins).sum(axis=1))
        return float(fit + theta @ theta / 2), np.concatenate([[by_slope], held.weight @ residual]) + theta

    theta = scipy.optimize.minimize(loss, np.zeros(1 + margins.shape[1]), jac=True, method="BFGS").x
    return float(np.exp(theta[0])), theta[1:]


def measure(held: HeldOut, classes: Sequence[str], target: float) -> tuple[float | None, dict[str, Any]]:
    """Return the threshold and the metrics on the held-out cells, the probabilities of each by the other folds.

    The threshold is the smallest probability, at least 0.5, above which the lower 95 % bound of the accuracy reaches
    the target; None if there is none. Metrics are plain values.
    """
    proba = _left_out(held)
    call, confidence = proba.argmax(axis=1), proba.max(axis=1)
    right, w = call == held.truth, held.weight
    bounds = np.array([_lower_bound(right, w, held.sample, confidence >= t) for t in _GRID])
    reached = np.flatnonzero(bounds >= target)
    threshold = float(_GRID[reached[0]]) if reached.size else None
    called = confidence >= threshold if threshold is not None else np.zeros(right.size, bool)
    precision, recall, f1, _ = precision_recall_fscore_support(
        held.truth, call, labels=np.arange(len(classes)), sample_weight=w, zero_division=np.nan
    )
    n = np.bincount(held.truth, minlength=len(classes))
    return threshold, {
        "n_held_out": int(right.size),
        "accuracy": float(np.average(right, weights=w)),
        "balanced_accuracy": float(np.nanmean(recall)),
        "macro_f1": float(np.nanmean(f1)),
        "ece": calibration_error(confidence, right, w),
        "target_accuracy": target,
        "threshold": threshold,
        "called": float(np.average(called, weights=w)),
        "accuracy_called": float(np.average(right[called], weights=w[called])) if called.any() else None,
        "accuracy_called_lower": float(bounds[reached[0]]) if reached.size else None,
        "best_lower": float(bounds.max()),
        "per_class": {
            c: {"n": int(n[i]), "precision": _known(precision[i]), "recall": _known(recall[i]), "f1": _known(f1[i])}
            for i, c in enumerate(classes)
        },
    }


def _left_out(held: HeldOut) -> Array:
    """Return probabilities of the held-out cells, each calibrated on the other folds."""
    proba = np.empty(held.margins.shape)
    for k in np.unique(held.fold):
        mine = held.fold == k
        proba[mine] = probabilities(held.margins[mine], *calibrate(held if mine.all() else held.some(~mine)))
    return proba


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _lower_bound(right: Array, weight: Array, sample: Array | None, called: Array) -> float:
    """Return the lower bound of the accuracy of what is called: Clopper and Pearson's, by clusters.

    With samples the number of cells is divided by the design effect and corrected for the few samples, as
    Korn and Graubard (1998, Survey Methodology 24:193) do; weights count by Kish's effective size.
    """
    if called.sum() < _MIN_CALLED:
        return 0.0
    right, weight = right[called], weight[called]
    share = float(np.average(right, weights=weight))
    n = float(weight.sum() ** 2 / (weight @ weight))
    if sample is not None:
        used, number = np.unique(sample[called], return_inverse=True)
        if used.size < 2:
            return 0.0
        excess = np.bincount(number, weight * (right - share)) / weight.sum()
        by_samples, by_chance = float(excess @ excess) * used.size / (used.size - 1), share * (1 - share) / n
        design = max(by_samples / by_chance, 1.0) if by_chance > 0 else 1.0
        few = scipy.stats.t.ppf(_LEVEL, max(n - 1, 1)) / scipy.stats.t.ppf(_LEVEL, used.size - 1)
        n = max(n / design * float(few) ** 2, 1.0)
    return float(scipy.stats.beta.ppf(1 - _LEVEL, max(share * n, 1e-9), (1 - share) * n + 1))
