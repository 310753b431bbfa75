"""Single genes: markers of labels as dots, and what genes contribute to the label of one cell."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.get import contributions
from tamannot.get import evidence as evidence_of
from tamannot.get._run_evidence import ByLabel, RunEvidence, by_label, columns_of
from tamannot.pl._cells import Labels, as_labels, check_some, labels_of
from tamannot.pl._style import (
    BLUE,
    LEGEND_ABOVE,
    LEGEND_BESIDE,
    VERMILION,
    FigureOptions,
    check_positive,
    colors_of,
    figure,
    naming,
    new_axes,
    open_corner,
    pretty,
)

Array = NDArray[Any]

_AXES = ("compartment", "origin", "state")
# Of fewer cells a mean says nothing, so that no genes are chosen for them.
_MIN_CELLS = 5
_LARGEST_DOT = 190.0
# For labels without a colour of their own.
_PLAIN = (BLUE, VERMILION)
_UNITS = {
    "amount": "contribution to the amount (0: background, 1: cells learned from)\n* gene of one of the two signatures",
    "z": "contribution to z against matched genes",
}
_HEIGHT = 0.38


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
        ``"state"`` or ``"origin"``: macrophages by label; ``"compartment"``: all cells; else a column of ``obs``, of
        which the macrophages are drawn.
    genes
        Genes to draw, symbols or ids as in the data; ``{label: genes}`` writes the label above them. None chooses for
        each label with a signature (for a column: for each value) and at least 5 cells those whose mean is most
        standard deviations above the mean of all other cells, and greater than in any other such label.
    in_signature
        Choose among the genes of the label's own signature, instead of those in no signature of the axis.
    n
        How many genes a label.
    key
        The ``key_added`` of the run.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes, labels × genes. The size of a dot is the share of cells in which the gene is detected, its colour the mean
    expression (``log1p`` of 10,000 per cell) scaled for each gene from 0 to its greatest mean. All cells are read,
    block by block.

    Genes outside the signatures show whether the cells differ as their label says, but they are not a test. They were
    chosen here because they differ, so that even random groups would have some; and where the classifier was trained on
    the cells at hand, it may have used them as well. A marker known from elsewhere, given by ``genes``, says more.

    Raises
    ------
    ParameterError
        No such column or gene, ``n`` below 1, or signature genes asked for where there is no signature.
    ResultNotFoundError
        The object was not annotated, its matrix is gone, or there are no macrophages or no genes to draw.
    MatrixError
        The matrix is not the one that the run saw.
    """
    check_positive("n", n)
    kept = RunEvidence(adata, key)
    labels = _labels(adata, key, groupby)
    check_some(labels.codes >= 0)
    if kept.of_one_run:
        kept.row(int(np.argmax(labels.codes >= 0)))  # the matrix is the one that the run saw
    found = by_label(kept.matrix, labels.codes, len(labels.names))
    if genes is None:
        columns = _chosen(kept, found, labels, groupby, n, in_signature=in_signature)
    else:
        given = genes if isinstance(genes, Mapping) else {"": genes}
        columns = [(label, c) for label, some in given.items() for c in columns_of(kept.matrix, list(some))]
    if not columns:
        msg = (
            f"There is no gene to draw: no label of '{groupby}' with {_MIN_CELLS} cells has a gene "
            f"{'of its signature ' if in_signature else ''}above the other cells. Give genes=."
        )
        raise ResultNotFoundError(msg)
    return _draw(ax, kept, found, labels, columns, naming(groupby, key))


def _labels(adata: AnnData, key: str, groupby: str) -> Labels:
    """Return the labels to compare; -1 for cells that are not drawn."""
    state = labels_of(adata, key, "state")
    if groupby == "compartment":
        return labels_of(adata, key, groupby)
    labels = labels_of(adata, key, groupby) if groupby in _AXES else as_labels(slots.obs_column(adata, groupby))
    inside = state.is_macrophage & labels.is_macrophage
    occurs = np.bincount(labels.codes[inside], minlength=len(labels.names)) > 0
    place = np.where(occurs, np.cumsum(occurs) - 1, -1)
    names = tuple(name for name, here in zip(labels.names, occurs, strict=True) if here)
    return Labels(names, np.where(inside, place[labels.codes], -1))


