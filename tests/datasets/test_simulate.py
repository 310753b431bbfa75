from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scipy.stats

import tamannot as tam
from tamannot.errors import ParameterError
from tamannot.signature import human_genes

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

STATES = ["lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory"]
ORIGINS = ["microglia", "monocyte_derived"]
AXES = ("compartment", "origin", "state", "overlay", "polarization", "ferroptosis", "module")
FEW_GENES = 1000


@pytest.fixture(scope="module")
def tissue() -> ad.AnnData:
    return tam.datasets.simulate(200, n_genes=5000, n_noise_cells=25, n_unknown_cells=25)


@pytest.fixture(scope="module")
def annotated_tissue(tissue) -> ad.AnnData:
    return tam.tl.annotate(tissue, copy=True)


@pytest.fixture(scope="module")
def annotated_macrophages() -> ad.AnnData:
    adata = tam.datasets.simulate(100, composition={"macrophage": 1}, n_genes=5000)
    return tam.tl.annotate(adata, tissue="brain", copy=True)


def shares(adata: ad.AnnData, state: str) -> pd.Series:
    obs = adata.obs[adata.obs["truth_compartment"] == "macrophage"]
    return (obs["truth_state"] == state).groupby(obs["sample"], observed=True).mean()


def dominant_recall(adata: ad.AnnData, axis: str, names: list[str]) -> list[float]:
    truth, called = adata.obs[f"truth_{axis}"], adata.obs[f"tam_{axis}"]
    return [float((called[truth == n] == n).mean()) for n in names]


def test_matrix_has_counts_of_approved_genes(tissue):
    assert tissue.shape == (6 * 250, 5000)
    assert sp.issparse(tissue.X)
    assert tissue.X.format == "csr"
    assert tissue.X.dtype == np.float32
    assert tissue.X.has_canonical_format
    assert (tissue.X.data >= 1).all()
    assert (tissue.X.data == np.rint(tissue.X.data)).all()
    assert set(tissue.var_names) <= set(human_genes().ensembl)
    assert tissue.obs_names.is_unique
    assert tissue.var_names.is_unique


def test_every_gene_of_the_signatures_is_there(tissue):
    needed = {g.symbol for axis in AXES for s in tam.load_signatures(axis=axis).values() for g in s.genes}
    assert needed <= set(tissue.var_names)


def test_depth_and_spread_are_those_of_droplet_data(tissue):
    total = np.asarray(tissue.X.sum(axis=1)).ravel()
    assert np.median(total) == pytest.approx(4000, rel=0.1)
    assert 0.4 < np.log(total).std() < 0.7
    mean = np.sort(np.asarray(tissue.X.mean(axis=0)).ravel())[::-1]
    assert 0.3 < mean[:500].sum() / mean.sum() < 0.8


def test_the_same_seed_is_the_same_cohort():
    first, again, other = (
        tam.datasets.simulate(20, n_genes=FEW_GENES, rng=r) for r in (1, np.random.default_rng(1), 2)
    )
    np.testing.assert_array_equal(first.X.toarray(), again.X.toarray())
    pd.testing.assert_frame_equal(first.obs, again.obs)
    pd.testing.assert_frame_equal(first.obsm["truth_usage"], again.obsm["truth_usage"])
    assert (first.X != other.X).nnz


def test_global_random_state_is_neither_used_nor_changed():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    tam.datasets.simulate(5, n_samples=1, n_genes=FEW_GENES)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_truth_is_in_the_table_of_cells(tissue):
    obs, usage = tissue.obs, tissue.obsm["truth_usage"]
    columns = ["sample", "condition", "truth_compartment", "truth_origin", "truth_state", "truth_ambient"]
    assert list(obs.columns) == columns
    assert list(usage.columns) == [*ORIGINS, *STATES, "ferroptosis_defence"]
    assert set(usage.dtypes) == {np.dtype("float32")}
    for axis, names in (("origin", ORIGINS), ("state", STATES)):
        amount = usage[names].to_numpy()
        assert ((amount >= 0) & (amount <= 1)).all()
        assert amount.sum(axis=1).max() <= 1 + 1e-6
        label = np.where(amount.max(axis=1) > 0.35, np.array(names)[amount.argmax(axis=1)], "unclear")
        label[obs["truth_compartment"] != "macrophage"] = "not_macrophage"
        assert (obs[f"truth_{axis}"] == label).all()
        assert ((amount > 0.35).sum(axis=1) <= 1).all()


