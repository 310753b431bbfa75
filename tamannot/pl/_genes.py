"""Single genes: markers of labels as dots, and contributions to the label of one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE
from tamannot.data import AXES, Array
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.get import contributions
from tamannot.get import evidence as evidence_of
from tamannot.get._evidence import ByLabel, RunEvidence, by_label, columns_of
from tamannot.pl import _style as common
from tamannot.pl._cells import Labels, as_labels, check_some, labels_of
from tamannot.pl._style import FigureOptions, Palette, figure, naming, plain, pretty

_MIN_CELLS = 5  # labels with fewer have no reliable mean, so no genes are selected for them
_LARGEST_DOT = 190.0
_PLAIN = (common.BLUE, common.VERMILION)  # for labels without a default colour
_UNITS = {
    "amount": "contribution to the amount (0: background, 1: training cells)\n* gene of one of the two signatures",
    "z": "contribution to z against matched genes",
}


@figure
def markers(
    adata: AnnData,
    *,
    groupby: str = "state",
    genes: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    in_signature: bool = False,
    n: int = 4,
    key: str = "tam",
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw marker genes by label as dots: by default genes that are in none of the signatures of the labels.

    Parameters
    ----------
    adata
        An annotated object with the matrix that was annotated.
    groupby
        ``"state"`` or ``"origin"``: macrophages by label; ``"compartment"``: all cells; otherwise a column of ``obs``,
        for macrophages.
    genes
        Genes to draw, symbols or ids as in the data; ``{label: genes}`` writes the label above them. None selects genes
        for each label with a signature (for a column: for each value) and at least 5 cells: those whose mean exceeds
        that of all other cells by most standard deviations, and is higher than in any other such label.
    in_signature
        Select genes of the label's own signature, instead of genes that are in no signature of the axis.
    n
        Number of genes per label, at least 1.

    Returns
    -------
    The axes, labels × genes. The area of a dot is the share of cells in which the gene is detected, its colour the mean
    expression (``log1p`` of 10,000 per cell), scaled for each gene from 0 to its highest mean. All cells are read, in
    blocks.

    Genes outside the signatures show differences between the labels, but they are not a test: they are selected because
    they differ, which finds genes even for random groups, and a classifier trained on these cells may use them as well.
    Markers from other data, given by ``genes``, are better evidence.

    Raises
    ------
    ParameterError
        No such column or gene, ``n`` below 1, or ``in_signature`` for labels without signatures.
    ResultNotFoundError
        The object was not annotated, its matrix is missing, or there are no macrophages or no genes to draw.
    MatrixError
        The matrix is not the one that was annotated.
    """
    common.check_positive("n", n)
    kept, state = RunEvidence(adata, key), labels_of(adata, key, "state")
    labels = labels_of(adata, key, groupby) if groupby in AXES else as_labels(slots.obs_column(adata, groupby))
    codes = labels.codes.astype(np.int64)
    if groupby != "compartment":
        codes = np.where((state != NOT_MACROPHAGE) & (labels != NOT_MACROPHAGE), codes, -1)
        labels = pd.Categorical.from_codes(codes, labels.categories).remove_unused_categories()
        codes = labels.codes.astype(np.int64)
    check_some(codes >= 0)
    if kept.of_one_run:
        kept.row(int(np.argmax(codes >= 0)))  # the matrix is the one that the run saw
    found = by_label(kept.matrix, codes, len(labels.categories))
    if genes is None:
        columns = _chosen(kept, found, labels, groupby, n, in_signature=in_signature)
    else:
        given = genes if isinstance(genes, Mapping) else {"": genes}
        columns = [(label, c) for label, some in given.items() for c in columns_of(kept.matrix, list(some))]
    if not columns:
        raise ResultNotFoundError(
            f"There is no gene to draw: no label of '{groupby}' with {_MIN_CELLS} cells has a gene "
            f"{'of its signature ' if in_signature else ''}with a higher mean than other cells. Give genes=."
        )
    written, places = naming(groupby, key), [place for _, place in columns]
    mean, enough = found.mean[:, places], found.n >= _MIN_CELLS
    scaled = mean / np.maximum((mean[enough] if enough.any() else mean).max(axis=0), 1e-12)
    rows = [f"{written(s)} ({k:,})" for s, k in zip(labels.categories, found.n, strict=True)]
    ax = ax or common.new_axes(3.6 + 0.26 * len(columns), 2.2 + 0.34 * max(len(rows), 4))
    ax.set(xlim=(-0.7, len(columns) - 0.3), ylim=(len(rows) - 0.4, -0.6))
    names = kept.names(np.array(places))
    _draw_dots(ax, scaled, found.detected[:, places], rows, list(names), [written(label) for label, _ in columns])
    of = "cells" if groupby == "compartment" else "macrophages"
    ax.set_title(f"Marker genes by {plain(groupby)} in {found.n.sum():,} {of}")
    return ax


