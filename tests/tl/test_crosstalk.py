"""How a choice of malignant cells is written down."""

from __future__ import annotations

import importlib
import importlib.util

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import tamannot as tam
from tamannot.analysis._ligand_receptor import pairs_of_reviews
from tamannot.analysis._samples import malignant_as_text
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError, TamannotError
from tamannot.signature import human_genes
from tamannot.stats._correlation import spearman

PAIR = ("share_lipid_associated", "ferroptosis_defence")


MALIGNANT = ("truth_compartment", "malignant")


QUICK = {"malignant": MALIGNANT, "min_cells": 10, "n_bootstrap": 50}


@pytest.fixture(scope="module")
def _cohort():
    half = {"macrophage": 0.5, "malignant": 0.5}
    adata = tam.datasets.simulate(60, n_samples=6, n_genes=3000, composition=half, crosstalk=0.9, rng=1)
    adata.obs["age"] = adata.obs["sample"].cat.codes.astype(float) ** 2
    adata.obs["steroid"] = np.where(adata.obs["sample"].cat.codes % 2, "yes", "no")
    adata.obs["mine"] = (adata.obs["truth_compartment"] == "malignant").to_numpy()
    tam.tl.annotate(adata, tissue="brain")
    return adata


@pytest.fixture
def cohort(_cohort):
    return _cohort.copy()


def test_three_hypotheses_with_the_values_behind_them(cohort, tmp_path):
    tam.tl.crosstalk(cohort, "sample", **QUICK)
    tests, samples = tam.get.crosstalk(cohort), tam.get.crosstalk(cohort, kind="samples")
    assert len(tests) == 3
    assert (tests["n_samples"] == 6).all()
    of_first = samples[["share_lipid_associated", "malignant_ferroptosis_defence"]]
    assert tests["rho"].iloc[0] == pytest.approx(scipy.stats.spearmanr(*of_first.to_numpy().T).statistic)
    assert tests["q"].to_numpy() == pytest.approx(scipy.stats.false_discovery_control(tests["p"]))
    assert (tests["loo_low"] <= tests["rho"]).all()
    assert "do not show which side acts" in tests.attrs["cautions"][0]
    assert tests.attrs["parameters"]["shares"] == "called"
    cohort.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    for kind in ("tests", "samples"):
        pd.testing.assert_frame_equal(
            tam.get.crosstalk(back, kind=kind),
            tam.get.crosstalk(cohort, kind=kind),
            check_dtype=False,
            check_index_type=False,
            check_column_type=False,
        )


def test_shares_are_means_over_the_macrophages_of_a_sample(cohort):
    for shares in ("expected", "called"):
        tam.tl.crosstalk(cohort, "sample", shares=shares, **QUICK)
        here = cohort[(cohort.obs["tam_compartment"] == "macrophage") & ~cohort.obs["mine"]]
        one = {
            "expected": here.obsm["tam_state_proba"]["lipid_associated"],
            "called": (here.obs["tam_state"] == "lipid_associated").astype(float),
        }[shares]
        expected = one.groupby(here.obs["sample"], observed=True).mean()
        found = tam.get.crosstalk(cohort, kind="samples")["share_lipid_associated"]
        assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-5)
        assert ("share_unassigned" in tam.get.crosstalk(cohort, kind="samples")) == (shares == "called")


def test_malignant_cells_are_scored_against_bins_of_their_own(cohort):
    tam.tl.crosstalk(cohort, "sample", **QUICK)
    alone = cohort[cohort.obs["mine"].to_numpy()].copy()
    tam.tl.score(alone, tam.load_signatures(axis="ferroptosis"), null="matched", min_coverage=0, key_added="own")
    found = tam.get.crosstalk(cohort, kind="samples")["malignant_gpx4_axis"].to_numpy()
    by_sample = alone.obs["sample"].to_numpy()
    own, shared = (alone.obsm[f"{key}_z"]["gpx4_axis"].groupby(by_sample).mean() for key in ("own", "tam"))
    assert found == pytest.approx(own.to_numpy(), rel=1e-5)
    assert np.abs(found - shared.to_numpy()).max() > 0.05