def test_programs_are_in_the_cells_that_can_have_them(tissue):
    usage, kind = tissue.obsm["truth_usage"], tissue.obs["truth_compartment"]
    assert (usage.loc[kind != "macrophage", ORIGINS + STATES] == 0).all(axis=None)
    assert (usage.loc[kind != "malignant", "ferroptosis_defence"] == 0).all()
    assert (usage.loc[kind == "malignant", "ferroptosis_defence"] > 0).all()


def test_many_macrophages_have_no_program(tissue):
    free = (tissue.obsm["truth_usage"][STATES] < 0.1).all(axis=1)[tissue.obs["truth_compartment"] == "macrophage"]
    assert 0.1 < free.mean() < 0.4


def test_samples_are_assigned_to_conditions_in_turn(tissue):
    by_sample = tissue.obs.groupby("sample", observed=True)["condition"].unique()
    assert [list(c) for c in by_sample] == [["control"], ["treated"]] * 3


def test_noise_and_unknown_cells_are_there(tissue):
    counts = tissue.obs["truth_compartment"].value_counts()
    assert counts["noise"] == counts["unknown"] == 6 * 25
    noise = tissue.X[(tissue.obs["truth_compartment"] == "noise").to_numpy()].toarray()
    assert abs(np.corrcoef(np.log1p(noise))[np.triu_indices(len(noise), 1)]).mean() < 0.05


def test_unknown_cells_are_a_type_of_its_own(tissue):
    kind = tissue.obs["truth_compartment"].to_numpy()
    own = tissue.var_names.get_indexer(tissue.uns["truth"]["own_genes"]["unknown"])
    assert tissue.X[kind == "unknown"][:, own].mean() > 2 * tissue.X[kind == "endothelial"][:, own].mean()


def test_own_genes_of_programs_are_in_no_signature(tissue):
    known = {g.symbol for axis in AXES for s in tam.load_signatures(axis=axis).values() for g in s.genes}
    own = tissue.uns["truth"]["own_genes"]
    assert set(own) == {*tissue.obsm["truth_usage"], *tissue.obs["truth_compartment"].cat.categories} - {"noise"}
    assert not any(known & set(genes) for genes in own.values())


def test_ambient_rna_is_of_the_other_cells():
    kinds = {"macrophage": 0.5, "t_nk": 0.5}
    foreign = {}
    for ambient in (0.0, 0.2):
        adata = tam.datasets.simulate(100, n_samples=2, composition=kinds, ambient=ambient, n_genes=FEW_GENES)
        assert adata.obs["truth_ambient"].mean() == pytest.approx(ambient, abs=0.03)
        t_cells = (adata.obs["truth_compartment"] == "t_nk").to_numpy()
        foreign[ambient] = adata[t_cells, ["C1QA", "C1QB", "C1QC"]].X.sum() / adata.X[t_cells].sum()
    assert foreign[0.2] > 5 * foreign[0.0]


def test_shift_is_in_the_truth():
    adata = tam.datasets.simulate(
        100, n_samples=60, composition={"macrophage": 1}, shift={"lipid_associated": 2.0}, n_genes=FEW_GENES
    )
    table = adata.uns["truth"]["samples"]
    expected = table.groupby("condition")[STATES].mean()
    assert expected.loc["control", "lipid_associated"] == pytest.approx(0.2, abs=0.05)
    assert expected.loc["treated", "lipid_associated"] == pytest.approx(0.4, abs=0.06)
    assert expected.loc["treated", "inflammatory"] == pytest.approx(0.15 * 0.6 / 0.8, abs=0.05)
    share = shares(adata, "lipid_associated")
    by_condition = share.groupby(table["condition"]).mean()
    assert by_condition["treated"] / by_condition["control"] == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.2])
