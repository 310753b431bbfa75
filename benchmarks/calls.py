"""How good are the calls, beside the simplest rules on the same scores? One table over all labelled sets.

usage: python benchmarks/calls.py FOLDER [--small]

FOLDER holds labelled h5ad files; those that are there are annotated with the defaults. *found*: of the cells with a label,
the share that is called so. *right*: of the cells called anything, the share called as labelled. *given*: of the cells that
should get no label, the share that gets one. The rules: the largest z (compartment and state: above 2.33; origin: with a
lead of 1), and the largest UCell score. For origin and state they are told which cells are macrophages. Rows are sorted by
our weakest figure. ``--small`` runs a few sets, and exits with 1 if a figure has fallen below its floor.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import scipy.sparse as sp
from _glioma import ORIGINS, STATES, Glioma, annotated, half_of_signatures, logarithms, thinned, without_source

import tamannot as tam

Z, LEAD = 2.33, 1.0
BORDER = [*ORIGINS, "border_associated"]
ANY_RESPONSE = "inflammatory+interferon_primed"  # both are right
NONE, UNKNOWN = "none", ""
# name of a row: least found, least right, most given
FLOORS = {
    "glioma cohort, together: state": (0.88, 0.96, 0.03),
    "glioma cohort, together: origin": (0.85, 0.98, 1.0),
    "glioma cohort, together: macrophage": (0.95, 0.95, 0.03),
    "glioma tissue: state": (0.0, 0.0, 0.01),
    "glioma tissue: macrophage": (0.98, 0.98, 0.01),
    "blood monocytes with IFN (Kang): state": (0.80, 0.90, 0.05),
    "pancreas (Baron): macrophage": (0.95, 0.95, 0.01),
}
GATES = {
    "head and neck tumour (Puram)": "human_HNSCC_sc_Puram2017_chetahSubset",
    "oligodendroglioma (Tirosh)": "human_oligodendroglioma_sc_Tirosh2016",
    "blood (Zanini)": "human_blood_sc_Zanini2018_landmarks",
    "blood (Hao)": "human_PBMC_CITEseq_Hao2021_rectangleSubset",
    "BMDM in bulk (GSE129253)": "mouse_BMDM_bulk_M0M1M2_GSE129253",
    "averages of cell types, source of the reference": "human_atlas_avg_CellProfileLibrary",
}


class Figures(NamedTuple):
    """What calls are worth, each NaN where there are no such cells."""

    found: float
    right: float
    given: float
    share_error: tuple[float, float] | None
    """Mean and largest difference of a state's called and true share over samples."""


class Row(NamedTuple):
    """One question to one set: our figures, those of the largest z, and of the largest UCell score."""

    name: str
    n: int
    ours: Figures
    by_z: Figures
    by_ucell: Figures

    @property
    def weakest(self) -> float:
        return float(np.nanmin([self.ours.found, self.ours.right, 1 - self.ours.given, 1.0]))

    @property
    def is_beaten(self) -> bool:
        """Whether a rule is at least as good in all figures and better in one."""
        mine = _better_if_more(self.ours)
        return any((_better_if_more(f) >= mine).all() and (_better_if_more(f) > mine).any() for f in self[3:])


def _better_if_more(f: Figures) -> np.ndarray:
    return np.round(np.nan_to_num([f.found, f.right, 1 - f.given], nan=1.0), 3)


def figures(call: np.ndarray, truth: np.ndarray, sample: np.ndarray | None) -> Figures:
    """Compare calls, ``""`` where there is none, with labels of the same cells."""
    hit = np.array([c != "" and c in t.split("+") for c, t in zip(call, truth, strict=True)], bool)
    labelled, called = truth != NONE, call != ""

    def mean(values: np.ndarray) -> float:
        return float(values.mean()) if values.size else np.nan

    error = None
    if sample is not None:
        apart = [
            abs(np.mean(call[sample == s] == k) - np.mean(truth[sample == s] == k)) for s in set(sample) for k in STATES
        ]
        error = float(np.mean(apart)), float(np.max(apart))
    return Figures(mean(hit[labelled]), mean(hit[called]), mean(called[~labelled]), error)


