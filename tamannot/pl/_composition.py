"""Shares of labels in samples, and how they differ between conditions."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from tamannot.analysis._composition_tests import Axis
from tamannot.get import composition as table_of
from tamannot.pl._style import (
    LEGEND_ABOVE,
    LEGEND_BESIDE,
    FigureOptions,
    Palette,
    colors_of,
    figure,
    new_axes,
    open_corner,
    plain,
    pretty,
)

# Between two conditions, in bars; taller figures than this (inches) get thinner bars without names.
_GAP, _TALLEST = 1.1, 24.0
_COLUMN = {"called": "share", "expected": "expected_share"}
_UNITS = {"called": "share of {}, as called", "expected": "expected share of {} (mean probability)"}
# Tol's muted palette for labels without colours of their own, told apart with any colour vision; then hatched.
_MUTED = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499")
_HATCHES = ("", "////", "....")
# Okabe & Ito's; conditions beyond these repeat them with another marker.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "D", "^", "v")
_ODDS = 1 / 64, 64.0
_SPREAD = 0.5
_COUNTS = {"called": "shares as called", "expected": "expected shares"}


@figure
def composition(
    adata: AnnData,
    *,
    axis: Axis | None = None,
    key: str = "tam",
    palette: Palette | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the share of each label in each sample, samples of a condition together.

    Parameters
    ----------
    adata
        An object of which `tl.composition` was run.
    axis
        Of which labels, ``"state"``, ``"origin"`` or ``"compartment"``; None takes the comparison that was made last.
    key
        The ``key_added`` of the annotation.
    palette
        Colours in place of ours: ``{label: colour}``, a list in the order of the labels, or a colormap of matplotlib.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. Shares are what `tl.composition` was asked to count, and what `pl.composition_tests` compares: of cells as
    called, ``unassigned`` the last, or expected ones, whose bars need not end at 1, since a cell may run two programs.
    The number of macrophages (of compartments: of cells) stands beside each bar. Stars mark samples with too few to be
    compared.

    Raises
    ------
    ResultNotFoundError
        `tl.composition` was not run.
    """
    samples = table_of(adata, key, table="samples", axis=axis)
    labels, counts = (str(samples.attrs["parameters"][name]) for name in ("axis", "counts"))
    shares = table_of(adata, key, table="expected" if counts == "expected" else "shares", axis=axis)
    place = _places(samples)
    ax = ax or new_axes(8, min(1.4 + 0.32 * (place.max() + 1), _TALLEST))
    wide = shares.pivot_table(index="sample", columns="label", values=_COLUMN[counts], sort=False)
    wide = wide.reindex(samples["sample"]).fillna(0.0)
    _bars(ax, wide, place, colors_of(adata, key, labels, palette))
    totals = shares.drop_duplicates("sample").set_index("sample")["n_total"].reindex(samples["sample"])
    _names(ax, samples, totals, place)
    of = "cells" if labels == "compartment" else "macrophages"
    ax.set(xlim=(0, max(1.0, float(wide.sum(axis=1).max()))), xlabel=_UNITS[counts].format(of))
    open_corner(ax)
    ax.legend(**LEGEND_BESIDE | {"bbox_to_anchor": (1.16, 1.02)})
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
            title = f"{plain(str(name)) or 'no condition'} ({of} sample{'s' if of > 1 else ''})"
            ax.text(0.005, group.min() - 0.55, title, va="bottom", fontsize="small", fontweight="bold")
    ax.set_ylim(place.max() + 0.6, -0.6 if "condition" not in samples else -0.4)


@figure
def composition_tests(
    adata: AnnData,
    *,
    axis: Axis | None = None,
    key: str = "tam",
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
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
    ax = ax or new_axes(7.5, 1.6 + (0.25 + 0.22 * len(contrasts)) * max(len(labels), 2))
    for i, contrast in enumerate(contrasts):
        rows = tests[tests["contrast"] == contrast]
        offset = (i - (len(contrasts) - 1) / 2) * _SPREAD / len(contrasts)
        place = np.array([labels.index(label) for label in rows["label"]]) + offset
        odds, low, high = (rows[c].to_numpy(float).clip(*_ODDS) for c in ("odds_ratio", "low", "high"))
        style: dict[str, Any] = {
            "color": _COLORS[i % len(_COLORS)],
            "marker": _MARKERS[i // len(_COLORS) % len(_MARKERS)],
        }
        reach = [odds - low, high - odds]
        ax.errorbar(odds, place, xerr=reach, linestyle="none", capsize=2, label=contrast, **style)
        for y, row in zip(place, rows.itertuples(), strict=True):
            text = f"q = {row.q:.2g}" if np.isfinite(row.q) else f"p = {row.p:.2g}, not adjusted"
            ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize="small")
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(labels)), [pretty(label) for label in labels])
    what = _COUNTS[str(tests.attrs["parameters"]["counts"])]
    ax.set(xlabel=f"odds ratio of {what}\n(95 % interval over samples)", ylim=(max(len(labels), 1) - 0.5, -0.5))
    _ticks(ax, tests)
    open_corner(ax)
    if len(contrasts) > 1:
        ax.legend(**LEGEND_ABOVE, ncols=2)
    else:
        ax.set_title(contrasts[0] if contrasts else "nothing could be tested", loc="left", fontsize="medium")
    return ax


def _ticks(ax: Axes, tests: pd.DataFrame) -> None:
    """Set ticks at powers of two around 1, as far as the intervals reach."""
    far = float(np.nanmax(np.abs(np.log(tests[["low", "high"]].to_numpy(float))), initial=np.log(2)))
    reach = min(int(np.ceil(far / np.log(2))), 6)
    step = 1 if reach <= 3 else 2
    ticks = [2.0**i for i in range(-(reach // step) * step, reach + 1, step)]
    ax.set_xticks(ticks)
    ax.set_xlim(2.0 ** -(reach + 0.15), 2.0 ** (reach + 0.15))
