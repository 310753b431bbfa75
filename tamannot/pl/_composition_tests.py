"""How shares differ between conditions, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from tamannot.analysis._composition_tests import Axis
from tamannot.get import composition as table_of
from tamannot.pl._style import new_axes, pretty

# Okabe & Ito's; conditions beyond these repeat them with another marker.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "D", "^", "v")
_LEAST, _MOST = 1 / 64, 64.0
_SPREAD = 0.5
_COUNTS = {"called": "shares as called", "expected": "expected shares"}


def composition_tests(adata: AnnData, *, axis: Axis | None = None, key: str = "tam", ax: Axes | None = None) -> Axes:
    """Draw the odds ratio of each label between conditions, with its 95 % interval.

    Parameters
    ----------
    adata
        An object of which `tl.composition` was run with a condition.
    axis
        Of which labels, ``"state"``, ``"origin"`` or ``"compartment"``; None takes the comparison that was made last.
    key
        The ``key_added`` of the annotation.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. Right of 1 the label is more frequent than in the reference; the axis says by which shares. Intervals are
    over samples, and for each label alone; q, adjusted over the labels, stands beside. Intervals that leave the range
    of 1/64 to 64 are cut.

    Raises
    ------
    ResultNotFoundError
        `tl.composition` was not run, or without a condition.
    """
    tests = table_of(adata, key, axis=axis)
    tests = tests[tests["log_odds"].notna()]
    labels, contrasts = (list(dict.fromkeys(tests[c])) for c in ("label", "contrast"))
    ax = ax if ax is not None else new_axes(7.5, 1.6 + (0.25 + 0.22 * len(contrasts)) * max(len(labels), 2))
    for i, contrast in enumerate(contrasts):
        rows = tests[tests["contrast"] == contrast]
        offset = (i - (len(contrasts) - 1) / 2) * _SPREAD / len(contrasts)
        place = np.array([labels.index(label) for label in rows["label"]]) + offset
        odds, low, high = (rows[c].to_numpy(float).clip(_LEAST, _MOST) for c in ("odds_ratio", "low", "high"))
        ax.errorbar(
            odds,
            place,
            xerr=[odds - low, high - odds],
            linestyle="none",
            capsize=2,
            label=contrast,
            color=_COLORS[i % len(_COLORS)],
            marker=_MARKERS[i // len(_COLORS) % len(_MARKERS)],
        )
        for y, row in zip(place, rows.itertuples(), strict=True):
            ax.text(1.02, y, _figures(row.q, row.p), transform=ax.get_yaxis_transform(), va="center", fontsize="small")
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(labels)), [pretty(label) for label in labels])
    what = _COUNTS[str(tests.attrs["parameters"]["counts"])]
    ax.set(xlabel=f"odds ratio of {what}\n(95 % interval over samples)", ylim=(max(len(labels), 1) - 0.5, -0.5))
    _ticks(ax, tests)
    ax.spines[["top", "right"]].set_visible(False)
    if len(contrasts) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize="small", ncols=2)
    else:
        ax.set_title(contrasts[0] if contrasts else "nothing could be tested", loc="left", fontsize="medium")
    return ax


def _ticks(ax: Axes, tests: pd.DataFrame) -> None:
    """Set ticks at powers of two around 1, as wide as the intervals are."""
    far = float(np.nanmax(np.abs(np.log(tests[["low", "high"]].to_numpy(float))), initial=np.log(2)))
    reach = min(int(np.ceil(far / np.log(2))), 6)
    step = 1 if reach <= 3 else 2
    ticks = [2.0**i for i in range(-(reach // step) * step, reach + 1, step)]
    ax.set_xticks(ticks)
    ax.set_xlim(2.0 ** -(reach + 0.15), 2.0 ** (reach + 0.15))


def _figures(q: float, p: float) -> str:
    return f"q = {q:.2g}" if np.isfinite(q) else f"p = {p:.2g}, not adjusted"