def _chosen(
    kept: RunEvidence, found: ByLabel, labels: Labels, groupby: str, n: int, *, in_signature: bool
) -> list[tuple[str, int]]:
    """Return the genes that differ most between a label and other cells, each for the label with its highest mean."""
    on_axis = kept.labels(groupby) if groupby in AXES else []
    signatures = on_axis or [s for s in labels.categories if s in kept.axis_of]
    if in_signature and not signatures:
        raise ParameterError(f"The labels of '{groupby}' have no signatures. Leave out in_signature=, or give genes=.")
    every = np.arange(kept.matrix.n_vars)
    outside = (
        every[~np.isin(every, np.concatenate([kept.genes_of(s).columns for s in signatures]))] if signatures else every
    )
    names, out = np.array(kept.names(every), dtype=str), list[tuple[str, int]]()
    most = np.where(found.n[:, None] >= _MIN_CELLS, found.mean, -1.0).argmax(axis=0)
    for i, label in enumerate(labels.categories):
        is_asked_for = label in signatures if on_axis or in_signature else label != NOT_MACROPHAGE
        if is_asked_for and _MIN_CELLS <= found.n[i] < found.n.sum():
            among = kept.genes_of(label).columns if in_signature else outside
            among = among[most[among] == i]
            apart = found.apart(i)[among]
            best = np.lexsort((names[among], -apart))[:n]  # ties by name, whatever the order of the genes
            out += [(label, int(among[b])) for b in best if apart[b] > 0]
    return out


def _draw_dots(ax: Axes, scaled: Array, share: Array, rows: list[str], names: list[str], groups: list[str]) -> None:
    """Draw rows × genes: the mean as colour, the share as area; groups of genes are named above them."""
    room = 72 * ax.bbox.width / ax.figure.dpi
    largest = min(_LARGEST_DOT, (room / (len(names) + 0.4)) ** 2)
    x, y = np.meshgrid(np.arange(len(names)), np.arange(len(rows)))
    style: dict[str, Any] = {"cmap": "cividis_r", "vmin": 0, "vmax": 1, "edgecolors": "0.3", "linewidths": 0.4}
    dots = ax.scatter(x.ravel(), y.ravel(), s=largest * share.ravel(), c=scaled.ravel(), **style)
    common.name_ticks(ax, "x", range(len(names)), names, rotation=90, style="italic")
    common.name_ticks(ax, "y", range(len(rows)), rows)
    starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
    step = int(np.ceil(10 * len(starts) / room))  # 10 points for each
    above: dict[str, Any] = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "xytext": (0, 4)}
    above |= {"rotation": 30, "rotation_mode": "anchor", "fontsize": "small"}
    for i, (start, stop) in enumerate(zip(starts, [*starts[1:], len(groups)], strict=True)):
        if start:
            ax.axvline(start - 0.5, color="0.8", linewidth=0.8, zorder=0)
        ax.annotate(groups[start] if i % step == 0 else "", ((start + stop - 1) / 2, 1.0), **above)
    keys = [
        Line2D([], [], linestyle="", marker="o", markersize=(largest * s) ** 0.5, color="0.6", label=f"{s:.0%}")
        for s in (0.25, 0.5, 1.0)
    ]
    common.legend_beside(ax, len(keys), handles=keys, title="cells with\nthe gene", labelspacing=0.9)
    pad = 0.25 if ax.figure.get_layout_engine() is None else 0.04
    bar = ax.figure.colorbar(dots, ax=ax, location="bottom", shrink=0.35, aspect=20, pad=pad)
    bar.set_label("mean log1p expression, relative to the gene's highest", fontsize="small")
    bar.ax.tick_params(labelsize="small")


