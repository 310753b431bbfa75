"""What comes out on real and semi-synthetic data with labels; skipped where the data are absent."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import SpeciesError
from tamannot.genes import human_genes

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

HAO = "human_PBMC_CITEseq_Hao2021_rectangleSubset"
HNSCC = "human_HNSCC_sc_Puram2017_chetahSubset"
KANG = "human_PBMC_sc_IFNb_Kang2018_muscatSubset"
OLIGO = "human_oligodendroglioma_sc_Tirosh2016"

# Some names of the data have their Ensembl id beside them.
_WITH_BOTH = [
    *("AIF1", "CCL5", "CD79A", "HLA-DRA", "HSPA1A", "IER3", "LILRA5", "NCOA4", "PGK1", "PSMB9", "TAP1", "TPI1", "TUBB")
]
# Every gene of the library that the data have under another name only; nothing looser is used.
SUBSTITUTIONS = {
    HAO: {"WARS1": "WARS"},
    HNSCC: {
        "ADGRG1": "GPR56",
        "COQ8A": "ADCK3",
        "CXCL8": "IL8",
        "PCLAF": "KIAA0101",
        "SELENOP": "SEPP1",
        "WARS1": "WARS",
    },
    KANG: {"CXCL8": "IL8", "WARS1": "WARS"}
    | {g: f"{g}_{human_genes().ensembl[g]}" for g in _WITH_BOTH}
    # The ids of these two are those of an older release of Ensembl.
    | {"CCL5": "CCL5_ENSG00000161570", "NCOA4": "NCOA4_ENSG00000138293"},
    OLIGO: {
        "ADGRG1": "GPR56",
        "ARMH4": "C14orf37",
        "COQ8A": "ADCK3",
        "CXCL8": "IL8",
        "SELENOP": "SEPP1",
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


@pytest.mark.parametrize("name", SUBSTITUTIONS)
def test_every_substitution_is_known(labelled, name):
    adata = labelled(name)
    tam.tl.annotate(adata)
    found = pd.DataFrame(adata.uns["tamannot"]["tam"]["substitutions"])["found_as"].to_dict()
    assert found == SUBSTITUTIONS[name]


def test_no_macrophages_in_blood(labelled):
    adata = labelled(HAO)
    tam.tl.annotate(adata)
    assert (adata.obs["tam_compartment"] == "macrophage").mean() <= 0.03


def test_macrophages_of_the_oligodendroglioma(labelled):
    adata = labelled(OLIGO)
    tam.tl.annotate(adata)
    truth = adata.obs["truth_celltype"] == "macrophage_microglia"
    called = adata.obs["tam_compartment"] == "macrophage"
    assert (called & truth).sum() >= 18
    assert (called & ~truth).sum() <= 1


def test_macrophages_in_a_whole_glioma(labelled):
    adata = labelled("glioma_tissue_semisynthetic_dev")
    tam.tl.annotate(adata)
    truth = adata.obs["truth_compartment"] == "macrophage"
    called = adata.obs["tam_compartment"] == "macrophage"
    assert called[truth].mean() >= 0.95
    assert called[~truth].mean() <= 0.005
    origin = adata.obs["tam_origin"].astype(str)[called & truth]
    right = origin == adata.obs["truth_origin"][called & truth]
    assert right[origin != "unassigned"].mean() >= 0.98
    assert (origin != "unassigned").mean() >= 0.8


def test_states_of_glioma_macrophages(labelled):
    adata = labelled("glioma_myeloid_semisynthetic_dev")
    tam.tl.annotate(adata)
    obs = adata.obs
    truth = (obs["truth_compartment"] == "macrophage") & (obs["truth_state"] != "unclear")
    assert (obs["tam_compartment"] == "macrophage")[truth].mean() >= 0.95
    state = obs["tam_state"].astype(str)[truth]
    called = ~state.isin(["unassigned", "not_macrophage"])
    assert called.mean() >= 0.7
    assert (state == obs["truth_state"].astype(str)[truth])[called].mean() >= 0.82
    origin = obs["tam_origin"].astype(str)
    known = origin.isin(["microglia", "monocyte_derived"]) & (obs["truth_origin"] != "unclear")
    assert (origin == obs["truth_origin"].astype(str))[known].mean() >= 0.98


def test_interferon_stands_out_in_stimulated_monocytes(labelled):
    adata = labelled(KANG)
    tam.tl.annotate(adata)
    monocytes = adata.obs["truth_celltype"].str.contains("Monocytes")
    z = adata.obsm["tam_z"]["interferon_primed"][monocytes]
    stimulated = adata.obs["truth_ifn"][monocytes] == "IFN"
    above = z[stimulated].to_numpy()[:, None] > z[~stimulated].to_numpy()[None, :]
    assert above.mean() >= 0.99


def test_mouse_microglia_are_macrophages_and_not_border_associated(labelled):
    adata = labelled("mouse_microglia_bulk_development_LPS_Hanamsagar2017")
    tam.tl.annotate(adata, tissue="brain")
    assert adata.uns["tamannot"]["tam"]["matrix"]["species"] == "mouse"
    assert (adata.obs["tam_compartment"] == "macrophage").mean() >= 0.9
    saline = adata.obs["treatment"] == "Sal"
    assert (adata.obs["tam_origin"][saline] == "microglia").mean() >= 0.9
    assert (adata.obs["tam_origin"] != "border_associated").all()


def test_lps_raises_the_inflammatory_program_of_mouse_cells(labelled):
    adata = labelled("mouse_BMDC_sc_LPS_Shalek2014")
    tam.tl.annotate(adata)
    z, lps = adata.obsm["tam_z"]["inflammatory"].to_numpy(), (adata.obs["truth_lps"] == "LPS").to_numpy()
    assert (z[lps][:, None] > z[~lps][None, :]).mean() >= 0.95


def called_right(adata):
    tam.tl.annotate(adata, tissue="brain")
    called = adata.obs["tam_compartment"].astype(str)
    return called, called == adata.obs["truth_compartment"].astype(str)


@pytest.mark.parametrize("first", [False, True], ids=["after the genes", "before the genes"])
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("Antibody Capture", ["CD14", "CD163", "CD68", "CD3E", "CD4", "CD8A", "PTPRC", "P2RY12", "MRC1", "CX3CR1"]),
        ("Peaks", [f"chr1:{i}000-{i}500" for i in range(30_000)]),
        ("Unassigned Codeword", [f"UnassignedCodeword_{i:04d}" for i in range(250)]),
    ],
)
def test_features_that_are_not_genes_change_no_compartment(labelled, kind, names, first):
    genes = labelled("glioma_tissue_semisynthetic_dev")[::8].copy()
    rate = {"Antibody Capture": 20, "Peaks": 0.06}.get(kind, 0.005)
    other = sp.csr_matrix(np.random.default_rng(0).poisson(rate, (genes.n_obs, len(names))).astype(np.float32))
    parts = [ad.AnnData(x, genes.obs, pd.DataFrame(index=n)) for x, n in ((genes.X, genes.var_names), (other, names))]
    for part, of in zip(parts, ("Gene Expression", kind), strict=True):
        part.var["feature_types"] = of
    both = ad.concat(parts[:: -1 if first else 1], axis=1, merge="first")
    both.var_names_make_unique()
    one, right = called_right(genes)
    other_calls, _ = called_right(both)
    assert one.tolist() == other_calls.tolist()
    assert genes.obsm["tam_z"].to_numpy().tobytes() == both.obsm["tam_z"].to_numpy().tobytes()
    assert right[genes.obs["truth_compartment"] == "macrophage"].mean() >= 0.95


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda a: sc.pp.scale(a, zero_center=False), id="scaled without centring"),
        pytest.param(lambda a: sc.pp.scale(a, zero_center=False, max_value=10), id="scaled, at most 10"),
        pytest.param(lambda a: (sc.pp.scale(a), setattr(a, "X", a.X - a.X.min())), id="z-scores shifted"),
    ],
)
def test_scaled_tumours_are_refused_and_their_counts_used(labelled, change):
    adata = labelled("glioma_tissue_semisynthetic_dev")[::4].copy()
    counts = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    change(adata)
    with pytest.raises(tam.errors.MatrixError, match=r"X: not usable, (all genes have the same|genes of few)"):
        tam.tl.annotate(adata, tissue="brain")
    adata.layers["counts"] = counts
    called, right = called_right(adata)
    truth = adata.obs["truth_compartment"] == "macrophage"
    assert right[truth].mean() >= 0.95
    assert (called[~truth] == "macrophage").mean() <= 0.005


@pytest.mark.parametrize("name", FILES)
def test_no_data_set_is_refused_or_given_a_caveat_but_bulk_and_averages(labelled, name):
    adata = labelled(name)
    species = "mouse" if name.startswith("mouse") else "human"
    data = tam._adata.unpack(adata, tam.load_signatures(axis="state", species=species))
    assert bool(data.caveat) == ("bulk" in name or "avg" in name)


@pytest.fixture(scope="module")
def tissue(labelled) -> ad.AnnData:
    adata = labelled(TISSUE)
    tam.tl.annotate(adata)
    return adata


TISSUE = "glioma_tissue_semisynthetic_dev"
CHANGED = {
    "R": lambda g: g.replace("-", "."),
    "small letters": str.lower,
    "symbol and id": lambda g: f"{g}_{human_genes().ensembl.get(g) or 'ENSG00000999999'}",
}


@pytest.mark.parametrize("kind", CHANGED)
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


def test_mouse_names_in_capitals_give_the_same_macrophages(labelled):
    plain = labelled("mouse_aorta_sc_Cochain2018_GSE97310")[:600].copy()
    capitals = plain.copy()
    capitals.var_names = [g.upper() for g in plain.var_names]
    for adata in (plain, capitals):
        tam.tl.annotate(adata)
    assert (plain.obs["tam_compartment"] == "macrophage").sum() >= 200
    pd.testing.assert_frame_equal(tam.get.annotations(capitals), tam.get.annotations(plain))
