from __future__ import annotations

from collections.abc import Callable
from functools import cache

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import (
    CoverageWarning,
    GeneIdError,
    MatrixError,
    ParameterError,
    SpeciesError,
    TamannotWarning,
)
from tamannot.signature._gene_ids import human_genes

KEY = "tam_model"


def simulated(seed: int = 0, n: int = 300, depth: float = 2000.0) -> ad.AnnData:
    """Three kinds of cells from four donors: thirty genes of each kind are raised, donors differ a little."""
    rng = np.random.default_rng(seed)
    genes = sorted(s for s, e in human_genes().ensembl.items() if e)[:600]
    base = np.random.default_rng(99).gamma(0.7, 1.0, 600) + 0.02
    kind, donor = rng.integers(0, 3, n), rng.integers(0, 4, n)
    effect = np.random.default_rng(98).lognormal(0, 0.2, (4, 600))
    rate = base * effect[donor]
    for k in range(3):
        rate[np.ix_(kind == k, range(30 * k, 30 * k + 30))] += 3.0
    counts = rng.poisson(depth * rate / rate.sum(axis=1, keepdims=True)).astype(np.float32)
    obs = pd.DataFrame(
        {"kind": np.array(["x", "y", "z"])[kind], "donor": [f"d{d}" for d in donor]},
        index=[f"s{seed}c{i}" for i in range(n)],
    )
    return ad.AnnData(sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=genes))


@pytest.fixture(scope="session")
def trained() -> Callable[[str | None], tam.Model]:
    """Train on three kinds of cells, once for each way to hold cells out."""

    @cache
    def of(sample_key: str | None) -> tam.Model:
        return tam.tl.train(simulated(), "kind", sample_key=sample_key)

    return of


@pytest.fixture
def model(trained) -> tam.Model:
    """A model of three kinds of cells."""
    return trained("donor")


@pytest.fixture
def other() -> ad.AnnData:
    """Cells that the model has not seen."""
    return simulated(seed=1, n=150)


def results(model, adata, **choices):
    out = model.predict(adata, copy=True, **choices)
    return out.obs[f"{KEY}_label"].astype(str), out.obsm[f"{KEY}_proba"], out.obs[f"{KEY}_status"].astype(str)


def test_what_is_learned_carries_over(model, other, tmp_path):
    assert model.metrics["balanced_accuracy"] > 0.95
    assert model.metrics["held_out"] == "cells of other donor"
    assert model.training["n_samples"] == 4
    before = other.copy()
    assert model.predict(other) is None
    obs = other.obs
    called = obs[f"{KEY}_status"] == "assigned"
    assert called.mean() > 0.9
    assert (obs[f"{KEY}_label"].astype(str) == obs["kind"])[called].mean() > 0.95
    one = model.predict(other[called & (obs["kind"] == "y")].copy(), copy=True)
    for column in (obs[f"{KEY}_label"], obs[f"{KEY}_status"], one.obs[f"{KEY}_label"], one.obs[f"{KEY}_status"]):
        assert (column.value_counts() > 0).all()  # scanpy fails on categories without a cell
    assert obs[f"{KEY}_label"].cat.categories.tolist()[:3] == ["x", "y", "z"]
    assert obs[f"{KEY}_prob"].dtype == np.float32
    proba = other.obsm[f"{KEY}_proba"]
    assert proba.columns.tolist() == ["x", "y", "z"]
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(proba.max(axis=1), obs[f"{KEY}_prob"])
    assert (other.X != before.X).nnz == 0
    other.write_h5ad(tmp_path / "out.h5ad")
    record = ad.read_h5ad(tmp_path / "out.h5ad").uns["tamannot"][KEY]
    assert record["calibration_source"] == "held-out training cells: cells of other donor"
    assert record["counts"]["n"].sum() == 150


def test_a_file_predicts_as_the_model_does(model, other, tmp_path):
    model.save(tmp_path / "m.npz")
    back = tam.load_model(tmp_path / "m.npz")
    back.save(tmp_path / "again.npz")
    assert (tmp_path / "m.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    np.testing.assert_array_equal(results(model, other)[1], results(back, other)[1])
    text = (tmp_path / "m.npz").read_bytes()
    assert str(tmp_path).encode() not in text


def test_training_twice_gives_the_same_bytes_however_cells_and_genes_are_ordered(model, tmp_path):
    model.save(tmp_path / "one.npz")
    adata = simulated()
    tam.tl.train(adata, adata.obs["kind"].tolist(), sample_key="donor").save(tmp_path / "two.npz")
    rng = np.random.default_rng(3)
    mixed = adata[rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)].copy()
    permuted = tam.tl.train(mixed, adata.obs["kind"], sample_key="donor")  # a Series finds its cells
    assert permuted.symbols == model.symbols
    np.testing.assert_array_equal(permuted.coef, model.coef)
    np.testing.assert_array_equal(permuted.similarity, model.similarity)
    label, proba, _ = results(model, simulated(seed=1))
    label2, proba2, _ = results(permuted, simulated(seed=1)[::-1].copy())
    pd.testing.assert_series_equal(label2.loc[label.index], label)
    np.testing.assert_allclose(proba2.loc[proba.index], proba, atol=1e-6)
    first, second = tam.load_model(tmp_path / "one.npz"), tam.load_model(tmp_path / "two.npz")
    np.testing.assert_array_equal(first.coef, second.coef)


