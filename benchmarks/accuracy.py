"""What tamannot gets right on labelled data, beside what users do today.

usage: python benchmarks/accuracy.py FOLDER [--parts compartments states poorer] [--pictures docs/images]

FOLDER holds labelled h5ad files; those named below that are there are annotated with the defaults and compared
with their labels. No parameter is set per file, but for the tissue of the bulk microglia. Prints Markdown.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import anndata as ad
from _glioma import LEFT_OUT, STATES, Glioma, annotated, given, origin_called, today, without_source
from _poorer import tables
from sklearn.metrics import roc_auc_score

import tamannot as tam

# file: column of true compartments, labels that are macrophages
GATES = {
    "human_oligodendroglioma_sc_Tirosh2016": ("truth_celltype", {"macrophage_microglia"}),
    "human_HNSCC_sc_Puram2017_chetahSubset": ("truth_celltype", {"Macrophage"}),
    "human_PBMC_CITEseq_Hao2021_rectangleSubset": ("truth_celltype", set()),
    "human_PBMC_sc_IFNb_Kang2018_muscatSubset": ("truth_celltype", set()),
    "glioma_tissue_semisynthetic_dev": ("truth_compartment", {"macrophage"}),
    "glioma_myeloid_semisynthetic_dev": ("truth_compartment", {"macrophage"}),
}
GLIOMA = "glioma_myeloid_semisynthetic_dev"
MICROGLIA = "mouse_microglia_bulk_development_LPS_Hanamsagar2017"
PARTS = ("compartments", "states", "poorer")


def gate_row(name: str, adata: ad.AnnData) -> str:
    """Compare the macrophage calls with the labels."""
    column, macrophage = GATES[name]
    truth = adata.obs[column].astype(str).isin(macrophage)
    called = adata.obs["tam_compartment"] == "macrophage"
    found = f"{(called & truth).sum():,} of {truth.sum():,}" if macrophage else "none there"
    f1 = f"{2 * (called & truth).sum() / (called.sum() + truth.sum()):.3f}" if macrophage else ""
    return f"| {name} | {adata.n_obs:,} | {found} | {(called & ~truth).sum():,} of {(~truth).sum():,} | {f1} |"


def origin_row(name: str, adata: ad.AnnData) -> str:
    """Compare origins with the labels of macrophages and unclear cells."""
    labelled, share, right = origin_called(adata)
    proba = adata.obsm["tam_origin_proba"].loc[labelled]
    is_microglia = adata.obs["truth_origin"].astype(str)[labelled] == "microglia"
    auroc = roc_auc_score(is_microglia, proba["microglia"] - proba["monocyte_derived"])
    return f"| {name} | {labelled.sum():,} | {auroc:.4f} | {share:.3f} | {right:.3f} |"


def monocyte_row(name: str, adata: ad.AnnData) -> str | None:
    """Say what cells labelled as monocytes are called; None if there are none."""
    mine = adata.obs[GATES[name][0]].astype(str).str.contains("monocyte", case=False)
    if not mine.any():
        return None
    counts = adata.obs.loc[mine, "tam_compartment"].value_counts()
    called = ", ".join(f"{label} {n:,}" for label, n in counts[counts > 0].items())
    return f"| {name} | {mine.sum():,} | {called} |"


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--pictures", type=Path, help="folder to draw the pictures of the states into")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    tam.settings.progress = False
    if "compartments" in asked.parts:
        compartments(asked.folder)
    if (path := asked.folder / f"{GLIOMA}.h5ad").is_file():
        glioma = ad.read_h5ad(path)
        if "states" in asked.parts or asked.pictures:
            states(glioma, asked.pictures)
        if "poorer" in asked.parts:
            tables(glioma, Glioma(glioma))


def compartments(folder: Path) -> None:
    """Print what is right of compartments and origins."""
    done = {n: annotated(ad.read_h5ad(p)) for n in GATES if (p := folder / f"{n}.h5ad").is_file()}
    print("| data | cells | macrophages found | others called macrophage | F1 |\n|---|---|---|---|---|")
    print("\n".join(gate_row(name, adata) for name, adata in done.items()))
    print("\n| data | labelled monocytes | called |\n|---|---|---|")
    print("\n".join(filter(None, (monocyte_row(name, adata) for name, adata in done.items()))))
    print("\n| data | labelled cells | AUROC | share called | right where called |\n|---|---|---|---|---|")
    print("\n".join(origin_row(name, a) for name, a in done.items() if "truth_origin" in a.obs))
    if GLIOMA in done:
        print("\nOrigin with the compartments given (macrophage and unclear cells):")
        print(origin_row(GLIOMA, given(ad.read_h5ad(folder / f"{GLIOMA}.h5ad"))))
    if (path := folder / f"{MICROGLIA}.h5ad").is_file():
        bulk = annotated(ad.read_h5ad(path), tissue="brain")
        print("\nBulk microglia:", bulk.obs["tam_origin"].value_counts().to_dict())


def states(adata: ad.AnnData, to: Path | None) -> None:
    """Print, and draw, what is right of the states, with the bundled signatures and without one source."""
    truth, done = Glioma(adata), annotated(adata)
    less = annotated(adata, signatures=without_source())
    scores = today(adata.copy(), truth) | {
        "tamannot": done.obsm["tam_state_proba"][STATES].to_numpy(),
        f"tamannot without {LEFT_OUT}'s genes": less.obsm["tam_state_proba"][STATES].to_numpy(),
    }
    best = {name: truth.balanced(s) for name, s in scores.items()}
    print("\n| best of four states | balanced accuracy (95 % over donors) |\n|---|---|")
    for name, (value, low, high) in best.items():
        print(f"| {name} | {value:.3f} ({low:.3f} to {high:.3f}) |")
    print("\n| figure | all signatures | without the source |\n|---|---|---|")
    for one, other in zip(truth.calls(done), truth.calls(less), strict=True):
        print(f"| {one} | {other.split('|')[1].strip()} |")
    for overlay in ("hypoxic", "proliferating"):
        is_there = adata.obs[f"truth_{overlay}"].astype(str) == "True"
        print(
            f"| AUROC of z over all cells, {overlay} | {roc_auc_score(is_there, done.obsm['tam_z'][overlay]):.4f} | |"
        )
    if to:
        import _accuracy_pictures as pictures

        pictures.modes(best, to)
        pictures.reliability(truth, done, less, to)


if __name__ == "__main__":
    main()
