"""How well a classifier does on cells held out: folds, calibration, metrics, and from when on to give a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from tamannot.models._calibration import calibration_error
from tamannot.models._call import Array
from tamannot.models._model import Calibration

_FOLDS = 5
_MIN_CALLED = 30
_LEVEL = 0.95
# Probabilities to try as thresholds, from more likely right than wrong; a fixed grid, so that no last digit of
# a probability can move one.
_GRID = np.arange(500, 1000) / 1000
_STEPS = 100


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Cells with the margins by a fold that did not see them."""

    margins: Array
    """Cells × classes; NaN where the other folds had no cell of the class."""
    truth: Array
    """Class number of each cell."""
    fold: Array
    weight: Array
    """So that classes are as frequent as in the data."""
    sample: Array | None
    """Sample number of each cell."""

    @property
    def usable(self) -> Array:
        """Cells whose class was learned by the other folds."""
        return ~np.isnan(self.margins[np.arange(self.truth.size), self.truth])

    def some(self, cells: Array) -> HeldOut:
        """Return some of the cells."""
        sample = None if self.sample is None else self.sample[cells]
        return HeldOut(self.margins[cells], self.truth[cells], self.fold[cells], self.weight[cells], sample)


def group_folds(ticket: Array, sample: Sequence[str] | None) -> Array:
    """Return the fold of each cell: samples stay whole, the largest first into the smallest fold.

    Without samples, or with only one, the lottery says.
    """
    names, number = np.unique(np.asarray(sample if sample is not None else [], str), return_inverse=True)
    if names.size < 2:
        return np.asarray((ticket * _FOLDS).astype(np.int64))
    size = np.bincount(number)
    filled = np.zeros(min(_FOLDS, names.size), np.int64)
    fold_of = np.empty(names.size, np.int64)
    for s in np.argsort(-size, kind="stable"):
        fold_of[s] = filled.argmin()
        filled[fold_of[s]] += size[s]
    return np.asarray(fold_of[number])


def calibrate(held: HeldOut) -> Calibration:
    """Fit one slope and an offset per class by Newton's method to the likelihood of the held-out cells.

    A weak prior (standard normal on slope and offsets) keeps them finite where classes do not overlap.
    """
    n = held.margins.shape[1]
    theta = np.concatenate([[1.0], np.zeros(n)])
    loss, gradient, hessian = _likelihood(theta, held)
    for _ in range(_STEPS):
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-8:
            tried = _likelihood(theta - size * step, held)
            if tried[0] <= loss:
                break
            size /= 2
        else:
            break
        theta = theta - size * step
        loss, gradient, hessian = tried
        if np.abs(step).max() < 1e-12:
            break
    return Calibration(float(theta[0]), theta[1:])


def _likelihood(theta: Array, held: HeldOut) -> tuple[float, Array, Array]:
    """Return the penalised negative log-likelihood with its gradient and Hessian."""
    p = Calibration(float(theta[0]), theta[1:])(held.margins)
    cells = np.arange(held.truth.size)
    margins, w = np.nan_to_num(held.margins), held.weight
    residual = p.copy()
    residual[cells, held.truth] -= 1
    loss = -float(w @ np.log(np.maximum(p[cells, held.truth], 1e-300))) + 0.5 * float(theta @ theta)
    gradient = np.concatenate([[w @ (residual * margins).sum(axis=1)], w @ residual]) + theta
    # Columns of the derivative of the logits: the margin itself for the slope, one for the own offset.
    mean = (p * margins).sum(axis=1)
    cross = w @ (p * (margins - mean[:, None]))
    hessian = np.eye(theta.size)
    hessian[0, 0] += w @ ((p * margins**2).sum(axis=1) - mean**2)
    hessian[0, 1:] += cross
    hessian[1:, 0] += cross
    hessian[1:, 1:] += np.diag(w @ p) - (p * w[:, None]).T @ p
    return loss, gradient, hessian