def renamed(adata: ad.AnnData) -> ad.AnnData:
    """The same cells by other names, of samples by other names."""
    out = adata.copy()
    out.obs_names = [f"new{i % 7}_{adata.n_obs - i}" for i in range(adata.n_obs)]
    out.obs["donor"] = out.obs["donor"].map({"d0": "z", "d1": "c", "d2": "y", "d3": "a"}).to_numpy()
    return out


@pytest.mark.parametrize("sample_key", [None, "donor"])
def test_names_of_cells_and_samples_change_nothing(trained, other, tmp_path, sample_key):
    files = []
    for i, of in enumerate([trained(sample_key), tam.tl.train(renamed(simulated()), "kind", sample_key=sample_key)]):
        of.save(tmp_path / f"{i}.npz")
        files.append((tmp_path / f"{i}.npz").read_bytes())
    assert files[0] == files[1]
    model = tam.load_model(tmp_path / "0.npz")
    for mine, theirs in zip(results(model, other), results(model, renamed(other)), strict=True):
        np.testing.assert_array_equal(mine.to_numpy(), theirs.to_numpy())


@pytest.mark.parametrize("sample_key", [None, "donor"])
def test_the_order_of_cells_changes_nothing(trained, other, tmp_path, sample_key):
    trained(sample_key).save(tmp_path / "one.npz")
    mixed = simulated()[np.random.default_rng(4).permutation(300)].copy()
    tam.tl.train(mixed, "kind", sample_key=sample_key).save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    model, shuffled = tam.load_model(tmp_path / "one.npz"), other[np.random.default_rng(5).permutation(150)]
    for mine, theirs in zip(results(model, other), results(model, shuffled.copy()), strict=True):
        np.testing.assert_array_equal(mine.loc[shuffled.obs_names].to_numpy(), theirs.to_numpy())


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize("sample_key", [None, "donor"])
def test_a_copy_of_a_cell_is_learned_from_once(trained, other, sample_key, caplog):
    adata, once = simulated(), trained(sample_key)
    copies = adata[np.r_[:300, :300, :20, :20]].copy()
    copies.obs_names_make_unique()
    twice = tam.tl.train(copies, "kind", sample_key=sample_key)
    assert "340 labelled cells are duplicates of others" in caplog.text
    assert twice.training["n_used"] == once.training["n_used"]
    assert twice.metrics == once.metrics
    np.testing.assert_array_equal(twice.coef, once.coef)
    for mine, theirs in zip(results(once, other), results(twice, other), strict=True):
        np.testing.assert_array_equal(mine.to_numpy(), theirs.to_numpy())


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_a_class_of_copies_is_too_small():
    adata = simulated()
    rare = adata[[0] * 10 + list(range(1, 300))].copy()
    rare.obs_names_make_unique()
    labels = ["rare"] * 10 + ["x", "y"] * 149 + ["x"]
    with pytest.raises(ParameterError, match=r"Fewer than 5 cells of 'rare' \(1\).*duplicates of a cell count once"):
        tam.tl.train(rare, labels)


def test_small_classes_are_named():
    labels = ["rare"] * 6 + ["x", "y"] * 147
    with pytest.warns(TamannotWarning) as caught:
        tam.tl.train(simulated(), labels)
    assert any(str(w.message).startswith("Fewer than 20 cells of 'rare' (6)") for w in caught)


@pytest.mark.parametrize("container", [sp.csc_matrix, lambda x: x.toarray(), lambda x: x.astype(np.int32)])
@pytest.mark.parametrize("threads", [1, 3])
def test_any_container_and_number_of_threads(model, other, container, threads):
    wanted = results(model, other)[1]
    other.X = container(other.X)
    tam.settings.threads = threads
    try:
        np.testing.assert_array_equal(results(model, other)[1], wanted)
    finally:
        tam.settings.threads = None


def test_a_backed_file(model, other, tmp_path):
    wanted = results(model, other)[1]
    other.write_h5ad(tmp_path / "in.h5ad")
    backed = ad.read_h5ad(tmp_path / "in.h5ad", backed="r")
    model.predict(backed)
    np.testing.assert_array_equal(backed.obsm[f"{KEY}_proba"], wanted)


