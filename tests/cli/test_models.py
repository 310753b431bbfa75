from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import anndata as ad
import pytest

import tamannot as tam

TRAIN = pytest.mark.filterwarnings("ignore:Variable names are not unique")


LABELS = ("--labels", "author_label")


@pytest.fixture
def run_training(run):
    """Run ``tamannot train``; return exit code, stdout and stderr."""
    return partial(run, "train")


@TRAIN
def test_a_model_is_trained_told_and_saved(run_training, example_file, example, tmp_path):
    path = tmp_path / "m.npz"
    code, out, err = run_training(example_file, *LABELS, "-o", path, "--target-accuracy", 0.9)
    assert (code, err) == (0, "")
    for said in ("6 classes of 'author_label'", "malignant_93", "precision", "held out     other cells", "threshold"):
        assert said in out
    assert "Fewer than 20 cells of 'Microglia/Macrophage' (19)" in out
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]
    model = tam.load_model(path)
    model.predict(example)
    assert (example.obs["tam_model_label"].astype(str) == example.obs["author_label"]).mean() > 0.9


@TRAIN
def test_json_and_quiet(run_training, example, tmp_path):
    example[:, :1000].copy().write_h5ad(tmp_path / "in.h5ad")  # few genes, because it trains twice
    code, out, err = run_training(tmp_path / "in.h5ad", *LABELS, "-o", tmp_path / "m.npz", "--json")
    summary = json.loads(out, parse_constant=pytest.fail)
    assert (code, err) == (0, "")
    assert summary["outputs"] == [str(tmp_path / "m.npz")]
    assert set(summary["metrics"]["per_class"]) == set(summary["classes"])
    quietly = ("-o", tmp_path / "m.npz", "--overwrite", "--quiet")
    assert run_training(tmp_path / "in.h5ad", *LABELS, *quietly) == (0, "", "")


@TRAIN
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--labels", "nothing", "-o", "m.npz"), "No column 'nothing' in obs"),
        ((*LABELS, "-o", "m.npz", "--sample-key", "nothing"), "No column 'nothing' in obs"),
        ((*LABELS, "-o", "m.npz", "--layer", "nothing"), "No layer 'nothing'"),
        ((*LABELS, "-o", "m.npz", "--target-accuracy", "2"), "between 0 and 1"),
        ((*LABELS, "-o", "m.pkl"), "must end in .npz"),
        ((*LABELS, "-o", "there.npz"), "already exists. Choose another name, or use --overwrite"),
        (("-o", "m.npz"), "No state classifier can be trained: of"),
        (("-o", "m.npz", *LABELS, "--tissue", "brain"), "Leave out these, or --labels"),
    ],
)
def test_bad_input_gets_one_message_and_exit_2(run_training, example_file, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.npz").write_text("mine")
    code, out, err = run_training(example_file, *args)
    assert (code, out) == (2, "")
    assert said in err
    assert [p.name for p in tmp_path.iterdir()] == ["there.npz"]
    assert (tmp_path / "there.npz").read_text() == "mine"


@TRAIN
def test_help(run_training):
    code, out, _ = run_training("--help")
    assert code == 0
    assert "--sample-key" in out


# Anchored.


@pytest.fixture
def files(_tumours, tmp_path) -> tuple[Path, Path]:
    """Samples to learn from, and others, as files."""
    paths = tmp_path / "one.h5ad", tmp_path / "other.h5ad"
    for adata, path in zip(_tumours, paths, strict=True):
        ad.AnnData(adata.X, obs=adata.obs, var=adata.var).write_h5ad(path)
    return paths


@pytest.fixture
def digest(_anchored) -> str:
    """Of the model that these samples give."""
    return _anchored.digest


def test_learn_on_one_file_and_annotate_another(run, files, tmp_path, digest):
    one, other = files
    path, out_path = tmp_path / "m.npz", tmp_path / "out.h5ad"
    code, out, err = run("train", one, "-o", path, "--tissue", "brain", "--sample-key", "sample")
    assert (code, err) == (0, "")
    for said in ("macrophages of 450 cells", "state        classifier for ", "genes", "written"):
        assert said in out
    assert tam.load_model(path).digest == digest
    code, out, err = run("annotate", other, "-o", out_path, "--model", path)
    assert (code, err) == (0, "")
    assert "signatures in a model's: " in out
    record = ad.read_h5ad(out_path).uns["tamannot"]["tam"]
    assert record["model"]["digest"] == digest


def test_the_accuracy_asked_for_reaches_the_annotation(run, example_file, tmp_path):
    code, _, err = run("annotate", example_file, "-o", tmp_path / "o.h5ad", "--target-accuracy", "0.8", "--quiet")
    assert (code, err) == (0, "")
    assert ad.read_h5ad(tmp_path / "o.h5ad").uns["tamannot"]["tam"]["parameters"]["target_accuracy"] == 0.8


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--model", "absent.npz"), "absent.npz: no such file"),
        (("--model", "text.npz"), "not an .npz file"),
        (("--target-accuracy", "2"), "between 0 and 1"),
    ],
)
def test_bad_input_of_cohort_models_gets_one_message_and_exit_2(run, example_file, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.npz").write_text("mine")
    code, out, err = run("annotate", example_file, "-o", "o.h5ad", *args)
    assert (code, out) == (2, "")
    assert said in err
    assert [p.name for p in tmp_path.iterdir()] == ["text.npz"]
