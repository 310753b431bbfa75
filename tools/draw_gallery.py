"""Draw the pictures of docs/gallery.md from a simulated cohort and from the example data.

usage: python tools/draw_gallery.py docs/images [NAME…]
"""

from __future__ import annotations

import io
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
from PIL import Image
from sklearn.cluster import KMeans

import tamannot as tam

MOST_BYTES = 100_000
DPI = 90
# A palette takes a third of the room. The method keeps colours that are rare: the ends of a colour bar are.
COLORS, METHOD = 256, Image.Quantize.MAXCOVERAGE


@lru_cache(maxsize=1)
def cohort() -> ad.AnnData:
    """Eight simulated tumours, annotated, with a UMAP of all cells."""
    adata = tam.datasets.simulate(
        500, n_samples=8, shift={"lipid_associated": 2.0}, crosstalk=0.8, n_genes=4000, depth=6000, rng=1
    )
    tam.tl.annotate(adata, tissue="brain", sample_key="sample")
    cells = ad.AnnData(components(adata, 20))
    sc.pp.neighbors(cells, use_rep="X", random_state=0)
    sc.tl.umap(cells, random_state=0)
    adata.obsm["X_umap"] = cells.obsm["X_umap"]
    return adata


def components(adata: ad.AnnData, n: int) -> np.ndarray:
    """Return the principal components of cells."""
    logs = ad.AnnData(adata.X.copy(), obs=adata.obs[[]].copy(), var=adata.var.copy())
    sc.pp.normalize_total(logs, target_sum=1e4)
    sc.pp.log1p(logs)
    sc.pp.highly_variable_genes(logs, n_top_genes=1500)
    sc.pp.pca(logs, n_comps=n, random_state=0)
    return logs.obsm["X_pca"]


@lru_cache(maxsize=1)
def example() -> ad.AnnData:
    """The example data, annotated."""
    adata = tam.datasets.oligodendroglioma()
    tam.tl.annotate(adata, tissue="brain")
    return adata


@lru_cache(maxsize=1)
def analysed() -> ad.AnnData:
    """The cohort, compared over its samples."""
    adata = cohort().copy()
    malignant = ("truth_compartment", "malignant")
    tam.tl.composition(adata, "sample", condition="condition")
    tam.tl.crosstalk(adata, "sample", malignant=malignant)
    tam.tl.ferroptosis_summary(adata, "sample", malignant=malignant)
    return adata


@lru_cache(maxsize=1)
def clustered() -> ad.AnnData:
    """The macrophages of the cohort in clusters of their own, asked which signatures stand out."""
    macrophages = cohort()[cohort().obs["tam_compartment"] == "macrophage"].copy()
    parts = KMeans(8, n_init=4, random_state=0).fit_predict(components(macrophages, 10))
    macrophages.obs["cluster"] = [str(part) for part in parts]
    tam.tl.enrich(macrophages, "cluster", sample_key="sample", signatures=tam.load_signatures(axis=("origin", "state")))
    return macrophages


@lru_cache(maxsize=1)
def tissue() -> ad.AnnData:
    """One simulated tumour whose lipid-associated macrophages lie around its middle."""
    adata = tam.datasets.simulate(900, n_samples=1, conditions=("tumour",), n_genes=4000, depth=6000, rng=1)
    tam.tl.score(adata, tam.load_signatures(axis="state"))
    rng = np.random.default_rng(0)
    outward = np.argsort(rng.normal(0, 0.4, adata.n_obs) - adata.obsm["truth_usage"]["lipid_associated"])
    # A sunflower: every cell has as much room.
    step = np.arange(adata.n_obs) + 0.5
    where = np.sqrt(step)[:, None] * np.column_stack([f(step * np.pi * (3 - np.sqrt(5))) for f in (np.cos, np.sin)])
    adata.obsm["spatial"] = np.empty_like(where)
    adata.obsm["spatial"][outward] = where
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
    "umap": lambda: tam.pl.umap(cohort(), color="compartment"),
    "embedding": lambda: tam.pl.embedding(cohort(), "umap", color="lipid_associated"),
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
    "composition": lambda: tam.pl.composition(analysed()),
    "composition_tests": lambda: tam.pl.composition_tests(analysed()),
    "ferroptosis": lambda: tam.pl.ferroptosis(analysed()),
    "crosstalk": lambda: tam.pl.crosstalk(analysed()),
    "crosstalk_pair": lambda: tam.pl.crosstalk(analysed(), pair=("share_lipid_associated", "ferroptosis_defence")),
    "enrichment": lambda: tam.pl.enrichment(clustered(), n=3),
    "spatial": lambda: tam.pl.spatial(tissue(), "lipid_associated"),
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
    drawn = io.BytesIO()
    ax.figure.savefig(drawn, dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(COLORS, METHOD).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}: {size:,} bytes")
    if size > MOST_BYTES:
        sys.exit(f"{path} has more than {MOST_BYTES:,} bytes.")


if __name__ == "__main__":
    main(*sys.argv[1:])
