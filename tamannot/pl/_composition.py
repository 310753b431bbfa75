"""What each sample is composed of."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes

from tamannot.analysis._composition_tests import Axis
from tamannot.get import composition as table_of
from tamannot.pl._style import colors_of, new_axes, pretty

# Between two conditions, in bars; taller figures than this (inches) get thinner bars without names.
_GAP, _TALLEST = 1.1, 24.0
_COLUMN = {"called": "share", "expected": "expected_share"}
_UNITS = {"called": "share of {}, as called", "expected": "expected share of {} (mean probability)"}
# Tol's muted palette for labels without colours of their own, told apart with any colour vision; then hatched.
_MUTED = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499")
_HATCHES = ("", "////", "....")


def composition(adata: AnnData, *, axis: Axis | None = None, key: str = "tam", ax: Axes | None = None) -> Axes:
    """Draw the share of each label in each sample, samples of a condition together.

    Parameters
    ----------
    adata
        An object of which `tl.composition` was run.
    axis
        Of which labels, ``"state"``, ``"origin"`` or ``"compartment"``; None takes the comparison that was made last.
    key
        The ``key_added`` of the annotation.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. Shares are what `tl.composition` was asked to count, and what `pl.composition_tests` compares: of cells as
    called, ``unassigned`` the last, or expected ones, whose bars need not end at 1, since a cell may run two programs.
    The number of macrophages (of compartments: of cells) stands beside each bar. Stars mark samples with too few to
    be compared.

    Raises
    ------
    ResultNotFoundError
        `tl.composition` was not run.
    """
    samples = table_of(adata, key, table="samples", axis=axis)
    labels, counts = (str(samples.attrs["parameters"][name]) for name in ("axis", "counts"))
    shares = table_of(adata, key, table="expected" if counts == "expected" else "shares", axis=axis)
    place = _places(samples)
    ax = ax if ax is not None else new_axes(8, min(1.4 + 0.32 * (place.max() + 1), _TALLEST))
    wide = shares.pivot_table(index="sample", columns="label", values=_COLUMN[counts], sort=False)
    wide = wide.reindex(samples["sample"]).fillna(0.0)
    _bars(ax, wide, place, colors_of(adata, key, labels))
    totals = shares.drop_duplicates("sample").set_index("sample")["n_total"].reindex(samples["sample"])
    _names(ax, samples, totals, place)
    of = "cells" if labels == "compartment" else "macrophages"
    ax.set(xlim=(0, max(1.0, float(wide.sum(axis=1).max()))), xlabel=_UNITS[counts].format(of))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="upper left", bbox_to_anchor=(1.16, 1.02), frameon=False, fontsize="small")
    return ax


def _places(samples: pd.DataFrame) -> np.ndarray:
    """Return where the bars are, from the top: the reference first, gaps between conditions."""
    if "condition" not in samples:
        return np.arange(len(samples), dtype=float)
    reference = str(samples.attrs["parameters"]["reference"])
    order = sorted(dict.fromkeys(samples["condition"]), key=lambda name: (name != reference, name == ""))
    codes = pd.Categorical(samples["condition"], order).codes.astype(int)
    down = np.argsort(codes, kind="stable")
    place = np.empty(len(samples))
    place[down] = np.arange(len(samples)) + _GAP * (codes[down] + 1) - 0.3
    return place


def _bars(ax: Axes, wide: pd.DataFrame, place: np.ndarray, colors: dict[str, str]) -> None:
    left = np.zeros(len(wide))
    plain = [label for label in wide.columns if label not in colors]
    for label in wide.columns:
        share = wide[label].to_numpy()
        if share.any():
            i = plain.index(label) if label in plain else 0
            color = colors.get(label, _MUTED[i % len(_MUTED)])
            hatch = _HATCHES[i // len(_MUTED) % len(_HATCHES)]
            name = pretty(label)
            ax.barh(place, share, 0.78, left, color=color, hatch=hatch, label=name, edgecolor="white", linewidth=0.6)
        left += share


def _names(ax: Axes, samples: pd.DataFrame, totals: pd.Series, place: np.ndarray) -> None:
    """Write names of samples and conditions and numbers of cells, as far as there is room."""
    height = ax.get_figure().get_size_inches()[1] * ax.get_position().height * 72  # type: ignore[union-attr]
    size = min(height / (place.max() + 1.5) * 0.75, 9.0)
    legible = size >= 4
    ax.set_yticks(place if legible else [], samples["sample"] if legible else [], fontsize=size)
    if legible:
        for y, n, used in zip(place, totals, samples["used"], strict=True):
            text = f"n = {int(n):,}{'' if used else ' *'}"
            ax.text(1.01, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=size)
    if "condition" in samples:
        for name, group in pd.Series(place).groupby(samples["condition"].to_numpy(), sort=False):
            of = group.shape[0]
            title = f"{pretty(str(name)) or 'no condition'} ({of} sample{'s' if of > 1 else ''})"
            ax.text(0.005, group.min() - 0.55, title, va="bottom", fontsize="small", fontweight="bold")
    ax.set_ylim(place.max() + 0.6, -0.6 if "condition" not in samples else -0.4)
