"""The same cells with fewer genes or fewer counts: what is still called, and what is still right."""

from __future__ import annotations

from collections.abc import Iterator

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from _glioma import LEFT_OUT, STATES, Glioma, annotated, given, logarithms, origin_called, shown_labels, without_source

import tamannot as tam

_COLUMNS = ("macrophages found", "origin called", "right", "state called", "right", "most frequent mistake")
# What one would order for a glioma on a targeted instrument: lineages, and the myeloid genes of textbooks; by hand.
MYELOID_PANEL = """
PTPRC CD3D CD3E CD3G CD2 CD4 CD8A CD8B TRAC IL7R CCR7 SELL FOXP3 IL2RA CTLA4 PDCD1 LAG3 HAVCR2 TIGIT GZMB GZMK NKG7
GNLY KLRD1 NCAM1 CD19 MS4A1 CD79A MZB1 JCHAIN SDC1 CPA3 TPSAB1 KIT PECAM1 VWF CLDN5 CDH5 PDGFRB RGS5 ACTA2 COL1A1
COL1A2 DCN LUM GFAP AQP4 OLIG1 OLIG2 SOX2 SOX10 PDGFRA EGFR NES DLL3 ASCL1 MBP MOG PLP1 RBFOX3 SNAP25 SYT1 CHI3L1 CD44
VIM MKI67 TOP2A PCNA CDK1 CCNB1 BIRC5 CA9 ADM VEGFA NDRG1 SLC2A1 HIF1A LDHA CD68 CD14 CD163 MRC1 MSR1 MARCO CSF1R AIF1
ITGAM ITGAX FCGR1A FCGR2A FCGR3A C1QA C1QB C1QC C3 TYROBP TREM2 APOE APOC1 SPP1 GPNMB LPL FABP4 FABP5 CTSB CTSD CD9
CD36 LGALS3 LGALS1 CHIT1 PLIN2 ABCA1 ABCG1 NR1H3 P2RY12 TMEM119 CX3CR1 SALL1 P2RY13 GPR34 SLC2A5 HEXB OLFML3 ITGA4
CCR2 FCN1 VCAN S100A4 S100A6 S100A8 S100A9 S100A12 LYZ TGFBI THBS1 FPR1 FPR3 CSF3R CXCR2 FCGR3B LYVE1 FOLR2 F13A1
STAB1 SELENOP PF4 CD209 SIGLEC1 HLA-DRA HLA-DRB1 HLA-DPA1 CD74 CIITA CD1C CLEC10A FCER1A CLEC9A XCR1 BATF3 LAMP3
LILRA4 IL3RA IL1B IL1A IL6 TNF CXCL8 CXCL2 CXCL3 CCL2 CCL3 CCL4 CCL5 CCL8 CCL18 CCL20 CCL22 CD83 NFKBIA NLRP3 PTGS2
SOD2 ICAM1 TNFAIP3 OSM NOS2 ARG1 IDO1 CD274 PDCD1LG2 VSIR LGALS9 SIGLEC10 LILRB1 LILRB4 IL10 TGFB1 IL4I1 CD80 CD86
CD40 CXCL9 CXCL10 CXCL11 ISG15 IFIT1 IFIT2 IFIT3 IFI6 IFI44L MX1 MX2 OAS1 OAS2 STAT1 IRF1 IRF7 RSAD2 GBP1 GBP5 HMOX1
SLC40A1 TFRC FTH1 FTL GPX4 SLC7A11 NQO1 MMP9 MMP14 MMP12 TIMP1 HBEGF AREG EREG VSIG4 MS4A4A MS4A6A MS4A7 MAFB MAF
"""


