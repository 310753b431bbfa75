"""The labels of the semi-synthetic glioma macrophages, and what others make of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import GroupKFold, cross_val_predict

import tamannot as tam
from tamannot.stats._classifiers import Reliability, reliability

STATES = ["lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory"]
# The authors' labels count a program of complement as immunoregulatory, which our signature does not.
PROGRAMS = ["Macrophage", "IFN_Response", "IL1B_CD83_TNF_Inflammatory", "Scavenger_Immunosuppressive"]
ORIGINS = ["microglia", "monocyte_derived"]
LEFT_OUT = "miller2025"
_NO_LABEL = ["unassigned", "not_macrophage"]


def annotated(adata: ad.AnnData, **options: object) -> ad.AnnData:
    """Return a copy annotated with the defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tam.tl.annotate(adata, copy=True, **options)


class Glioma:
    """The labels of the semi-synthetic glioma macrophages: the strongest program with a usage above 0.35."""

    def __init__(self, adata: ad.AnnData) -> None:
        self.macrophage = (adata.obs["truth_compartment"] == "macrophage").to_numpy()
        self.donor = adata.obs["donor"].astype(str).to_numpy()
        usage = pd.DataFrame(adata.obsm["usage"], index=adata.obs_names)
        self.usage = usage[PROGRAMS].to_numpy()
        self.truth = np.where(self.usage.max(axis=1) > 0.35, np.array(STATES)[self.usage.argmax(axis=1)], "unclear")
        self.labelled = self.macrophage & (self.truth != "unclear")
        self.free = self.macrophage & (self.usage.max(axis=1) < 0.10)

    def balanced(self, scores: np.ndarray) -> tuple[float, float, float]:
        """Return the balanced accuracy of the greatest of four, with the ends of its interval over donors."""
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
        return balanced_accuracy_score(self.truth[here], guess[here]), low, high

    def winner(self, adata: ad.AnnData) -> tuple[pd.DataFrame, np.ndarray]:
        """Return the state probabilities of the labelled cells and their true states."""
        return adata.obsm["tam_state_proba"][STATES][self.labelled], self.truth[self.labelled]

    def reliability(self, adata: ad.AnnData) -> Reliability:
        """Return how often the winning state's probability comes true."""
        proba, truth = self.winner(adata)
        return reliability(proba.max(axis=1), proba.idxmax(axis=1) == truth)

    def called(self, adata: ad.AnnData) -> tuple[float, float, int]:
        """Return the share of labelled cells with a state, how many of them are right, and their number."""
        call = adata.obs["tam_state"].astype(str).to_numpy()
        here = self.labelled & ~np.isin(call, _NO_LABEL)
        right = (call == self.truth)[here]
        return here.sum() / self.labelled.sum(), right.mean() if right.size else np.nan, right.size

    def calls(self, adata: ad.AnnData) -> list[str]:
        """Return what the calls are worth, a row a figure."""
        proba = adata.obsm["tam_state_proba"][STATES].to_numpy()
        call = adata.obs["tam_state"].astype(str).to_numpy()
        here = self.labelled & ~np.isin(call, _NO_LABEL)
        rho = [
            pd.Series(proba[self.macrophage, i]).corr(pd.Series(self.usage[self.macrophage, i]), method="spearman")
            for i in range(4)
        ]
        share, right, _ = self.called(adata)
        stated = self.reliability(adata)
        return [
            f"share of labelled cells called | {share:.3f}",
            f"right where called | {right:.3f}",
            f"macro-F1 where called | {f1_score(self.truth[here], call[here], labels=STATES, average='macro'):.3f}",
            f"macrophages without a program given one of the four | {np.isin(call[self.free], STATES).mean():.3f}",
            f"Spearman of probability with usage, mean | {np.mean(rho):.3f}",
            f"expected calibration error, 15 bins | {stated.ece:.3f}",
            f"Brier score | {stated.brier:.3f}",
            f"calibration slope | {stated.slope:.2f}",
            *(f"right where called, {s} | {(call == s)[here & (self.truth == s)].mean():.3f}" for s in STATES),
        ]


