"""Pictures of the accuracy benchmark for the docs."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from _glioma import LEFT_OUT, Glioma
from matplotlib.figure import Figure

import tamannot as tam

_OURS, _OTHERS, _SHOWN = "#0072B2", "#767676", "#E69F00"


def modes(rows: dict[str, tuple[float, float, float]], to: Path) -> None:
    """Draw balanced accuracies with their intervals, one a row."""
    figure, ax = plt.subplots(figsize=(7.2, 3.2), layout="constrained")
    for place, (name, (value, low, high)) in enumerate(rows.items()):
        color = _OURS if name.startswith("tamannot") else _SHOWN if "labels" in name else _OTHERS
        marker = "o" if color == _OURS else "D" if color == _SHOWN else "s"
        ax.errorbar(
            value, place, xerr=[[value - low], [high - value]], fmt=marker, color=color, capsize=3, markersize=6
        )
        ax.text(1.012, place, f"{value:.3f}", va="center", fontsize="small", transform=ax.get_yaxis_transform())
    ax.set_yticks(np.arange(len(rows)), list(rows))
    ax.set(xlim=(0.65, 1.0), xlabel="balanced accuracy, best of four states\n(bars: 95 % over six donors)")
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    _save(figure, to / "accuracy_states.png")


def reliability(truth: Glioma, done: ad.AnnData, less: ad.AnnData, to: Path) -> None:
    """Draw whether the probability of the winning state comes true."""
    figure, ax = plt.subplots(figsize=(5, 5.2), layout="constrained")
    for label, adata in (("all signatures", done), (f"without {LEFT_OUT}'s genes", less)):
        tam.pl.reliability(*truth.winner(adata), label=label, ax=ax)
    ax.set(xlim=(0.35, 1.02), ylim=(0.35, 1.02), xlabel="stated probability of the winning state", ylabel="share right")
    ax.legend(loc="upper left", frameon=False, fontsize="small")
    _save(figure, to / "accuracy_reliability.png")


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", pil_kwargs={"optimize": True})
    plt.close(figure)
