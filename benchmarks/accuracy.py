"""What the fixed rule gets right on labelled data.

usage: python benchmarks/accuracy.py FOLDER

FOLDER holds labelled h5ad files; those of the table below that are there are annotated with the defaults
and compared with their labels. Prints Markdown. No parameter is set per file.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import anndata as ad
import pandas as pd

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
STATES = ("lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory")


def annotated(path: Path) -> ad.AnnData:
    """Return a file annotated with the defaults."""
    adata = ad.read_h5ad(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tam.errors.TamannotWarning)
        tam.tl.annotate(adata)
    return adata


def gate_row(name: str, adata: ad.AnnData) -> str:
    """Compare the macrophage calls with the labels."""
    column, macrophage = GATES[name]
    truth = adata.obs[column].astype(str).isin(macrophage)
    called = adata.obs["tam_compartment"] == "macrophage"
    found = f"{(called & truth).sum():,} of {truth.sum():,}" if macrophage else "none there"
    return f"| {name} | {adata.n_obs:,} | {found} | {(called & ~truth).sum():,} of {(~truth).sum():,} |"


def origin_row(name: str, adata: ad.AnnData) -> str:
    """Compare origins with the labels, where both say one."""
    truth, call = adata.obs["truth_origin"].astype(str), adata.obs["tam_origin"].astype(str)
    labelled = truth.isin(["microglia", "monocyte_derived"]) & (adata.obs["tam_compartment"] == "macrophage")
    known = labelled & (call != "unassigned")
    return f"| {name} | {labelled.sum():,} | {known.sum() / labelled.sum():.3f} | {(call == truth)[known].mean():.3f} |"


def state_rows(adata: ad.AnnData) -> list[str]:
    """Compare states with the labels, one row a state, and say what program-free cells get."""
    obs = adata.obs[adata.obs["truth_compartment"] == "macrophage"]
    truth, call = obs["truth_state"].astype(str), obs["tam_state"].astype(str)
    known = ~call.isin(["unassigned", "not_macrophage"])
    rows = []
    for state in STATES:
        here = truth == state
        labelled_calls = (call == state) & (truth != "unclear")
        rows.append(
            f"| {state} | {here.sum()} | {known[here].mean():.3f} | {(call == state)[here & known].mean():.3f} | "
            f"{(truth == state)[labelled_calls].mean():.3f} |"
        )
    labelled = truth != "unclear"
    right = (call == truth)[labelled & known].mean()
    rows.append(f"| all four | {labelled.sum()} | {known[labelled].mean():.3f} | {right:.3f} | |")
    usage = pd.DataFrame(adata.obsm["usage"], index=adata.obs_names).loc[obs.index]
    programs = ["Macrophage", "IFN_Response", "IL1B_CD83_TNF_Inflammatory"]
    immuno = usage[["Scavenger_Immunosuppressive", "Complement_Immunosuppressive"]].sum(axis=1)
    free = pd.concat([usage[programs], immuno], axis=1).max(axis=1) < 0.10
    rows.append(f"| no program (all four usages < 0.10) | {free.sum()} | {call[free].isin(STATES).mean():.3f} | | |")
    return rows


def main(folder: str) -> None:
    """Print the tables."""
    files = {name: Path(folder) / f"{name}.h5ad" for name in GATES}
    data = {name: annotated(path) for name, path in files.items() if path.is_file()}
    print("| data | cells | macrophages found | others called macrophage |\n|---|---|---|---|")
    print("\n".join(gate_row(name, adata) for name, adata in data.items()))
    print("\n| data | labelled macrophages | share called | right where called |\n|---|---|---|---|")
    print("\n".join(origin_row(name, a) for name, a in data.items() if "truth_origin" in a.obs))
    if "glioma_myeloid_semisynthetic_dev" in data:
        print("\n| state | cells | share called | right where called | precision |\n|---|---|---|---|---|")
        print("\n".join(state_rows(data["glioma_myeloid_semisynthetic_dev"])))


if __name__ == "__main__":
    main(sys.argv[1])
