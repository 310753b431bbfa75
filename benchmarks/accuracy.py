"""What tamannot gets right on labelled data, beside what users do today.

usage: python benchmarks/accuracy.py FOLDER

FOLDER holds labelled h5ad files; those named below that are there are annotated with the defaults and compared
with their labels. No parameter is set per file, but for the tissue of the bulk microglia. Prints Markdown.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

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
STATES = ["lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory"]
PROGRAMS = {
    "lipid_associated": ["Macrophage"],
    "interferon_primed": ["IFN_Response"],
    "inflammatory": ["IL1B_CD83_TNF_Inflammatory"],
    "immunoregulatory": ["Scavenger_Immunosuppressive", "Complement_Immunosuppressive"],
}
LEFT_OUT = "miller2025"


def annotated(adata: ad.AnnData, **options: object) -> ad.AnnData:
    """Return a copy annotated with the defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tam.tl.annotate(adata, copy=True, **options)


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
    truth, call = adata.obs["truth_origin"].astype(str), adata.obs["tam_origin"].astype(str)
    compartment = adata.obs["truth_compartment"].astype(str)
    labelled = truth.isin(["microglia", "monocyte_derived"]) & compartment.isin(["macrophage", "unclear"])
    known = labelled & ~call.isin(["unassigned", "not_macrophage"])
    proba = adata.obsm["tam_origin_proba"].loc[labelled]
    auroc = roc_auc_score(truth[labelled] == "microglia", proba["microglia"] - proba["monocyte_derived"])
    right = (call == truth)[known].mean()
    return f"| {name} | {labelled.sum():,} | {auroc:.4f} | {known.sum() / labelled.sum():.3f} | {right:.3f} |"


class Glioma:
    """The labels of the semi-synthetic glioma macrophages."""

    def __init__(self, adata: ad.AnnData) -> None:
        self.macrophage = (adata.obs["truth_compartment"] == "macrophage").to_numpy()
        self.truth = adata.obs["truth_state"].astype(str).to_numpy()
        self.labelled = self.macrophage & (self.truth != "unclear")
        self.donor = adata.obs["donor"].astype(str).to_numpy()
        usage = pd.DataFrame(adata.obsm["usage"], index=adata.obs_names)
        self.usage = np.stack([usage[PROGRAMS[s]].sum(axis=1) for s in STATES], axis=1)
        self.free = self.macrophage & (self.usage.max(axis=1) < 0.10)

    def best(self, scores: np.ndarray) -> str:
        """Return the balanced accuracy of the greatest of four, with its interval over donors."""
        guess = np.array(STATES)[scores.argmax(axis=1)]
        rng = np.random.default_rng(0)
        donors = np.unique(self.donor)
        drawn = []
        for _ in range(500):
            cells = np.concatenate(
                [np.flatnonzero(self.labelled & (self.donor == d)) for d in rng.choice(donors, donors.size)]
            )
            drawn.append(balanced_accuracy_score(self.truth[cells], guess[cells]))
        low, high = np.quantile(drawn, [0.025, 0.975])
        here = self.labelled
        return f"{balanced_accuracy_score(self.truth[here], guess[here]):.3f} ({low:.3f} to {high:.3f})"

    def calls(self, adata: ad.AnnData) -> list[str]:
        """Return what the calls are worth, a row a figure."""
        proba = adata.obsm["tam_state_proba"][STATES].to_numpy()
        call = adata.obs["tam_state"].astype(str).to_numpy()
        known = ~np.isin(call, ["unassigned", "not_macrophage"])
        here = self.labelled & known
        winner = np.array(STATES)[proba.argmax(axis=1)] == self.truth
        rho = [
            pd.Series(proba[self.macrophage, i]).corr(pd.Series(self.usage[self.macrophage, i]), method="spearman")
            for i in range(4)
        ]
        sure = proba.max(axis=1)[self.labelled]
        return [
            f"share of labelled cells called | {known[self.labelled].mean():.3f}",
            f"right where called | {(call == self.truth)[here].mean():.3f}",
            f"macro-F1 where called | {f1_score(self.truth[here], call[here], labels=STATES, average='macro'):.3f}",
            f"program-free macrophages given one of the four | {np.isin(call[self.free], STATES).mean():.3f}",
            f"Spearman of probability with usage, mean | {np.mean(rho):.3f}",
            f"ECE of the winner, 15 bins | {ece(sure, winner[self.labelled]):.3f}",
            f"Brier of the winner | {((sure - winner[self.labelled]) ** 2).mean():.3f}",
            *(f"right where called, {s} | {(call == s)[here & (self.truth == s)].mean():.3f}" for s in STATES),
        ]


def ece(p: np.ndarray, right: np.ndarray, n_bins: int = 15) -> float:
    """Return the expected calibration error over bins of equal mass."""
    bins = np.array_split(np.argsort(p, kind="stable"), n_bins)
    return sum(b.size * abs(p[b].mean() - right[b].mean()) for b in bins) / p.size


