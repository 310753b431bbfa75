from __future__ import annotations

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import InputFileError, OutputError, ParameterError, ResultNotFoundError
from tamannot.io import report_file
from tamannot.io._read import open_root
from tamannot.io._report import CellsOnDisk
from tamannot.report import InMemory, material_of, render, summarise

pytestmark = pytest.mark.usefixtures("quick_pictures")


def text_of(path) -> str:
    """The page without its pictures, which name no version but may differ in their last bits."""
    return re.sub(r"base64,[^\"]*", "", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("suffix", [".h5ad", pytest.param(".zarr", marks=pytest.mark.nightly)])
def test_of_a_file_it_says_what_it_says_of_the_object(annotated, tmp_path, suffix):
    annotated.obs["patient"] = pd.Categorical(np.where(np.arange(annotated.n_obs) % 2, "a", "b"))
    path = tmp_path / f"in{suffix}"
    (annotated.write_h5ad if suffix == ".h5ad" else annotated.write_zarr)(path)
    report_file(path, tmp_path / "file.html", sample_key="patient", title="t")
    tam.write_report(annotated, tmp_path / "memory.html", sample_key="patient", title="t")
    one, other = (text_of(tmp_path / f"{name}.html") for name in ("file", "memory"))
    assert one.replace(f"in{suffix}", "184 cells") == other


@pytest.mark.parametrize("name", ["X", "raw", "counts", "csc", "dense"])
def test_rows_of_the_matrix_are_read_wherever_it_is(learned, tmp_path, name):
    matrix = learned.uns["tamannot"]["tam"]["matrix"]
    values = learned.X
    if name == "raw":
        learned.raw = learned.copy()
        matrix["name"] = "raw"
    elif name == "counts":
        learned.layers["counts"] = values
        matrix["name"] = "counts"
    elif name != "X":
        learned.X = sp.csc_matrix(values) if name == "csc" else values.toarray()
    learned.write_h5ad(tmp_path / "in.h5ad")
    rows = np.array([3, 4, 90, 299])
    with open_root(tmp_path / "in.h5ad") as root:
        taken = CellsOnDisk(root, tmp_path / "in.h5ad", "tam").take(rows, matrix=True)
    found = {"raw": lambda: taken.raw.X, "counts": lambda: taken.layers["counts"]}.get(name, lambda: taken.X)()
    np.testing.assert_array_equal(found.toarray(), values[rows].toarray())
    pd.testing.assert_frame_equal(taken.obsm["tam_z"], learned.obsm["tam_z"].iloc[rows])
    assert list(tam.get.evidence(taken, 2)["genes"]) == list(tam.get.evidence(learned, 90)["genes"])


def test_of_a_file_only_what_is_needed_is_read(learned, tmp_path):
    learned.obs["mine"] = 1.0
    learned.obsm["X_umap"] = np.arange(2.0 * learned.n_obs).reshape(-1, 2)
    learned.obsm["X_big"] = np.ones((learned.n_obs, 50))
    learned.write_h5ad(tmp_path / "in.h5ad")
    with open_root(tmp_path / "in.h5ad") as root:
        cells = CellsOnDisk(root, tmp_path / "in.h5ad", "tam", ["sample"])
        assert cells.cells.X is None
        assert set(cells.cells.obs) >= {"tam_state", "sample"}
        assert "mine" not in cells.cells.obs
        taken = cells.take(np.array([0, 5]), matrix=False)
    assert taken.X is None
    assert set(taken.obsm) >= {"tam_z", "X_umap"}
    assert "X_big" not in taken.obsm
    np.testing.assert_array_equal(taken.obsm["X_umap"], [[0, 1], [10, 11]])


def test_the_object_stays_as_it_was(annotated, tmp_path):
    before = annotated.copy()
    tam.write_report(annotated, tmp_path / "r.html")
    pd.testing.assert_frame_equal(annotated.obs, before.obs)
    assert set(annotated.uns) == set(before.uns)
    assert set(annotated.uns["tamannot"]["tam"]) == set(before.uns["tamannot"]["tam"])


def test_a_view_and_another_key(example, tmp_path):
    tam.tl.annotate(example, tissue="brain", key_added="mine")
    tam.write_report(example[:100], tmp_path / "r.html", key="mine", title="Half")
    assert "<h1>Half</h1>" in text_of(tmp_path / "r.html")
    assert "Of 100 cells" in text_of(tmp_path / "r.html")


def test_annotating_writes_it_beside_the_file(example_file, tmp_path):
    tam.annotate_file(example_file, tmp_path / "out.h5ad", html=tmp_path / "r.html", tissue="brain")
    assert {p.name for p in tmp_path.iterdir()} == {"out.h5ad", "r.html"}
    adata = ad.read_h5ad(tmp_path / "out.h5ad")
    expected = render(summarise(material_of(InMemory(adata), name=example_file.name)))
    assert text_of(tmp_path / "r.html") == re.sub(r"base64,[^\"]*", "", expected)


def test_a_report_needs_the_annotated_file(example_file, tmp_path):
    with pytest.raises(ParameterError, match="pass out= as well"):
        tam.annotate_file(example_file, None, table=tmp_path / "t.csv", html=tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_if_the_report_fails(example_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.io._report.render", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tam.annotate_file(example_file, tmp_path / "out.h5ad", html=tmp_path / "r.html", tissue="brain")
    assert not list(tmp_path.iterdir())


def test_an_existing_report_stays_unless_it_may_go(annotated, tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"r\.html already exists.*overwrite=True"):
        tam.write_report(annotated, path)
    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        broken.setattr("tamannot.io._report.render", lambda _: 1 / 0)
        tam.write_report(annotated, path, overwrite=True)
    assert path.read_text() == "mine"
    tam.write_report(annotated, path, overwrite=True)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.parametrize(("name", "message"), [("r.txt", r"must end in \.html"), ("nowhere/r.html", "no folder")])
def test_bad_targets_are_refused(annotated, tmp_path, name, message):
    with pytest.raises(OutputError, match=message):
        tam.write_report(annotated, tmp_path / name)


def test_files_that_are_not_annotated_are_refused(example_file, example, tmp_path):
    with pytest.raises(ResultNotFoundError, match=r"no results under the key 'tam'.*tamannot annotate"):
        report_file(example_file, tmp_path / "r.html")
    with pytest.raises(ResultNotFoundError, match=r"tl\.annotate"):
        tam.write_report(example, tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_scores_alone_are_no_annotation(example, tmp_path):
    tam.tl.score(example, tam.load_signatures(axis="state"), null="matched", min_coverage=0)
    example.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(ResultNotFoundError, match="obs has no 'tam_compartment'"):
        report_file(tmp_path / "in.h5ad", tmp_path / "r.html")


def test_damaged_files_and_absent_columns_are_told(annotated, tmp_path):
    annotated.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(ParameterError, match="no column 'nix' in obs"):
        report_file(tmp_path / "in.h5ad", tmp_path / "r.html", sample_key="nix")
    with pytest.raises(InputFileError, match="no such file"):
        report_file(tmp_path / "nix.h5ad", tmp_path / "r.html")
    whole = (tmp_path / "in.h5ad").read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputFileError, match="damaged"):
        report_file(tmp_path / "cut.h5ad", tmp_path / "r.html")
