"""A model of the user's labels given to an annotation: its labels beside the calls, which stay as they are."""

from __future__ import annotations

import json
import shutil

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import MatrixError, ParameterError, TamannotWarning

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

OWN = ["tam_model_label", "tam_model_prob", "tam_model_status"]


@pytest.fixture(scope="module")
def labels(_tumours) -> tam.Model:
    """A model of the compartments of three samples."""
    return tam.tl.train(_tumours[0], "truth_compartment", sample_key="sample", n_genes=500)


@pytest.fixture(scope="module")
def _expected(_tumours, labels) -> ad.AnnData:
    annotated = tam.tl.annotate(_tumours[1], tissue="brain", copy=True)
    labels.predict(annotated)
    return annotated


@pytest.fixture
def expected(_expected) -> ad.AnnData:
    """Other samples, annotated without a model, then labelled by the model on its own."""
    return _expected


@pytest.fixture
def cohort(_anchored) -> tam.AnchoredModel:
    """A model of the cohort of these samples."""
    return _anchored


@pytest.fixture
def other(_tumours) -> ad.AnnData:
    return _tumours[1].copy()


@pytest.fixture
def model_file(labels, tmp_path):
    labels.save(tmp_path / "labels.npz")
    return tmp_path / "labels.npz"


def assert_same(got: ad.AnnData, expected: ad.AnnData) -> None:
    columns = [c for c in expected.obs if c.startswith("tam_")]
    assert set(columns) >= {*OWN, "tam_state"}
    pd.testing.assert_frame_equal(got.obs[columns], expected.obs[columns], check_categorical=False)
    for name in ("tam_z", "tam_state_proba", "tam_model_proba"):
        pd.testing.assert_frame_equal(got.obsm[name], expected.obsm[name])
    ours, theirs = (a.uns["tamannot"]["tam_model"] for a in (got, expected))
    assert ours["model"]["digest"] == theirs["model"]["digest"]
    pd.testing.assert_frame_equal(ours["counts"], theirs["counts"])


def test_the_calls_stay_and_the_labels_are_those_of_predict(other, labels, expected, model_file):
    assert_same(tam.tl.annotate(other, model=labels, tissue="brain", copy=True), expected)
    tam.tl.annotate(other, model=model_file, tissue="brain")
    assert_same(other, expected)
    model = other.uns["tamannot"]["tam"]["model"]
    assert model["labels"] == "by a model of the user's, under the key 'tam_model'"
    assert "kind" not in model
    assert [c for c in tam.get.annotations(other) if c.startswith("tam_model")] == OWN


def test_another_key(other, labels):
    tam.tl.annotate(other, model=labels, tissue="brain", key_added="mine")
    assert {"mine_state", "mine_model_label"} <= set(other.obs)
    assert set(other.uns["tamannot"]) == {"mine", "mine_model"}


def test_both_kinds_at_once(other, labels, cohort, expected):
    by_cohort = tam.tl.annotate(other, model=cohort, copy=True)
    tam.tl.annotate(other, model=[labels, cohort])
    assert (other.obs["tam_state"].astype(str) == by_cohort.obs["tam_state"].astype(str)).all()
    pd.testing.assert_frame_equal(other.obs[OWN], expected.obs[OWN])
    assert other.uns["tamannot"]["tam"]["model"]["digest"] == cohort.digest
    with pytest.raises(ParameterError, match="one cohort model and one label model"):
        tam.tl.annotate(other, model=[labels, labels])


def test_a_model_that_does_not_fit_is_refused_before_anything_is_written(other, labels):
    other.X = other.X.log1p()
    other.X.data = (other.X.data * 1.3 + 0.1) ** 0.9
    with pytest.raises(MatrixError, match="trained on counts"):
        tam.tl.annotate(other, model=labels)
    assert not any(c.startswith("tam_") for c in other.obs)
    assert "tamannot" not in other.uns


def test_what_is_told_of_the_labels_is_told_once(other, labels):
    panels = {g.symbol for s in tam.load_signatures(axis="compartment").values() for g in s.all_genes}
    heaviest = np.argsort(-np.abs(labels.coef).sum(axis=0))[:400]
    gone = {labels.symbols[i] for i in heaviest} - panels
    few = other[:, ~other.var_names.isin(gone)].copy()
    with pytest.warns(TamannotWarning, match="of the model's genes, by weight, are in the data") as told:
        tam.tl.annotate(few, model=labels, tissue="brain")
    assert len([w for w in told if "of the model's genes, by weight" in str(w.message)]) == 1
    assert set(few.obs["tam_model_status"]) == {"low_coverage"}
    assert (few.obs["tam_compartment"] == "macrophage").sum() > 50


@pytest.mark.parametrize("kind", ["h5ad", pytest.param("zarr", marks=pytest.mark.nightly)])
def test_a_file_gives_what_memory_gives(other, expected, model_file, tmp_path, kind, run):
    old = other.copy()
    old.obs["tam_model_label"], old.obs["tam_model_note"] = "stale", "mine"
    getattr(old, f"write_{kind}")(tmp_path / f"in.{kind}")
    out, table = tmp_path / f"out.{kind}", tmp_path / "out.csv"
    args = ("--model", model_file, "--tissue", "brain")
    code, said, err = run("annotate", tmp_path / f"in.{kind}", "-o", out, "--table", table, *args)
    assert (code, err) == (0, "")
    counts = expected.obs["tam_model_label"].value_counts()
    assert f"labels        {', '.join(f'{k} {v:,}' for k, v in counts.items() if v)}" in said
    got = getattr(ad, f"read_{kind}")(out)
    assert_same(got, expected)
    assert set(got.obs["tam_model_note"]) == {"mine"}
    assert pd.read_csv(table, index_col=0)["tam_model_label"].tolist() == expected.obs["tam_model_label"].tolist()


def test_in_place_twice(other, expected, model_file, tmp_path, run):
    other.write_h5ad(tmp_path / "in.h5ad")
    for _ in range(2):
        code, said, err = run(
            "annotate", tmp_path / "in.h5ad", "--in-place", "--model", model_file, "--tissue", "brain", "--json"
        )
        assert (code, err) == (0, "")
    assert_same(ad.read_h5ad(tmp_path / "in.h5ad"), expected)
    assert sum(json.loads(said)["labels"].values()) == other.n_obs


@pytest.mark.usefixtures("workers_at_once")
def test_many_files_are_one_cohort_and_get_labels(other, labels, model_file, tmp_path, run):
    paths = []
    for name in other.obs["sample"].unique():
        paths.append(tmp_path / f"{name}.h5ad")
        other[other.obs["sample"] == name].copy().write_h5ad(paths[-1])
    out = tmp_path / "out"
    code, _, err = run("annotate", *paths, "--out-dir", out, "--tissue", "brain", "--model", model_file)
    assert code == 0, err
    assert "2 files are one cohort" in err
    for path in paths:
        got = ad.read_h5ad(out / path.name)
        alone = labels.predict(ad.read_h5ad(path), copy=True)
        assert got.uns["tamannot"]["tam"]["model"]["kind"] == "cohort"
        assert got.obs["tam_model_label"].tolist() == alone.obs["tam_model_label"].tolist()
        np.testing.assert_array_equal(got.obsm["tam_model_proba"], alone.obsm["tam_model_proba"])
    shutil.rmtree(out)
