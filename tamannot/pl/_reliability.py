"""Reliability of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tamannot.data import Array
from tamannot.errors import ParameterError
from tamannot.pl._style import CURVES, MARKERS, FigureOptions, check_positive, figure, new_axes
from tamannot.stats import _classifiers


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
    stated, happened = _checked(proba, truth)
    found = _classifiers.reliability(stated, happened, n_bins)
    slope = f"slope {found.slope:.2f}" if np.isfinite(found.slope) else "no slope"
    figures = f"ECE {found.ece:.3f}, Brier {found.brier:.3f}, {slope}"
    ax = ax or new_axes(4.8, 5.1)
    n_before = len(ax.containers)
    if not n_before:
        ax.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color="0.45", label="calibrated", zorder=1)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="predicted probability", ylabel="share of right calls")
        ax.set_aspect("equal")
    # A share is within its interval, up to rounding.
    reach = np.maximum([found.observed - found.low, found.high - found.observed], 0.0)
    i = n_before % len(CURVES)
    style: dict[str, Any] = {"color": CURVES[i], "marker": MARKERS[i], "markersize": 5, "linewidth": 1.2}
    style |= {"elinewidth": 0.9, "capsize": 2, "label": f"{label}\n{figures}" if label else figures}
    ax.errorbar(found.stated, found.observed, yerr=reach, **style)
    ax.legend(loc="best", frameon=False, fontsize="small")
    ax.set_title(f"Reliability of probabilities in {len(stated):,} cells")
    return ax


def _checked(
    proba: pd.DataFrame | Sequence[float] | Array, truth: Sequence[object] | pd.Series | Array
) -> tuple[Array, Array]:
    """Return the probability of each cell's event, or of its most probable class, and whether it was right."""
    try:
        values = np.asarray(proba, float)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            "proba must be numbers in [0, 1], one per cell, or a DataFrame of cells × classes."
        ) from error
    happened = np.asarray(truth)
    if not values.size:
        msg = "proba is empty; there is nothing to draw."
    elif not ((values >= 0) & (values <= 1)).all():
        msg = "proba has values that are not probabilities: below 0, above 1, or NaN. Leave such cells out."
    elif values.ndim != 1 and not isinstance(proba, pd.DataFrame):
        msg = f"proba has {values.ndim} dimensions; give one probability per cell, or a DataFrame of cells × classes."
    elif len(values) != len(happened):
        msg = f"proba has {len(values):,} cells and truth {len(happened):,}; both must have the same cells."
    elif isinstance(proba, pd.DataFrame):
        labels, classes = happened.astype(str), proba.columns.astype(str).to_numpy()
        if not (unknown := sorted(set(labels) - set(classes))):
            return values.max(axis=1), classes[values.argmax(axis=1)] == labels
        msg = (
            f"truth has classes that proba does not have: {', '.join(unknown[:5])}. Available: {', '.join(classes)}. "
            "Leave cells of other classes out of both."
        )
    elif not np.isin(happened, [0, 1]).all():
        msg = "truth must be yes or no (True, False, 1, 0); for classes give proba as a DataFrame."
    else:
        return values, happened.astype(bool)
    raise ParameterError(msg)