def test_covariates_are_those_of_malignant_cells(cohort):
    tam.tl.crosstalk(cohort, "sample", covariates=("ambient", "depth", "age", "steroid"), **QUICK)
    tests, samples = tam.get.crosstalk(cohort), tam.get.crosstalk(cohort, kind="samples")
    counts = np.log10(np.asarray(cohort[cohort.obs["mine"]].X.sum(axis=1)).ravel())
    by_sample = cohort.obs["sample"][cohort.obs["mine"]].to_numpy()
    assert samples["depth"].to_numpy() == pytest.approx(pd.Series(counts).groupby(by_sample).mean().to_numpy())
    assert samples["steroid"].tolist() == [0, 1, 0, 1, 0, 1]
    assert samples["age"].tolist() == [0, 1, 4, 9, 16, 25]
    assert samples["ambient"].min() > 0
    # six samples leave too little for four at once
    alone = tests[[f"rho_given_{c}" for c in ("ambient", "depth", "age", "steroid")]]
    assert tests["rho_adjusted"].abs().to_numpy() == pytest.approx(alone.abs().min(axis=1).to_numpy())
    assert any("adjusted for on its own" in c for c in tests.attrs["cautions"])


def test_q_is_refused_where_samples_cannot_support_the_tests(cohort):
    tam.tl.crosstalk(cohort, "sample", hypotheses="all", programs=["iron_export"], **QUICK)
    tests = tam.get.crosstalk(cohort)
    assert len(tests) == 6 * 19
    assert tests["q"].isna().all()
    assert tests["p"].notna().mean() > 0.5
    assert (tests["p"].isna() == tests["rho"].isna()).all()  # a state that no sample has
    assert any("No q: with 6 samples no two-sided p can be below 0.0028" in c for c in tests.attrs["cautions"])


def test_a_row_does_not_depend_on_the_others(cohort):
    tam.tl.crosstalk(cohort, "sample", hypotheses=[PAIR, ("m2", "nrf2_targets")], **QUICK)
    two = tam.get.crosstalk(cohort)
    tam.tl.crosstalk(cohort, "sample", **QUICK)
    row = tam.get.crosstalk(cohort).iloc[0]
    pd.testing.assert_series_equal(
        two.iloc[0].drop(["q", "q_adjusted"]), row.drop(["q", "q_adjusted"]), check_names=False
    )
    assert two["measure"].tolist() == ["share", "program"]


def test_which_cells_are_malignant_is_the_users_word(cohort):
    found = []
    for malignant in ("mine", MALIGNANT, ("truth_compartment", ["malignant"]), ("mine", True)):
        tam.tl.crosstalk(cohort, "sample", **QUICK | {"malignant": malignant})
        found.append(tam.get.crosstalk(cohort)["rho"].tolist())
    assert found[1:] == found[:-1]
    for wrong, message in (
        (None, "never inferred"),
        ("truth_compartment", "is not boolean: it has macrophage, malignant"),
        (("truth_compartment", "tumour"), "has no value tumour"),
        ("nothing", "No column 'nothing'"),
    ):
        with pytest.raises(ParameterError, match=message):
            tam.tl.crosstalk(cohort, "sample", **QUICK | {"malignant": wrong})
    cohort.obs["mine"] = False
    with pytest.raises(ParameterError, match="no cell as malignant"):
        tam.tl.crosstalk(cohort, "sample", **QUICK | {"malignant": "mine"})


def test_a_cell_that_is_both_counts_as_malignant(cohort):
    first = np.flatnonzero(cohort.obs["tam_compartment"] == "macrophage")[:3]
    cohort.obs.loc[cohort.obs_names[first], "mine"] = True
    tam.tl.crosstalk(cohort, "sample", **QUICK | {"malignant": "mine"})
    tests = tam.get.crosstalk(cohort)
    both = int(((cohort.obs["tam_compartment"] == "macrophage") & cohort.obs["mine"]).sum())
    assert both >= 3
    assert any(f"{both} cells are macrophages by their transcripts but malignant" in c for c in tests.attrs["cautions"])
    assert tam.get.crosstalk(cohort, kind="samples")["n_malignant"].sum() == cohort.obs["mine"].sum()