def _chosen(
    kept: RunEvidence, found: ByLabel, labels: Labels, groupby: str, n: int, *, in_signature: bool
) -> list[tuple[str, int]]:
    """Return the genes that set each label apart most; a gene stands only with the label that has most of it."""
    on_axis = kept.labels(groupby) if groupby in _AXES else []
    signatures = on_axis or [s for s in labels.names if s in kept.axis_of]
    if in_signature and not signatures:
        msg = f"The labels of '{groupby}' have no signatures. Leave out in_signature=, or give genes=."
        raise ParameterError(msg)
    every = np.arange(kept.matrix.n_vars)
    outside = every[~np.isin(every, np.concatenate([kept.columns(s) for s in signatures]))] if signatures else every
    names, out = np.array(kept.names(every), dtype=str), list[tuple[str, int]]()
    most = np.where(found.n[:, None] >= _MIN_CELLS, found.mean, -1.0).argmax(axis=0)
    for i, label in enumerate(labels.names):
        is_asked_for = label in signatures if on_axis or in_signature else label != NOT_MACROPHAGE
        if is_asked_for and _MIN_CELLS <= found.n[i] < found.n.sum():
            among = kept.columns(label) if in_signature else outside
            among = among[most[among] == i]
            apart = found.apart(i)[among]
            best = np.lexsort((names[among], -apart))[:n]  # ties by name, so that no order of genes shows
            out += [(label, int(among[b])) for b in best if apart[b] > 0]
    return out


def _draw(
    ax: Axes | None,
    kept: RunEvidence,
    found: ByLabel,
    labels: Labels,
    columns: list[tuple[str, int]],
    written: Callable[[str], str],
) -> Axes:
    n_rows, n_columns = len(labels.names), len(columns)
    ax = ax or new_axes(3.6 + 0.26 * n_columns, 1.9 + 0.34 * max(n_rows, 4))
    places = [place for _, place in columns]
    mean, share = found.mean[:, places], found.detected[:, places]
    enough = found.n >= _MIN_CELLS
    scaled = mean / np.maximum((mean[enough] if enough.any() else mean).max(axis=0), 1e-12)
    x, y = np.meshgrid(np.arange(n_columns), np.arange(n_rows))
    style: dict[str, Any] = {"cmap": "cividis_r", "vmin": 0, "vmax": 1, "edgecolors": "0.3", "linewidths": 0.4}
    dots = ax.scatter(x.ravel(), y.ravel(), s=_LARGEST_DOT * share.ravel(), c=scaled.ravel(), **style)
    ax.set_xticks(range(n_columns), kept.names(np.array(places)), rotation=90, fontsize="small", style="italic")
    ax.set_yticks(range(n_rows), [f"{written(s)} ({k:,})" for s, k in zip(labels.names, found.n, strict=True)])
    ax.set(xlim=(-0.7, n_columns - 0.3), ylim=(n_rows - 0.4, -0.6))
    open_corner(ax)
    _write_groups(ax, [(written(label), place) for label, place in columns])
    _write_keys(ax, dots)
    return ax


def _write_groups(ax: Axes, columns: list[tuple[str, int]]) -> None:
    """Write the label of each run of genes above them, with a line between runs."""
    labels = [label for label, _ in columns]
    starts = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    for start, stop in zip(starts, [*starts[1:], len(labels)], strict=True):
        if start:
            ax.axvline(start - 0.5, color="0.8", linewidth=0.8, zorder=0)
        ax.annotate(
            labels[start],
            ((start + stop - 1) / 2, 1.0),
            xytext=(0, 4),
            textcoords="offset points",
            xycoords=ax.get_xaxis_transform(),
            rotation=30,
            rotation_mode="anchor",
            fontsize="small",
        )


def _write_keys(ax: Axes, dots: Any) -> None:
    """Say what size and colour are, to the right."""
    keys = [
        Line2D([], [], linestyle="", marker="o", markersize=(_LARGEST_DOT * s) ** 0.5, color="0.6", label=f"{s:.0%}")
        for s in (0.25, 0.5, 1.0)
    ]
    ax.legend(handles=keys, title="cells with\nthe gene", labelspacing=0.9, alignment="left", **LEGEND_BESIDE)
    bar = ax.figure.colorbar(dots, ax=ax, orientation="horizontal", location="bottom", shrink=0.35, aspect=14, pad=0.04)
    bar.set_label("mean expression, of the gene's greatest", fontsize="small")
    bar.ax.tick_params(labelsize="small")


