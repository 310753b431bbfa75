"""Which genes speak for the label of a cell, and for its strongest rival."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes

from tamannot.errors import ParameterError
from tamannot.get import contributions
from tamannot.get import evidence as evidence_of
from tamannot.pl._style import colors_of, new_axes, pretty

_AXES = ("compartment", "origin", "state")
# Okabe & Ito's, for labels without a colour of their own.
_PLAIN = ("#0072b2", "#d55e00")
_UNITS = {
    "amount": "contribution to the amount (0: background, 1: cells learned from)\n* gene of one of the two signatures",
    "z": "contribution to z against matched genes",
}
_HEIGHT = 0.38
_BASELINE, _LETTERS = "baseline", 72


def evidence(
    adata: AnnData, cell: str | int, *, key: str = "tam", axis: str = "state", n: int = 12, ax: Axes | None = None
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
    The axes. Bars to the right speak for a label, bars to the left against it. A cell without a label shows its two
    strongest programs. Contributions are to the amount of a program or to z, as `get.contributions` says, and no
    causal importance: genes that go together share the weight. The genes shown are some of many, so that they do not
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
        msg = f"axis is one of {', '.join(_AXES)} and n at least 1, not {axis!r} and {n}."
        raise ParameterError(msg)
    table = contributions(adata, cell, axis=axis, key=key)
    of = str(table["of"].iloc[0]) if len(table) else "z"
    table = table[table["of"] == of]  # an amount and a z cannot be held against each other
    labels = [str(label) for label in pd.unique(table["label"])[:2]]
    table = table[table["label"].isin(labels)]
    behind = evidence_of(adata, cell, key=key)
    baseline = behind["baseline"].reindex(labels).fillna(0.0) if of == "z" else pd.Series(0.0, index=labels)
    bars = _bars(table, labels, n, baseline)
    ax = ax if ax is not None else new_axes(6, 2.0 + 0.32 * max(len(bars), 2))
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
    why = textwrap.fill(pretty(behind.attrs["why"].get(axis, "")), _LETTERS)
    _dress(ax, [_marked(gene, table, of) for gene in bars.index], f"{_UNITS[of]}\n\n{why}".rstrip())
    title = f"{table.attrs['cell']}\n{axis}: {pretty(called or 'not called')}"
    ax.set_title(title, loc="left", fontsize="medium", pad=8 + 15 * len(labels))
    return ax


def _bars(table: pd.DataFrame, labels: list[str], n: int, baseline: pd.Series) -> pd.DataFrame:
    """Return the greatest contributions, genes by labels, 0 where a gene is none of a label's; the baselines last."""
    wide = table.pivot_table(index="gene", columns="label", values="contribution", aggfunc="sum", fill_value=0.0)
    wide = wide.reindex(columns=labels)
    most = wide.loc[wide.abs().max(axis=1).sort_values(ascending=False, kind="stable").index[:n]]
    return pd.concat([most, -baseline.to_frame(_BASELINE).T]) if baseline.any() else most


def _dress(ax: Axes, genes: list[str], unit: str) -> None:
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(genes)), genes)
    ax.set(xlabel=unit, ylim=(len(genes) - 0.4, -0.6))
    ax.spines[["top", "right"]].set_visible(False)
    if genes:
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), frameon=False, fontsize="small", borderaxespad=0.2)
    else:
        ax.text(0.5, 0.5, "no gene speaks for or against a label", transform=ax.transAxes, ha="center")


def _total(table: pd.DataFrame, label: str) -> float:
    intercept = table.attrs["intercept"].get(label, 0.0) if (table["of"] == "amount").all() else 0.0
    return float(table.loc[table["label"] == label, "contribution"].sum() + intercept)


def _marked(gene: str, table: pd.DataFrame, of: str) -> str:
    star = of == "amount" and table.loc[table["gene"] == gene, "in_signature"].any()
    return f"{gene} *" if star else gene