def test_shares_vary_between_samples_as_asked(rho):
    adata = tam.datasets.simulate(
        30, n_samples=200, composition={"macrophage": 1}, overdispersion=rho, n_genes=700, depth=100
    )
    drawn = adata.uns["truth"]["samples"]["lipid_associated"]
    assert drawn.mean() == pytest.approx(0.2, abs=0.03)
    assert drawn.var() == pytest.approx(rho * 0.2 * 0.8, rel=0.3, abs=1e-9)
    seen = shares(adata, "lipid_associated").var()
    assert seen == pytest.approx(0.2 * 0.8 * (1 + 29 * rho) / 30, rel=0.4)


def test_shift_of_compartments_and_origins():
    adata = tam.datasets.simulate(
        100, n_samples=2, overdispersion=0, shift={"t_nk": 0.5, "microglia": 0.2}, n_genes=FEW_GENES
    )
    control, treated = adata.uns["truth"]["samples"].to_dict("records")
    assert treated["t_nk"] == pytest.approx(0.06)
    assert treated["macrophage"] == pytest.approx(0.4 * 0.94 / 0.88)
    assert treated["microglia"] == pytest.approx(0.09)
    assert control["microglia"] == pytest.approx(0.45)


@pytest.mark.parametrize("planted", [0.0, 0.9])
def test_crosstalk_is_in_the_truth_and_in_the_cells(planted):
    adata = tam.datasets.simulate(120, n_samples=40, crosstalk=planted, n_genes=FEW_GENES)
    table = adata.uns["truth"]["samples"]
    malignant = adata[adata.obs["truth_compartment"] == "malignant"]
    usage = malignant.obsm["truth_usage"]["ferroptosis_defence"].groupby(malignant.obs["sample"], observed=True).mean()
    own = malignant[:, adata.uns["truth"]["own_genes"]["ferroptosis_defence"]].X.sum(axis=1)
    expression = pd.Series(np.asarray(own / malignant.X.sum(axis=1)).ravel(), malignant.obs_names)
    expression = expression.groupby(malignant.obs["sample"], observed=True).mean()
    for defence in (table["ferroptosis_defence"], usage):
        rho = scipy.stats.spearmanr(shares(adata, "lipid_associated"), defence).statistic
        assert rho > 0.45 if planted else abs(rho) < 0.45
    assert scipy.stats.spearmanr(usage, expression).statistic > 0.5


def test_writes_to_h5ad_and_reads_back(tissue, tmp_path):
    tissue.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(back.obs, tissue.obs)
    pd.testing.assert_frame_equal(back.obsm["truth_usage"], tissue.obsm["truth_usage"])
    pd.testing.assert_frame_equal(back.uns["truth"]["samples"], tissue.uns["truth"]["samples"])
    assert back.uns["truth"]["crosstalk"] == 0
    assert (back.X != tissue.X).nnz == 0