def cases(adata: ad.AnnData) -> Iterator[tuple[str, ad.AnnData]]:
    """Yield the data whole, and poorer by a name."""
    yield "all genes", adata
    for seed in range(3):
        rng = np.random.default_rng(seed)
        some = np.sort(rng.choice(adata.n_vars, adata.n_vars // 3, replace=False))
        yield f"a third of the genes, draw {seed + 1}", adata[:, some].copy()
    for name, genes in (
        ("half of each signature, the rest at random", _half(adata)),
        ("a myeloid panel by hand", set(MYELOID_PANEL.split())),
    ):
        panel = adata[:, adata.var_names.isin(genes)].copy()
        yield f"{panel.n_vars} genes, {name}", panel
    yield "a tenth of the counts", thinned(adata, 0.1)


def thinned(adata: ad.AnnData, share: float) -> ad.AnnData:
    """Return the cells with this share of their counts, drawn count by count."""
    poorer = adata.copy()
    counts = sp.csr_matrix(poorer.X)
    rng = np.random.default_rng(0)
    counts.data = rng.binomial(np.rint(counts.data).astype(np.int64), share).astype(counts.data.dtype)
    counts.eliminate_zeros()
    poorer.X = counts
    return poorer


def _half(adata: ad.AnnData, n: int = 300) -> set[str]:
    rng = np.random.default_rng(0)
    there = set(adata.var_names)
    kept: set[str] = set()
    for signature in [*tam.load_signatures(["state", "origin"]).values(), tam.load_signature("macrophage")]:
        genes = sorted({g.symbol for g in signature.all_genes} & there)
        kept |= set(rng.choice(genes, (len(genes) + 1) // 2, replace=False))
    others = sorted(there - kept)
    return kept | set(rng.choice(others, n - len(kept), replace=False))


def tables(adata: ad.AnnData, truth: Glioma) -> None:
    """Print what is called and right, by the gate and with the compartments given, and what it says of the rest."""
    ways = {"Through the gate": annotated, "With the compartments given": given}
    rows: dict[str, list[str]] = {way: [] for way in ways}
    reasons, learnable = {}, {}
    for name, poorer in cases(adata):
        learnable[name] = truth.balanced(shown_labels(logarithms(poorer), truth))
        for which, options in (("all", {}), (f"without {LEFT_OUT}", {"signatures": without_source()})):
            for way, annotate in ways.items():
                done = annotate(poorer, **options)
                rows[way].append(f"| {name} | {which} | {_row(done, truth)} |")
            reasons[name, which] = done.obs["tam_state_status"].astype(str)[truth.labelled].value_counts()
    for way, lines in rows.items():
        print(f"\n{way}:\n\n| data | signatures | {' | '.join(_COLUMNS)} |\n{'|---' * (2 + len(_COLUMNS))}|")
        print("\n".join(lines))
    print("\nBalanced accuracy of a classifier shown the labels of other donors, of the same data:\n")
    print("\n".join(f"| {name} | {v:.3f} ({low:.3f} to {high:.3f}) |" for name, (v, low, high) in learnable.items()))
    print("\nStatus of the state, compartments given, labelled cells:\n")
    print(pd.DataFrame(reasons).T.fillna(0).astype(int).to_string())


def _row(adata: ad.AnnData, truth: Glioma) -> str:
    found = (adata.obs["tam_compartment"] == "macrophage").to_numpy()[truth.macrophage].mean()
    _, origin_share, origin_right = origin_called(adata)
    share, right, _ = truth.called(adata)
    figures = [found, origin_share, origin_right, share, right]
    return " | ".join(["–" if np.isnan(f) else f"{f:.3f}" for f in figures] + [_most_wrong(adata, truth)])


def _most_wrong(adata: ad.AnnData, truth: Glioma) -> str:
    """Return the most frequent mistake."""
    call = adata.obs["tam_state"].astype(str).to_numpy()
    wrong = truth.labelled & np.isin(call, STATES) & (call != truth.truth)
    if not wrong.any():
        return ""
    pairs = pd.Series([f"{t} as {c}" for t, c in zip(truth.truth[wrong], call[wrong], strict=True)]).value_counts()
    return f"{pairs.iloc[0]} of {wrong.sum()}: {pairs.index[0]}"
