"""Which signatures stand out in which group."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes

from tamannot.errors import ParameterError
from tamannot.get import enrichment as read
from tamannot.pl._style import new_axes, pretty

# A q of 0 by permutations is no smaller than this on the picture.
_SMALLEST_Q, _LARGEST_DOT = 1e-6, 160.0
_SHOWN_Q = (0.05, 1e-3, 1e-6)
# Names of groups of so many characters stand side by side.
_SHORT = 3


def enrichment(
    adata: AnnData, *, n: int = 4, groupby: str | None = None, key: str = "tam", ax: Axes | None = None
) -> Axes:
    """Draw the signatures that lead in each group as dots: colour is NES, area is -log10 q.

    Parameters
    ----------
    adata
        An object after `tl.enrich`.
    n
        How many signatures of each group: those with the greatest NES.
    groupby
        The column that was compared; None takes the one that was compared last.
    key
        The ``key_added`` of the run.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. A ring marks q ≤ 0.05, which is against random sets of genes and too small, as `tl.enrich` says; a q
    under 1e-6 is drawn as 1e-6. Where a signature was not tested there is no dot.

    Raises
    ------
    ParameterError
        ``n`` is below 1.
    ResultNotFoundError
        `tl.enrich` has not been run.
    """
    if n < 1:
        msg = f"n is at least 1, not {n}."
        raise ParameterError(msg)
    table = read(adata, key, groupby=groupby)
    groups = [str(g) for g in pd.unique(table["group"])]
    shown = list(dict.fromkeys(table.loc[table["rank"] <= n, "signature"].astype(str)))
    table = table[table["signature"].isin(shown)]
    ax = ax if ax is not None else new_axes(*_size(groups, shown))
    x, y = (table[name].astype(str).map(order.index) for name, order in (("group", groups), ("signature", shown)))
    sure = table["q"].to_numpy() <= _SHOWN_Q[0]
    span = float(table["nes"].abs().max())
    dots = ax.scatter(
        *(x, y),
        s=_area(table["q"].to_numpy()),
        c=table["nes"],
        cmap="PuOr_r",
        vmin=-span,
        vmax=span,
        edgecolors=["black" if known else "#bbbbbb" for known in sure],
        linewidths=[0.9 if known else 0.4 for known in sure],
    )
    upright = max(map(len, groups)) <= _SHORT
    ax.set_xticks(range(len(groups)), [pretty(g) for g in groups], rotation=0 if upright else 90)
    ax.set_yticks(range(len(shown)), [pretty(s) for s in shown])
    ax.set(xlim=(-0.6, len(groups) - 0.4), ylim=(len(shown) - 0.4, -0.6))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.figure.colorbar(dots, ax=ax, label="NES", shrink=0.6, aspect=14)
    _legend(ax)
    return ax


def _size(groups: list[str], shown: list[str]) -> tuple[float, float]:
    """Return width and height, in inches, that the names and dots take."""
    longest = [max(map(len, names)) for names in (shown, groups)]
    return 1.6 + 0.085 * longest[0] + 0.36 * max(len(groups), 4), 1.1 + 0.1 * longest[1] + 0.3 * max(len(shown), 5)


def _area(q: np.ndarray) -> np.ndarray:
    return np.asarray(4 + _LARGEST_DOT * np.log10(np.maximum(q, _SMALLEST_Q)) / np.log10(_SMALLEST_Q))


def _legend(ax: Axes) -> None:
    sizes = _area(np.array(_SHOWN_Q))
    dots = [ax.scatter([], [], s=s, color="white", edgecolors="black", linewidths=0.9) for s in sizes]
    names = [f"q {'≤ ' if q == _SMALLEST_Q else ''}{q:g}" for q in _SHOWN_Q]
    ax.legend(
        dots,
        names,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        columnspacing=1,
        frameon=False,
        fontsize="small",
        borderpad=0,
    )
