"""Signatures by group: enrichment as dots, ferroptosis programs as colours."""

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
from tamannot.pl import _style as common
from tamannot.pl._style import FigureOptions, figure, plain, pretty

_SHOWN_Q = (0.05, 1e-3, 1e-6)  # smaller q, also a q of 0 by permutations, are drawn as the last
_LARGEST_DOT = 160.0
_MARK = {"drives": "▲", "restrains": "▼", "context": "◆", "none": "·"}
_MEANING = {"^": "drives ferroptosis of the cell itself", "v": "restrains it", "D": "depends on the context"}
# The summaries in the 19 experiments of their signature files; tests/signature/test_library.py.
_SIGN = (
    "Capacity, not death: in 19 experiments in which cells undergo ferroptosis, "
    "drive rose in 13, defence rose in 15, and balance fell in 15."
)
_WIDE = 18  # points that a percentage takes


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
    """Draw the leading signatures of each group as dots: colour is NES, area is -log10 q.

    Parameters
    ----------
    adata
        An object with results of `tl.enrich`.
    n
        Number of signatures per group, at least 1: those with the highest NES.
    groupby
        The column of the groups; None draws the most recent result.

    Returns
    -------
    The axes, groups × signatures. A black ring marks q ≤ 0.05, compared with random gene sets; this q is too small, as
    `tl.enrich` explains. A q below 1e-6 is drawn as 1e-6. A signature that was not tested has no dot.

    Raises
    ------
    ParameterError
        ``n`` is below 1.
    ResultNotFoundError
        `tl.enrich` has not been run.
    """
    common.check_positive("n", n)
    table = enrichment_of(adata, key, groupby=groupby)
    groups = [str(g) for g in pd.unique(table["group"])]
    shown = list(dict.fromkeys(table.loc[table["rank"] <= n, "signature"].astype(str)))
    table = table[table["signature"].isin(shown)]
    tall, wide = (max(map(len, names)) for names in (groups, shown))
    size = 1.9 + 0.085 * wide + 0.36 * max(len(groups), 4), 1.6 + 0.1 * tall + 0.3 * max(len(shown), 5)
    ax = ax or common.new_axes(*size)
    x, y = (table[name].astype(str).map(order.index) for name, order in (("group", groups), ("signature", shown)))
    span = float(table["nes"].abs().max())
    largest = min(_LARGEST_DOT, (72 * ax.bbox.width / ax.figure.dpi / (len(groups) + 0.2)) ** 2)

    def area(q: np.ndarray) -> np.ndarray:
        return np.asarray(largest / 40 + largest * np.log10(np.maximum(q, _SHOWN_Q[-1])) / np.log10(_SHOWN_Q[-1]))

    q = table["q"].to_numpy()
    sure = q <= _SHOWN_Q[0]
    rings: dict[str, Any] = {"edgecolors": np.where(sure, "black", "#bbbbbb"), "linewidths": np.where(sure, 0.9, 0.4)}
    dots = ax.scatter(x, y, s=area(q), c=table["nes"], cmap=common.DIVERGING, vmin=-span, vmax=span, **rings)
    ax.figure.colorbar(dots, ax=ax, label="NES (normalised enrichment score)", shrink=0.8, aspect=14)
    ax.set(xlim=(-0.6, len(groups) - 0.4), ylim=(len(shown) - 0.4, -0.6))
    ax.set_xlabel(plain(str(table.attrs.get("groupby", "group"))))
    turned = {} if tall <= 3 else {"rotation": 90}
    common.name_ticks(ax, "x", range(len(groups)), [plain(g) for g in groups], **turned)
    common.name_ticks(ax, "y", range(len(shown)), [pretty(s) for s in shown])
    ax.set_title(f"Enrichment of signatures in {len(groups)} groups")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    rings = {"color": "white", "edgecolors": "black", "linewidths": 0.9}
    keys = [ax.scatter([], [], s=s, **rings) for s in area(np.array(_SHOWN_Q))]
    names = [f"q {'≤ ' if q == _SHOWN_Q[-1] else ''}{q:g}" for q in _SHOWN_Q]
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    common.legend_above(ax, keys, names, ncols=3, columnspacing=1, borderpad=0, **place)
    return ax


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
        An object with results of `tl.ferroptosis_summary`.
    kind
        One or several of ``"program"`` (16 programs), ``"summary"`` (drive, defence, balance) and ``"theme"`` (iron,
        glutathione, PUFA, lipid peroxide).
    groupby
        The column of the labels; None draws the most recent result.

    Returns
    -------
    The axes, programs × labels. Colours are the mean over samples of the mean z of the label's cells. Only samples with
    the minimal number of cells of the summary are included; their number is below the label. Percentages are the share
    of cells with too little signal, in which fewer than three genes of the program are detected. Such cells have almost
    no information; fields in which they are the majority are hatched. Fields without a value are crossed, and say
    whether signal or cells are too few. A star marks labels that were called by genes of the program, whose colour is
    circular. The symbol beside a program is its effect on ferroptosis of the cell itself.

    Notes
    -----
    Drive, defence and balance describe capacity, not death: in experiments in which cells undergo ferroptosis, balance
    mostly fell (see `tl.ferroptosis`). The set that rises in such cells is ``ferroptosis_response``; score it with
    ``tl.score(adata, [tam.load_signature("ferroptosis_response")])``.

    Raises
    ------
    ParameterError
        There are no rows of that kind.
    ResultNotFoundError
        `tl.ferroptosis_summary` has not been run.
    """
    rows, effects = (ferroptosis_of(adata, key, kind=k, groupby=groupby) for k in ("samples", "effects"))
    kinds = [kind] if isinstance(kind, str) else list(kind)
    if not kinds or set(kinds) - set(rows["kind"]):
        raise ParameterError(f"kind must be of {', '.join(pd.unique(rows['kind']))}, not {kind!r}.")
    of = rows.drop_duplicates("program").set_index("program")  # the properties of each
    names = [str(n) for n in of.index[of["kind"].isin(kinds)]]
    labels = sorted(rows["label"].unique(), key=lambda w: (w in ("unassigned", "malignant"), w))
    min_cells = int(rows.attrs["min_cells"])
    enough = rows[rows["n_cells"] >= min_cells]
    z, low = (
        enough.pivot_table(index="program", columns="label", values=v, observed=True).reindex(names, columns=labels)
        for v in ("z", "low_signal")
    )
    samples = enough.groupby("label")["sample"].nunique().reindex(labels, fill_value=0)
    each = 0.62 if len(labels) <= 12 else 0.42
    ax = ax or common.new_axes(4.6 + each * max(len(labels), 4), 3.4 + 0.27 * len(names))
    _draw(ax, z.to_numpy(float), low.to_numpy(float), samples.to_numpy(), min_cells)
    common.name_ticks(ax, "x", range(len(labels)), [f"{pretty(w)}\nn = {samples[w]}" for w in labels], rotation=90)
    marks = [_MARK.get(str(effect), "·") for effect in of["effect_self"][names]]
    common.name_ticks(ax, "y", range(len(names)), [f"{pretty(n)} {m}" for n, m in zip(names, marks, strict=True)])
    ax.set_title(f"Ferroptosis programs by label, in {rows['sample'].nunique()} samples")
    shared = effects[(effects["shared_genes"] != "") & effects["program"].isin(names)]
    for label, name in zip(shared["label"], shared["program"], strict=True):
        ax.text(labels.index(label) + 0.44, names.index(name), "★", ha="right", va="center", fontsize="small")
    if "summary" in kinds:
        ax.set_xlabel(_SIGN, fontsize="small", loc="left")
    kind_of = of["kind"][names].to_numpy()
    for place in np.flatnonzero(kind_of[1:] != kind_of[:-1]):  # between programs, summaries and themes
        ax.axhline(place + 0.5, color="black", linewidth=0.8)
    return ax


def _draw(ax: Axes, z: np.ndarray, low: np.ndarray, samples: np.ndarray, min_cells: int) -> None:
    """Draw z as colours and the share of low signal as percentages, programs × labels, with a legend."""
    top, none = float(np.nanmax(np.abs(z), initial=1.0)), ~np.isfinite(z)
    is_wide = ax.bbox.width * 72 / ax.figure.dpi / len(samples) > _WIDE
    image = ax.imshow(z, cmap=common.DIVERGING, vmin=-top, vmax=top, aspect="auto")
    ax.figure.colorbar(image, ax=ax, shrink=0.6, pad=0.02).set_label("mean z over samples")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    entries: list[Patch | Line2D] = []
    for chosen, color, hatch, said in (
        (~none & (low > 0.5), "#8c8c8c", "////", "most cells (%) have too little signal"),
        (none, "#c4c4c4", "xxxx", "no value: too little signal or too few cells"),
    ):
        style: dict[str, Any] = {"linewidth": 0, "edgecolor": color, "hatch": hatch}
        for y, x in np.argwhere(chosen):
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, **style))
        entries += [Patch(facecolor="white", label=said, **style)] if chosen.any() else []
    for marker, said in ({"*": "label called by genes of the program"} | _MEANING).items():
        entries.append(Line2D([], [], linestyle="", color="black", marker=marker, markersize=5, label=said))
    style = {"ha": "center", "va": "center", "path_effects": [withStroke(linewidth=2, foreground="white")]}
    for (y, x), share in np.ndenumerate(low):
        if is_wide and np.isfinite(share) and samples[x]:
            ax.text(x, y, f"{share:.0%}", fontsize="x-small", **style)
    for x in np.flatnonzero(none.all(axis=0)).tolist():
        said = "too little signal" if samples[x] else f"fewer than {min_cells} cells in each sample"
        ax.text(x, (len(z) - 1) / 2, said, rotation=90, **style)
    common.legend_above(ax, handles=entries, loc="lower right", bbox_to_anchor=(1.0, 1.0))