def today(adata: ad.AnnData, truth: Glioma) -> dict[str, np.ndarray]:
    """Return what users take the greatest of today, and a classifier that was shown the labels of other donors."""
    signatures = tam.SignatureSet(tam.load_signature(s) for s in STATES)
    tam.tl.score(adata, signatures, min_coverage=0, key_added="ucell", null="matched")
    log = logarithms(adata)
    for name, signature in signatures.items():
        sc.tl.score_genes(log, [g.symbol for g in signature.all_genes if g.symbol in log.var_names], score_name=name)
    genes = log.obs[STATES].to_numpy()
    inside = truth.macrophage
    return {
        "greatest UCell score": adata.obsm["ucell_scores"][STATES].to_numpy(),
        "greatest score_genes": genes,
        "greatest score_genes, standardised over macrophages": (genes - genes[inside].mean(0)) / genes[inside].std(0),
        "greatest z": adata.obsm["ucell_z"][STATES].to_numpy(),
        "logistic regression trained on the labels of other donors": shown_labels(log, truth),
    }


def logarithms(adata: ad.AnnData) -> ad.AnnData:
    """Return a copy with log1p of 10,000 per cell."""
    log = adata.copy()
    sc.pp.normalize_total(log, target_sum=1e4)
    sc.pp.log1p(log)
    return log


def shown_labels(log: ad.AnnData, truth: Glioma) -> np.ndarray:
    """Return the state probabilities of labelled cells by a classifier that was shown the labels of other donors."""
    log = log.copy()
    sc.pp.highly_variable_genes(log, n_top_genes=min(3000, log.n_vars))
    x = log.X[:, log.var["highly_variable"].to_numpy()]
    here = truth.labelled
    model = LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced")
    shown = np.zeros((log.n_obs, 4))
    proba = cross_val_predict(
        model, x[here], truth.truth[here], groups=truth.donor[here], cv=GroupKFold(6), method="predict_proba"
    )
    shown[here] = proba[:, [sorted(STATES).index(s) for s in STATES]]
    return shown


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


def thinned(adata: ad.AnnData, share: float) -> ad.AnnData:
    """Return the cells with this share of their counts, drawn count by count."""
    poorer = adata.copy()
    counts = sp.csr_matrix(poorer.X)
    rng = np.random.default_rng(0)
    counts.data = rng.binomial(np.rint(counts.data).astype(np.int64), share).astype(counts.data.dtype)
    counts.eliminate_zeros()
    poorer.X = counts
    return poorer


def half_of_signatures(adata: ad.AnnData, n: int = 300) -> set[str]:
    """Return a panel: half of the genes of each state, origin and of macrophages, and others at random."""
    rng = np.random.default_rng(0)
    there = set(adata.var_names)
    kept: set[str] = set()
    for signature in [*tam.load_signatures(["state", "origin"]).values(), tam.load_signature("macrophage")]:
        genes = sorted({g.symbol for g in signature.all_genes} & there)
        kept |= set(rng.choice(genes, (len(genes) + 1) // 2, replace=False))
    others = sorted(there - kept)
    return kept | set(rng.choice(others, n - len(kept), replace=False))


def poorer(a: ad.AnnData) -> Iterator[tuple[str, ad.AnnData]]:
    """Yield the same cells with fewer counts or genes, on other scales, and twice."""
    yield "half of the counts", thinned(a, 0.5)
    yield "a tenth of the counts", thinned(a, 0.1)
    odd = np.arange(a.n_obs) % 2 == 1
    yield "every other cell with a quarter of its counts", ad.concat([a[~odd], thinned(a[odd], 0.25)], merge="same")
    for base, target in ((None, 1e4), (None, 1e6), (2, 1e4)):
        log = a.copy()
        sc.pp.normalize_total(log, target_sum=target)
        sc.pp.log1p(log, base=base)
        yield f"{'log1p' if base is None else 'log2'} of {target:,.0f} per cell", log
    yield "every cell twice", ad.concat({"a": a, "b": a}, index_unique="-", merge="same")
    yield "a third of the genes", a[:, np.sort(np.random.default_rng(0).choice(a.n_vars, a.n_vars // 3, replace=False))]
    yield "300 genes", a[:, a.var_names.isin(half_of_signatures(a))].copy()
    log = logarithms(a)
    sc.pp.highly_variable_genes(log, n_top_genes=2000)
    yield "2,000 variable genes", a[:, log.var["highly_variable"]].copy()
