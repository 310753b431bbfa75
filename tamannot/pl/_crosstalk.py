"""Associations of macrophages and malignant cells over samples: all tests, or the samples of one."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes

from tamannot.errors import ParameterError
from tamannot.get import crosstalk as table_of
from tamannot.pl import _style as common
from tamannot.pl._style import FigureOptions, figure, pretty

# Filled circles and open squares differ without colours, too.
_RAW, _ADJUSTED = common.BLUE, common.VERMILION
_SHIFT = 0.17
# Names of samples are legible up to here.
_MOST_NAMES = 30
# Share of the range of the samples: a closer point would be under a name.
_NEAR = 0.1


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
    tests = table_of(adata, key)
    if pair is not None:
        left, right = pair
        names = tests["measure"].astype(str) + "_" + tests["tam"].astype(str)
        found = tests[(names.eq(left) | tests["tam"].eq(left)) & tests["malignant"].eq(right)]
        if len(found) == 0:
            msg = f"{pair} was not tested. Available: {'; '.join(tests.index[:5])}{' …' if len(tests) > 5 else ''}."
            raise ParameterError(msg)
        return _samples(found.iloc[0], table_of(adata, key, kind="samples"), size or 42, ax)
    shown = tests.loc[tests["p"].sort_values(kind="stable").index[:n]] if len(tests) > n else tests
    return _forest(shown, len(tests), ax)


def _forest(tests: pd.DataFrame, n_all: int, ax: Axes | None) -> Axes:
    ax = ax or common.new_axes(11.5, 1.9 + 0.62 * len(tests))
    place = np.arange(len(tests))
    ax.set(xlim=(-1.05, 1.05), ylim=(len(tests) - 0.4, -0.6))
    size = common.name_ticks(ax, "y", place, [f"{_left(row)}\nwith {_right(row)}" for _, row in tests.iterrows()])
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
    common.write_beside(ax, place - _SHIFT, raw, size, color=_RAW)
    common.write_beside(ax, place + _SHIFT, adjusted, size, color=_ADJUSTED)
    samples = int(tests["n_samples"].min())
    which = f"the {len(tests)} of {n_all} tests with the smallest p, " if n_all > len(tests) else ""
    ax.set_xlabel(f"Spearman's ρ across samples ({which}95 % bootstrap interval)")
    ax.set_title(f"Macrophages and malignant cells in {samples} samples")
    common.legend_above(ax, bbox_to_anchor=(-0.02, 1.0))
    return ax


def _draw_intervals(ax: Axes, tests: pd.DataFrame, suffix: str, place: np.ndarray) -> None:
    """Draw raw ρ (no suffix) as filled circles, adjusted ρ as open squares."""
    rho = tests[f"rho{suffix}"].to_numpy(float)
    ends = tests[[f"low{suffix}", f"high{suffix}"]].to_numpy(float)
    marker, color, face = ("s", _ADJUSTED, "white") if suffix else ("o", _RAW, _RAW)
    # A bootstrap interval need not contain the ρ of the samples.
    ax.hlines(place, ends[:, 0], ends[:, 1], color=color, linewidth=1.3)
    style: dict[str, Any] = {"color": color, "markerfacecolor": face, "markersize": 6, "linestyle": "", "zorder": 3}
    ax.plot(rho, place, marker, label=suffix.removeprefix("_") or "raw", **style)


def _adjusted(row: pd.Series) -> str:
    return f"p = {row['p_adjusted']:.2g} given {str(row['adjusted_for']).replace('+', ', ')}"


def _left(row: pd.Series, whom: str = "", gap: str = " ") -> str:
    """Name the value of macrophages or T cells."""
    if row["measure"] == "share":
        return f"share of {pretty(str(row['tam']))}{whom}"
    return _mean_of(row, "tam", " of T and NK cells" if row["measure"] == "t_cell" else whom, gap)


def _right(row: pd.Series, gap: str = " ") -> str:
    return _mean_of(row, "malignant", " of malignant cells", gap)


def _mean_of(row: pd.Series, end: str, whom: str, gap: str) -> str:
    """Name a mean, with the share of cells with too little signal; ids are in lower case, genes are not."""
    name, low = str(row[end]), float(row.get(f"low_signal_{end}", np.nan))
    mean = f"mean z of {pretty(name)}" if name == name.lower() else f"mean {name}"
    return mean + whom + (f"{gap}({low:.0%} too little signal)" if np.isfinite(low) else "")


def _samples(row: pd.Series, table: pd.DataFrame, size: float, ax: Axes | None) -> Axes:
    ax = ax or common.new_axes(5.6, 4.6)
    table = table[table["used"].astype(bool)]
    x = table[f"{row['measure']}_{row['tam']}"].to_numpy(float)
    y = table[f"malignant_{row['malignant']}"].to_numpy(float)
    ax.scatter(x, y, s=size, color=common.BLUE, edgecolor="black", linewidth=0.5, zorder=3)
    if len(table) <= _MOST_NAMES:
        _write_names(ax, table.index, np.column_stack([x, y]))
    ax.set_xlabel(_left(row, " of macrophages", "\n"))
    ax.set_ylabel(_right(row, "\n"))
    lines = [f"ρ = {row['rho']:.2f} ({row['low']:.2f} to {row['high']:.2f}), p = {row['p']:.2g}, {len(table)} samples"]
    if np.isfinite(row["rho_adjusted"]):
        lines.append(f"ρ = {row['rho_adjusted']:.2f}, {_adjusted(row)}")
    ax.set_title("\n".join(["Macrophages and malignant cells of each sample", *lines]))
    ax.margins(0.1)
    return ax


def _write_names(ax: Axes, names: pd.Index, where: np.ndarray) -> None:
    """Write each name right of its point, or left if another point is close on the right."""
    away = (where[None] - where[:, None]) / np.maximum(np.ptp(where, axis=0), 1e-9)
    blocked = ((away[..., 0] > 0) & (away[..., 0] < _NEAR) & (np.abs(away[..., 1]) < _NEAR)).any(axis=1)
    for name, place, left in zip(names, where, blocked, strict=True):
        shift, side = (-5, "right") if left else (5, "left")
        ax.annotate(str(name), place, xytext=(shift, 3), textcoords="offset points", fontsize="x-small", ha=side)
