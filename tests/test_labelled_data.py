"""What comes out on real and semi-synthetic data with labels; skipped where the data are absent."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

import tamannot as tam
from tamannot.data import unpack
from tamannot.errors import SpeciesError
from tamannot.signature import human_genes

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

HAO = "human_PBMC_CITEseq_Hao2021_rectangleSubset"
HNSCC = "human_HNSCC_sc_Puram2017_chetahSubset"
KANG = "human_PBMC_sc_IFNb_Kang2018_muscatSubset"
OLIGO = "human_oligodendroglioma_sc_Tirosh2016"
TISSUE = "glioma_tissue_semisynthetic_dev"

# Some names of the data have their Ensembl id beside them.
_WITH_BOTH = [*("AIF1", "CD79A", "CLEC5A", "HSPA1A", "IER3", "LILRA5", "NCOA4", "PSMB9", "TAP1", "TUBB")]
# Every gene of the library that the data have under another name only; nothing looser is used.
SUBSTITUTIONS = {
    HAO: {"NIBAN2": "FAM129B", "WARS1": "WARS"},
    HNSCC: {
        "ADGRG1": "GPR56",
        "CEMIP2": "TMEM2",
        "COQ8A": "ADCK3",
        "CXCL8": "IL8",
        "PCLAF": "KIAA0101",
        "SC5D": "SC5DL",
        "PLPP3": "PPAP2B",
        "SEPTIN11": "SEPT11",
        "WARS1": "WARS",
    },
    KANG: {"CXCL8": "IL8", "WARS1": "WARS"}
    | {g: f"{g}_{human_genes().ensembl[g]}" for g in _WITH_BOTH}
    # The id is that of an older release of Ensembl.
    | {"NCOA4": "NCOA4_ENSG00000138293"},
    OLIGO: {
        "ADGRG1": "GPR56",
        "ARMH4": "C14orf37",
        "COQ8A": "ADCK3",
        "CXCL8": "IL8",
        "PLPP3": "PPAP2B",
        "SEPTIN11": "SEPT11",
        "WARS1": "WARS",
    },
}


FILES = [
    *(HAO, HNSCC, KANG, OLIGO, "glioma_cohort_semisynthetic_dev", "glioma_myeloid_semisynthetic_dev"),
    *("glioma_tissue_semisynthetic_dev", "human_atlas_avg_CellProfileLibrary", "human_blood_sc_Zanini2018_landmarks"),
    *("human_pancreas_sc_Baron2016_landmarks", "mouse_BMDC_sc_LPS_Shalek2014", "mouse_BMDM_bulk_M0M1M2_GSE129253"),
    *("mouse_aorta_sc_Cochain2018_GSE97310", "mouse_brain_sc_TabulaMuris2018_landmarks"),
    "mouse_microglia_bulk_development_LPS_Hanamsagar2017",
]


@pytest.fixture(scope="module")
def annotated(labelled) -> Callable[..., ad.AnnData]:
    """Read a set and annotate it, once for all tests; they only look at it."""

    @cache
    def of(name: str, **choices: str) -> ad.AnnData:
        adata = labelled(name)
        tam.tl.annotate(adata, **choices)
        return adata

    return of


@pytest.mark.parametrize("name", SUBSTITUTIONS)
def test_every_substitution_is_known(labelled, name):
    adata = labelled(name)[:50].copy()  # it depends on the genes, not on the cells
    adata.obs["given"] = "macrophage"
    tam.tl.annotate(adata, compartment_key="given", tissue="other")
    found = pd.DataFrame(adata.uns["tamannot"]["tam"]["substitutions"])["found_as"].to_dict()
    assert found == SUBSTITUTIONS[name]


@pytest.fixture(scope="module")
def tissue(annotated) -> ad.AnnData:
    return annotated(TISSUE)


def f1(called, truth) -> float:
    return float(2 * (called & truth).sum() / (called.sum() + truth.sum()))


def is_macrophage(adata) -> pd.Series:
    return adata.obs["tam_compartment"] == "macrophage"


def has_state(adata) -> pd.Series:
    return ~adata.obs["tam_state"].isin(["unassigned", "not_macrophage"])


@pytest.mark.parametrize("name", [HAO, "human_blood_sc_Zanini2018_landmarks"])
def test_no_macrophages_in_blood(annotated, name):
    assert is_macrophage(annotated(name)).mean() <= 0.01


def test_macrophages_of_the_oligodendroglioma(annotated):
    adata = annotated(OLIGO)
    truth = adata.obs["truth_celltype"] == "macrophage_microglia"
    assert (is_macrophage(adata) & truth).sum() >= 18
    assert (is_macrophage(adata) & ~truth).sum() <= 1


def test_macrophages_of_a_pancreas(annotated):
    adata = annotated("human_pancreas_sc_Baron2016_landmarks")
    assert f1(is_macrophage(adata), adata.obs["is_macrophage"].astype(str) == "True") >= 0.97


@pytest.fixture(scope="module")
def brain(annotated) -> ad.AnnData:
    return annotated("mouse_brain_sc_TabulaMuris2018_landmarks")


@pytest.mark.xfail(reason="0.92: five are called dendritic, and have MHC II, Cd209a or Ccr7, and little C1qa and Csf1r")
def test_goal_for_macrophages_of_a_mouse_brain(brain):
    assert f1(is_macrophage(brain), brain.obs["is_macrophage"].astype(str) == "True") >= 0.95


def test_macrophages_of_a_mouse_brain_and_those_of_its_borders(brain):
    truth = brain.obs["is_macrophage"].astype(str) == "True"
    assert is_macrophage(brain)[truth].mean() >= 0.85
    assert not is_macrophage(brain)[~truth].any()
    at_borders = brain.obs["tam_origin"] == "border_associated"
    assert (at_borders & (brain.obs["truth_celltype"] == "macrophage")).sum() >= 4
    assert not (at_borders & (brain.obs["truth_celltype"] != "macrophage")).any()


def test_macrophages_in_bulk(annotated):
    assert is_macrophage(annotated("mouse_BMDM_bulk_M0M1M2_GSE129253")).all()


def test_macrophages_in_a_whole_glioma(tissue):
    truth = tissue.obs["truth_compartment"] == "macrophage"
    called = is_macrophage(tissue)
    assert called[truth].mean() >= 0.98
    assert called[truth].sum() >= 774
    assert called[~truth].mean() <= 0.005
    origin = tissue.obs["tam_origin"].astype(str)[called & truth]
    right = origin == tissue.obs["truth_origin"][called & truth]
    assert right[origin != "unassigned"].mean() >= 0.98
    assert (origin != "unassigned").mean() >= 0.85
    assert has_state(tissue)[truth].mean() <= 0.01  # they differ by origin only


MYELOID = "glioma_myeloid_semisynthetic_dev"
PROGRAMS = {
    "Macrophage": "lipid_associated",
    "IFN_Response": "interferon_primed",
    "IL1B_CD83_TNF_Inflammatory": "inflammatory",
    "Scavenger_Immunosuppressive": "immunoregulatory",
}


@pytest.fixture(scope="module")
def myeloid(annotated) -> ad.AnnData:
    return annotated(MYELOID)


def strongest_program(adata) -> pd.Series:
    """State of each macrophage by the rule of its labels: the strongest program with a usage above 0.35.

    The labels of the data count a program of complement as immunoregulatory, which the signature does not.
    """
    usage = pd.DataFrame(adata.obsm["usage"], index=adata.obs_names)[list(PROGRAMS)].rename(columns=PROGRAMS)
    known = (usage.max(axis=1) > 0.35) & (adata.obs["truth_compartment"] == "macrophage")
    return usage.idxmax(axis=1).where(known, "")


def state_calls(adata, state) -> tuple[float, float]:
    """Share of the cells with a true state that are called, and of those the share that is right."""
    called = has_state(adata)[state != ""]
    return called.mean(), (adata.obs["tam_state"].astype(str) == state)[state != ""][called].mean()


def test_states_of_glioma_macrophages(myeloid):
    state = strongest_program(myeloid)
    assert is_macrophage(myeloid)[state != ""].mean() >= 0.95
    called, right = state_calls(myeloid, state)
    assert called >= 0.75
    assert right >= 0.94
    best = myeloid.obsm["tam_state_proba"][list(PROGRAMS.values())].idxmax(axis=1)
    assert np.mean([(best == s)[state == s].mean() for s in PROGRAMS.values()]) >= 0.94


def test_states_of_glioma_macrophages_where_complement_counts(myeloid):
    label = myeloid.obs["truth_state"].astype(str)
    known = (myeloid.obs["truth_compartment"] == "macrophage") & (label != "unclear")
    assert state_calls(myeloid, label.where(known, ""))[1] >= 0.80


@pytest.mark.xfail(reason="0.965 of all cells that get an origin, unclear compartments among them")
def test_goal_for_origins_of_glioma_macrophages(myeloid):
    obs = myeloid.obs
    origin = obs["tam_origin"].astype(str)
    known = origin.isin(["microglia", "monocyte_derived"]) & (obs["truth_origin"] != "unclear")
    assert (origin == obs["truth_origin"].astype(str))[known].mean() >= 0.98


COHORT = "glioma_cohort_semisynthetic_dev"


@pytest.fixture(scope="module")
def tumours(annotated) -> ad.AnnData:
    return annotated(COHORT, sample_key="donor", tissue="brain")


def test_every_tumour_of_a_cohort(tumours):
    obs, called = tumours.obs, has_state(tumours)
    truth, state = obs["truth_compartment"] == "macrophage", obs["truth_state"].astype(str)
    none, right = truth & (state == "none"), obs["tam_state"].astype(str) == state
    assert right[truth & ~none].mean() >= 0.90
    assert right[truth & called].mean() >= 0.97
    assert called[none].mean() <= 0.03
    for donor in obs["donor"].cat.categories:
        mine = obs["donor"] == donor
        assert f1(is_macrophage(tumours) & mine, truth & mine) >= 0.95, donor
        if (obs["tumour_kind"][mine] == "none").all():
            assert called[mine & truth].mean() <= 0.02, donor
        shares = [(column[mine & truth]).value_counts(normalize=True) for column in (obs["tam_state"], state)]
        for name in ("lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory"):
            assert abs(shares[0].get(name, 0) - shares[1].get(name, 0)) <= 0.10, (donor, name)
    origin = obs["tam_origin"].astype(str)[truth & is_macrophage(tumours)]
    known = origin != "unassigned"
    assert known.mean() >= 0.85
    assert (origin == obs["truth_origin"].astype(str)[origin.index])[known].mean() >= 0.98


def test_a_tumour_alone_and_in_its_cohort(tumours, labelled):
    """The first is ruled by one state, the second has none."""
    same = []
    for kind in ("lipid_associated", "none"):
        donor = tumours.obs["donor"][tumours.obs["tumour_kind"] == kind].iloc[0]
        together = tumours.obs[tumours.obs["donor"] == donor]
        alone = labelled(COHORT)[tumours.obs["donor"] == donor].copy()
        tam.tl.annotate(alone, tissue="brain")
        truth = alone.obs["truth_compartment"] == "macrophage"
        assert list(alone.obs["tam_compartment"]) == list(together["tam_compartment"])
        same.append((alone.obs["tam_state"].astype(str) == together["tam_state"].astype(str))[truth].mean())
        if kind == "none":
            assert has_state(alone)[truth].mean() <= 0.04
        else:
            of_state = truth & (alone.obs["truth_state"] == kind)
            assert (alone.obs["tam_state"] == kind)[of_state].mean() >= 0.80
    assert np.mean(same) >= 0.93


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("shape", [4, 1])
def test_a_laboratory_that_measures_some_genes_better_and_others_worse(labelled, shape):
    rng, cohort = np.random.default_rng(0), labelled(COHORT).copy()
    cohort.X = sp.csr_matrix(cohort.X.multiply(rng.gamma(shape, 1 / shape, cohort.n_vars)))
    cohort.X.data = rng.poisson(cohort.X.data).astype(np.float32)
    tam.tl.annotate(cohort, sample_key="donor", tissue="brain")
    obs, called = cohort.obs, has_state(cohort)
    truth, state = obs["truth_compartment"] == "macrophage", obs["truth_state"].astype(str)
    none, right = truth & (state == "none"), obs["tam_state"].astype(str) == state
    assert f1(is_macrophage(cohort), truth) >= 0.98
    assert right[truth & ~none].mean() >= 0.85
    assert right[truth & called].mean() >= 0.94
    assert called[none].mean() <= 0.08
    origin = obs["tam_origin"].astype(str)[truth & is_macrophage(cohort)]
    known = origin != "unassigned"
    assert known.mean() >= 0.85
    assert (origin == obs["truth_origin"].astype(str)[origin.index])[known].mean() >= 0.98


@pytest.mark.parametrize("kind", ["none", "inflammatory"])
def test_cells_in_another_order_and_under_other_names_have_the_same_calls(labelled, kind):
    adata = labelled(COHORT)
    adata = adata[adata.obs["tumour_kind"] == kind].copy()
    other = adata[np.random.default_rng(0).permutation(adata.n_obs)].copy()
    names = other.obs_names.copy()
    other.obs_names = [f"cell-{i}" for i in range(other.n_obs)]
    for each in (adata, other):
        tam.tl.annotate(each, tissue="brain")
    other.obs_names = names
    labels = ["tam_compartment", "tam_origin", "tam_state", "tam_state_status"]
    pd.testing.assert_frame_equal(other.obs[labels].loc[adata.obs_names], adata.obs[labels], check_categorical=False)


def test_a_file_in_chunks_and_memory_agree(tumours, tmp_path):
    path = tmp_path / "in.h5ad"
    ad.AnnData(tumours.X, obs=tumours.obs[["donor"]], var=tumours.var).write_h5ad(path)
    tam.annotate_file(path, tmp_path / "out.h5ad", sample_key="donor", tissue="brain", chunk_size=100)
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    pd.testing.assert_frame_equal(tam.get.annotations(found), tam.get.annotations(tumours))


@pytest.fixture(scope="module")
def monocytes(labelled) -> ad.AnnData:
    """Monocytes with interferon and without, annotated as the macrophages of their data."""
    adata = labelled(KANG)
    mine = adata.obs["truth_celltype"].str.contains("Monocytes").to_numpy()
    adata.obs["given"] = np.where(mine, "macrophage", "t_nk")
    tam.tl.annotate(adata, compartment_key="given", tissue="other")
    return adata[mine].copy()


@pytest.mark.xfail(reason="0.051: 14 of 312 are called interferon_primed and 2 inflammatory")
def test_goal_for_monocytes_without_interferon(monocytes):
    assert has_state(monocytes)[monocytes.obs["truth_ifn"] != "IFN"].mean() <= 0.05


def test_interferon_stimulated_monocytes_are_called(monocytes):
    stimulated = monocytes.obs["truth_ifn"] == "IFN"
    called = monocytes.obs["tam_state"] == "interferon_primed"
    assert called[stimulated].mean() >= 0.8
    assert called[~stimulated].mean() <= 0.05
    z = monocytes.obsm["tam_z"]["interferon_primed"]
    above = z[stimulated].to_numpy()[:, None] > z[~stimulated].to_numpy()[None, :]
    assert above.mean() >= 0.99


def test_mouse_microglia_are_macrophages_and_not_border_associated(annotated):
    adata = annotated("mouse_microglia_bulk_development_LPS_Hanamsagar2017", tissue="brain")
    assert adata.uns["tamannot"]["tam"]["matrix"]["species"] == "mouse"
    assert (adata.obs["tam_compartment"] == "macrophage").mean() >= 0.9
    saline = adata.obs["treatment"] == "Sal"
    assert (adata.obs["tam_origin"][saline] == "microglia").mean() >= 0.9
    assert (adata.obs["tam_origin"] != "border_associated").all()


@pytest.fixture(scope="module")
def lps_cells(labelled) -> ad.AnnData:
    adata = labelled("mouse_BMDC_sc_LPS_Shalek2014")
    adata.obs["given"] = "macrophage"
    tam.tl.annotate(adata, compartment_key="given", tissue="other")
    return adata


@pytest.mark.xfail(reason="0.053: of 57, 2 are called interferon_primed and 1 inflammatory")
def test_goal_for_cells_without_lps(lps_cells):
    assert has_state(lps_cells)[lps_cells.obs["truth_lps"] != "LPS"].mean() <= 0.05


def test_cells_with_lps_are_called(lps_cells):
    adata, lps = lps_cells, lps_cells.obs["truth_lps"] == "LPS"
    assert adata.obs["tam_state"].isin(["inflammatory", "interferon_primed"])[lps].mean() >= 0.6
    z = adata.obsm["tam_z"]["inflammatory"].to_numpy()
    assert (z[lps][:, None] > z[~lps][None, :]).mean() >= 0.95


@pytest.fixture(scope="module")
def glioma(labelled) -> ad.AnnData:
    """A quarter of the cells of one set, annotated."""
    adata = labelled(MYELOID)[::4].copy()
    tam.tl.annotate(adata, tissue="brain")
    return adata


def bare(adata: ad.AnnData) -> ad.AnnData:
    return ad.AnnData(adata.X.copy(), obs=adata.obs[["donor"]].copy(), var=pd.DataFrame(index=adata.var_names))


# By day the other logarithms are those of tests/classify/test_calls.py.
@pytest.mark.parametrize(
    ("target", "base"), [(1e4, None), *(pytest.param(*p, marks=pytest.mark.nightly) for p in ((1e4, 2), (1e6, None)))]
)
def test_logarithms_are_called_as_counts_are(glioma, target, base):
    log = bare(glioma)
    sc.pp.normalize_total(log, target_sum=target)
    sc.pp.log1p(log, base=base)
    tam.tl.annotate(log, tissue="brain")
    assert abs(has_state(log).sum() - has_state(glioma).sum()) <= 0.03 * is_macrophage(glioma).sum()


def test_cells_twice_in_a_file_have_the_same_labels(glioma):
    twice = ad.concat([bare(glioma), bare(glioma)], index_unique="-", keys=["a", "b"])
    tam.tl.annotate(twice, tissue="brain")
    for half in (twice[: glioma.n_obs], twice[glioma.n_obs :]):
        assert list(half.obs["tam_state"]) == list(glioma.obs["tam_state"])


def test_doublets_of_macrophage_and_t_cell_get_no_state(labelled):
    adata = labelled("glioma_tissue_semisynthetic_dev")
    rng = np.random.default_rng(0)
    some = [rng.choice(np.flatnonzero(adata.obs["truth_compartment"] == c), 100) for c in ("macrophage", "t_nk")]
    doublets = ad.AnnData(adata.X[some[0]] + adata.X[some[1]], var=adata.var)
    doublets.obs_names = [f"doublet{i}" for i in range(100)]
    both = ad.concat([adata, doublets])
    tam.tl.annotate(both, tissue="brain")
    found = both[adata.n_obs :]
    assert (has_state(found) & ~found.obs["tam_state_status"].isin(["mixed_lineage"])).mean() <= 0.05


def test_a_program_that_is_taken_out_is_not_called(labelled):
    adata = labelled(MYELOID)
    usage = pd.DataFrame(adata.obsm["usage"], index=adata.obs_names)["Macrophage"]
    adata = adata[usage < 0.05].copy()
    tam.tl.annotate(adata, tissue="brain")
    called = adata.obs["tam_state"][adata.obs["truth_compartment"] == "macrophage"]
    assert (called == "lipid_associated").mean() <= 0.015


@pytest.mark.parametrize("state", list(PROGRAMS.values()))
def test_a_state_of_nearly_all_macrophages_is_found(labelled, state):
    adata = labelled(MYELOID)
    truth = strongest_program(adata)
    ours, others = np.flatnonzero(truth == state), np.flatnonzero(~truth.isin([state, ""]))
    others = np.random.default_rng(0).choice(others, ours.size // 19, replace=False)
    few = adata[np.sort(np.concatenate([ours, others]))].copy()
    tam.tl.annotate(few, tissue="brain")
    assert (few.obs["tam_state"] == state)[truth[few.obs_names] == state].mean() >= 0.8


@pytest.mark.parametrize("donor", ["d0", "d7"])
def test_a_background_that_all_macrophages_share_is_no_state(labelled, donor):
    """Each program of these microglia is the same in all; interferon-response genes are high."""
    adata = labelled(TISSUE)
    adata = adata[adata.obs["donor"] == donor].copy()
    tam.tl.annotate(adata)
    macrophages = adata.obs["truth_compartment"] == "macrophage"
    microglia = macrophages & (adata.obs["truth_origin"] == "microglia")
    assert adata.obsm["tam_z"]["interferon_primed"][microglia].median() > 4
    assert has_state(adata)[macrophages].mean() <= 0.05


@pytest.fixture(scope="module")
def genes_alone(labelled) -> ad.AnnData:
    """An eighth of the tissue, annotated."""
    genes = labelled(TISSUE)[::8].copy()
    tam.tl.annotate(genes, tissue="brain")
    return genes


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("Antibody Capture", ["CD14", "CD163", "CD68", "CD3E", "CD4", "CD8A", "PTPRC", "P2RY12", "MRC1", "CX3CR1"]),
        ("Peaks", [f"chr1:{i}000-{i}500" for i in range(30_000)]),
        ("Unassigned Codeword", [f"UnassignedCodeword_{i:04d}" for i in range(250)]),
    ],
)
def test_features_that_are_not_genes_change_no_compartment(genes_alone, kind, names):
    genes, first = genes_alone, kind == "Peaks"  # before the genes; others stand after them
    rate = {"Antibody Capture": 20, "Peaks": 0.06}.get(kind, 0.005)
    other = sp.csr_matrix(np.random.default_rng(0).poisson(rate, (genes.n_obs, len(names))).astype(np.float32))
    obs = genes.obs[["donor"]]
    parts = [ad.AnnData(x, obs, pd.DataFrame(index=n)) for x, n in ((genes.X, genes.var_names), (other, names))]
    for part, of in zip(parts, ("Gene Expression", kind), strict=True):
        part.var["feature_types"] = of
    both = ad.concat(parts[:: -1 if first else 1], axis=1, merge="first")
    both.var_names_make_unique()
    tam.tl.annotate(both, tissue="brain")
    called = genes.obs["tam_compartment"].astype(str)
    assert called.tolist() == both.obs["tam_compartment"].astype(str).tolist()
    assert genes.obsm["tam_z"].to_numpy().tobytes() == both.obsm["tam_z"].to_numpy().tobytes()
    truth = genes.obs["truth_compartment"].astype(str)
    assert (called == truth)[truth == "macrophage"].mean() >= 0.95


SCALED = {
    "without centring": lambda a: sc.pp.scale(a, zero_center=False),
    "at most 10": lambda a: sc.pp.scale(a, zero_center=False, max_value=10),
    "z-scores shifted": lambda a: (sc.pp.scale(a), setattr(a, "X", a.X - a.X.min())),
}


def test_scaled_tumours_are_refused_and_their_counts_used(labelled):
    logs = labelled(TISSUE)[::4].copy()
    counts = logs.X.copy()
    sc.pp.normalize_total(logs, target_sum=1e4)
    sc.pp.log1p(logs)
    for change in SCALED.values():
        adata = logs.copy()
        change(adata)
        with pytest.raises(tam.errors.MatrixError, match=r"X: not usable, (all genes have the same|genes of few)"):
            tam.tl.annotate(adata, tissue="brain")
    adata.layers["counts"] = counts
    tam.tl.annotate(adata, tissue="brain")
    truth = adata.obs["truth_compartment"] == "macrophage"
    assert is_macrophage(adata)[truth].mean() >= 0.95
    assert is_macrophage(adata)[~truth].mean() <= 0.005


@pytest.mark.parametrize("name", FILES)
def test_no_data_set_is_refused_or_given_a_caveat_but_bulk_and_averages(labelled, name):
    adata = labelled(name)
    species = "mouse" if name.startswith("mouse") else "human"
    data = unpack(adata, tam.load_signatures(axis="state", species=species))
    assert bool(data.inspection.caveat) == ("bulk" in name or "avg" in name)


CHANGED = {
    "R": lambda g: g.replace("-", "."),
    "small letters": str.lower,
    "symbol and id": lambda g: f"{g}_{human_genes().ensembl.get(g) or 'ENSG00000999999'}",
}


# Calls of names that are changed in one way are also held against clean ones in tests/data/test_unpack.py.
@pytest.mark.parametrize(
    "kind", ["symbol and id", *(pytest.param(k, marks=pytest.mark.nightly) for k in ("R", "small letters"))]
)
def test_changed_names_keep_every_macrophage_of_a_whole_glioma(tissue, kind):
    changed = ad.AnnData(tissue.X, obs=tissue.obs[["donor"]].copy(), var=pd.DataFrame(index=list(tissue.var_names)))
    changed.var_names = [CHANGED[kind](g) for g in tissue.var_names]
    tam.tl.annotate(changed)
    assert (changed.obs["tam_compartment"] == "macrophage").sum() >= 770
    pd.testing.assert_frame_equal(tam.get.annotations(changed), tam.get.annotations(tissue))


def test_mouse_macrophages_in_a_human_tumour_are_refused_and_kept_by_the_way_out(tissue):
    """A glioma whose macrophages are of the host: the message's lines part the cells, and all are found."""
    host = (tissue.obs["truth_compartment"] == "macrophage").to_numpy()
    mine, others = sp.diags(host.astype(float)), sp.diags((~host).astype(float))
    x = sp.hstack([others @ tissue.X, mine @ tissue.X]).tocsr().astype(np.float32)
    names = [*tissue.var_names, *(g.capitalize() for g in tissue.var_names)]
    adata = ad.AnnData(x, obs=tissue.obs[["donor"]].copy(), var=pd.DataFrame(index=names))
    adata.var_names_make_unique()
    with pytest.raises(SpeciesError, match=f"{host.sum()} mouse, {(~host).sum():,} human") as error:
        tam.tl.annotate(adata)
    found = {"adata": adata}
    exec(str(error.value).partition("genes: ")[2], found)  # noqa: S102 - the lines are ours
    for part in ("mouse", "human"):
        tam.tl.annotate(found[part], tissue="brain")
    assert (found["mouse"].obs["tam_compartment"] == "macrophage").mean() >= 0.95
    assert (found["human"].obs["tam_compartment"] == "macrophage").mean() <= 0.005


@pytest.mark.xfail(reason="the reference calls one gene of the mouse DPCD, which only names in capitals match")
def test_mouse_names_in_capitals_give_the_same_macrophages(labelled):
    plain = labelled("mouse_aorta_sc_Cochain2018_GSE97310")[:600].copy()
    capitals = plain.copy()
    capitals.var_names = [g.upper() for g in plain.var_names]
    for adata in (plain, capitals):
        tam.tl.annotate(adata)
    assert (plain.obs["tam_compartment"] == "macrophage").sum() >= 190
    pd.testing.assert_frame_equal(tam.get.annotations(capitals), tam.get.annotations(plain))