def row(
    name: str, axis: str, a: ad.AnnData, truth: object, *, sample: str = "", only: str = "", ids: object = ()
) -> Row:
    """Compare the calls of an axis with the truth of each cell: an id, ``none``, or ``""`` where it is not known.

    ``only`` counts no other id; of ``ids`` the rules choose.
    """
    truth = np.asarray(truth, dtype=str)
    judged = truth != UNKNOWN
    default = {
        "compartment": list(tam.load_signatures("compartment")),
        "origin": ORIGINS,
        "state": [*STATES, "pro_angiogenic"],
    }
    z, ucell = (
        a.obsm[key][[i for i in (ids or default[axis]) if i in a.obsm[key]]][judged] for key in ("tam_z", "tam_scores")
    )
    ordered = np.sort(z.fillna(-99).to_numpy(), axis=1)
    sure = ordered[:, -1] - ordered[:, -2] >= LEAD if axis == "origin" else ordered[:, -1] > Z
    ours = a.obs[f"tam_{axis}"].astype(str).to_numpy()[judged]
    calls = [
        np.where(np.isin(ours, ["unassigned", "not_macrophage"]), "", ours),
        np.where(sure, z.fillna(-99).idxmax(axis=1), ""),
        np.asarray(ucell.fillna(-1).idxmax(axis=1), str),
    ]
    if only or axis == "compartment":
        calls = [np.where(c == (only or "macrophage"), c, "") for c in calls]
    names = a.obs[sample].astype(str).to_numpy()[judged] if sample else None
    what = "macrophage" if axis == "compartment" else f"called {only}" if only else axis
    return Row(f"{name}: {what}", int(judged.sum()), *(figures(c, truth[judged], names) for c in calls))


def gate_truth(a: ad.AnnData) -> np.ndarray:
    """Return macrophage, none, or nothing where the authors were not sure."""
    if "is_macrophage" in a.obs:
        truth = np.where(a.obs["is_macrophage"].astype(str) == "True", "macrophage", NONE)
    else:
        truth = np.full(a.n_obs, NONE)
    unsure = a.obs["truth_ambiguous"].astype(str) == "True" if "truth_ambiguous" in a.obs else np.zeros(a.n_obs, bool)
    return np.where(unsure, UNKNOWN, truth)


def in_macrophages(a: ad.AnnData, column: str) -> np.ndarray:
    """Return a column of labels in the macrophages, nothing elsewhere."""
    label = a.obs[column].astype(str).replace({"unclear": UNKNOWN, "not_macrophage": UNKNOWN})
    compartment = a.obs["truth_compartment"].astype(str)
    return np.where(
        compartment.isin(["macrophage", "unclear"] if "origin" in column else ["macrophage"]), label, UNKNOWN
    )


def cohort(folder: Path) -> Iterator[Row]:
    """Ten tumours, together and one by one."""
    a = read(folder, "glioma_cohort_semisynthetic_dev")
    together = annotated(a, sample_key="donor")
    alone = [annotated(a[a.obs["donor"] == d].copy()) for d in a.obs["donor"].cat.categories]
    for name, done in (("together", together), ("one by one", ad.concat(alone))):
        title, kind = f"glioma cohort, {name}", done.obs["tumour_kind"].astype(str)
        state = in_macrophages(done, "truth_state")
        yield row(
            title, "compartment", done, np.where(done.obs["truth_compartment"] == "macrophage", "macrophage", NONE)
        )
        yield row(title, "origin", done, in_macrophages(done, "truth_origin"))
        yield row(title, "state", done, state, sample="donor")
        ruled = ~kind.isin(["mixed", NONE])
        yield row(
            f"{title}, tumours that one state rules", "state", done, np.where(ruled, state, UNKNOWN), sample="donor"
        )
        yield row(f"{title}, tumours without a state", "state", done, np.where(kind == NONE, state, UNKNOWN))


def tissue(folder: Path) -> Iterator[Row]:
    """Macrophages that differ by origin alone, and with doublets of macrophages and T cells."""
    a = read(folder, "glioma_tissue_semisynthetic_dev")
    done = annotated(a)
    yield row("glioma tissue", "compartment", done, gate_truth(done))
    yield row("glioma tissue", "origin", done, in_macrophages(done, "truth_origin"))
    is_macrophage = (a.obs["truth_compartment"] == "macrophage").to_numpy()
    yield row("glioma tissue", "state", done, np.where(is_macrophage, NONE, UNKNOWN))
    rng = np.random.default_rng(0)
    pairs = [rng.choice(np.flatnonzero(a.obs["truth_compartment"] == c), 100) for c in ("macrophage", "t_nk")]
    doublet = ad.AnnData(
        a.X[pairs[0]] + a.X[pairs[1]], var=a.var, obs=pd.DataFrame(index=[f"doublet{i}" for i in range(100)])
    )
    done = annotated(ad.concat([a, doublet], join="outer"))
    yield row(
        "doublets of macrophage and T cell",
        "state",
        done,
        np.where(done.obs_names.str.startswith("doublet"), NONE, UNKNOWN),
    )