def test_samples_with_few_cells_are_left_out_and_too_few_samples_refused(cohort):
    few = cohort[~((cohort.obs["sample"] == "s06") & cohort.obs["mine"])].copy()
    tam.tl.crosstalk(few, "sample", **QUICK)
    assert tam.get.crosstalk(few, kind="samples")["used"].tolist() == [True] * 5 + [False]
    assert any("Left out for fewer than 10" in c and "s06" in c for c in tam.get.crosstalk(few).attrs["cautions"])
    with pytest.raises(ParameterError, match="0 of 6 samples have 5000 macrophages"):
        tam.tl.crosstalk(cohort, "sample", malignant="mine", min_cells=5000)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shares": "all"}, "shares must be 'expected' or 'called'"),
        ({"min_cells": 0}, "min_cells at least 1"),
        ({"hypotheses": "some"}, "'all' or pairs"),
        ({"hypotheses": []}, "hypotheses is empty"),
        ({"hypotheses": ["lipid_associated"]}, "A hypothesis must be a pair"),
        ({"hypotheses": [("lam", "gpx4_axis")]}, "Of macrophages there is no 'lam'"),
        ({"hypotheses": [("t_cell_IFNG", "gpx4_axs")]}, "Of malignant cells there is no 'gpx4_axs'"),
        ({"hypotheses": [("gene_NOGENE", "gpx4_axis")]}, "The data have no gene 'NOGENE'"),
        ({"hypotheses": [("lipid_associated", "NOGENE")]}, "The data have no gene 'NOGENE'"),
        ({"hypotheses": "t_cells"}, "The data have no gene 'IFNG'"),
        ({"hypotheses": [("t_cell_FTH1", "gpx4_axis")]}, "0 of 6 samples have 10 T or NK cells and 10 malignant cells"),
        ({"hypotheses": [("lipid_associated", "death")]}, "Of malignant cells there is no 'death'"),
        ({"programs": ["death"], "hypotheses": "all"}, "programs has no 'death'"),
        ({"covariates": ["tam_state"]}, "more than one value in sample"),
        ({"covariates": ["sample"]}, "6 categories"),
    ],
)
def test_what_cannot_be_tested_is_refused(cohort, wrong, message):
    with pytest.raises(ParameterError, match=message):
        tam.tl.crosstalk(cohort, "sample", **QUICK | wrong)


def test_mediators_of_macrophages_are_context_sets_scored_among_macrophages(cohort):
    tam.tl.crosstalk(cohort, "sample", hypotheses="mediators", **QUICK)
    tests, samples = tam.get.crosstalk(cohort), tam.get.crosstalk(cohort, kind="samples")
    assert tests["tam"].tolist() == ["ferroptosis_secretome", "prostaglandin_s1p", "lipid_metabolism"]
    alone = cohort[((cohort.obs["tam_compartment"] == "macrophage") & ~cohort.obs["mine"]).to_numpy()].copy()
    sets = [tam.load_signature("lipid_metabolism")]
    tam.tl.score(alone, sets, null="matched", min_coverage=0, key_added="own")
    own = alone.obsm["own_z"]["lipid_metabolism"].groupby(alone.obs["sample"].to_numpy()).mean()
    assert samples["program_lipid_metabolism"].to_numpy() == pytest.approx(own.to_numpy(), rel=1e-5)
    assert "malignant_ferroptosis_response" in samples
    genes = [g.symbol for g in sets[0].genes if g.symbol in alone.var_names]
    few = np.asarray((alone[:, genes].X.toarray() > 0).sum(axis=1) < 3)
    share = pd.Series(few).groupby(alone.obs["sample"].to_numpy()).mean().mean()
    assert tests["low_signal_tam"].iloc[2] == pytest.approx(share)


def test_genes_of_either_side(cohort):
    tam.tl.crosstalk(cohort, "sample", hypotheses=[("gene_APOE", "FTH1"), PAIR], **QUICK)
    tests, samples = tam.get.crosstalk(cohort), tam.get.crosstalk(cohort, kind="samples")
    assert tests.index[0] == "gene_APOE : FTH1"
    mine = cohort[cohort.obs["mine"].to_numpy()]
    values = mine[:, "FTH1"].X.toarray().ravel() / np.asarray(mine.X.sum(axis=1)).ravel() * 1e4
    means = pd.Series(np.log1p(values)).groupby(mine.obs["sample"].to_numpy()).mean()
    assert samples["malignant_FTH1"].to_numpy() == pytest.approx(means.to_numpy(), rel=1e-4)
    assert tests["low_signal_malignant"].iloc[0] == pytest.approx((values == 0).mean(), abs=0.05)
    assert np.isnan(tests["low_signal_tam"].iloc[1])


