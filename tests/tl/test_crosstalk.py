from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import tamannot as tam
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError

PAIR = ("share_lipid_associated", "ferroptosis_defence")
MALIGNANT = ("truth_compartment", "malignant")
QUICK = {"malignant": MALIGNANT, "min_cells": 10, "n_bootstrap": 50}


@pytest.fixture(scope="module")
def _cohort():
    half = {"macrophage": 0.5, "malignant": 0.5}
    adata = tam.datasets.simulate(60, n_samples=6, n_genes=6000, composition=half, crosstalk=0.9, rng=1)
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
    assert "nothing here says which side acts" in tests.attrs["cautions"][0]
    assert tests.attrs["parameters"]["shares"] == "expected"
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
    assert any("adjusted for alone" in c for c in tests.attrs["cautions"])


def test_q_is_refused_where_samples_cannot_support_the_tests(cohort):
    tam.tl.crosstalk(cohort, "sample", hypotheses="all", programs=["iron_export"], **QUICK)
    tests = tam.get.crosstalk(cohort)
    assert len(tests) == 6 * 19
    assert tests["q"].isna().all()
    assert tests["p"].notna().mean() > 0.5
    assert (tests["p"].isna() == tests["rho"].isna()).all()  # a state that no sample has
    assert any("No q: 6 samples allow no two-sided p below 0.0028" in c for c in tests.attrs["cautions"])


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
        ("truth_compartment", "is not True and False: it has macrophage, malignant"),
        (("truth_compartment", "tumour"), "has no value tumour"),
        ("nothing", "No column 'nothing'"),
    ):
        with pytest.raises(ParameterError, match=message):
            tam.tl.crosstalk(cohort, "sample", **QUICK | {"malignant": wrong})
    cohort.obs["mine"] = False
    with pytest.raises(ParameterError, match="of no cell that it is malignant"):
        tam.tl.crosstalk(cohort, "sample", **QUICK | {"malignant": "mine"})


def test_a_cell_that_is_both_counts_as_malignant(cohort):
    first = np.flatnonzero(cohort.obs["tam_compartment"] == "macrophage")[:3]
    cohort.obs.loc[cohort.obs_names[first], "mine"] = True
    tam.tl.crosstalk(cohort, "sample", **QUICK | {"malignant": "mine"})
    tests = tam.get.crosstalk(cohort)
    both = ((cohort.obs["tam_compartment"] == "macrophage") & cohort.obs["mine"]).sum()
    said = f"{both} cells are macrophages by their transcripts and malignant"
    assert both >= 3
    assert any(said in c for c in tests.attrs["cautions"])
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
        ({"shares": "all"}, "shares is 'expected' or 'called'"),
        ({"min_cells": 0}, "min_cells 1 or more"),
        ({"hypotheses": "some"}, "'all' or pairs"),
        ({"hypotheses": []}, "names no pair"),
        ({"hypotheses": ["lipid_associated"]}, "A hypothesis is a pair"),
        ({"hypotheses": [("lam", "gpx4_axis")]}, "Of macrophages there is no 'lam'"),
        ({"hypotheses": [("lipid_associated", "death")]}, "Of malignant cells there is no 'death'"),
        ({"programs": ["death"], "hypotheses": "all"}, "programs has no 'death'"),
        ({"covariates": ["tam_state"]}, "more than one value in sample"),
        ({"covariates": ["sample"]}, "6 words"),
    ],
)
def test_what_cannot_be_tested_is_refused(cohort, wrong, message):
    with pytest.raises(ParameterError, match=message):
        tam.tl.crosstalk(cohort, "sample", **QUICK | wrong)


def test_results_that_are_not_there(cohort, tiny):
    with pytest.raises(ResultNotFoundError, match=r"tl\.crosstalk"):
        tam.get.crosstalk(cohort)
    tiny.obs["sample"], tiny.obs["mine"] = "a", True
    with pytest.raises(ResultNotFoundError):
        tam.tl.crosstalk(tiny, "sample", malignant="mine")
    with pytest.raises(MatrixError):
        tam.tl.crosstalk(cohort[:, :2000].copy(), "sample", malignant="mine")
    tam.tl.crosstalk(cohort, "sample", **QUICK)
    with pytest.raises(ParameterError, match="kind is"):
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
    adata = tam.datasets.simulate(200, n_samples=12, n_genes=3000, composition=half, crosstalk=0.9, rng=0)
    tam.tl.annotate(adata, tissue="brain", sample_key="sample")
    tam.tl.crosstalk(adata, "sample", malignant=MALIGNANT)
    planted = tam.get.crosstalk(adata).iloc[0]
    assert planted["rho"] > 0.5
    assert planted["p"] < 0.05
    assert planted["rho_adjusted"] > 0.5