@figure
def evidence(
    adata: AnnData,
    cell: str | int,
    *,
    key: str = "tam",
    axis: str = "state",
    n: int = 12,
    palette: Palette | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the contributions of genes to the label of one cell and to its strongest rival.

    Parameters
    ----------
    adata
        An annotated object with the matrix that was annotated.
    cell
        Name of the cell, or its number.
    axis
        ``"compartment"``, ``"origin"`` or ``"state"``.
    n
        Number of genes, at least 1: those with the largest contributions to either of the two.

    Returns
    -------
    The axes. Bars to the right support a label, bars to the left oppose it; those of the rival are hatched. A cell
    without a label shows its two strongest programs. Contributions are to the amount of a program or to z, as
    `get.contributions` defines them; they do not measure causal importance, because correlated genes share weight. Two
    more bars complete the sum, which is beside the label: all other genes, and the intercept of an amount or the
    baseline of a z. If the label is not that of the highest z, or there is none, a sentence below explains why.

    Raises
    ------
    ParameterError
        No such cell or axis, or ``n`` below 1.
    ResultNotFoundError
        The object was not annotated, or its matrix is missing.
    MatrixError
        The matrix is not the one that was annotated.
    """
    if axis not in AXES or n < 1:
        raise ParameterError(f"axis must be one of {', '.join(AXES)} and n at least 1, not {axis!r} and {n}.")
    table = contributions(adata, cell, axis=axis, key=key)
    of = str(table["of"].iloc[0]) if len(table) else "z"
    table = table[table["of"] == of]  # an amount and a z are not comparable
    labels = [str(label) for label in pd.unique(table["label"])[:2]]
    table = table[table["label"].isin(labels)]
    behind = evidence_of(adata, cell, key=key)
    called, intercept = table.attrs["called"], pd.Series(table.attrs["intercept"], dtype=float, name="intercept")
    offset = (intercept if of == "amount" else -behind["baseline"]).reindex(labels).fillna(0.0)
    bars = _bars(table, labels, n, offset)
    ax = ax or common.new_axes(6, 2.6 + 0.32 * max(len(bars), 2))
    colors, height = common.colors_of(adata, key, axis, palette), 0.38
    for i, label in enumerate(labels):
        total = float(bars[label].sum())
        name = f"{pretty(label)}{' (called)' if label == called else ''}: {of}"
        said = f"{total:.2f}"
        if of == "z" and offset[label]:
            said = f"{total - offset[label]:.2f}, {total:.2f} above the baseline"
        style: dict[str, Any] = {"color": colors.get(label, _PLAIN[i]), "edgecolor": "black", "linewidth": 0.4}
        style["hatch"] = "////" if i else None  # distinguishes the two without colours
        ax.barh(np.arange(len(bars)) + (i - 0.5) * height, bars[label], height, label=f"{name} {said}", **style)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    starred = set(table.loc[table["in_signature"], "gene"]) if of == "amount" else set()
    common.name_ticks(ax, "y", range(len(bars)), [f"{gene} *" if gene in starred else gene for gene in bars.index])
    if len(bars):
        common.legend_above(ax, ncols=1, bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.2)
    else:
        ax.text(0.5, 0.5, "no gene contributes to a label", transform=ax.transAxes, ha="center")
    why = pretty(behind.attrs["why"].get(axis, ""))
    rival = " and ".join(pretty(label) for label in labels if label != called) or "no rival"
    title = f"{pretty(called)}, against {rival}" if called in labels else f"not called; strongest: {rival}"
    ax.set(xlabel=f"{_UNITS[of]}\n\n{why}".rstrip(), title=f"{axis.capitalize()} of {table.attrs['cell']}: {title}")
    return ax


def _bars(table: pd.DataFrame, labels: list[str], n: int, offset: pd.Series) -> pd.DataFrame:
    """Return contributions, rows by labels, that sum to the amount, or to z above the baseline.

    The rows are the genes with the largest contributions, the sum of all other genes, and the offset if there is one.
    """
    wide = table.pivot_table(index="gene", columns="label", values="contribution", aggfunc="sum", fill_value=0.0)
    wide = wide.reindex(columns=labels)
    order = wide.abs().max(axis=1).sort_values(ascending=False, kind="stable").index
    parts = [wide.loc[order[:n]]]
    if len(order) > n:
        parts.append(wide.loc[order[n:]].sum().to_frame(f"{len(order) - n:,} other genes").T)
    if offset.any():
        parts.append(offset.to_frame().T)
    return pd.concat(parts)