@pytest.fixture(scope="module")
def planted():
    """Five samples in which interferon gamma of T cells falls as the cystine importer of malignant cells rises."""
    parts = {"macrophage": 0.3, "malignant": 0.4, "t_nk": 0.3}
    adata = tam.datasets.simulate(80, n_samples=5, n_genes=3000, composition=parts, rng=2)
    genes, rows = list(adata.var_names), adata.X.tolil()
    for i, gene in enumerate(("IFNG", "SLC7A11", "SLC3A2")):
        if gene not in genes:
            genes[-1 - i] = gene
    level = adata.obs["sample"].cat.codes.to_numpy() + 1
    for gene, kind, amount in (("IFNG", "t_nk", 6 - level), ("SLC7A11", "malignant", level)):
        cells = (adata.obs["truth_compartment"] == kind).to_numpy()
        rows[cells, genes.index(gene)] = amount[cells, None] * 4.0
    adata.var_names, adata.X = genes, rows.tocsr()
    kinds = {"macrophage": "macrophage", "t_nk": "t_nk", "malignant": "glial_like"}
    tam.tl.annotate(adata, tissue="brain", compartment_key=("truth_compartment", kinds))
    return adata


def test_interferon_of_t_cells_against_the_cystine_importer(planted):
    tam.tl.crosstalk(planted, "sample", hypotheses="t_cells", **QUICK)
    tests, samples = tam.get.crosstalk(planted), tam.get.crosstalk(planted, kind="samples")
    assert tests.index.tolist() == ["t_cell_IFNG : SLC7A11", "t_cell_IFNG : SLC3A2"]
    assert tests["expected"].tolist() == ["negative", "negative"]
    assert tests["rho"].iloc[0] < -0.85
    assert tests["low_signal_tam"].iloc[0] == 0
    t_cells = (planted.obs["truth_compartment"] == "t_nk").groupby(planted.obs["sample"].to_numpy()).sum()
    assert samples["n_t_cells"].tolist() == t_cells.tolist()
    ax = tam.pl.crosstalk(planted, pair=("t_cell_IFNG", "SLC7A11"))
    assert ax.get_xlabel() == "mean IFNG of T and NK cells\n(0% too little signal)"


def test_results_that_are_not_there(cohort, tiny):
    with pytest.raises(ResultNotFoundError, match=r"tl\.crosstalk"):
        tam.get.crosstalk(cohort)
    tiny.obs["sample"], tiny.obs["mine"] = "a", True
    with pytest.raises(ResultNotFoundError):
        tam.tl.crosstalk(tiny, "sample", malignant="mine")
    with pytest.raises(MatrixError):
        tam.tl.crosstalk(cohort[:, :2000].copy(), "sample", malignant="mine")
    tam.tl.crosstalk(cohort, "sample", **QUICK)
    with pytest.raises(ParameterError, match="kind must be"):
        tam.get.crosstalk(cohort, kind="cells")


def test_copy_and_annotating_again(cohort):
    out = tam.tl.crosstalk(cohort, "sample", copy=True, **QUICK)
    assert len(tam.get.crosstalk(out)) == 3
    with pytest.raises(ResultNotFoundError):
        tam.get.crosstalk(cohort)
    tam.tl.annotate(out, tissue="brain")
    with pytest.raises(ResultNotFoundError):
        tam.get.crosstalk(out)


@pytest.mark.slow
def test_planted_crosstalk_is_found_end_to_end():
    half = {"macrophage": 0.5, "malignant": 0.5}
    adata = tam.datasets.simulate(200, n_samples=16, n_genes=3000, composition=half, crosstalk=0.9, rng=0)
    tam.tl.annotate(adata, tissue="brain", sample_key="sample")
    tam.tl.crosstalk(adata, "sample", malignant=MALIGNANT)
    planted = tam.get.crosstalk(adata).iloc[0]
    assert planted["rho"] > 0.5
    assert planted["p"] < 0.05
    assert planted["rho_adjusted"] > 0.5


