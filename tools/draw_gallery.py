"""Draw the pictures of docs/gallery.md from a simulated cohort and from the example data.

usage: python tools/draw_gallery.py docs/images [NAME…]
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import scanpy as sc
from matplotlib.axes import Axes

import tamannot as tam

MOST_BYTES = 100_000
DPI = 90


@lru_cache(maxsize=1)
def cohort() -> ad.AnnData:
    """Eight simulated tumours, annotated, with a UMAP of all cells."""
    adata = tam.datasets.simulate(
        500, n_samples=8, shift={"lipid_associated": 2.0}, crosstalk=0.8, n_genes=4000, depth=6000, rng=1
    )
    tam.tl.annotate(adata, tissue="brain", sample_key="sample")
    logs = ad.AnnData(adata.X.copy(), obs=adata.obs[[]].copy(), var=adata.var.copy())
    sc.pp.normalize_total(logs, target_sum=1e4)
    sc.pp.log1p(logs)
    sc.pp.highly_variable_genes(logs, n_top_genes=1500)
    sc.pp.pca(logs, n_comps=20, random_state=0)
    sc.pp.neighbors(logs, random_state=0)
    sc.tl.umap(logs, random_state=0)
    adata.obsm["X_umap"] = logs.obsm["X_umap"]
    return adata


@lru_cache(maxsize=1)
def example() -> ad.AnnData:
    """The example data, annotated."""
    adata = tam.datasets.oligodendroglioma()
    tam.tl.annotate(adata, tissue="brain")
    return adata


def evidence() -> Axes:
    """A cell that was called lipid-associated."""
    first = int(np.argmax((cohort().obs["tam_state"] == "lipid_associated").to_numpy()))
    return tam.pl.evidence(cohort(), first)


def reliability() -> Axes:
    """The most probable state of macrophages whose state is known, against the truth."""
    adata = cohort()
    proba = adata.obsm["tam_state_proba"]
    known = (adata.obs["truth_state"].isin(proba.columns) & (adata.obs["tam_compartment"] == "macrophage")).to_numpy()
    return tam.pl.reliability(proba[known], adata.obs["truth_state"][known])


PICTURES: Mapping[str, Callable[[], Axes]] = {
    "states": lambda: tam.pl.states(cohort()),
    "states_by_sample": lambda: tam.pl.states(cohort(), groupby="sample"),
    "origins": lambda: tam.pl.origins(cohort()),
    "state_by_origin": lambda: tam.pl.state_by_origin(cohort()),
    "state_by_origin_samples": lambda: tam.pl.state_by_origin(cohort(), sample_key="sample"),
    "markers": lambda: tam.pl.markers(cohort()),
    "markers_in_signature": lambda: tam.pl.markers(cohort(), in_signature=True),
    "scores": lambda: tam.pl.scores(cohort()),
    "scores_by_sample": lambda: tam.pl.scores(cohort(), "lipid_associated", groupby="sample"),
    "coverage": lambda: tam.pl.coverage(example(), axis=["origin", "state", "overlay", "polarization"]),
    "polarization": lambda: tam.pl.polarization(cohort()),
    "polarization_samples": lambda: tam.pl.polarization(cohort(), by=("CXCL9", "SPP1"), sample_key="sample"),
    "evidence": evidence,
    "reliability": reliability,
}


def main(folder: str, *names: str) -> None:
    """Draw all pictures, or those named."""
    mpl.use("Agg")
    for name in names or PICTURES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ax = PICTURES[name]()
        save(ax, Path(folder) / f"gallery_{name}.png")
        plt.close("all")


def save(ax: Axes, path: Path) -> None:
    ax.figure.savefig(path, dpi=DPI, metadata={"Software": None})
    size = path.stat().st_size
    print(f"{path}: {size:,} bytes")
    if size > MOST_BYTES:
        sys.exit(f"{path} has more than {MOST_BYTES:,} bytes.")


if __name__ == "__main__":
    main(*sys.argv[1:])