def stimulated(folder: Path) -> Iterator[Row]:
    """Real cells with a stimulus, or without."""
    a = read(folder, "human_PBMC_sc_IFNb_Kang2018_muscatSubset")
    yield row("blood (Kang)", "compartment", annotated(a), np.full(a.n_obs, NONE))
    mono = a.obs["truth_celltype"].astype(str).str.contains("Mono")
    a.obs["given"] = np.where(mono, "macrophage", "t_nk")
    truth = np.where(a.obs["truth_ifn"] == "IFN", "interferon_primed", NONE)
    done = annotated(a, compartment_key="given", tissue="other")
    yield row("blood monocytes with IFN (Kang)", "state", done, np.where(mono, truth, UNKNOWN))
    a = read(folder, "mouse_BMDC_sc_LPS_Shalek2014")
    a.obs["given"] = "macrophage"
    truth = np.where(a.obs["truth_lps"] == "LPS", ANY_RESPONSE, NONE)
    yield row("BMDC with LPS (Shalek)", "state", annotated(a, compartment_key="given", tissue="other"), truth)
    a = annotated(read(folder, "mouse_aorta_sc_Cochain2018_GSE97310"))
    truth = np.where(a.obs["truth_condition"] == "chow", NONE, "lipid_associated")
    truth = np.where(a.obs["tam_compartment"] == "macrophage", truth, UNKNOWN)
    yield row("aorta, fatty diet (Cochain); not all are foam cells", "state", a, truth)
    a = annotated(read(folder, "mouse_microglia_bulk_development_LPS_Hanamsagar2017"))
    yield row("microglia in bulk (Hanamsagar)", "compartment", a, np.full(a.n_obs, "macrophage"))
    yield row("microglia in bulk (Hanamsagar)", "origin", a, np.full(a.n_obs, "microglia"))
    truth = (
        a.obs["truth_state"]
        .map({"inflammatory_bacterial": ANY_RESPONSE, "resting": NONE})
        .astype(object)
        .fillna(UNKNOWN)
    )
    yield row("microglia in bulk with LPS (Hanamsagar)", "state", a, truth)


def gates(folder: Path) -> Iterator[Row]:
    """Macrophages and what is none."""
    for name, file in GATES.items():
        a = annotated(read(folder, file))
        yield row(name, "compartment", a, gate_truth(a))
    a = annotated(read(folder, "mouse_brain_sc_TabulaMuris2018_landmarks"))
    yield row("mouse brain (Tabula Muris)", "compartment", a, gate_truth(a))
    truth = a.obs["truth_origin"].astype(str).replace("not_macrophage", UNKNOWN)
    yield row("mouse brain (Tabula Muris); 5 or 6 of 20 are border-associated", "origin", a, truth, ids=BORDER)


def pancreas(folder: Path) -> Iterator[Row]:
    """A gate outside the brain."""
    a = annotated(read(folder, "human_pancreas_sc_Baron2016_landmarks"))
    yield row("pancreas (Baron)", "compartment", a, gate_truth(a))


def myeloid(folder: Path) -> Iterator[Row]:
    """Macrophages of six donors: whole, fewer, poorer, on other scales, without a state, and with little else."""
    a = read(folder, "glioma_myeloid_semisynthetic_dev")
    a.obs["given"] = a.obs["truth_compartment"].astype(str).replace("unclear", "macrophage")
    truth = Glioma(a)
    for name, options in {
        "": {},
        ", compartments given": {"compartment_key": "given"},
        ", without miller2025's genes": {"signatures": without_source()},
        ", rng = 1": {"rng": 1},
    }.items():
        yield from _both(f"glioma macrophages{name}", annotated(a, **options))
    for name, b in _poorer(a):
        yield from _both(f"glioma macrophages, {name}", annotated(b))
    some = np.flatnonzero(a.obs["truth_compartment"].isin(["macrophage", "unclear"]))
    for n in (50, 150, 500, 2000):
        for seed in (0, 1):
            done = annotated(a[np.sort(np.random.default_rng(seed).choice(some, n, replace=False))].copy())
            yield row(
                f"glioma macrophages, {n:,} of them, draw {seed + 1}",
                "state",
                done,
                in_macrophages(done, "truth_state"),
            )
    for i, state in enumerate(STATES):
        done = annotated(a[truth.usage[:, i] < 0.05].copy())
        nothing = np.where(done.obs["truth_compartment"] == "macrophage", NONE, UNKNOWN)
        yield row(f"glioma macrophages, {state} taken out", "state", done, nothing, only=state)
        mine, others = (np.flatnonzero(truth.labelled & w) for w in (truth.truth == state, truth.truth != state))
        few = np.random.default_rng(0).choice(others, round(mine.size / 19), replace=False)
        done = annotated(a[np.sort(np.concatenate([mine, few]))].copy())
        yield row(f"glioma macrophages, 95 % {state}", "state", done, in_macrophages(done, "truth_state"))