def test_composition_of_any_compartments():
    adata = tam.datasets.simulate(50, n_samples=1, composition={"b": 2, "neuron": 2}, n_genes=FEW_GENES)
    assert set(adata.obs["truth_compartment"]) == {"b", "neuron"}
    assert set(adata.obs["truth_state"]) == {"not_macrophage"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"composition": {"macrofage": 1}}, "composition has unknown entries macrofage"),
        ({"composition": {"macrophage": 0}}, "no compartment"),
        ({"states": {"lipid_associated": 0.8, "inflammatory": 0.3}}, "sum to 1.10"),
        ({"states": {"lipid_associated": -0.1}}, "at least 0"),
        ({"origins": {"lipid_associated": 0.1}}, "origins has unknown entries lipid_associated"),
        ({"shift": {"pro_angiogenic": 2}}, "shift has unknown entries pro_angiogenic"),
        ({"shift": {"lipid_associated": 5.0}}, "below 1"),
        ({"shift": {"lipid_associated": 2.0}, "conditions": ["one"]}, "two conditions"),
        ({"conditions": ["a", "a"]}, "unique names"),
        ({"crosstalk": 1.1}, "crosstalk is 1.1"),
        ({"crosstalk": 0.5, "composition": {"macrophage": 1}}, "crosstalk needs"),
        ({"crosstalk": 0.5, "overdispersion": 0}, "crosstalk needs"),
        ({"ambient": float("nan")}, "ambient is nan"),
        ({"n_samples": 0}, "n_samples is 0"),
        ({"n_genes": 100}, "n_genes is 100"),
        ({"n_genes": 10**6}, "n_genes is 1000000"),
    ],
)
def test_what_cannot_be_simulated_is_refused(wrong, message):
    with pytest.raises(ParameterError, match=message):
        tam.datasets.simulate(**{"n_cells": 5, "n_samples": 2, "n_genes": FEW_GENES} | wrong)


def test_the_fewest_genes_are_those_of_the_signatures():
    n_genes = len({g.symbol for axis in AXES for s in tam.load_signatures(axis=axis).values() for g in s.genes})
    assert tam.datasets.simulate(5, n_samples=1, n_unknown_cells=2, n_genes=n_genes).shape == (7, n_genes)


@pytest.mark.slow
def test_annotate_finds_the_macrophages(annotated_tissue):
    truth = annotated_tissue.obs["truth_compartment"]
    called = annotated_tissue.obs["tam_compartment"] == "macrophage"
    assert called[truth == "macrophage"].mean() >= 0.95
    assert called[~truth.isin(["macrophage", "noise"])].mean() <= 0.01


@pytest.mark.slow
def test_annotate_finds_the_states(annotated_macrophages):
    assert np.mean(dominant_recall(annotated_macrophages, "state", STATES)) >= 0.85


@pytest.mark.slow
def test_annotate_finds_the_states_in_whole_tissue(annotated_tissue):
    assert np.mean(dominant_recall(annotated_tissue, "state", STATES)) >= 0.85


@pytest.mark.slow
@pytest.mark.xfail(reason="0.060 of 350 over five seeds get one; every change of a set draws other cells", strict=False)
def test_macrophages_without_a_program_get_no_state_in_whole_tissue(annotated_tissue):
    kind = annotated_tissue.obs["truth_compartment"]
    free = (kind == "macrophage") & (annotated_tissue.obsm["truth_usage"][STATES] < 0.1).all(axis=1)
    assert annotated_tissue.obs.loc[free, "tam_state"].isin(STATES).mean() <= 0.05


@pytest.mark.slow
def test_annotate_finds_the_origins(annotated_macrophages):
    assert np.mean(dominant_recall(annotated_macrophages, "origin", ORIGINS)) >= 0.8


@pytest.mark.slow
@pytest.mark.xfail(reason="0.054 of 479 over five seeds get one; every change of a set draws other cells", strict=False)
def test_macrophages_without_a_program_get_no_state(annotated_macrophages):
    free = (annotated_macrophages.obsm["truth_usage"][STATES] < 0.1).all(axis=1)
    assert annotated_macrophages.obs.loc[free, "tam_state"].isin(STATES).mean() <= 0.05


@pytest.mark.parametrize("kind", ["t_nk", "unknown", "noise"])
@pytest.mark.slow
def test_cells_that_are_no_macrophages_get_no_state(annotated_tissue, kind):
    state = annotated_tissue.obs.loc[annotated_tissue.obs["truth_compartment"] == kind, "tam_state"]
    assert (~state.isin(["unassigned", "not_macrophage"])).mean() <= 0.01
