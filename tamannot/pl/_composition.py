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
from tamannot.pl import _style as common
from tamannot.pl._style import FigureOptions, Palette, figure, plain, pretty

# Between two conditions, in bars.
_GAP = 1.1
_COLUMN = {"called": "share", "expected": "expected_share"}
_UNITS = {"called": "share of {}, as called", "expected": "expected share of {} (mean probability)"}
# Tol's muted palette for labels without a default colour, distinct with any colour vision; then hatched.
_MUTED = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499")
_HATCHES = ("", "////", "....")
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
    """Draw the share of each label in each sample, grouped by condition.

    Parameters
    ----------
    adata
        An object with results of `tl.composition`.
    axis
        ``"state"``, ``"origin"`` or ``"compartment"``; None draws the most recent result.

    Returns
    -------
    The axes. Bars are the shares that `tl.composition` counted and `pl.composition_tests` compares: of cells as called,
    ``unassigned`` last, or expected shares, which may sum to more than 1 because a cell may run two programs. The
    number of macrophages (for compartments: of cells) is beside each bar. Stars mark samples with too few cells to be
    compared.

    Raises
    ------
    ResultNotFoundError
        `tl.composition` has not been run.
    """
    samples = table_of(adata, key, table="samples", axis=axis)
    labels, counts = (str(samples.attrs["parameters"][name]) for name in ("axis", "counts"))
    shares = table_of(adata, key, table="expected" if counts == "expected" else "shares", axis=axis)
    place = _places(samples)
    wide = shares.pivot_table(index="sample", columns="label", values=_COLUMN[counts], sort=False)
    wide = wide.reindex(samples["sample"]).fillna(0.0)
    ax = ax or common.new_axes(6 + 2 * common.legend_columns(wide.shape[1]), 1.8 + 0.32 * (place.max() + 1))
    colors, left = common.colors_of(adata, key, labels, palette), np.zeros(len(wide))
    uncoloured = [label for label in wide.columns if label not in colors]
    for label in wide.columns[wide.any()]:
        i = uncoloured.index(label) if label in uncoloured else 0
        color, hatch = colors.get(label, _MUTED[i % len(_MUTED)]), _HATCHES[i // len(_MUTED) % len(_HATCHES)]
        style: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0.6}
        ax.barh(place, wide[label], 0.78, left, label=pretty(label), **style)
        left += wide[label].to_numpy()
    totals = shares.drop_duplicates("sample").set_index("sample")["n_total"].reindex(samples["sample"])
    of = "cells" if labels == "compartment" else "macrophages"
    ax.set(xlim=(0, max(1.0, float(wide.sum(axis=1).max()))), xlabel=_UNITS[counts].format(of))
    ax.set_title(f"{labels.capitalize()}s of {int(totals.sum()):,} {of} in {len(samples)} samples")
    taken = _names(ax, samples, totals, place)
    common.legend_beside(ax, wide.shape[1], after=taken)
    return ax


def _places(samples: pd.DataFrame) -> np.ndarray:
    """Return the positions of the bars from the top: the reference first, with gaps between conditions."""
    if "condition" not in samples:
        return np.arange(len(samples), dtype=float)
    reference = str(samples.attrs["parameters"]["reference"])
    order = sorted(dict.fromkeys(samples["condition"]), key=lambda name: (name != reference, name == ""))
    codes = pd.Categorical(samples["condition"], order).codes.astype(int)
    down = np.argsort(codes, kind="stable")
    place = np.empty(len(samples))
    place[down] = np.arange(len(samples)) + _GAP * (codes[down] + 1) - 0.3
    return place


