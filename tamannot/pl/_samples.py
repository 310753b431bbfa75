"""Analyses over samples: shares of labels and how they differ, associations of macrophages and malignant cells."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from tamannot import get
from tamannot.analysis._composition_tests import Axis
from tamannot.errors import ParameterError
from tamannot.pl import _style as common
from tamannot.pl._style import FigureOptions, Palette, figure, plain, pretty

_GAP = 1.1  # between two conditions, in bars
# Tol's muted palette for labels without a default colour, distinct with any colour vision; then hatched.
_MUTED = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499")
_HATCHES = ("", "////", "....")
_RAW, _ADJUSTED = common.BLUE, common.VERMILION
_SHIFT = 0.17
_MOST_NAMES = 30  # of samples, that are legible
_NEAR = 0.1  # share of the range of the samples: a closer point would be under a name


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
    samples = get.composition(adata, key, table="samples", axis=axis)
    labels, counts = (str(samples.attrs["parameters"][name]) for name in ("axis", "counts"))
    of = "cells" if labels == "compartment" else "macrophages"
    if counts == "expected":
        shares = get.composition(adata, key, table="expected", axis=axis)
        column, unit = "expected_share", f"expected share of {of} (mean probability)"
    else:
        shares = get.composition(adata, key, table="shares", axis=axis)
        column, unit = "share", f"share of {of}, as called"
    place = _places(samples)
    wide = shares.pivot_table(index="sample", columns="label", values=column, sort=False)
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
    ax.set(xlim=(0, max(1.0, float(wide.sum(axis=1).max()))), xlabel=unit)
    ax.set_title(f"{labels.capitalize()}s of {int(totals.sum()):,} {of} in {len(samples)} samples")
    has_conditions = "condition" in samples
    ax.set_ylim(place.max() + 0.6, -0.4 if has_conditions else -0.6)
    down = np.argsort(place)
    size = common.name_ticks(ax, "y", place[down], samples["sample"].astype(str).to_numpy()[down])
    for name, group in pd.Series(place).groupby(samples["condition"].to_numpy(), sort=False) if has_conditions else ():
        title = f"{plain(str(name)) or 'no condition'} ({len(group)} sample{'s' if len(group) > 1 else ''})"
        ax.text(0.005, group.min() - 0.55, title, va="bottom", fontsize=0.9 * size, fontweight="bold")
    texts = [f"n = {int(n):,}{'' if used else ' *'}" for n, used in zip(totals, samples["used"], strict=True)]
    taken = common.write_beside(ax, place[down], np.array(texts)[down], size)
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
    tests = get.composition(adata, key, axis=axis)
    tests = tests[tests["log_odds"].notna()]
    labels, contrasts = (list(dict.fromkeys(tests[c])) for c in ("label", "contrast"))
    ax = ax or common.new_axes(7.5, 1.9 + (0.25 + 0.22 * len(contrasts)) * max(len(labels), 2))
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    size = common.name_ticks(ax, "y", range(len(labels)), [pretty(label) for label in labels])
    own = common.of_palette(palette, contrasts) if palette else {}
    for i, contrast in enumerate(contrasts):
        rows = tests[tests["contrast"] == contrast]
        offset = (i - (len(contrasts) - 1) / 2) * 0.5 / len(contrasts)
        place = np.array([labels.index(label) for label in rows["label"]]) + offset
        odds, low, high = (rows[c].to_numpy(float).clip(1 / 64, 64) for c in ("odds_ratio", "low", "high"))
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
    counted = {"called": "shares as called", "expected": "expected shares"}[what]
    ax.set_xlabel(f"odds ratio of {counted} (log scale; 95 % interval over samples)")
    # Ticks are powers of two around 1, as far as the intervals reach.
    ends = tests[["low", "high"]].to_numpy(float).clip(1 / 64, 64)
    reach = int(np.ceil(np.nanmax(np.abs(np.log2(ends)), initial=1)))
    step = 1 if reach <= 3 else 2
    ax.set_xticks([2.0**i for i in range(-(reach // step) * step, reach + 1, step)])
    ax.set_xlim(2.0 ** -(reach + 0.15), 2.0 ** (reach + 0.15))
    if len(contrasts) > 1:
        common.legend_above(ax)
    compared = {0: "nothing could be tested", 1: "".join(contrasts)}.get(len(contrasts), "between conditions")
    samples = f" ({int(tests['n_samples'].max())} samples)" if contrasts else ""
    ax.set_title(f"{of.capitalize()}s, {compared}{samples}")
    return ax


@figure
def crosstalk(
    adata: AnnData,
    *,
    pair: tuple[str, str] | None = None,
    n: int = 20,
    key: str = "tam",
    size: float | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the associations of `tl.crosstalk`: a forest plot of ρ, raw and adjusted, or the samples of one test.

    Parameters
    ----------
    adata
        An object with results of `tl.crosstalk`.
    pair
        None draws all tests. A tested pair, such as ``("share_lipid_associated", "ferroptosis_defence")``, draws its
        samples.
    n
        Maximal number of tests, those with the smallest p; at least 1.
    size
        Area of a sample in square points, for a pair; None is 42.

    Returns
    -------
    The axes. Forest plot: Spearman's ρ, from -1 to 1, across samples with its 95 % bootstrap interval; the thick bar is
    the range with one sample left out. Below it is ρ adjusted for the named variables. The percentage is the share of
    cells with too little signal: fewer than three genes of the program, or not the gene, are detected. Samples of a
    pair: one point per sample. An association is not a causal effect and has no direction.

    Raises
    ------
    ParameterError
        A pair that was not tested, or ``n`` below 1.
    ResultNotFoundError
        `tl.crosstalk` has not been run.
    """
    common.check_positive("n", n)
    tests = get.crosstalk(adata, key)
    if pair is not None:
        left, right = pair
        names = tests["measure"].astype(str) + "_" + tests["tam"].astype(str)
        found = tests[(names.eq(left) | tests["tam"].eq(left)) & tests["malignant"].eq(right)]
        if len(found) == 0:
            raise ParameterError(
                f"{pair} was not tested. Available: {'; '.join(tests.index[:5])}{' …' if len(tests) > 5 else ''}."
            )
        return _draw_samples(found.iloc[0], get.crosstalk(adata, key, kind="samples"), size or 42, ax)

    n_all = len(tests)
    if n_all > n:
        tests = tests.loc[tests["p"].sort_values(kind="stable").index[:n]]
    ax = ax or common.new_axes(11.5, 1.9 + 0.62 * len(tests))
    place = np.arange(len(tests))
    ax.set(xlim=(-1.05, 1.05), ylim=(len(tests) - 0.4, -0.6))
    both = [f"{_name(row, 'tam')}\nwith {_name(row, 'malignant')}" for _, row in tests.iterrows()]
    font_size = common.name_ticks(ax, "y", place, both)
    _draw_intervals(ax, tests, "", place - _SHIFT)
    ax.hlines(place - _SHIFT, tests["loo_low"], tests["loo_high"], color=_RAW, linewidth=4.5, alpha=0.35)
    if tests["rho_adjusted"].notna().any():
        _draw_intervals(ax, tests, "_adjusted", place + _SHIFT)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    raw, adjusted = [], []
    for _, row in tests.iterrows():
        q = f", q = {row['q']:.2g}" if np.isfinite(row["q"]) else ""
        raw.append(f"p = {row['p']:.2g}{q}" if np.isfinite(row["p"]) else "no ρ")
        adjusted.append(_adjusted(row) if np.isfinite(row["p_adjusted"]) else "")
    common.write_beside(ax, place - _SHIFT, raw, font_size, color=_RAW)
    common.write_beside(ax, place + _SHIFT, adjusted, font_size, color=_ADJUSTED)
    which = f"the {len(tests)} of {n_all} tests with the smallest p, " if n_all > len(tests) else ""
    ax.set_xlabel(f"Spearman's ρ across samples ({which}95 % bootstrap interval)")
    ax.set_title(f"Macrophages and malignant cells in {int(tests['n_samples'].min())} samples")
    common.legend_above(ax, bbox_to_anchor=(-0.02, 1.0))
    return ax