def test_logarithms_are_undone(model, other):
    wanted = results(model, other)[1]
    total = np.asarray(other.X.sum(axis=1)).ravel()
    other.X = sp.csr_matrix((sp.diags_array(1e4 / total) @ other.X).log1p().astype(np.float32))
    np.testing.assert_allclose(results(model, other)[1], wanted, atol=1e-4)
    other.X = other.X / np.log(2)
    np.testing.assert_allclose(results(model, other)[1], wanted, atol=1e-4)


def odd_logarithms(adata: ad.AnnData) -> ad.AnnData:
    adata = adata.copy()
    x = adata.X.log1p()
    x.data = (x.data * 1.3 + 0.1) ** 0.9
    adata.X = x
    return adata


def test_another_scale_is_refused_with_advice(model, other):
    with pytest.raises(MatrixError, match=r"trained on counts.*X contains log values with an unknown base.*layer="):
        model.predict(odd_logarithms(other))
    with pytest.warns(TamannotWarning, match="ranks within the cell"):
        ranked = tam.tl.train(odd_logarithms(simulated()), "kind", sample_key="donor")
    assert ranked.scale == "ranks"
    with pytest.raises(MatrixError, match="trained on log values with an unknown base"):
        ranked.predict(other)
    label, _, status = results(ranked, odd_logarithms(other))
    called = status == "assigned"
    assert called.mean() > 0.8
    assert (label == other.obs["kind"])[called].mean() > 0.95


def test_noise_and_empty_cells_are_unfamiliar(model, other):
    rng = np.random.default_rng(5)
    shuffled = rng.permuted(other.X.toarray(), axis=1)
    shuffled[0] = 0
    other.X = sp.csr_matrix(shuffled)
    with pytest.warns(TamannotWarning, match="of the cells are unlike the training cells"):
        label, _, status = results(model, other)
    assert (label != "unassigned").mean() <= 0.01
    assert (status == "unfamiliar").mean() > 0.95


def test_shallow_cells_are_not_unfamiliar(model):
    shallow = simulated(seed=2, depth=600.0)
    label, _, status = results(model, shallow)
    assert (status == "unfamiliar").mean() < 0.05
    called = status == "assigned"
    assert (label == shallow.obs["kind"])[called].mean() > 0.9


def test_missing_genes_lower_confidence_then_forbid_labels(model, other):
    full = results(model, other)[1].max(axis=1)
    size = pd.Series(np.abs(model.coef).sum(axis=0), index=model.symbols).sort_values()
    few = other[:, ~other.var_names.isin(size.index[-20:])].copy()
    assert results(model, few)[1].max(axis=1).mean() < full.mean()
    with pytest.warns(CoverageWarning, match="no labels are assigned"):
        label, _, status = results(model, other[:, other.var_names.isin(size.index[:40])].copy())
    assert set(label) == {"unassigned"}
    assert set(status) == {"low_coverage"}


def test_ensembl_ids_find_the_genes(model, other):
    wanted = results(model, other)[1]
    other.var_names = [human_genes().ensembl[s] for s in other.var_names]
    np.testing.assert_allclose(results(model, other)[1], wanted, atol=1e-6)


def test_another_species_and_foreign_genes_are_refused(model, other):
    mouse = other.copy()
    mouse.var_names = [s.title() for s in other.var_names]
    with pytest.raises(SpeciesError, match="data are mouse, but the model was trained on human"):
        model.predict(mouse)
    other.var_names = [f"gene{i}" for i in range(other.n_vars)]
    with pytest.raises(GeneIdError, match="of the model"):
        model.predict(other)


def test_genes_that_nobody_knows_are_taken_as_they_are(other):
    adata = simulated()
    adata.var_names = [f"gene{i}" for i in range(adata.n_vars)]
    model = tam.tl.train(adata, "kind", sample_key="donor")
    assert model.species == "unknown"
    other.var_names = adata.var_names
    assert (results(model, other)[0] == other.obs["kind"]).mean() > 0.9


def test_cells_without_a_label_are_left_out():
    adata = simulated()
    labels = adata.obs["kind"].astype(object)
    labels.iloc[:6] = [None, np.nan, "", "unassigned", "Unclear", "NaN"]
    model = tam.tl.train(adata, labels.tolist(), sample_key="donor")
    assert model.training["n_without_label"] == 6
    assert model.classes == ("x", "y", "z")
    assert sum(model.training["n_used"].values()) == 294


