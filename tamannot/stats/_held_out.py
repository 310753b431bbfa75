"""How well a classifier does on cells that it has not seen, and from which probability on it may give a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

Array = NDArray[Any]

_MIN_CALLED, _LEVEL, _BINS = 30, 0.95, 15
# Probabilities to try as thresholds, from more likely right than wrong; a fixed grid, so that no last digit of
# a probability can move one.
_GRID = np.arange(500, 1000) / 1000


def judge(
    proba: Array, truth: Array, weight: Array, sample: Array | None, classes: Sequence[str], target: float
) -> dict[str, Any]:
    """Return the metrics on held-out cells, with the threshold, as plain values.

    The threshold is the smallest probability, at least 0.5, above which the lower 95 % bound of the accuracy reaches
    the target; None if there is none.

    Parameters
    ----------
    proba, truth
        Probabilities, cells × classes, and the class number of each cell.
    weight
        Of each cell.
    sample
        Sample number of each cell; None: cells are independent.
    classes, target
        Names of the classes, and the accuracy that is asked for.
    """
    call, confidence = proba.argmax(axis=1), proba.max(axis=1)
    right = call == truth
    bounds = np.array([lower_bound(right, weight, sample, confidence >= t) for t in _GRID])
    at = next(iter(np.flatnonzero(bounds >= target)), None)
    called = np.zeros(truth.size, bool) if at is None else confidence >= _GRID[at]
    bins = np.array_split(np.argsort(confidence, kind="stable"), _BINS)
    of_class = precision_recall_fscore_support(
        truth, call, labels=np.arange(len(classes)), sample_weight=weight, zero_division=np.nan
    )
    n = np.bincount(truth, minlength=len(classes)).tolist()
    figures = [[None if np.isnan(v) else float(v) for v in row] for row in np.transpose(of_class[:3])]
    return {
        "n_held_out": truth.size,
        "accuracy": float(np.average(right, weights=weight)),
        "balanced_accuracy": float(np.nanmean(of_class[1])),
        "macro_f1": float(np.nanmean(of_class[2])),
        "ece": float(sum(abs(weight[b] @ (confidence - right)[b]) for b in bins) / weight.sum()),
        "target_accuracy": target,
        "threshold": None if at is None else float(_GRID[at]),
        "called": float(np.average(called, weights=weight)),
        "accuracy_called": float(np.average(right[called], weights=weight[called])) if called.any() else None,
        "accuracy_called_lower": None if at is None else float(bounds[at]),
        "best_lower": float(bounds.max()),
        "per_class": {
            c: {"n": k, "precision": p, "recall": r, "f1": f}
            for c, k, (p, r, f) in zip(classes, n, figures, strict=True)
        },
    }


def lower_bound(right: Array, weight: Array, sample: Array | None, called: Array) -> float:
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