def _both(name: str, done: ad.AnnData) -> Iterator[Row]:
    yield row(name, "origin", done, in_macrophages(done, "truth_origin"))
    yield row(name, "state", done, in_macrophages(done, "truth_state"))


def _poorer(a: ad.AnnData) -> Iterator[tuple[str, ad.AnnData]]:
    yield "half of the counts", thinned(a, 0.5)
    yield "a tenth of the counts", thinned(a, 0.1)
    odd = np.arange(a.n_obs) % 2 == 1
    yield "every other cell with a quarter of its counts", ad.concat([a[~odd], thinned(a[odd], 0.25)], merge="same")
    yield "log1p of 10,000 per cell", logarithms(a)
    for base, target in ((None, 1e6), (2, 1e4)):
        log = a.copy()
        sc.pp.normalize_total(log, target_sum=target)
        sc.pp.log1p(log, base=base)
        yield f"{f'log{base}' if base else 'log1p'} of {target:,.0f} per cell", log
    again = a.copy()
    again.obs_names = again.obs_names + "-again"
    yield "every cell twice", ad.concat([a, again], merge="same")
    some = np.sort(np.random.default_rng(0).choice(a.n_vars, a.n_vars // 3, replace=False))
    yield "a third of the genes", a[:, some].copy()
    yield "300 genes", a[:, a.var_names.isin(half_of_signatures(a))].copy()
    log = logarithms(a)
    sc.pp.highly_variable_genes(log, n_top_genes=2000)
    yield "2,000 variable genes", a[:, log.var["highly_variable"]].copy()


def read(folder: Path, name: str) -> ad.AnnData:
    """Read a labelled set."""
    a = ad.read_h5ad(folder / f"{name}.h5ad")
    a.X = a.X if isinstance(a.X, np.ndarray) else sp.csr_matrix(a.X)
    return a


def printed(r: Row) -> str:
    """Return a row of the table."""

    def text(value: float) -> str:
        return "" if np.isnan(value) else f"{value:.3f}"

    cells = [f"{r.name}{' **(a rule is ahead)**' if r.is_beaten else ''}", f"{r.n:,}"]
    cells += [text(v) for f in r[2:] for v in f[:3]]
    cells += ["" if f.share_error is None else "{:.3f}, {:.2f}".format(*f.share_error) for f in (r.ours, r.by_z)]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true", help="a few sets, with floors")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    tam.settings.progress = False
    sets = (
        [cohort, tissue, stimulated, pancreas]
        if asked.small
        else [cohort, tissue, stimulated, pancreas, gates, myeloid]
    )
    rows = []
    for part in sets:
        try:
            for r in part(asked.folder):
                rows.append(r)
                print(printed(r), file=sys.stderr)
        except FileNotFoundError as missing:
            print(f"{part.__name__} left out: {missing}", file=sys.stderr)
    trio = "found | right | given"
    print(f"| set: question | cells | {trio} | z: {trio} | UCell: {trio} | share error: mean, largest | of z |")
    print("|---|---" + "|---:" * 9 + "|---|---|")
    print(*(printed(r) for r in sorted(rows, key=lambda r: r.weakest)), sep="\n")
    print(f"\nA rule is ahead in {sum(r.is_beaten for r in rows)} of {len(rows)} rows.")
    short = [
        r.name
        for r in rows
        if (floor := FLOORS.get(r.name))
        and (r.ours.found < floor[0] or r.ours.right < floor[1] or r.ours.given > floor[2])
    ]
    if short:
        print(f"Below the floor: {'; '.join(short)}", file=sys.stderr)
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