def _draw_intervals(ax: Axes, tests: pd.DataFrame, suffix: str, place: np.ndarray) -> None:
    """Draw raw ρ (no suffix) as filled circles, adjusted ρ as open squares, which differ without colours, too."""
    marker, color, face = ("s", _ADJUSTED, "white") if suffix else ("o", _RAW, _RAW)
    # A bootstrap interval need not contain the ρ of the samples.
    ax.hlines(place, tests[f"low{suffix}"], tests[f"high{suffix}"], color=color, linewidth=1.3)
    style: dict[str, Any] = {"color": color, "markerfacecolor": face, "markersize": 6, "linestyle": "", "zorder": 3}
    ax.plot(tests[f"rho{suffix}"].to_numpy(float), place, marker, label=suffix.removeprefix("_") or "raw", **style)


def _adjusted(row: pd.Series) -> str:
    return f"p = {row['p_adjusted']:.2g} given {str(row['adjusted_for']).replace('+', ', ')}"


def _name(row: pd.Series, end: str, whom: str = "", gap: str = " ") -> str:
    """Name the value at the macrophages' (or T cells') or the malignant end; a mean with its share of low signal."""
    name, low = str(row[end]), float(row.get(f"low_signal_{end}", np.nan))
    if end == "tam" and row["measure"] == "share":
        return f"share of {pretty(name)}{whom}"
    if end == "malignant":
        whom = " of malignant cells"
    elif row["measure"] == "t_cell":
        whom = " of T and NK cells"
    mean = f"mean z of {pretty(name)}" if name == name.lower() else f"mean {name}"  # ids are in lower case, genes not
    return mean + whom + (f"{gap}({low:.0%} too little signal)" if np.isfinite(low) else "")


