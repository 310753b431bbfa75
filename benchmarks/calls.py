"""Compare calls with labels, and with the simplest rules on the same scores, in one table over all labelled sets.

usage: python benchmarks/calls.py FOLDER [--small] [--page docs/accuracy.md]

FOLDER holds labelled h5ad files, which are annotated with the defaults. The rules: the largest z (of compartments and
states above 2.33, of origins with a lead of 1), and the largest UCell score; for origin and state they are told which
cells are macrophages. ``--small`` leaves out the glioma macrophages, ``--page`` writes the table into a page. Exits
with 1 where a figure is below its floor.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import scipy.sparse as sp
from _glioma import ORIGINS, STATES, Glioma, annotated, poorer, without_source
from sklearn.cluster import KMeans

import tamannot as tam

IDS = {
    "compartment": list(tam.load_signatures("compartment")),
    "origin": ORIGINS,
    "state": [*STATES, "pro_angiogenic"],
    "all origins": [*ORIGINS, "border_associated"],
}
RESPONSE = "inflammatory+interferon_primed"  # either is right
NONE, UNKNOWN, MACROPHAGE = "none", "", ["macrophage", "unclear"]
# name of a row: least found, least right, most given
FLOORS = {
    "glioma cohort, together: macrophage": (0.95, 0.95, 0.03),
    "glioma cohort, together: origin": (0.85, 0.98, 1),
    "glioma cohort, together: state": (0.88, 0.96, 0.03),
    "glioma tissue: macrophage": (0.98, 0.98, 0.01),
    "glioma tissue: state": (0, 0, 0.01),
    "blood monocytes with interferon (Kang): state": (0.8, 0.9, 0.06),
    "pancreas (Baron): macrophage": (0.95, 0.95, 0.01),
    "aorta (Cochain), cluster of foam cells: state": (0.65, 0.65, 0.45),
}
GATES = {
    "human_pancreas_sc_Baron2016_landmarks": "pancreas (Baron)",
    "human_HNSCC_sc_Puram2017_chetahSubset": "head and neck tumour (Puram)",
    "human_oligodendroglioma_sc_Tirosh2016": "oligodendroglioma (Tirosh)",
    "human_blood_sc_Zanini2018_landmarks": "blood (Zanini)",
    "human_PBMC_CITEseq_Hao2021_rectangleSubset": "blood (Hao)",
    "mouse_BMDM_bulk_M0M1M2_GSE129253": "cultured, in bulk (GSE129253)",
    "human_atlas_avg_CellProfileLibrary": "averages used to build the reference",
    "mouse_brain_sc_TabulaMuris2018_landmarks": "mouse brain (Tabula Muris)",
}
FIGURES = ("found", "right", "given")
HEADER = " | ".join(
    [
        "| set: label",
        "cells",
        *FIGURES,
        *(f"{rule}: {f}" for rule in ("z", "UCell") for f in FIGURES),
        "shares",
        "z: shares |",
    ]
)


class Figures(NamedTuple):
    """The figures of calls; NaN where there are no such cells."""

    found: float
    right: float
    given: float
    share_error: str


class Row(NamedTuple):
    """One label of one set."""

    name: str
    n: int
    ours: Figures
    by_z: Figures
    by_ucell: Figures

    def better_if_more(self, rule: Figures) -> np.ndarray:
        """Return the figures of a rule so that more is better."""
        return np.nan_to_num([rule.found, rule.right, 1 - rule.given], nan=1.0).round(3)

    @property
    def is_beaten(self) -> bool:
        """Whether a rule is as good in all figures and better in one."""
        ahead = [self.better_if_more(f) - self.better_if_more(self.ours) for f in (self.by_z, self.by_ucell)]
        return any((a >= 0).all() and (a > 0).any() for a in ahead)

    def __str__(self) -> str:
        """Return the row of the table."""
        figures = ["" if np.isnan(v) else f"{v:.3f}" for f in self[2:] for v in f[:3]]
        name = f"{self.name}{' **(a rule is better)**' if self.is_beaten else ''}"
        return f"| {' | '.join([name, f'{self.n:,}', *figures, self.ours.share_error, self.by_z.share_error])} |"


def figures(call: np.ndarray, truth: np.ndarray, sample: np.ndarray | None) -> Figures:
    """Compare calls, ``""`` where there is none, with labels of the same cells."""
    hit = np.array([c != "" and c in t.split("+") for c, t in zip(call, truth, strict=True)], bool)
    some, called, error = truth != NONE, call != "", ""
    if sample is not None:
        apart = [
            np.mean(call[sample == d] == s) - np.mean(truth[sample == d] == s) for d in set(sample) for s in STATES
        ]
        error = f"{np.abs(apart).mean():.3f}, {np.abs(apart).max():.2f}"
    found, right, given = (v.mean() if v.size else np.nan for v in (hit[some], hit[called], called[~some]))
    return Figures(found, right if some.any() else np.nan, given, error)


def row(name: str, axis: str, a: ad.AnnData, truth: object, *, sample: str = "", only: str = "", ids: str = "") -> Row:
    """Compare an axis with the truth of each cell: an id, ``none``, or ``""`` if not known; ``only`` counts one id."""
    truth, choices = np.asarray(truth, dtype=str), IDS[ids or axis]
    judged = truth != UNKNOWN
    z, ucell = (a.obsm[key][choices][judged].fillna(-99) for key in ("tam_z", "tam_scores"))
    ordered = np.sort(z.to_numpy(), axis=1)
    sure = ordered[:, -1] - ordered[:, -2] >= 1 if axis == "origin" else ordered[:, -1] > 2.33
    ours = a.obs[f"tam_{axis}"].astype(str).to_numpy()[judged]
    ours = np.where(np.isin(ours, ["unassigned", "not_macrophage"]), "", ours)
    calls = [ours, np.where(sure, z.idxmax(axis=1), ""), ucell.idxmax(axis=1).to_numpy(str)]
    if only or axis == "compartment":
        calls = [np.where(c == (only or "macrophage"), c, "") for c in calls]
    samples = a.obs[sample].astype(str).to_numpy()[judged] if sample else None
    what = "macrophage" if axis == "compartment" else f"called {only}" if only else axis
    return Row(f"{name}: {what}", int(judged.sum()), *(figures(c, truth[judged], samples) for c in calls))


def of_gate(a: ad.AnnData) -> np.ndarray:
    """Return macrophage, none, or nothing where the authors were not sure."""
    unsure = a.obs.get("truth_ambiguous", pd.Series("False", a.obs_names)).astype(str) == "True"
    is_macrophage = a.obs.get("is_macrophage", pd.Series("False", a.obs_names)).astype(str) == "True"
    return np.where(unsure, UNKNOWN, np.where(is_macrophage, "macrophage", NONE))


def of(a: ad.AnnData, column: str) -> np.ndarray:
    """Return the labels of macrophages."""
    label = a.obs[column].astype(str).replace({"unclear": UNKNOWN, "not_macrophage": UNKNOWN})
    return np.where(a.obs["truth_compartment"].isin(MACROPHAGE[: 2 if "origin" in column else 1]), label, UNKNOWN)


def cohort(folder: Path) -> Iterator[Row]:
    """Ten tumours, annotated together and separately."""
    a = ad.read_h5ad(folder / "glioma_cohort_semisynthetic_dev.h5ad")
    alone = [annotated(a[a.obs["donor"] == d].copy()) for d in a.obs["donor"].cat.categories]
    for how, done in (("together", annotated(a, sample_key="donor")), ("separately", ad.concat(alone))):
        name, kind, state = f"glioma cohort, {how}", done.obs["tumour_kind"].astype(str), of(done, "truth_state")
        yield row(name, "compartment", done, of_gate(done))
        yield row(name, "origin", done, of(done, "truth_origin"))
        yield row(name, "state", done, state, sample="donor")
        ruled = np.where(kind.isin(["mixed", NONE]), UNKNOWN, state)
        yield row(f"{name}, tumours dominated by one state", "state", done, ruled, sample="donor")
        yield row(f"{name}, tumours without a state", "state", done, np.where(kind == NONE, state, UNKNOWN))


def tissue(folder: Path) -> Iterator[Row]:
    """Macrophages that differ by origin alone, and with doublets of macrophages and T cells."""
    a = ad.read_h5ad(folder / "glioma_tissue_semisynthetic_dev.h5ad")
    done, kind = annotated(a), a.obs["truth_compartment"]
    yield row("glioma tissue", "compartment", done, of_gate(done))
    yield row("glioma tissue", "origin", done, of(done, "truth_origin"))
    yield row("glioma tissue", "state", done, without_state(done))
    alone = ad.concat([annotated(a[a.obs["donor"] == d].copy()) for d in a.obs["donor"].cat.categories])
    yield row("glioma tissue, donors separately", "state", alone, without_state(alone))
    rng, here = np.random.default_rng(0), np.flatnonzero(kind == "macrophage")
    drawn = [np.r_[rng.choice(here, 40, replace=False), np.flatnonzero(kind != "macrophage")[::20]] for _ in range(10)]
    few = ad.concat([annotated(a[np.sort(cells)].copy()) for cells in drawn])
    yield row("glioma tissue, ten samples of 40 macrophages", "state", few, without_state(few))
    rng, names = np.random.default_rng(0), pd.Index([f"doublet{i}" for i in range(100)])
    one, other = (rng.choice(np.flatnonzero(kind == k), 100) for k in ("macrophage", "t_nk"))
    done = annotated(ad.concat([a, ad.AnnData(a.X[one] + a.X[other], pd.DataFrame(index=names), a.var)], join="outer"))
    truth = np.where(done.obs_names.isin(names), NONE, UNKNOWN)
    yield row("glioma tissue, doublets of macrophage and T cell", "state", done, truth)


def without_state(a: ad.AnnData) -> np.ndarray:
    """Return none for macrophages."""
    return np.where(a.obs["truth_compartment"] == "macrophage", NONE, UNKNOWN)


def stimulated(folder: Path) -> Iterator[Row]:
    """Real cells with a stimulus, or without."""
    a = ad.read_h5ad(folder / "human_PBMC_sc_IFNb_Kang2018_muscatSubset.h5ad")
    yield row("blood in culture (Kang)", "compartment", annotated(a), of_gate(a))
    mono = a.obs["truth_celltype"].astype(str).str.contains("Mono")
    a.obs["mine"] = np.where(mono, "macrophage", "t_nk")
    truth = np.where(mono, np.where(a.obs["truth_ifn"] == "IFN", "interferon_primed", NONE), UNKNOWN)
    done = annotated(a, compartment_key="mine", tissue="other")
    yield row("blood monocytes with interferon (Kang)", "state", done, truth)
    a = ad.read_h5ad(folder / "mouse_BMDC_sc_LPS_Shalek2014.h5ad")
    a.obs["mine"], truth = "macrophage", np.where(a.obs["truth_lps"] == "LPS", RESPONSE, NONE)
    yield row("cultured, with LPS (Shalek)", "state", annotated(a, compartment_key="mine", tissue="other"), truth)
    a = annotated(ad.read_h5ad(folder / "mouse_aorta_sc_Cochain2018_GSE97310.h5ad"))
    truth = np.where(a.obs["truth_condition"] == "chow", NONE, UNKNOWN).astype(object)
    truth[(a.obs["tam_compartment"] != "macrophage").to_numpy()] = UNKNOWN
    truth[foam_cells(a)] = "lipid_associated"
    yield row("aorta (Cochain), cluster of foam cells", "state", a, truth)
    a = annotated(ad.read_h5ad(folder / "mouse_microglia_bulk_development_LPS_Hanamsagar2017.h5ad"))
    yield row("microglia in bulk (Hanamsagar)", "compartment", a, np.full(a.n_obs, "macrophage"))
    yield row("microglia in bulk (Hanamsagar)", "origin", a, np.full(a.n_obs, "microglia"))
    truth = [{"inflammatory_bacterial": RESPONSE, "resting": NONE}.get(s, UNKNOWN) for s in a.obs["truth_state"]]
    yield row("microglia in bulk, with LPS (Hanamsagar)", "state", a, truth)


def foam_cells(a: ad.AnnData) -> np.ndarray:
    """Return the indices of macrophages in the cluster with most Trem2, Gpnmb and Spp1.

    All variable genes make the clusters, so that the signature does not choose the cells.
    """
    macrophages = np.flatnonzero(a.obs["tam_compartment"] == "macrophage")
    cells = ad.AnnData(a.X[macrophages], var=a.var[[]])
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    sc.pp.highly_variable_genes(cells, n_top_genes=2000)
    sc.pp.pca(cells, random_state=0)
    cluster = KMeans(6, n_init=10, random_state=0).fit_predict(cells.obsm["X_pca"])
    foam = sc.get.obs_df(cells, ["Trem2", "Gpnmb", "Spp1"]).mean(axis=1).groupby(cluster).mean().idxmax()
    return macrophages[cluster == foam]


def gates(folder: Path) -> Iterator[Row]:
    """Macrophages and what is none."""
    for file, name in GATES.items():
        a = annotated(ad.read_h5ad(folder / f"{file}.h5ad"))
        yield row(name, "compartment", a, of_gate(a))
    truth = a.obs["truth_origin"].astype(str).replace("not_macrophage", UNKNOWN)
    yield row(f"{name}, 5 or 6 of 20 border-associated labels are right", "origin", a, truth, ids="all origins")
    few = ad.read_h5ad(folder / "human_PBMC_sc_IFNb_Kang2018_muscatSubset.h5ad").var_names
    for file in ("human_blood_sc_Zanini2018_landmarks", "human_PBMC_CITEseq_Hao2021_rectangleSubset"):
        a = ad.read_h5ad(folder / f"{file}.h5ad")
        b = annotated(a[:, a.var_names.isin(few)].copy())
        yield row(f"{GATES[file]}, genes of Kang", "compartment", b, of_gate(b))


def laboratory(folder: Path) -> Iterator[Row]:
    """The ten tumours with each gene's counts multiplied by a random factor, as another laboratory's might be."""
    a = ad.read_h5ad(folder / "glioma_cohort_semisynthetic_dev.h5ad")
    for shape in (4, 1):
        rng = np.random.default_rng(0)
        b = a.copy()
        b.X = sp.csr_matrix(a.X.multiply(rng.gamma(shape, 1 / shape, a.n_vars)))
        b.X.data = rng.poisson(b.X.data).astype(np.float32)
        done = annotated(b, sample_key="donor")
        name = f"glioma cohort, counts of each gene times a random factor of shape {shape}"
        yield row(name, "compartment", done, of_gate(done))
        yield row(name, "origin", done, of(done, "truth_origin"))
        yield row(name, "state", done, of(done, "truth_state"), sample="donor")


def myeloid(folder: Path) -> Iterator[Row]:
    """Macrophages of six donors: whole, poorer, on other scales, fewer, without a state, and with little else."""
    a, name = ad.read_h5ad(folder / "glioma_myeloid_semisynthetic_dev.h5ad"), "glioma macrophages"
    a.obs["mine"], truth = a.obs["truth_compartment"].astype(str).replace("unclear", "macrophage"), Glioma(a)
    a.obs["by_authors"], a.obs["truth_state"] = a.obs["truth_state"], truth.truth
    ways = {"": {}, ", compartments given": {"compartment_key": "mine"}, ", rng = 1": {"rng": 1}}
    ways[", without miller2025's genes"] = {"signatures": without_source()}
    done = {how: annotated(a, **options) for how, options in ways.items()}
    for how, b in [*done.items(), *((f", {how}", annotated(b)) for how, b in poorer(a))]:
        yield row(name + how, "origin", b, of(b, "truth_origin"))
        yield row(name + how, "state", b, of(b, "truth_state"))
    yield row(f"{name}, complement counted as immunoregulatory", "state", done[""], of(done[""], "by_authors"))
    some = np.flatnonzero(a.obs["truth_compartment"].isin(MACROPHAGE))
    for n, seed in product((50, 150, 500, 2000), (0, 1)):
        few = annotated(a[np.sort(np.random.default_rng(seed).choice(some, n, replace=False))].copy())
        yield row(f"{name}, {n:,} cells, draw {seed + 1}", "state", few, of(few, "truth_state"))
    for i, state in enumerate(STATES):
        b = annotated(a[truth.usage[:, i] < 0.05].copy())
        yield row(f"{name}, {state} removed", "state", b, without_state(b), only=state)
        mine, others = (np.flatnonzero(truth.labelled & w) for w in (truth.truth == state, truth.truth != state))
        few = np.random.default_rng(0).choice(others, round(mine.size / 19), replace=False)
        b = annotated(a[np.sort(np.concatenate([mine, few]))].copy())
        yield row(f"{name}, 95 % {state}", "state", b, of(b, "truth_state"))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    tam.settings.progress = False
    rows: list[Row] = []
    for part in [cohort, tissue, stimulated, gates, *([] if asked.small else [laboratory, myeloid])]:
        for r in part(asked.folder):
            rows.append(r)
            print(r, file=sys.stderr)
    rows.sort(key=lambda r: r.better_if_more(r.ours).min())
    beaten = f"A rule is better in {sum(r.is_beaten for r in rows)} of {len(rows)} rows."
    print(table := "\n".join([HEADER, "|---|---" + "|---:" * 9 + "|---|---|", *map(str, rows), "", beaten]))
    if asked.page:
        between = re.compile(r"(?<=<!-- calls -->\n).*?(?=\n<!-- end -->)", re.DOTALL)
        asked.page.write_text(between.sub(lambda _: table, asked.page.read_text()))
    at = {r.name: r.better_if_more(r.ours) for r in rows}
    short = [n for n, (f, r, g) in FLOORS.items() if n in at and (at[n] < np.round([f, r, 1 - g], 3)).any()]
    print(*(f"below its floor: {n}" for n in short), sep="\n", file=sys.stderr)
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