def today(adata: ad.AnnData, truth: Glioma) -> dict[str, np.ndarray]:
    """Return what users take the greatest of today, and a classifier that was shown the labels of other donors."""
    signatures = tam.SignatureSet(tam.load_signature(s) for s in STATES)
    tam.tl.score(adata, signatures, min_coverage=0, key_added="ucell", null="matched")
    log = adata.copy()
    sc.pp.normalize_total(log, target_sum=1e4)
    sc.pp.log1p(log)
    for name, signature in signatures.items():
        sc.tl.score_genes(log, [g.symbol for g in signature.all_genes if g.symbol in log.var_names], score_name=name)
    genes = log.obs[STATES].to_numpy()
    sc.pp.highly_variable_genes(log, n_top_genes=3000)
    x = log.X[:, log.var["highly_variable"].to_numpy()]
    here = truth.labelled
    model = LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced")
    shown = np.zeros((adata.n_obs, 4))
    proba = cross_val_predict(
        model, x[here], truth.truth[here], groups=truth.donor[here], cv=GroupKFold(6), method="predict_proba"
    )
    shown[here] = proba[:, [sorted(STATES).index(s) for s in STATES]]
    inside = truth.macrophage
    return {
        "greatest UCell score": adata.obsm["ucell_scores"][STATES].to_numpy(),
        "greatest score_genes": genes,
        "greatest score_genes, standardised over macrophages": (genes - genes[inside].mean(0)) / genes[inside].std(0),
        "greatest z": adata.obsm["ucell_z"][STATES].to_numpy(),
        "logistic regression shown the labels of other donors": shown,
    }


def without_source() -> tam.SignatureSet:
    """Return the state signatures without the genes that the left-out paper and at most one other source support."""
    kept = []
    for signature in tam.load_signatures(["state", "origin", "module"]).values():
        if signature.modules:
            continue
        genes = tuple(g for g in signature.genes if LEFT_OUT not in g.references or len(g.references) > 2)
        if len(genes) >= 5:
            kept.append(signature.model_copy(update={"genes": genes}))
    parts = {s.id: s for s in kept}
    for signature in tam.load_signatures(["state", "origin"]).values():
        if signature.modules:
            modules = tuple(parts.get(m.id, m) for m in signature.modules)
            kept.append(signature.model_copy(update={"modules": modules}))
    return tam.SignatureSet(kept)


def main(folder: str) -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    data = {n: ad.read_h5ad(p) for n in GATES if (p := Path(folder) / f"{n}.h5ad").is_file()}
    done = {name: annotated(adata) for name, adata in data.items()}
    print("| data | cells | macrophages found | others called macrophage | F1 |\n|---|---|---|---|---|")
    print("\n".join(gate_row(name, adata) for name, adata in done.items()))
    print("\n| data | labelled cells | AUROC | share called | right where called |\n|---|---|---|---|---|")
    print("\n".join(origin_row(name, a) for name, a in done.items() if "truth_origin" in a.obs))
    if GLIOMA in data:
        states(data[GLIOMA], done[GLIOMA])
    if (path := Path(folder) / f"{MICROGLIA}.h5ad").is_file():
        bulk = annotated(ad.read_h5ad(path), tissue="brain")
        print("\nBulk microglia:", bulk.obs["tam_origin"].value_counts().to_dict())


def states(adata: ad.AnnData, done: ad.AnnData) -> None:
    """Print what is right of the states, with the bundled signatures and without one source."""
    truth = Glioma(adata)
    given = adata.copy()
    compartment = adata.obs["truth_compartment"].astype(str)
    given.obs["given"] = np.where(compartment.isin(["macrophage", "unclear"]), "macrophage", compartment)
    given = annotated(given, compartment_key="given")
    print("\nOrigin with the compartments given (macrophage and unclear cells):")
    print(origin_row(GLIOMA, given))
    less = annotated(adata, signatures=without_source())
    print("\n| best of four states | balanced accuracy (95 % over donors) |\n|---|---|")
    for name, scores in today(adata.copy(), truth).items():
        print(f"| {name} | {truth.best(scores)} |")
    print(f"| tamannot | {truth.best(done.obsm['tam_state_proba'][STATES].to_numpy())} |")
    print(f"| tamannot without {LEFT_OUT}'s genes | {truth.best(less.obsm['tam_state_proba'][STATES].to_numpy())} |")
    print("\n| figure | all signatures | without the source |\n|---|---|---|")
    for one, other in zip(truth.calls(done), truth.calls(less), strict=True):
        print(f"| {one} | {other.split('|')[1].strip()} |")
    for overlay in ("hypoxic", "proliferating"):
        is_there = adata.obs[f"truth_{overlay}"].astype(str) == "True"
        print(
            f"| AUROC of z over all cells, {overlay} | {roc_auc_score(is_there, done.obsm['tam_z'][overlay]):.3f} | |"
        )


if __name__ == "__main__":
    main(sys.argv[1])
