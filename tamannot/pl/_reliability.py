"""Reliability of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from tamannot.errors import ParameterError
from tamannot.pl._style import CURVES, MARKERS, FigureOptions, check_positive, figure, new_axes, open_corner
from tamannot.stats import _classifiers

Array = NDArray[Any]


@figure
def reliability(
    proba: pd.DataFrame | Sequence[float] | Array,
    truth: Sequence[object] | pd.Series | Array,
    *,
    n_bins: int = 15,
    label: str | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw how often calls of each predicted probability are right.

    Parameters
    ----------
    proba
        Probability of an event, from 0 to 1, one value per cell; or a table of cells × classes, such as
        ``adata.obsm["tam_state_proba"]``, of which the most probable class is used.
    truth
        Whether the event occurred, one value per cell; for a table the true class. Leave cells whose truth is unknown
        out of both.
    n_bins
        Maximal number of bins, at least 1. Bins have equal numbers of cells; equal probabilities share a bin.
    label
        Name of the curve in the legend. Call again with the same ``ax`` for another curve.

    Returns
    -------
    The axes: the observed share of each bin, with its 95 % interval (Wilson), against the mean predicted probability.
    Below the diagonal, probabilities are overconfident. The legend has the expected calibration error (ECE), the Brier
    score, and the slope of the logit of the outcome on that of the probability: 1 is calibrated, less is overconfident.
    The intervals assume independent cells, which cells of few donors are not.

    Raises
    ------
    ParameterError
        There are no cells, the lengths differ, ``proba`` is not probabilities, ``truth`` is not yes or no or has
        classes that ``proba`` does not have, or ``n_bins`` is below 1.

    Examples
    --------
    >>> import tamannot as tam
    >>> ax = tam.pl.reliability([0.1, 0.2, 0.8, 0.9], [False, False, True, True], n_bins=2)
    >>> ax.get_xlabel()
    'predicted probability'
    """
    check_positive("n_bins", n_bins)
    stated, happened = _winner(proba, truth) if isinstance(proba, pd.DataFrame) else _event(proba, truth)
    found = _classifiers.reliability(stated, happened, n_bins)
    ax = ax or new_axes(4.8, 5.1)
    _draw(ax, found, label)
    ax.legend(loc="best", frameon=False, fontsize="small")
    ax.set_title(f"Reliability of probabilities in {len(stated):,} cells")
    return ax


def _event(proba: Sequence[float] | Array, truth: Sequence[object] | pd.Series | Array) -> tuple[Array, Array]:
    stated, happened = _probabilities(proba), np.asarray(truth)
    if stated.ndim != 1:
        msg = f"proba has {stated.ndim} dimensions; give one probability per cell, or a DataFrame of cells × classes."
        raise ParameterError(msg)
    _check_lengths(len(stated), len(happened))
    if not np.isin(happened, [0, 1]).all():
        msg = "truth must be yes or no (True, False, 1, 0); for classes give proba as a DataFrame."
        raise ParameterError(msg)
    return stated, happened.astype(bool)


def _winner(proba: pd.DataFrame, truth: Sequence[object] | pd.Series | Array) -> tuple[Array, Array]:
    values, labels = _probabilities(proba), np.asarray(truth).astype(str)
    _check_lengths(len(values), len(labels))
    classes = proba.columns.astype(str).to_numpy()
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        msg = (
            f"truth has classes that proba does not have: {', '.join(unknown[:5])}. Available: {', '.join(classes)}. "
            "Leave cells of other classes out of both."
        )
        raise ParameterError(msg)
    return values.max(axis=1), classes[values.argmax(axis=1)] == labels


def _probabilities(proba: pd.DataFrame | Sequence[float] | Array) -> Array:
    try:
        values = np.asarray(proba, float)
    except (TypeError, ValueError) as error:
        msg = "proba must be numbers in [0, 1], one per cell, or a DataFrame of cells × classes."
        raise ParameterError(msg) from error
    if not values.size:
        msg = "proba is empty; there is nothing to draw."
        raise ParameterError(msg)
    if not ((values >= 0) & (values <= 1)).all():
        msg = "proba has values that are not probabilities: below 0, above 1, or NaN. Leave such cells out."
        raise ParameterError(msg)
    return values


def _check_lengths(n_proba: int, n_truth: int) -> None:
    if n_proba != n_truth:
        msg = f"proba has {n_proba:,} cells and truth {n_truth:,}; both must have the same cells."
        raise ParameterError(msg)


def _draw(ax: Axes, found: _classifiers.Reliability, label: str | None) -> None:
    before = len(ax.containers)
    if not before:
        ax.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color="0.45", label="calibrated", zorder=1)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="predicted probability", ylabel="share of right calls")
        ax.set_aspect("equal")
        open_corner(ax)
    # A share is within its interval, up to rounding.
    reach = np.maximum([found.observed - found.low, found.high - found.observed], 0.0)
    i = before % len(CURVES)
    style: dict[str, Any] = {"color": CURVES[i], "marker": MARKERS[i], "markersize": 5, "linewidth": 1.2}
    style |= {"elinewidth": 0.9, "capsize": 2, "label": _summary(found, label)}
    ax.errorbar(found.stated, found.observed, yerr=reach, **style)


def _summary(found: _classifiers.Reliability, label: str | None) -> str:
    slope = f"slope {found.slope:.2f}" if np.isfinite(found.slope) else "no slope"
    figures = f"ECE {found.ece:.3f}, Brier {found.brier:.3f}, {slope}"
    return f"{label}\n{figures}" if label else figures