def _draw_samples(row: pd.Series, table: pd.DataFrame, size: float, ax: Axes | None) -> Axes:
    """Draw the samples of one test, each name right of its point, or left if another point is close on the right."""
    ax = ax or common.new_axes(5.6, 4.6)
    table = table[table["used"].astype(bool)]
    where = table[[f"{row['measure']}_{row['tam']}", f"malignant_{row['malignant']}"]].to_numpy(float)
    ax.scatter(where[:, 0], where[:, 1], s=size, color=common.BLUE, edgecolor="black", linewidth=0.5, zorder=3)
    if len(table) <= _MOST_NAMES:
        away = (where[None] - where[:, None]) / np.maximum(np.ptp(where, axis=0), 1e-9)
        blocked = ((away[..., 0] > 0) & (away[..., 0] < _NEAR) & (np.abs(away[..., 1]) < _NEAR)).any(axis=1)
        for name, (x, y), left in zip(table.index, where, blocked, strict=True):
            shift, side = (-5, "right") if left else (5, "left")
            ax.annotate(str(name), (x, y), xytext=(shift, 3), textcoords="offset points", fontsize="x-small", ha=side)
    ax.set(xlabel=_name(row, "tam", " in macrophages", "\n"), ylabel=_name(row, "malignant", gap="\n"))
    lines = [f"ρ = {row['rho']:.2f} ({row['low']:.2f} to {row['high']:.2f}), p = {row['p']:.2g}, {len(table)} samples"]
    if np.isfinite(row["rho_adjusted"]):
        lines.append(f"ρ = {row['rho_adjusted']:.2f}, {_adjusted(row)}")
    ax.set_title("\n".join(["Macrophages and malignant cells of each sample", *lines]))
    ax.margins(0.1)
    return ax
