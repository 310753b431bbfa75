"""Models without labels: fitted to some cells, applied to others."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import GeneIdError, MatrixError, ParameterError, SpeciesError, TamannotWarning
from tamannot.signature._gene_ids import human_genes

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

TABLES = ("tam_scores", "tam_z", "tam_p", "tam_origin_proba", "tam_state_proba")
STATES = ["lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory"]


@pytest.fixture
def model(_anchored) -> tam.AnchoredModel:
    """Fitted to three samples."""
    return _anchored


@pytest.fixture
def learned_from(_tumours) -> ad.AnnData:
    return _tumours[0].copy()


@pytest.fixture
def other(_tumours) -> ad.AnnData:
    """Cells that the model has not seen."""
    return _tumours[1].copy()


@pytest.fixture(scope="session")
def _annotated_by_model(_tumours, _anchored) -> ad.AnnData:
    return tam.tl.annotate(_tumours[1], model=_anchored, copy=True)


@pytest.fixture
def wanted(_annotated_by_model) -> ad.AnnData:
    """The other cells, annotated by the model."""
    return _annotated_by_model


def annotated(adata, model, **choices):
    return tam.tl.annotate(adata, model=model, copy=True, **choices)


def assert_same(got, wanted, rows=slice(None)):
    """Every label, status, probability and score, bit by bit."""
    columns = [c for c in wanted.obs if c.startswith("tam_")]
    pd.testing.assert_frame_equal(got.obs[columns], wanted.obs[columns].iloc[rows], check_categorical=False)
    for name in TABLES:
        pd.testing.assert_frame_equal(got.obsm[name], wanted.obsm[name].iloc[rows])


def seen_in_training(adata, learned_from):
    """Say which cells are of an origin and a state that ten training cells have."""
    kind, trained = (
        a.obs["truth_origin"].astype(str) + a.obs["truth_state"].astype(str) for a in (adata, learned_from)
    )
    size = trained.value_counts()
    return kind.isin(size.index[size >= 10])


def status_of(adata, axis="state"):
    return adata.obs[f"tam_{axis}_status"].astype(str)


def test_states_carry_over_to_other_samples(wanted, learned_from):
    obs = wanted.obs
    truth = obs["truth_compartment"] == "macrophage"
    assert (obs["tam_compartment"] == "macrophage")[truth].mean() >= 0.98
    assert (obs["tam_compartment"] == "macrophage")[~truth].mean() <= 0.01
    called = truth & obs["tam_state"].isin(STATES) & obs["truth_state"].isin(STATES)
    assert called.sum() >= 30
    assert (obs["tam_state"].astype(str) == obs["truth_state"].astype(str))[called].mean() >= 0.9
    assert (status_of(wanted)[truth & seen_in_training(wanted, learned_from)] == "unfamiliar").mean() <= 0.02


def test_the_record_names_the_model(wanted, model, tmp_path):
    wanted.write_h5ad(tmp_path / "a.h5ad")
    record = ad.read_h5ad(tmp_path / "a.h5ad").uns["tamannot"]["tam"]
    assert record["model"]["kind"] == "cohort"
    assert record["model"]["digest"] == model.digest
    assert record["model"]["n_genes_known"] == record["model"]["n_genes"] == len(model.symbols)
    assert record["model"]["state"].startswith("activity of signatures, and a classifier for lipid_associated")
    assert f"a model's: {model.n_macrophages} macrophages" in record["calibration_source"]
    assert record["tissue"] == {"used": "brain", "reason": "as the model's cells: as given"}
    assert "model" not in record["parameters"]


def test_a_file_annotates_as_the_model_does(model, other, wanted, tmp_path):
    model.save(tmp_path / "m.npz")
    back = tam.load_model(tmp_path / "m.npz")
    assert isinstance(back, tam.AnchoredModel)
    assert back.cohort.doublet == model.cohort.doublet == {}
    back.save(tmp_path / "again.npz")
    assert (tmp_path / "m.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "m.npz").read_bytes()
    assert_same(annotated(other, tmp_path / "m.npz"), wanted)
    assert_same(annotated(other, str(tmp_path / "m.npz")), wanted)


def test_learning_twice_gives_the_same_model_whatever_the_order_of_cells(model, learned_from):
    order = np.random.default_rng(1).permutation(learned_from.n_obs)
    again = tam.tl.train(learned_from[order].copy(), sample_key="sample", tissue="brain")
    assert again.symbols == model.symbols
    fits = [m.cohort.states.regression for m in (again, model)]
    np.testing.assert_allclose(fits[0].coef, fits[1].coef, atol=1e-6)
    assert again.cohort.middle == pytest.approx(model.cohort.middle)


@pytest.mark.parametrize("n", [1, 2, 37])
def test_a_cell_alone_gets_what_it_gets_among_others(model, other, wanted, n):
    rows = np.random.default_rng(n).choice(other.n_obs, n, replace=False)
    assert_same(annotated(other[rows].copy(), model), wanted, rows)


def test_order_of_cells_blocks_and_threads_change_no_bit(model, other, wanted, monkeypatch):
    monkeypatch.setattr("tamannot.classify._annotate._BLOCK", 7)
    monkeypatch.setattr("tamannot.scoring._rows.CsrRows.step", 7)
    monkeypatch.setattr(tam.settings, "threads", 3)
    order = np.random.default_rng(2).permutation(other.n_obs)
    assert_same(annotated(other[order].copy(), model), wanted, order)


def test_order_and_ids_of_genes_change_no_label(model, other, wanted):
    order = np.random.default_rng(3).permutation(other.n_vars)
    mixed = other[:, order].copy()
    mixed.var_names = [human_genes().ensembl[s] or s for s in mixed.var_names]
    got = annotated(mixed, model)
    for name in ("compartment", "origin", "state", "state_status", "programs"):
        assert got.obs[f"tam_{name}"].tolist() == wanted.obs[f"tam_{name}"].tolist()
    np.testing.assert_array_equal(got.obsm["tam_z"], wanted.obsm["tam_z"])
    np.testing.assert_allclose(got.obsm["tam_state_proba"], wanted.obsm["tam_state_proba"], atol=1e-6)


def test_nothing_is_fitted_to_the_data(model, other, monkeypatch):
    def fitted(*_args, **_choices):
        pytest.fail("something was fitted")

    monkeypatch.setattr("tamannot.classify._annotate._fit", fitted)
    annotated(other, model)


def test_logarithms_are_undone(model, other, wanted):
    total = np.asarray(other.X.sum(axis=1)).ravel()
    other.X = sp.csr_matrix((sp.diags_array(1e4 / total) @ other.X).log1p().astype(np.float32))
    for base in (np.e, 2.0):
        logged = other.copy()
        logged.X = other.X / np.log(base)
        got = annotated(logged, model)
        assert (got.obs["tam_state"].astype(str) == wanted.obs["tam_state"].astype(str)).mean() >= 0.995
        np.testing.assert_allclose(got.obsm["tam_state_proba"], wanted.obsm["tam_state_proba"], atol=1e-3)


def odd_logarithms(adata: ad.AnnData) -> ad.AnnData:
    adata = adata.copy()
    x = adata.X.log1p()
    x.data = (x.data * 1.3 + 0.1) ** 0.9
    adata.X = x
    return adata


def test_another_scale_is_refused_with_advice(model, learned_from, other):
    with pytest.raises(MatrixError, match=r"trained on counts.*X contains log values with an unknown base.*layer="):
        annotated(odd_logarithms(other), model)
    with pytest.warns(TamannotWarning, match="ranks within the cell"):
        ranked = tam.tl.train(odd_logarithms(learned_from), tissue="brain")
    assert ranked.scale == "ranks"
    with pytest.raises(MatrixError, match="trained on log values with an unknown base"):
        annotated(other, ranked)
    got = annotated(odd_logarithms(other), ranked).obs
    called = got["tam_state"].isin(STATES) & got["truth_state"].isin(STATES)
    assert called.sum() >= 15
    assert (got["tam_state"].astype(str) == got["truth_state"].astype(str))[called].mean() >= 0.85


def test_another_species_is_refused(model, other):
    other.var_names = [s.title() for s in other.var_names]
    with pytest.raises(SpeciesError, match="data are mouse, but the model was trained on human"):
        annotated(other, model)


def test_absent_genes_forbid_labels(model, other, wanted):
    size = np.abs(model.cohort.states.regression.coef).sum(axis=0)
    library = tam.load_signatures(axis=["compartment", "state"])
    panels = {g.symbol for p in library.values() for g in p.all_genes}
    heavy = [g for i in np.argsort(-size) if (g := model.symbols[i]) not in panels]
    macrophage = (wanted.obs["tam_compartment"] == "macrophage").to_numpy()

    def without(genes):
        return annotated(other[:, ~other.var_names.isin(genes)].copy(), model)

    part = without(heavy[10:400])
    share = part.uns["tamannot"]["tam"]["model"]["coverage"]["state"]
    assert 0.5 < share < 0.95
    called = (part.obs["tam_compartment"] == "macrophage").to_numpy()
    assert (called == macrophage).mean() >= 0.99
    with pytest.warns(TamannotWarning, match=r"Only \d+% of the model's genes for state"):
        low = without(heavy[:950])
    called = low.obs["tam_compartment"] == "macrophage"
    assert called.sum() > 50
    assert set(low.obs["tam_state"][called]) == {"unassigned"}
    assert set(status_of(low)[called]) == {"low_coverage"}
    assert low.uns["tamannot"]["tam"]["model"]["state"].startswith("not called")


def test_genes_that_the_model_does_not_know_do_not_count(model, other, wanted):
    noise = sp.random(other.n_obs, 500, 0.1, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    more = ad.AnnData(sp.hstack([other.X, noise]).tocsr(), obs=other.obs)
    more.var_names = [*other.var_names, *(f"unheard_{i}" for i in range(500))]
    got = annotated(more, model)
    assert got.uns["tamannot"]["tam"]["model"]["n_genes_known"] == len(model.symbols)
    same = (got.obs["tam_compartment"] == "macrophage") == (wanted.obs["tam_compartment"] == "macrophage")
    assert same.mean() >= 0.99


def test_too_few_genes_of_the_model_are_refused(model, other):
    other.var_names = [f"unheard_{i}" if i % 5 else s for i, s in enumerate(other.var_names)]
    with pytest.raises(GeneIdError, match=r"Only \d+% of the model's [\d,]+ genes are in the data; at least 50%"):
        annotated(other, model)


def test_what_is_forced_in_is_unfamiliar(model, other, learned_from):
    other.obs["forced"] = "macrophage"
    got = annotated(other, model, compartment_key="forced")
    truth = other.obs["truth_compartment"].astype(str)
    assert (got.obs["tam_compartment"] == "macrophage").all()
    strange = status_of(got) == "unfamiliar"
    assert (status_of(got, "origin") == "unfamiliar")[strange].all()
    assert (got.obs["tam_state"][strange] == "unassigned").all()
    for kind, least in (("t_nk", 0.97), ("oligodendrocyte", 0.94), ("noise", 0.75), ("unknown", 0.75)):
        assert strange[truth == kind].mean() >= least, kind
    assert strange[(truth == "macrophage") & seen_in_training(other, learned_from)].mean() <= 0.02
    assert got.obs["tam_state"].isin(STATES)[truth != "macrophage"].mean() <= 0.01


def test_without_a_model_no_cell_is_unfamiliar(learned_from):
    learned_from.obs["forced"] = "macrophage"
    tam.tl.annotate(learned_from, compartment_key="forced")
    assert not (status_of(learned_from) == "unfamiliar").any()


def test_strangers_are_told_of(model, other):
    t_cells = other[other.obs["truth_compartment"] == "t_nk"].copy()
    t_cells.obs["forced"] = "macrophage"
    with pytest.warns(TamannotWarning, match="of the macrophages are unlike the model's training cells"):
        annotated(t_cells, model, compartment_key="forced")


def test_tissue_can_be_overridden(model, other):
    got = annotated(other, model, tissue="other")
    assert not got.obs["tam_origin"].isin(["microglia", "border_associated"]).any()
    assert got.uns["tamannot"]["tam"]["tissue"] == {"used": "other", "reason": "as given"}


def test_other_signatures_than_the_models_are_named(model, other):
    genes = tuple(tam.Gene(symbol=g.symbol) for g in tam.load_signature("inflammatory").all_genes[:20])
    mine = tam.Signature(id="inflammatory", genes=genes)
    with pytest.warns(
        TamannotWarning, match="other versions of these signatures, or they are missing here: inflammatory"
    ):
        annotated(other, model, signatures={"inflammatory": mine})


def test_who_asks_for_an_accuracy_hears_what_to_expect(model, other):
    with pytest.warns(TamannotWarning, match=r"% of the called states are right; target_accuracy is 0.99"):
        annotated(other, model, target_accuracy=0.99)


def test_too_few_macrophages_make_no_model(example):
    with pytest.raises(ParameterError, match="No state classifier can be trained: of 19 macrophages"):
        tam.tl.train(example)


@pytest.mark.parametrize(
    ("labels", "choices", "said"),
    [
        (None, {"n_genes": 100}, "n_genes= applies to models of your own labels"),
        ("sample", {"tissue": "brain"}, "Leave out these, or labels="),
        (None, {"tissue": "moon"}, "tissue must be 'auto', 'brain' or 'other'"),
        (None, {"sample_key": "nothing"}, "No column 'nothing' in obs"),
        (None, {"target_accuracy": 1.0}, "between 0 and 1"),
    ],
)
def test_bad_parameters_of_training(learned_from, labels, choices, said):
    with pytest.raises(ParameterError, match=said):
        tam.tl.train(learned_from, labels, **choices)


def test_what_is_no_model_is_refused(other):
    with pytest.raises(ParameterError, match="not dict"):
        annotated(other, {})
    with pytest.raises(tam.errors.ModelFormatError, match="no such file"):
        annotated(other, "absent.npz")
    assert not any(c.startswith("tam_") for c in other.obs)


def test_a_model_cannot_be_changed_and_shows_itself_briefly(model):
    with pytest.raises(AttributeError):
        model.brain = False
    assert len(repr(model)) < 250


@pytest.mark.nightly
@pytest.mark.slow
def test_macrophages_of_another_study_are_familiar(labelled, tmp_path):
    """A model of one study, applied to others: their macrophages pass, their other cells do not."""
    tam.tl.train(labelled("glioma_myeloid_semisynthetic_dev"), sample_key="donor").save(tmp_path / "m.npz")
    for name in ("glioma_tissue_semisynthetic_dev", "human_oligodendroglioma_sc_Tirosh2016"):
        adata = labelled(name)
        column = "truth_compartment" if "truth_compartment" in adata.obs else "truth_celltype"
        truth = adata.obs[column].isin(["macrophage", "macrophage_microglia"])
        got = annotated(adata, tmp_path / "m.npz")
        called = got.obs["tam_compartment"] == "macrophage"
        assert called[truth].mean() >= 0.95
        assert called[~truth].mean() <= 0.01
        assert (status_of(got) == "unfamiliar")[called].mean() <= 0.02
        adata.obs["forced"] = "macrophage"
        forced = annotated(adata, tmp_path / "m.npz", compartment_key="forced")
        others = adata.obs[column].isin(["t_nk", "oligodendrocyte"])
        assert (status_of(forced) == "unfamiliar")[others].mean() >= 0.95
        assert (status_of(forced) == "unfamiliar")[truth].mean() <= 0.02
