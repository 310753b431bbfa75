"""``tl.composition`` on annotations written by hand: what is counted, what is compared, what is refused."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
import tamannot.data as slots
from tamannot.errors import ParameterError, ResultNotFoundError, TamannotWarning
from tamannot.pl._style import pretty

STATES = ("lipid_associated", "interferon_primed", "pro_angiogenic", "inflammatory", "immunoregulatory")
CATEGORIES = [*STATES, "transitional", "unassigned", "not_macrophage"]
AGES = (-1.49, 1.23, -0.64, 0.88, -0.73, 0.74)
SHARES = np.array([0.2, 0.1, 0.0, 0.15, 0.15, 0.0, 0.4])


def cohort(*, sizes=(60,) * 8, shift=1.0, seed=0, calibrated=True):
    """Annotated samples, two conditions in turn, ten other cells in each; probabilities agree with the labels."""
    rng = np.random.default_rng(seed)
    label, sample = [], []
    for i, size in enumerate(sizes):
        mean = SHARES * np.where(np.arange(7) == 0, shift if i % 2 else 1, 1)
        drawn = rng.multinomial(size, rng.dirichlet(19 * mean / mean.sum() + 1e-9))
        label += [*np.repeat(CATEGORIES[:7], drawn), *["not_macrophage"] * 10]
        sample += [f"s{i + 1:02d}"] * (size + 10)
    number = pd.Series(sample).str[1:].astype(int)
    obs = pd.DataFrame(
        {
            "sample": pd.Categorical(sample),
            "condition": pd.Categorical(np.where(number % 2 == 1, "control", "treated"), ["control", "treated"]),
            "batch": np.where(number % 4 < 2, "one", "two"),
            "age": (number * 7 % 11).to_numpy(float),
            "tam_compartment": pd.Categorical(np.where(np.array(label) == "not_macrophage", "t_nk", "macrophage")),
            "tam_state": pd.Categorical(label, CATEGORIES),
        }
    )
    obs.index = obs.index.astype(str)
    adata = ad.AnnData(np.zeros((len(obs), 3), np.float32), obs=obs)
    proba = np.stack([np.where(obs["tam_state"] == s, 0.9, 0.02) for s in STATES], axis=1)
    slots.write_obsm(adata, "tam_state_proba", STATES, proba)
    source = "simulated mixtures (state)" if calibrated else "none: probabilities are a monotone reading of z or p"
    slots.write_record(adata, "tam", {"calibration_source": source})
    return adata


def compared(adata, **choices):
    tam.tl.composition(adata, "sample", condition="condition", **choices)
    return tam.get.composition(adata)


def of(tests, label):
    return tests.set_index("label").loc[label]


def test_shares_are_of_macrophages_and_have_intervals():
    adata = cohort()
    tam.tl.composition(adata, "sample")
    shares = tam.get.composition(adata, table="shares")
    assert len(shares) == 8 * 6  # nobody is transitional
    first = shares[(shares["sample"] == "s01") & (shares["label"] == "lipid_associated")].iloc[0]
    here = adata.obs["sample"] == "s01"
    n = (here & (adata.obs["tam_state"] == "lipid_associated")).sum()
    assert (first["n_cells"], first["n_macrophages"], first["n_total"]) == (n, 60, 60)
    assert first["share"] == pytest.approx(n / 60)
    assert first["low"] < first["share"] < first["high"]
    assert "expected" not in shares
    np.testing.assert_allclose(shares.groupby("sample")["share"].sum(), 1)
    with pytest.raises(ResultNotFoundError, match="No conditions were compared"):
        tam.get.composition(adata)


def test_expected_shares_are_mean_probabilities_in_a_table_of_their_own():
    adata = cohort()
    tam.tl.composition(adata, "sample")
    first = tam.get.composition(adata, table="expected").iloc[0]
    n = ((adata.obs["sample"] == "s01") & (adata.obs["tam_state"] == "lipid_associated")).sum()
    assert (first["sample"], first["label"], first["n_total"]) == ("s01", "lipid_associated", 60)
    assert first["expected_cells"] == pytest.approx(0.9 * n + 0.02 * (60 - n))
    assert first["expected_share"] == pytest.approx(first["expected_cells"] / 60)
    tam.tl.composition(adata, "sample", axis="compartment")
    with pytest.raises(ResultNotFoundError, match="These labels have no probabilities"):
        tam.get.composition(adata, table="expected")


@pytest.mark.parametrize(
    ("counts", "table", "column"), [(None, "shares", "share"), ("expected", "expected", "expected_share")]
)
def test_the_tests_and_the_bars_are_of_the_shares_of_one_table(counts, table, column):
    adata = cohort(shift=3.0)
    tests = compared(adata, **({} if counts is None else {"counts": counts}))
    assert set(tests["counts"]) == {counts or "called"}
    shares = tam.get.composition(adata, table=table)
    means = shares.groupby(["condition", "label"])[column].mean()
    for row in tests.itertuples():
        assert row.share == pytest.approx(means["treated", row.label])
        assert row.share_reference == pytest.approx(means["control", row.label])
    ax = tam.pl.composition(adata)
    assert sum(p.get_width() for p in ax.patches) == pytest.approx(shares[column].sum())
    named = "expected share" if counts else "as called"
    assert named in ax.get_xlabel()
    assert named in tam.pl.composition_tests(adata).get_xlabel()


def test_tests_are_of_expected_counts_and_of_called_ones():
    adata = cohort(shift=3.0, sizes=(300,) * 12)
    expected, called = (compared(adata, counts=c) for c in ("expected", "called"))
    assert list(expected["label"]) == list(STATES)
    assert set(called["counts"]) == {"called"}
    assert of(expected, "lipid_associated")["share"] < of(called, "lipid_associated")["share"]
    for tests in (expected, called):
        row = of(tests, "lipid_associated")
        assert row["p"] < 0.05
        assert row["low"] > 1
        assert row["odds_ratio"] == pytest.approx(np.exp(row["log_odds"]))
        assert (row["condition"], row["reference"], row["df"], row["n_samples"]) == ("treated", "control", 10, 12)
        known = tests["label"].ne("unassigned") & tests["p"].notna()
        assert tests["q"].notna().equals(known)
        assert (tests["q"] >= tests["p"])[known].all()


def test_the_reference_can_be_chosen():
    adata = cohort(shift=3.0)
    there, back = compared(adata), compared(adata, reference="treated")
    np.testing.assert_allclose(there["log_odds"].dropna(), -back["log_odds"].dropna(), atol=1e-7)
    assert back["contrast"].iloc[0] == "control vs treated"


def test_covariates_are_terms():
    tests = compared(cohort(), covariates=("batch", "age"))
    assert (tests["df"] == 8 - 4).all()
    assert tests.attrs["parameters"]["covariates"] == ["batch", "age"]


def test_depth_is_a_covariate_and_comes_from_the_matrix():
    adata = tam.datasets.simulate(60, n_samples=6, n_genes=1000, composition={"macrophage": 1})
    tam.tl.annotate(adata, tissue="brain", compartment_key=("truth_compartment", {"macrophage": "macrophage"}))
    with_depth = compared(adata)
    samples = tam.get.composition(adata, table="samples")
    depth = np.log(np.asarray(adata.X.sum(axis=1)).ravel())
    expected = pd.Series(depth).groupby(adata.obs["sample"].to_numpy()).mean()
    np.testing.assert_allclose(samples["log_depth"], expected, rtol=1e-5)
    assert with_depth["df"].eq(3).all()
    assert compared(adata, depth=False)["df"].eq(4).all()


@pytest.mark.slow
def test_a_shift_that_was_simulated_is_found_after_annotating():
    mix = {"macrophage": 0.8, "t_nk": 0.2}
    adata = tam.datasets.simulate(
        200, n_samples=12, shift={"lipid_associated": 3.0}, composition=mix, n_genes=3000, rng=0
    )
    tam.tl.annotate(adata, tissue="brain", sample_key="sample")
    row = of(compared(adata), "lipid_associated")
    assert row["p"] < 0.05
    assert row["odds_ratio"] > 2
    shares = tam.get.composition(adata, table="shares").query("label == 'lipid_associated'")
    true = adata.obs[adata.obs["truth_compartment"] == "macrophage"].groupby("sample", observed=True)["truth_state"]
    share = true.agg(lambda x: (x == "lipid_associated").mean())[shares["sample"]]
    assert np.corrcoef(share, shares["share"])[0, 1] > 0.95
    expected = tam.get.composition(adata, table="expected").query("label == 'lipid_associated'")
    assert np.corrcoef(share, expected["expected_share"])[0, 1] > 0.95


def test_unknown_depth_and_uncalibrated_probabilities_are_said():
    cautions = compared(cohort(calibrated=False), counts="expected").attrs["cautions"]
    assert any("Depth was not used as a covariate" in c for c in cautions)
    assert any("not calibrated" in c for c in cautions)


def test_samples_with_few_macrophages_are_shown_and_named_but_not_compared():
    adata = cohort(sizes=(60,) * 8 + (29, 12))
    tests = compared(adata)
    assert tests["n_samples"].eq(8).all()
    assert any("s09 (29 macrophages, fewer than 30); s10" in c for c in tests.attrs["cautions"])
    assert tam.get.composition(adata, table="shares")["sample"].nunique() == 10
    assert tam.get.composition(adata, table="samples")["used"].sum() == 8
    assert compared(adata, min_cells=10)["n_samples"].eq(10).all()


def test_samples_without_a_condition_are_left_out():
    adata = cohort(sizes=(60,) * 9)
    adata.obs.loc[adata.obs["sample"] == "s09", "condition"] = np.nan
    tests = compared(adata)
    assert tests["n_samples"].eq(8).all()
    assert any("s09 (no value of condition)" in c for c in tests.attrs["cautions"])


def test_few_samples_and_a_differing_unassigned_share_are_cautions():
    adata = cohort(sizes=(60,) * 4)
    treated = (adata.obs["condition"] == "treated") & (adata.obs["tam_state"] != "not_macrophage")
    adata.obs.loc[treated, "tam_state"] = "unassigned"
    cautions = compared(adata, counts="called").attrs["cautions"]
    assert any("Fewer than 4 samples in control (2), treated (2)" in c for c in cautions)
    assert any("unassigned share differs: 1.00 in treated" in c for c in cautions)


def test_rare_labels_are_not_tested():
    row = of(compared(cohort(), counts="called"), "pro_angiogenic")
    assert np.isnan(row["p"])
    assert np.isnan(row["q"])
    assert "not tested" in row["note"]


def test_compartments_are_shares_of_all_cells():
    adata = cohort()
    tests = compared(adata, axis="compartment")
    assert set(tests["label"]) == {"macrophage", "t_nk", "unassigned"}
    shares = tam.get.composition(adata, table="shares")
    assert shares["n_total"].eq(70).all()
    assert shares["n_macrophages"].eq(60).all()
    with pytest.raises(ParameterError, match="counts='called'"):
        compared(adata, axis="compartment", counts="expected")


def test_three_conditions_are_compared_with_the_first():
    adata = cohort(sizes=(60,) * 9)
    adata.obs["arm"] = adata.obs["sample"].map(lambda s: "abc"[int(s[1:]) % 3]).astype(str)
    tam.tl.composition(adata, "sample", condition="arm")
    tests = tam.get.composition(adata)
    assert tests["contrast"].unique().tolist() == ["b vs a", "c vs a"]
    assert tests.groupby("label")["p_overall"].nunique().max() == 1


@pytest.mark.parametrize(
    ("column", "choices", "message"),
    [
        ("cell", {}, "identifies cells, not samples"),
        ("sample", {"condition": "tam_state"}, "more than one value in sample"),
        ("sample", {"condition": "sample"}, "Only 1 sample of the condition"),
        (
            "sample",
            {"condition": "condition", "min_cells": 61},
            r"0 of 8 samples have 61 macrophages \(min_cells\).*control 0 of 4, treated 0 of 4.*Lower min_cells",
        ),
        ("sample", {"condition": "condition", "reference": "other"}, "Available: control, treated"),
        ("sample", {"condition": "condition", "covariates": ("twin",)}, "cannot be separated"),
        ("sample", {"condition": "condition", "covariates": ("same",)}, "the same value in all compared samples"),
        ("sample", {"condition": "nothing"}, "No column 'nothing'"),
        ("sample", {"condition": "condition", "covariates": "nothing"}, "No column 'nothing'"),
        ("sample", {"reference": "control"}, "need a comparison: pass condition="),
        ("sample", {"covariates": ("batch",)}, "need a comparison: pass condition="),
        ("sample", {"axis": "overlay"}, "axis must be one of"),
        ("sample", {"counts": "some"}, "counts must be 'called'"),
        ("sample", {"min_cells": 0}, "min_cells at least 1"),
    ],
)
def test_what_says_nothing_is_refused(column, choices, message):
    adata = cohort()
    adata.obs["cell"] = [f"c{i}" for i in range(adata.n_obs)]
    adata.obs["twin"], adata.obs["same"] = adata.obs["condition"].astype(str), "same"
    with pytest.raises(ParameterError, match=message):
        tam.tl.composition(adata, column, **choices)
    assert "composition" not in adata.uns["tamannot"]["tam"]


def test_more_terms_than_samples_are_refused():
    with pytest.raises(ParameterError, match="leave no degrees of freedom"):
        compared(cohort(sizes=(60,) * 4), covariates=("batch", "age"))


def test_results_survive_a_file_and_leave_the_rest_alone(tmp_path):
    adata = cohort(sizes=(60,) * 8 + (5,))
    before = adata.obs.copy()
    out = tam.tl.composition(adata, "sample", condition="condition", copy=True)
    assert "composition" not in adata.uns["tamannot"]["tam"]
    pd.testing.assert_frame_equal(out.obs, before)
    out.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    for table in ("tests", "shares", "expected", "samples"):
        one, two = (tam.get.composition(x, table=table) for x in (out, back))
        pd.testing.assert_frame_equal(one, two, check_dtype=False, check_categorical=False)
        assert two.attrs["cautions"] == one.attrs["cautions"]
        assert two.attrs["parameters"]["covariates"] == []


def test_order_of_cells_does_not_matter():
    adata = cohort()
    shuffled = adata[np.random.default_rng(1).permutation(adata.n_obs)].copy()
    pd.testing.assert_frame_equal(compared(adata), compared(shuffled))


def test_without_a_run_there_is_nothing_to_read(annotated):
    with pytest.raises(ResultNotFoundError, match=r"tl\.composition"):
        tam.get.composition(annotated)
    with pytest.raises(ParameterError, match="table must be one of"):
        tam.get.composition(annotated, table="other")


def test_bars_of_all_samples_with_their_numbers():
    adata = cohort(sizes=(60,) * 8 + (12,))
    compared(adata)
    ax = tam.pl.composition(adata)
    shown = {t.get_text() for t in ax.texts}
    assert {"control (5 samples)", "treated (4 samples)", "n = 60", "n = 12 *"} <= shown
    assert len(ax.get_yticklabels()) == 9
    assert sum(p.get_width() for p in ax.patches) == pytest.approx(9)
    assert "unassigned" in {t.get_text() for t in ax.get_legend().get_texts()}


def test_bars_without_a_condition_and_of_very_many_samples():
    adata = cohort(sizes=(30,) * 150)
    tam.tl.composition(adata, "sample")
    _, ax = plt.subplots()
    assert tam.pl.composition(adata, ax=ax) is ax
    steps = np.diff(ax.get_yticks())
    assert 0 < steps.size < 100  # names of some samples: there is no room for all
    assert (steps == steps[0]).all()


def test_odds_ratios_are_drawn_with_their_intervals():
    adata = cohort(shift=3.0)
    tests = compared(adata)
    tests = tests[tests["p"].notna()]
    ax = tam.pl.composition_tests(adata)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), tests["odds_ratio"])
    assert [t.get_text() for t in ax.get_yticklabels()] == [pretty(s) for s in tests["label"]]
    assert sum("q = " in t.get_text() for t in ax.texts) == tests["q"].notna().sum()
    low, high = ax.get_xlim()
    assert low < tests["low"].min()
    assert high > tests["high"].max()


def test_intervals_without_an_end_are_cut():
    adata = cohort(sizes=(214, 220, 300, 144, 158, 287))
    adata.obs["age"] = adata.obs["sample"].map(dict(zip(adata.obs["sample"].cat.categories, AGES, strict=True)))
    state = adata.obs["tam_state"].mask(adata.obs["tam_compartment"] == "macrophage", "unassigned")
    state.iloc[np.flatnonzero(adata.obs["sample"] == "s06")[:268]] = "lipid_associated"
    adata.obs["tam_state"] = state
    assert np.isinf(of(compared(adata, covariates=["age"]), "lipid_associated")["high"])
    low, high = tam.pl.composition_tests(adata).get_xlim()
    assert (low, high) == pytest.approx((2**-6.15, 2**6.15))


def test_a_condition_of_samples_with_few_macrophages_is_not_called_one_condition():
    adata = cohort()
    few = (adata.obs["condition"] == "treated").to_numpy() & (np.arange(adata.n_obs) % 60 >= 7)
    with pytest.raises(ParameterError) as refused:
        tam.tl.composition(adata[~few].copy(), "sample", condition="condition")
    said = str(refused.value)
    assert said.startswith("4 of 8 samples have 30 macrophages (min_cells), but each condition needs two such samples")
    assert "control 4 of 4, treated 0 of 4. Too few macrophages in s02 7, " in said
    assert "one condition" not in said


@pytest.mark.parametrize("kind", ["category", "Int64", object])
def test_conditions_may_be_numbers_of_which_some_are_missing(kind):
    adata, text = cohort(sizes=(60,) * 9), cohort(sizes=(60,) * 9)
    text.obs["condition"] = text.obs["condition"].cat.rename_categories(["0", "1"])
    adata.obs["condition"] = text.obs["condition"].astype(int).astype(kind)
    for each in (adata, text):
        each.obs.loc[each.obs["sample"] == "s09", "condition"] = pd.NA
    pd.testing.assert_frame_equal(compared(adata, reference=0), compared(text, reference="0"))
    assert tam.get.composition(adata)["contrast"].unique() == ["1 vs 0"]


def test_one_sample_with_few_macrophages_is_not_said_to_lack_a_condition():
    with pytest.raises(ParameterError, match="0 of 1 samples have 30 macrophages"):
        compared(cohort(sizes=(3,)))


@pytest.mark.parametrize(("values", "message"), [("x", "of one condition, x"), (None, "has no value in any sample")])
def test_one_condition_and_none_are_told_apart(values, message):
    adata = cohort()
    adata.obs["arm"] = values
    with pytest.raises(ParameterError, match=message):
        tam.tl.composition(adata, "sample", condition="arm")


def test_a_third_condition_without_cells_is_left_out():
    adata = cohort(sizes=(60,) * 9)
    adata.obs["arm"] = adata.obs["sample"].map(lambda s: "abc"[int(s[1:]) % 3]).astype(str)
    few = (adata.obs["arm"] == "c").to_numpy() & (np.arange(adata.n_obs) % 60 >= 7)
    part = adata[~few].copy()
    tam.tl.composition(part, "sample", condition="arm")
    assert tam.get.composition(part)["contrast"].unique().tolist() == ["b vs a"]


def test_results_of_other_cells_are_said_to_be_so():
    adata = cohort()
    compared(adata)
    part = adata[adata.obs["sample"] != "s01"].copy()
    with pytest.warns(
        TamannotWarning, match=r"'composition' are of 560 cells, but the object now has 490\. Run .*tl\.comp"
    ):
        tam.get.composition(part)
