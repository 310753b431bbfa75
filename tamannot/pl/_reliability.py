"""Whether stated probabilities come true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from tamannot.errors import ParameterError
from tamannot.pl._style import FigureOptions, figure, new_axes, open_corner
from tamannot.stats import _classifiers

Array = NDArray[Any]

# Okabe & Ito's colours without the faint ones; told apart by eyes of any kind, and by their markers.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")


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
    """Draw how often stated probabilities come true.

    Parameters
    ----------
    proba
        Probability of one event, one a cell; or a table of cells × classes, such as ``adata.obsm["tam_state_proba"]``:
        then that of the winning class.
    truth
        Whether the event happened, one a cell; with a table the true class, and the event is that it won. Leave cells
        of unknown truth out of both.
    n_bins
        Most bins. Each holds as many cells as the others; equal probabilities share one.
    label
        Name of the curve in the legend. Call again with the same ``ax`` for another curve.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes: the share that came true in each bin with its 95 % interval (Wilson), against the mean probability stated.
    Below the diagonal, probabilities are overconfident. The legend gives the expected calibration error (ECE), the
    Brier score, and the slope of the outcome's logit on the stated one: 1 is calibrated, less is overconfident. The
    intervals assume independent cells; cells of few donors are not.

    Raises
    ------
    ParameterError
        No cells, lengths that differ, values that are not probabilities or not yes and no, classes that ``proba`` does
        not have, no bin.

    Examples
    --------
    >>> import tamannot as tam
    >>> ax = tam.pl.reliability([0.1, 0.2, 0.8, 0.9], [False, False, True, True], n_bins=2)
    >>> ax.get_xlabel()
    'stated probability'
    """
    if n_bins < 1:
        msg = f"n_bins is {n_bins}; at least one bin is needed."
        raise ParameterError(msg)
    stated, happened = _winner(proba, truth) if isinstance(proba, pd.DataFrame) else _event(proba, truth)
    found = _classifiers.reliability(stated, happened, n_bins)
    ax = ax or new_axes(4.8, 4.8)
    _draw(ax, found, label)
    ax.legend(loc="best", frameon=False, fontsize="small")
    return ax


def _event(proba: Sequence[float] | Array, truth: Sequence[object] | pd.Series | Array) -> tuple[Array, Array]:
    stated, happened = _probabilities(proba), np.asarray(truth)
    if stated.ndim != 1:
        msg = f"proba has {stated.ndim} dimensions; give one probability a cell, or a DataFrame of cells × classes."
        raise ParameterError(msg)
    _check_lengths(len(stated), len(happened))
    if not np.isin(happened, [0, 1]).all():
        msg = "truth must be yes or no (True, False, 1, 0) where proba is of one event; for classes give a DataFrame."
        raise ParameterError(msg)
    return stated, happened.astype(bool)


def _winner(proba: pd.DataFrame, truth: Sequence[object] | pd.Series | Array) -> tuple[Array, Array]:
    values, labels = _probabilities(proba), np.asarray(truth).astype(str)
    _check_lengths(len(values), len(labels))
    classes = proba.columns.astype(str).to_numpy()
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        msg = (
            f"truth has classes that proba has not: {', '.join(unknown[:5])}. Available: {', '.join(classes)}. "
            "Leave cells of other classes out of both."
        )
        raise ParameterError(msg)
    return values.max(axis=1), classes[values.argmax(axis=1)] == labels


def _probabilities(proba: pd.DataFrame | Sequence[float] | Array) -> Array:
    try:
        values = np.asarray(proba, float)
    except (TypeError, ValueError) as error:
        msg = "proba must be numbers in [0, 1], one a cell, or a DataFrame of cells × classes."
        raise ParameterError(msg) from error
    if not values.size:
        msg = "proba is empty; there is nothing to draw."
        raise ParameterError(msg)
    if not ((values >= 0) & (values <= 1)).all():
        msg = "proba has values that are no probabilities: below 0, above 1, or NaN. Leave such cells out."
        raise ParameterError(msg)
    return values


def _check_lengths(n_proba: int, n_truth: int) -> None:
    if n_proba != n_truth:
        msg = f"proba has {n_proba:,} cells and truth {n_truth:,}; both must be of the same cells."
        raise ParameterError(msg)


def _draw(ax: Axes, found: _classifiers.Reliability, label: str | None) -> None:
    before = len(ax.containers)
    if not before:
        ax.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color="0.45", label="as stated", zorder=1)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="stated probability", ylabel="share that came true")
        ax.set_aspect("equal")
        open_corner(ax)
    # A share lies in its interval; rounding may say otherwise by a last digit.
    reach = np.maximum([found.observed - found.low, found.high - found.observed], 0.0)
    i = before % len(_COLORS)
    style: dict[str, Any] = {"color": _COLORS[i], "marker": _MARKERS[i], "markersize": 5, "linewidth": 1.2}
    style |= {"elinewidth": 0.9, "capsize": 2, "label": _summary(found, label)}
    ax.errorbar(found.stated, found.observed, yerr=reach, **style)


def _summary(found: _classifiers.Reliability, label: str | None) -> str:
    slope = f"slope {found.slope:.2f}" if np.isfinite(found.slope) else "no slope"
    figures = f"ECE {found.ece:.3f}, Brier {found.brier:.3f}, {slope}"
    return f"{label}\n{figures}" if label else figures