def test_of_many_cells_large_classes_give_way(monkeypatch):
    monkeypatch.setattr("tamannot.classify._labels.MOST_CELLS", 100)
    adata = simulated()
    labels = pd.Series("x", index=adata.obs_names).where(adata.obs["kind"] != "y", "y")
    labels.iloc[np.flatnonzero(adata.obs["kind"] == "z")[:21]] = "z"
    model = tam.tl.train(adata, labels, sample_key="donor", target_accuracy=0.5)
    assert sum(model.training["n_used"].values()) in (99, 100)
    assert model.training["n_used"]["z"] == 21
    assert abs(model.training["n_used"]["x"] - model.training["n_used"]["y"]) <= 1


def test_names_with_a_slash_and_numbers(tmp_path, other):
    adata = simulated()
    adata.obs["name"] = adata.obs["kind"].map({"x": "Mono/Mac", "y": "1", "z": "naïve T"}).astype("category")
    model = tam.tl.train(adata, "name", sample_key="donor")
    model.predict(other)
    other.write_h5ad(tmp_path / "o.h5ad")
    back = ad.read_h5ad(tmp_path / "o.h5ad")
    assert back.obsm[f"{KEY}_proba"].columns.tolist() == ["1", "Mono|Mac", "naïve T"]
    assert "Mono/Mac" in set(back.obs[f"{KEY}_label"])


def test_labels_of_noise_give_no_label_and_a_warning(other):
    adata = simulated()
    labels = np.random.default_rng(0).permutation(adata.obs["kind"])
    with pytest.warns(TamannotWarning, match="No threshold reaches an accuracy of 0.95"):
        model = tam.tl.train(adata, labels, sample_key="donor")
    assert model.threshold is None
    assert model.metrics["threshold"] is None
    assert set(results(model, other)[0]) == {"unassigned"}


def test_a_class_of_one_sample_cannot_be_held_out():
    adata = simulated()
    labels = adata.obs["kind"].where(adata.obs["kind"] != "z", "y")
    labels[adata.obs["donor"] == "d0"] = labels[adata.obs["donor"] == "d0"].replace("y", "own")
    with pytest.warns(TamannotWarning) as caught:
        model = tam.tl.train(adata, labels, sample_key="donor")
    assert any("'own' are in one sample" in str(w.message) for w in caught)
    assert model.metrics["per_class"]["own"]["recall"] is None


@pytest.mark.parametrize(
    ("labels", "choices", "said"),
    [
        ("nothing", {}, "No column 'nothing' in obs. Available: kind, donor"),
        ("kind", {"sample_key": "nothing"}, "No column 'nothing'"),
        (["x", "y"], {}, "2 labels for 300 cells"),
        ("kind", {"target_accuracy": 1.0}, "between 0 and 1"),
        ("kind", {"n_genes": 0}, "at least 1"),
        (["x"] * 300, {}, "only 'x'"),
    ],
)
def test_bad_parameters(labels, choices, said):
    with pytest.raises(ParameterError, match=said):
        tam.tl.train(simulated(), labels, **choices)


def test_a_model_cannot_be_changed_and_shows_itself_briefly(model):
    with pytest.raises(AttributeError):
        model.threshold = 0.1
    assert len(repr(model)) < 200


def test_states_of_glioma_macrophages_with_donors_held_out(labelled, tmp_path):
    adata = labelled("glioma_myeloid_semisynthetic_dev")
    obs = adata.obs
    keep = (obs["truth_compartment"] == "macrophage") & (obs["truth_state"] != "unclear")
    adata = adata[keep.to_numpy()].copy()
    new = adata.obs["donor"].isin(["d0", "d1"]).to_numpy()
    model = tam.tl.train(adata[~new].copy(), "truth_state", sample_key="donor", target_accuracy=0.9)
    assert model.metrics["balanced_accuracy"] >= 0.9
    assert model.metrics["ece"] < 0.06
    test = adata[new].copy()
    model.predict(test)
    truth = test.obs["truth_state"].astype(str)
    best = test.obsm[f"{KEY}_proba"].idxmax(axis=1)
    assert (best == truth).groupby(truth).mean().mean() >= 0.9
    called = test.obs[f"{KEY}_status"] == "assigned"
    assert called.mean() > 0.8
    assert (test.obs[f"{KEY}_label"].astype(str) == truth)[called].mean() >= 0.9


def test_other_cells_of_a_tumour_are_unfamiliar(labelled):
    adata = labelled("glioma_tissue_semisynthetic_dev")
    is_macrophage = adata.obs["truth_compartment"] == "macrophage"
    labels = adata.obs["truth_origin"].astype(object).where(is_macrophage)
    model = tam.tl.train(adata, labels, sample_key="donor")
    with pytest.warns(TamannotWarning, match="of the cells are unlike"):
        model.predict(adata)
    given = adata.obs[f"{KEY}_label"] != "unassigned"
    assert given[~is_macrophage].mean() <= 0.02
    assert given[is_macrophage].mean() >= 0.95