def _names(ax: Axes, samples: pd.DataFrame, totals: pd.Series, place: np.ndarray) -> float:
    """Write the names of samples and conditions, and numbers of cells; return the points taken at the right."""
    ax.set_ylim(place.max() + 0.6, -0.6 if "condition" not in samples else -0.4)
    down = np.argsort(place)
    size = common.name_ticks(ax, "y", place[down], samples["sample"].astype(str).to_numpy()[down])
    texts = [f"n = {int(n):,}{'' if used else ' *'}" for n, used in zip(totals, samples["used"], strict=True)]
    if "condition" in samples:
        for name, group in pd.Series(place).groupby(samples["condition"].to_numpy(), sort=False):
            of = group.shape[0]
            title = f"{plain(str(name)) or 'no condition'} ({of} sample{'s' if of > 1 else ''})"
            ax.text(0.005, group.min() - 0.55, title, va="bottom", fontsize=0.9 * size, fontweight="bold")
    return common.write_beside(ax, place[down], np.array(texts)[down], size)


@figure
def composition_tests(
    adata: AnnData,
    *,
    axis: Axis | None = None,
    key: str = "tam",
    palette: Palette | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the odds ratio of each label between conditions, with its 95 % interval.

    Parameters
    ----------
    adata
        An object with results of `tl.composition` with a condition.
    axis
        ``"state"``, ``"origin"`` or ``"compartment"``; None draws the most recent comparison.

    Returns
    -------
    The axes, with odds ratios on a logarithmic scale. Right of 1 the label is more frequent than in the reference.
    Intervals are over samples, separately for each label; q beside them is adjusted over the labels. Intervals are cut
    at 1/64 and 64.

    Raises
    ------
    ResultNotFoundError
        `tl.composition` has not been run, or was run without a condition.
    """
    tests = table_of(adata, key, axis=axis)
    tests = tests[tests["log_odds"].notna()]
    labels, contrasts = (list(dict.fromkeys(tests[c])) for c in ("label", "contrast"))
    ax = ax or common.new_axes(7.5, 1.9 + (0.25 + 0.22 * len(contrasts)) * max(len(labels), 2))
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    size = common.name_ticks(ax, "y", range(len(labels)), [pretty(label) for label in labels])
    own = common.of_palette(palette, contrasts) if palette else {}
    for i, contrast in enumerate(contrasts):
        rows = tests[tests["contrast"] == contrast]
        offset = (i - (len(contrasts) - 1) / 2) * _SPREAD / len(contrasts)
        place = np.array([labels.index(label) for label in rows["label"]]) + offset
        odds, low, high = (rows[c].to_numpy(float).clip(*_ODDS) for c in ("odds_ratio", "low", "high"))
        color = own.get(contrast, common.CURVES[i % len(common.CURVES)])
        marker = common.MARKERS[i // len(common.CURVES) % len(common.MARKERS)]
        style: dict[str, Any] = {"color": color, "marker": marker, "linestyle": "none", "capsize": 2}
        ax.errorbar(odds, place, xerr=[odds - low, high - odds], label=contrast, **style)
        texts = [f"q = {q:.2g}" if np.isfinite(q) else f"p = {p:.2g}, not adjusted" for q, p in rows[["q", "p"]].values]
        common.write_beside(ax, place, texts, size)
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    what, of = (str(tests.attrs["parameters"][name]) for name in ("counts", "axis"))
    ax.set(xlabel=f"odds ratio of {_COUNTS[what]} (log scale; 95 % interval over samples)")
    # Ticks are powers of two around 1, as far as the intervals reach.
    far = float(np.nanmax(np.abs(np.log(tests[["low", "high"]].to_numpy(float))), initial=np.log(2)))
    reach = min(int(np.ceil(far / np.log(2))), 6)
    step = 1 if reach <= 3 else 2
    ax.set_xticks([2.0**i for i in range(-(reach // step) * step, reach + 1, step)])
    ax.set_xlim(2.0 ** -(reach + 0.15), 2.0 ** (reach + 0.15))
    if len(contrasts) > 1:
        common.legend_above(ax)
    compared = {0: "nothing could be tested", 1: "".join(contrasts)}.get(len(contrasts), "between conditions")
    samples = f" ({int(tests['n_samples'].max())} samples)" if contrasts else ""
    ax.set_title(f"{of.capitalize()}s, {compared}{samples}")
    return ax
