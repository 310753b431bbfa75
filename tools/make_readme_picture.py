"""Draw the figure of the README from the example data: a UMAP with compartments and with states.

usage: python tools/make_readme_picture.py docs/images/states.png
"""

from __future__ import annotations

import sys
import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import scanpy as sc

import tamannot as tam

COLOURS = {
    "macrophage": "#D55E00",
    "opc": "#56B4E9",
    "neuron": "#009E73",
    "glial_like": "#0072B2",
    "oligodendrocyte": "#E69F00",
    "unassigned": "#BBBBBB",
}


def main(out: str) -> None:
    """Annotate the example, embed it, and draw its compartments beside the states of its macrophages."""
    mpl.use("Agg")
    adata = tam.datasets.oligodendroglioma()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tam.tl.annotate(adata, tissue="brain")
        logs = adata.copy()
        sc.pp.log1p(logs)
        sc.pp.highly_variable_genes(logs, n_top_genes=2000)
        sc.pp.pca(logs, n_comps=15, random_state=0)
        sc.pp.neighbors(logs, n_neighbors=12, random_state=0)
        sc.tl.umap(logs, random_state=0)
    adata.obsm["X_umap"] = logs.obsm["X_umap"]

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    at, called = adata.obsm["X_umap"], adata.obs["tam_compartment"].astype(str)
    for name, colour in COLOURS.items():
        chosen = (called == name).to_numpy()
        label = f"{name.replace('_', '-').replace('opc', 'OPC')} ({chosen.sum()})"
        left.scatter(*at[chosen].T, s=18, color=colour, label=label, linewidths=0)
    left.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
    left.spines[["top", "right"]].set_visible(False)
    left.set_title(f"Compartment, {adata.n_obs} cells", fontsize="medium", loc="left")
    left.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    tam.pl.states(adata, ax=right, title=f"State, {(called == 'macrophage').sum()} macrophages")
    figure.savefig(out, dpi=150)


if __name__ == "__main__":
    main(sys.argv[1])
