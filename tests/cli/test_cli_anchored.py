from __future__ import annotations

from pathlib import Path

import anndata as ad
import pytest

import tamannot as tam


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
    for said in ("macrophages of 450 cells", "state        classifier of ", "genes", "written"):
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
def test_bad_input_gets_one_message_and_exit_2(run, example_file, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.npz").write_text("mine")
    code, out, err = run("annotate", example_file, "-o", "o.h5ad", *args)
    assert (code, out) == (2, "")
    assert said in err
    assert [p.name for p in tmp_path.iterdir()] == ["text.npz"]