# Ligand receptor.


has_liana = pytest.mark.skipif(importlib.util.find_spec("liana") is None, reason="liana is not installed")


@pytest.fixture(scope="module")
def _of_pairs():
    half = {"macrophage": 0.5, "malignant": 0.5}
    adata = tam.datasets.simulate(60, n_samples=5, n_genes=2600, composition=half, rng=1)
    # a ligand of macrophages that grows from sample to sample, and its receptor in malignant cells
    genes, rows = list(adata.var_names), adata.X.tolil()
    for ligand, kind in (("CSF1R", "macrophage"), ("CSF1", "malignant")):
        if ligand not in genes:
            genes[-1 if ligand == "CSF1" else -2] = ligand
        cells = (adata.obs["truth_compartment"] == kind).to_numpy()
        amount = 1 + adata.obs["sample"].cat.codes.to_numpy()
        rows[cells, genes.index(ligand)] = amount[cells, None] * 3.0
    adata.var_names, adata.X = genes, rows.tocsr()
    adata.obs["order"] = adata.obs["sample"].cat.codes.astype(float)
    tam.tl.annotate(adata, tissue="brain")
    return adata


@pytest.fixture
def pairs_cohort(_of_pairs):
    return _of_pairs.copy()


def test_every_pair_has_a_reference_and_known_ends():
    pairs = pairs_of_reviews()
    ends = {"malignant", *tam.load_signatures(axis="compartment")}
    assert set(pairs["source"]) | set(pairs["target"]) <= ends
    assert pairs.notna().all(axis=None)
    assert pairs["reference"].str.startswith("10.").all()
    assert not pairs.duplicated(["ligand", "receptor", "source", "target"]).any()
    both = pairs[pairs["ligand"] == "MDK"]
    assert set(both["source"]) == {"macrophage", "malignant"}


def test_iron_selenium_checkpoint_and_adhesion_are_among_the_pairs():
    pairs = pairs_of_reviews()
    have = set(zip(pairs["ligand"], pairs["receptor"], strict=True))
    wanted = """FTH1 TFRC, LCN2 SLC22A17, HAMP SLC40A1, SELENOP LRP8, SPP1 ITGAV_ITGB3, PDCD1LG2 PDCD1, EFNA1 EPHA2,
        ICAM1 ITGAL_ITGB2, VCAM1 ITGA4_ITGB1, CCL22 CCR4, ANXA1 FPR1, MDK CD74, IFNG IFNGR1_IFNGR2"""
    assert {tuple(pair.split()) for pair in wanted.split(",")} <= have
    assert {gene for pair in have for name in pair for gene in name.split("_")} <= set(human_genes().ensembl)


def test_without_liana_the_error_has_the_line_that_installs_it(pairs_cohort, monkeypatch):
    real = importlib.import_module

    def absent(name):
        if name == "liana":
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(TamannotError, match=r"pip install 'tamannot\[crosstalk\]'"):
        tam.tl.ligand_receptor(pairs_cohort, "sample", malignant=MALIGNANT)


@has_liana
def test_scores_are_means_of_each_sample_and_p_permutes_samples(pairs_cohort, tmp_path):
    tam.tl.ligand_receptor(pairs_cohort, "sample", malignant=MALIGNANT, against="order")
    record = pairs_cohort.uns["tamannot"]["tam"]["ligand_receptor"]
    found = record["samples"].query("ligand == 'CSF1'").sort_values("sample")
    log = np.log1p(1e4 * pairs_cohort.to_df().div(np.asarray(pairs_cohort.X.sum(axis=1)).ravel(), axis=0))
    kind = (
        pairs_cohort.obs["truth_compartment"]
        .astype(str)
        .where(pairs_cohort.obs["truth_compartment"] == "malignant", pairs_cohort.obs["tam_compartment"].astype(str))
    )
    means = log[["CSF1", "CSF1R"]].groupby([pairs_cohort.obs["sample"], kind], observed=True).mean()
    ligand = means["CSF1"].xs("malignant", level=1).to_numpy()
    receptor = means["CSF1R"].xs("macrophage", level=1).to_numpy()
    assert found["ligand_mean"].to_numpy() == pytest.approx(ligand, rel=1e-4)
    assert found["score"].to_numpy() == pytest.approx((ligand + receptor) / 2, rel=1e-4)
    pair = record["pairs"].loc["CSF1 CSF1R malignant macrophage"]
    assert pair["n_samples"] == pair["n_detected"] == 5
    expected = spearman(found["score"].to_numpy(), np.arange(5.0))
    assert (pair["rho"], pair["p"]) == pytest.approx((expected.rho, expected.p))
    assert record["pairs"]["q"].isna().all()  # five samples cannot support so many
    pairs_cohort.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad").uns["tamannot"]["tam"]["ligand_receptor"]
    assert back["pairs"]["claim"].tolist() == record["pairs"]["claim"].tolist()


