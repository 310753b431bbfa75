"""Genes that set labels apart, as dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.get._run_evidence import ByLabel, RunEvidence, by_label, columns_of
from tamannot.pl._labels import Labels, as_labels, labels_of
from tamannot.pl._style import new_axes, pretty

Array = NDArray[Any]

_AXES = ("compartment", "origin", "state")
# Of fewer cells a mean says nothing, so that no genes are chosen for them.
_FEWEST_CELLS = 5
_LARGEST_DOT = 190.0
_SHARES = (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class _Column:
    """A gene of the picture and the label that it stands for."""

    label: str
    column: int


def markers(
    adata: AnnData,
    *,
    groupby: str = "state",
    genes: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    in_signature: bool = False,
    n: int = 4,
    key: str = "tam",
    ax: Axes | None = None,
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
    The axes, labels × genes. The size of a dot is the share of cells in which the gene is detected, its colour the
    mean expression (``log1p`` of 10,000 per cell) scaled for each gene from 0 to its greatest mean. All cells are
    read, block by block.

    Genes that are in no signature are a look from outside: do the cells differ as the name says? They are no test.
    They were chosen here because they differ, so that even random groups would have some; and where a label was
    learned from the cells at hand, it was called by them as well. A marker known from elsewhere, given by ``genes``,
    says more.

    Raises
    ------
    ParameterError
        No such column or gene, ``n`` below 1, or signature genes asked for where there is no signature.
    ResultNotFoundError
        The object was not annotated, its matrix is gone, or there are no macrophages or no genes to draw.
    MatrixError
        The matrix is not the one that the run saw.
    """
    if n < 1:
        msg = f"n is at least 1, not {n}."
        raise ParameterError(msg)
    kept = RunEvidence(adata, key)
    labels = _labels(adata, key, groupby)
    if not (labels.codes >= 0).any():
        msg = "There are no macrophages to draw."
        raise ResultNotFoundError(msg)
    if kept.of_one_run:
        kept.row(int(np.argmax(labels.codes >= 0)))  # the matrix is the one that the run saw
    found = by_label(kept.matrix, labels.codes, len(labels.names))
    columns = (
        _chosen(kept, found, labels, groupby, n, in_signature=in_signature) if genes is None else _given(kept, genes)
    )
    if not columns:
        msg = (
            f"There is no gene to draw: no label of '{groupby}' with {_FEWEST_CELLS} cells has a gene "
            f"{'of its signature ' if in_signature else ''}above the other cells. Give genes=."
        )
        raise ResultNotFoundError(msg)
    return _draw(ax, kept, found, labels, columns)


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


def _given(kept: RunEvidence, genes: Sequence[str] | Mapping[str, Sequence[str]]) -> list[_Column]:
    by = genes if isinstance(genes, Mapping) else {"": genes}
    return [_Column(label, c) for label, some in by.items() for c in columns_of(kept.matrix, list(some))]


def _chosen(
    kept: RunEvidence, found: ByLabel, labels: Labels, groupby: str, n: int, *, in_signature: bool
) -> list[_Column]:
    """Return the genes that set each label apart most; a gene stands only with the label that has most of it."""
    on_axis = kept.labels(groupby) if groupby in _AXES else []
    signatures = on_axis or [s for s in labels.names if s in kept.axis_of]
    if in_signature and not signatures:
        msg = f"The labels of '{groupby}' have no signatures. Leave out in_signature=, or give genes=."
        raise ParameterError(msg)
    every = np.arange(kept.matrix.n_vars)
    outside = every[~np.isin(every, np.concatenate([kept.columns(s) for s in signatures]))] if signatures else every
    names, out = np.array(kept.names(every), dtype=str), list[_Column]()
    most = np.where(found.n[:, None] >= _FEWEST_CELLS, found.mean, -1.0).argmax(axis=0)
    for i, label in enumerate(labels.names):
        is_asked_for = label in signatures if on_axis or in_signature else label != NOT_MACROPHAGE
        if is_asked_for and _FEWEST_CELLS <= found.n[i] < found.n.sum():
            among = kept.columns(label) if in_signature else outside
            among = among[most[among] == i]
            apart = found.apart(i)[among]
            best = np.lexsort((names[among], -apart))[:n]  # ties by name, so that no order of genes shows
            out += [_Column(label, int(among[b])) for b in best if apart[b] > 0]
    return out


def _draw(ax: Axes | None, kept: RunEvidence, found: ByLabel, labels: Labels, columns: list[_Column]) -> Axes:
    n_rows, n_columns = len(labels.names), len(columns)
    ax = ax if ax is not None else new_axes(3.6 + 0.26 * n_columns, 1.9 + 0.34 * max(n_rows, 4))
    places = [c.column for c in columns]
    mean, share = found.mean[:, places], found.detected[:, places]
    enough = found.n >= _FEWEST_CELLS
    scaled = mean / np.maximum((mean[enough] if enough.any() else mean).max(axis=0), 1e-12)
    x, y = np.meshgrid(np.arange(n_columns), np.arange(n_rows))
    dots = ax.scatter(
        x.ravel(),
        y.ravel(),
        s=_LARGEST_DOT * share.ravel(),
        c=scaled.ravel(),
        cmap="cividis_r",
        vmin=0,
        vmax=1,
        edgecolors="0.3",
        linewidths=0.4,
    )
    ax.set_xticks(range(n_columns), kept.names(np.array(places)), rotation=90, fontsize="small", style="italic")
    ax.set_yticks(range(n_rows), [f"{pretty(s)} ({k:,})" for s, k in zip(labels.names, found.n, strict=True)])
    ax.set(xlim=(-0.7, n_columns - 0.3), ylim=(n_rows - 0.4, -0.6))
    ax.spines[["top", "right"]].set_visible(False)
    _write_groups(ax, columns)
    _write_keys(ax, dots)
    return ax


def _write_groups(ax: Axes, columns: list[_Column]) -> None:
    """Write the label of each run of genes above them, with a line between runs."""
    labels = [c.label for c in columns]
    starts = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    for start, stop in zip(starts, [*starts[1:], len(labels)], strict=True):
        if start:
            ax.axvline(start - 0.5, color="0.8", linewidth=0.8, zorder=0)
        ax.annotate(
            pretty(labels[start]),
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
        for s in _SHARES
    ]
    ax.legend(
        handles=keys,
        title="cells with\nthe gene",
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        frameon=False,
        fontsize="small",
        title_fontsize="small",
        labelspacing=0.9,
        alignment="left",
    )
    bar = ax.figure.colorbar(dots, ax=ax, orientation="horizontal", location="bottom", shrink=0.35, aspect=14, pad=0.04)
    bar.set_label("mean expression, of the gene's greatest", fontsize="small")
    bar.ax.tick_params(labelsize="small")
