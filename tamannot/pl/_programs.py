"""Signatures by group: enrichment as dots, ferroptosis programs as shades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from tamannot.errors import ParameterError
from tamannot.get import enrichment as enrichment_of
from tamannot.get import ferroptosis as ferroptosis_of
from tamannot.pl._style import DIVERGING, LEGEND_ABOVE, FigureOptions, check_positive, figure, new_axes, plain, pretty

# A q of 0 by permutations is no smaller than this on the picture.
_SMALLEST_Q, _LARGEST_DOT = 1e-6, 160.0
_SHOWN_Q = (0.05, 1e-3, 1e-6)
# Names of groups of so many characters stand side by side.
_SHORT = 3
_MARK = {"drives": "▲", "restrains": "▼", "context": "◆", "none": "·"}
_MEANING = "for the cell itself: ▲ drives  ▼ restrains  ◆ depends  ferroptosis"
# The summaries in the 19 experiments of their signature files; tests/signature/test_library.py.
_SIGN = (
    "Capacity, not death: where cells do undergo ferroptosis (19 experiments),\n"
    "drive rose in 13, defence in 15, and balance fell in 15."
)
_LEAST = 0.5
_HATCH = "#8c8c8c"


@figure
def enrichment(
    adata: AnnData,
    *,
    n: int = 4,
    groupby: str | None = None,
    key: str = "tam",
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
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
    The axes. A ring marks q ≤ 0.05, which is against random sets of genes and too small, as `tl.enrich` says; a q under
    1e-6 is drawn as 1e-6. Where a signature was not tested there is no dot.

    Raises
    ------
    ParameterError
        ``n`` is below 1.
    ResultNotFoundError
        `tl.enrich` has not been run.
    """
    check_positive("n", n)
    table = enrichment_of(adata, key, groupby=groupby)
    groups = [str(g) for g in pd.unique(table["group"])]
    shown = list(dict.fromkeys(table.loc[table["rank"] <= n, "signature"].astype(str)))
    table = table[table["signature"].isin(shown)]
    ax = ax or new_axes(*_size(groups, shown))
    x, y = (table[name].astype(str).map(order.index) for name, order in (("group", groups), ("signature", shown)))
    sure = table["q"].to_numpy() <= _SHOWN_Q[0]
    span = float(table["nes"].abs().max())
    rings: dict[str, Any] = {"edgecolors": np.where(sure, "black", "#bbbbbb"), "linewidths": np.where(sure, 0.9, 0.4)}
    area = _area(table["q"].to_numpy())
    dots = ax.scatter(x, y, s=area, c=table["nes"], cmap=DIVERGING, vmin=-span, vmax=span, **rings)
    upright = max(map(len, groups)) <= _SHORT
    ax.set_xticks(range(len(groups)), [plain(g) for g in groups], rotation=0 if upright else 90)
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
    centred = LEGEND_ABOVE | {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    ax.legend(dots, names, ncols=3, columnspacing=1, borderpad=0, **centred)


@figure
def ferroptosis(
    adata: AnnData,
    *,
    kind: str | Sequence[str] = ("program", "summary", "theme"),
    groupby: str | Sequence[str] | None = None,
    key: str = "tam",
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the ferroptosis programs of each label: the mean z over samples.

    Parameters
    ----------
    adata
        An object summarised by `tl.ferroptosis_summary`.
    kind
        Which rows: ``"program"`` (the sixteen), ``"summary"`` (drive, defence, balance), ``"theme"`` (iron,
        glutathione, PUFA, lipid peroxide), or several.
    groupby
        The labels that were summarised; None takes those that were summarised last.
    key
        The ``key_added`` of the run.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. A colour is the mean over samples of the mean z of the label's cells, each sample with as many cells as
    the summary asks for; below a label stands the number of these samples. The number is the share of the cells, in per
    cent, with too little signal: fewer than three genes of the program detected. Such cells carry almost no
    information; fields with a majority of them are hatched. A star is where the label was called by genes of the
    program, so that its colour is circular. Grey fields have no sample. The mark beside a program says what it does to
    ferroptosis of the cell itself.

    Notes
    -----
    What the sign of a summary means. Drive, defence and balance are capacity, not death. In 19 experiments where cells
    did undergo ferroptosis drive rose in 13, defence rose in 15 and balance fell in 15: cells under attack raise their
    defence most, so that a negative balance may be a cell that undergoes ferroptosis. What rises in these experiments
    is the set ``ferroptosis_response``: ``tl.score(adata, [tam.load_signature("ferroptosis_response")])``.

    Raises
    ------
    ParameterError
        There are no rows of that kind.
    ResultNotFoundError
        `tl.ferroptosis_summary` was not run.
    """
    rows, effects = (ferroptosis_of(adata, key, kind=k, groupby=groupby) for k in ("samples", "effects"))
    kinds = [kind] if isinstance(kind, str) else list(kind)
    if not kinds or set(kinds) - set(rows["kind"]):
        msg = f"kind is of {', '.join(pd.unique(rows['kind']))}, not {kind!r}."
        raise ParameterError(msg)
    names = [str(n) for n in pd.unique(rows.loc[rows["kind"].isin(kinds), "program"])]
    labels = sorted(rows["label"].unique(), key=lambda w: (w in ("unassigned", "malignant"), w))
    enough = rows[rows["n_cells"] >= int(rows.attrs["min_cells"])]
    z, low = (
        enough.pivot_table(index="program", columns="label", values=v, observed=True).reindex(names, columns=labels)
        for v in ("z", "low_signal")
    )
    samples = enough.groupby("label")["sample"].nunique().reindex(labels, fill_value=0)
    ax = ax or new_axes(4.6 + 0.62 * len(labels), 2.6 + 0.27 * len(names))
    _draw(ax, z.to_numpy(float), low.to_numpy(float))
    ax.set_xticks(range(len(labels)), [f"{pretty(w)}\nn = {samples[w]}" for w in labels], rotation=90)
    marks = rows.drop_duplicates("program").set_index("program")["effect_self"]
    ax.set_yticks(range(len(names)), [f"{pretty(n)} {_MARK.get(str(marks[n]), '·')}" for n in names])
    shared = effects[effects["shared_genes"] != ""]
    for label, name in zip(shared["label"], shared["program"], strict=True):
        if name in names:
            ax.text(labels.index(label) + 0.44, names.index(name), "★", ha="right", va="center", fontsize="small")
    if "summary" in kinds:
        ax.set_xlabel(_SIGN, fontsize="small", loc="left")
    _separate(ax, rows, names)
    return ax


def _draw(ax: Axes, z: np.ndarray, low: np.ndarray) -> None:
    top = max(1.0, float(np.nanmax(np.abs(z)))) if np.isfinite(z).any() else 1.0
    image = ax.imshow(z, cmap=DIVERGING, vmin=-top, vmax=top, aspect="auto")
    ax.set_facecolor("#dddddd")
    for y, x in zip(*np.nonzero(low > _LEAST), strict=True):
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=_HATCH, hatch="////", linewidth=0))
    for (y, x), share in np.ndenumerate(low):
        if np.isfinite(share):
            text = ax.text(x, y, f"{share:.0%}", ha="center", va="center", fontsize="x-small")
            text.set_path_effects([withStroke(linewidth=1.6, foreground="white")])
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.6, pad=0.02)
    bar.set_label("mean z over samples")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_title(_MEANING, fontsize="small", loc="right")
    few = Patch(
        facecolor="white", edgecolor=_HATCH, hatch="////", label="% of cells with too little signal; hatched: most"
    )
    star = Line2D([], [], linestyle="", marker="*", color="black", label="label called by genes of the program")
    ax.legend(handles=[few, star], loc="lower right", bbox_to_anchor=(1.0, 1.05), frameon=False, fontsize="small")


def _separate(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    """Draw a line between the programs and what is made of them."""
    of = rows.drop_duplicates("program").set_index("program")["kind"][names].to_numpy()
    for place in np.flatnonzero(of[1:] != of[:-1]):
        ax.axhline(place + 0.5, color="black", linewidth=0.8)