@has_liana
def test_a_gene_that_no_cell_of_a_sample_has_is_zero_there(pairs_cohort):
    adata, values = pairs_cohort, pairs_cohort.X.toarray()
    first = (adata.obs["sample"].cat.codes == 0).to_numpy()
    values[first, adata.var_names.get_loc("CSF1R")] = 0
    # Cells without a gene of any pair count in the means, too.
    genes = {gene for end in ("ligand", "receptor") for name in pairs_of_reviews()[end] for gene in name.split("_")}
    malignant = np.flatnonzero(first & (adata.obs["truth_compartment"] == "malignant").to_numpy())
    values[np.ix_(malignant[:5], adata.var_names.isin(genes))] = 0
    adata.X = values
    tam.tl.annotate(adata, tissue="brain")
    tam.tl.ligand_receptor(adata, "sample", malignant=MALIGNANT, against="order")
    record = adata.uns["tamannot"]["tam"]["ligand_receptor"]
    found = record["samples"].query("ligand == 'CSF1'").sort_values("sample")
    assert found["score"].tolist()[0] == found["receptor_mean"].tolist()[0] == 0
    assert found["ligand_share"].iloc[0] == pytest.approx(1 - 5 / malignant.size)
    pair = record["pairs"].loc["CSF1 CSF1R malignant macrophage"]
    assert (pair["n_samples"], pair["n_tested"], pair["n_detected"]) == (5, 5, 4)


@has_liana
def test_pairs_of_which_the_data_lack_a_gene_are_left_out(pairs_cohort):
    lost = {gene for name in pairs_of_reviews()["receptor"] for gene in name.split("_")}
    pairs_cohort.var_names = [f"lost-{name}" if name in lost else name for name in pairs_cohort.var_names]
    tam.tl.annotate(pairs_cohort, tissue="brain")
    with pytest.raises(ParameterError, match="cells of both sides of any pair with genes in the data"):
        tam.tl.ligand_receptor(pairs_cohort, "sample", malignant=MALIGNANT)


@has_liana
def test_crosstalk_asks_for_it(pairs_cohort):
    tam.tl.crosstalk(pairs_cohort, "sample", malignant=MALIGNANT, min_cells=10, n_bootstrap=10, ligand_receptor=True)
    record = pairs_cohort.uns["tamannot"]["tam"]["ligand_receptor"]
    assert record["parameters"]["against"] == "malignant_ferroptosis_defence"


@has_liana
def test_what_is_refused(pairs_cohort):
    for wrong, message in (
        ({"against": "sample"}, "has 5 categories, which have no order"),
        ({"against": "malignant_ferroptosis_defence"}, "which was not run"),
        ({"min_cells": 5000}, "No sample has 5000 cells"),
        ({"malignant": None}, "never inferred"),
    ):
        with pytest.raises(ParameterError, match=message):
            tam.tl.ligand_receptor(pairs_cohort, "sample", **{"malignant": MALIGNANT} | wrong)
    with pytest.raises(ResultNotFoundError):
        tam.tl.ligand_receptor(pairs_cohort, "sample", malignant=MALIGNANT, key="other")


# How a choice of malignant cells is written down.


@pytest.mark.parametrize(
    ("malignant", "text"),
    [
        ("is_malignant", "is_malignant"),
        (("cell_type", "Malignant"), "cell_type: Malignant"),
        (("cell_type", ["Malignant", "Tumour"]), "cell_type: Malignant, Tumour"),
        (("cnv", True), "cnv: True"),
    ],
)
def test_column_and_values(malignant, text):
    assert malignant_as_text(malignant) == text