def crossed(held: HeldOut) -> Array:
    """Return probabilities of the held-out cells, each calibrated on the other folds."""
    proba = np.empty(held.margins.shape)
    for k in np.unique(held.fold):
        mine = held.fold == k
        proba[mine] = calibrate(held.some(~mine) if not mine.all() else held)(held.margins[mine])
    return proba


def measure(held: HeldOut, proba: Array, classes: Sequence[str], target: float) -> tuple[float | None, dict[str, Any]]:
    """Return the threshold and the metrics on the held-out cells.

    Parameters
    ----------
    held, proba
        The cells and their probabilities.
    classes
        Names of the classes.
    target
        Accuracy that the labels given should reach.

    Returns
    -------
    The smallest probability, at least 0.5, above which the lower 95 % bound of the accuracy reaches the target,
    None if there is none; and the metrics as plain values.
    """
    call, confidence = proba.argmax(axis=1), proba.max(axis=1)
    right, w = call == held.truth, held.weight
    bounds = np.array([_lower_bound(right, w, held.sample, confidence >= t) for t in _GRID])
    reached = np.flatnonzero(bounds >= target)
    threshold = float(_GRID[reached[0]]) if reached.size else None
    called = confidence >= threshold if threshold is not None else np.zeros(right.size, bool)
    per_class = {c: _of_class(held.truth == i, call == i, w) for i, c in enumerate(classes)}
    recalls = [m["recall"] for m in per_class.values() if m["recall"] is not None]
    found = [m["f1"] for m in per_class.values() if m["f1"] is not None]
    return threshold, {
        "n_held_out": int(right.size),
        "accuracy": _share(right, w),
        "balanced_accuracy": float(np.mean(recalls)),
        "macro_f1": float(np.mean(found)),
        "ece": calibration_error(confidence, right, w),
        "target_accuracy": target,
        "threshold": threshold,
        "called": _share(called, w),
        "accuracy_called": _share(right[called], w[called]),
        "accuracy_called_lower": float(bounds[reached[0]]) if reached.size else None,
        "best_lower": float(bounds.max()),
        "per_class": per_class,
    }


def _share(which: Array, weight: Array) -> float | None:
    return float(weight @ which / weight.sum()) if which.size else None


def _of_class(truth: Array, call: Array, weight: Array) -> dict[str, float | int | None]:
    hit = float(weight @ (truth & call))
    precision, recall = (hit / n if (n := float(weight @ which)) else None for which in (call, truth))
    f1 = 2 * hit / n if (n := float(weight @ truth + weight @ call)) else None
    return {"n": int(truth.sum()), "precision": precision, "recall": recall, "f1": f1}


def _lower_bound(right: Array, weight: Array, sample: Array | None, called: Array) -> float:
    """Return the lower bound of the accuracy of what is called: Clopper and Pearson's, by clusters.

    With samples the number of cells is divided by the design effect and corrected for the few samples, as
    Korn and Graubard (1998, Survey Methodology 24:193) do; weights count by Kish's effective size.
    """
    if called.sum() < _MIN_CALLED:
        return 0.0
    right, weight = right[called], weight[called]
    share = float(weight @ right / weight.sum())
    n = float(weight.sum() ** 2 / (weight @ weight))
    if sample is not None:
        n = _effective(right, weight, sample[called], share, n)
    return float(scipy.stats.beta.ppf(1 - _LEVEL, max(share * n, 1e-9), (1 - share) * n + 1))


def _effective(right: Array, weight: Array, sample: Array, share: float, n: float) -> float:
    """Return the number of independent cells that tell as much as these."""
    used, number = np.unique(sample, return_inverse=True)
    if used.size < 2:
        return 1.0
    excess = np.bincount(number, weight * (right - share)) / weight.sum()
    variance = float(excess @ excess) * used.size / (used.size - 1)
    by_chance = share * (1 - share) / n
    design = max(variance / by_chance, 1.0) if by_chance > 0 else 1.0
    few = scipy.stats.t.ppf(_LEVEL, max(n - 1, 1)) / scipy.stats.t.ppf(_LEVEL, used.size - 1)
    return max(n / design * float(few) ** 2, 1.0)