@figure
def evidence(
    adata: AnnData,
    cell: str | int,
    *,
    key: str = "tam",
    axis: str = "state",
    n: int = 12,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw what the genes of one cell contribute to its label and to the strongest rival.

    Parameters
    ----------
    adata
        An annotated object with the matrix that was annotated.
    cell
        Name of the cell, or its number.
    key
        The ``key_added`` of the run.
    axis
        ``"compartment"``, ``"origin"`` or ``"state"``.
    n
        How many genes: those that contribute most to either of the two.
    ax
        Where to draw; None makes a figure.

    Returns
    -------
    The axes. Bars to the right support a label, bars to the left oppose it. A cell without a label shows its two
    strongest programs. Contributions are to the amount of a program or to z, as `get.contributions` says, and do not
    measure causal importance: correlated genes share the weight. The genes shown are some of many, so that they do not
    sum to the figure beside the label. Of a z the baseline is shown as a bar of its own, and taken off beside the
    label. Where the label is not that of the greatest z, or there is none, a sentence below says why.

    Raises
    ------
    ParameterError
        No such cell or axis, or ``n`` below 1.
    ResultNotFoundError
        The object was not annotated, or its matrix is gone.
    MatrixError
        The matrix is not the one that the run saw.
    """
    if axis not in _AXES or n < 1:
        msg = f"axis must be one of {', '.join(_AXES)} and n at least 1, not {axis!r} and {n}."
        raise ParameterError(msg)
    table = contributions(adata, cell, axis=axis, key=key)
    of = str(table["of"].iloc[0]) if len(table) else "z"
    table = table[table["of"] == of]  # an amount and a z cannot be held against each other
    labels = [str(label) for label in pd.unique(table["label"])[:2]]
    table = table[table["label"].isin(labels)]
    behind = evidence_of(adata, cell, key=key)
    baseline = behind["baseline"].reindex(labels).fillna(0.0) if of == "z" else pd.Series(0.0, index=labels)
    bars = _bars(table, labels, n, baseline)
    ax = ax or new_axes(6, 2.0 + 0.32 * max(len(bars), 2))
    called = table.attrs["called"]
    colors = colors_of(adata, key, axis)
    for i, label in enumerate(labels):
        name = f"{pretty(label)}{' (called)' if label == called else ''}: {of} {_total(table, label):.2f}"
        if baseline[label]:
            name += f", {_total(table, label) - baseline[label]:.2f} above the baseline"
        place = np.arange(len(bars)) + (i - 0.5) * _HEIGHT
        color = colors.get(label, _PLAIN[i])
        # hatched, so that the two are told apart without colours
        hatch = "////" if i else None
        ax.barh(place, bars[label], _HEIGHT, color=color, label=name, hatch=hatch, edgecolor="black", linewidth=0.4)
    why = textwrap.fill(pretty(behind.attrs["why"].get(axis, "")), 72)
    _label_genes(ax, bars.index, set(table.loc[table["in_signature"], "gene"]) if of == "amount" else set())
    ax.set_xlabel(f"{_UNITS[of]}\n\n{why}".rstrip())
    title = f"{table.attrs['cell']}\n{axis}: {pretty(called or 'not called')}"
    ax.set_title(title, loc="left", fontsize="medium", pad=8 + 15 * len(labels))
    return ax


def _bars(table: pd.DataFrame, labels: list[str], n: int, baseline: pd.Series) -> pd.DataFrame:
    """Return the greatest contributions, genes by labels, 0 where a gene is none of a label's; the baselines last."""
    wide = table.pivot_table(index="gene", columns="label", values="contribution", aggfunc="sum", fill_value=0.0)
    wide = wide.reindex(columns=labels)
    most = wide.loc[wide.abs().max(axis=1).sort_values(ascending=False, kind="stable").index[:n]]
    return pd.concat([most, -baseline.to_frame("baseline").T]) if baseline.any() else most


def _label_genes(ax: Axes, genes: pd.Index, starred: set[str]) -> None:
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(genes)), [f"{gene} *" if gene in starred else gene for gene in genes])
    ax.set_ylim(len(genes) - 0.4, -0.6)
    open_corner(ax)
    if len(genes):
        ax.legend(**LEGEND_ABOVE | {"bbox_to_anchor": (-0.02, 1.0)}, borderaxespad=0.2)
    else:
        ax.text(0.5, 0.5, "no gene speaks for or against a label", transform=ax.transAxes, ha="center")


def _total(table: pd.DataFrame, label: str) -> float:
    intercept = table.attrs["intercept"].get(label, 0.0) if (table["of"] == "amount").all() else 0.0
    return float(table.loc[table["label"] == label, "contribution"].sum() + intercept)
