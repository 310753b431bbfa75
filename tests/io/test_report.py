from __future__ import annotations

import re
from dataclasses import replace

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
from tamannot.report import material_of, render, summarise

pytestmark = pytest.mark.usefixtures("quick_pictures")
WITHOUT_PICTURES = pytest.mark.usefixtures("without_pictures")


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
    learned.obsm["X_umap"] = np.arange(2.0 * learned.n_obs).reshape(-1, 2)
    learned.obsm["X_big"] = np.ones((learned.n_obs, 50))
    learned.write_h5ad(tmp_path / "in.h5ad")
    with open_root(tmp_path / "in.h5ad") as root:
        cells = CellsOnDisk(root, tmp_path / "in.h5ad", "tam")
        assert cells.cells.X is None
        assert not cells.cells.obsm
        taken = cells.take(np.array([0, 5]), matrix=False)
    assert taken.X is None
    assert set(taken.obsm) >= {"tam_z", "X_umap"}
    assert "X_big" not in taken.obsm
    np.testing.assert_array_equal(taken.obsm["X_umap"], [[0, 1], [10, 11]])


@WITHOUT_PICTURES
def test_the_object_stays_as_it_was(annotated, tmp_path):
    before = annotated.copy()
    tam.write_report(annotated, tmp_path / "r.html")
    pd.testing.assert_frame_equal(annotated.obs, before.obs)
    assert set(annotated.uns) == set(before.uns)
    assert set(annotated.uns["tamannot"]["tam"]) == set(before.uns["tamannot"]["tam"])


@WITHOUT_PICTURES
def test_a_view_and_another_key(example, tmp_path):
    tam.tl.annotate(example, tissue="brain", key_added="mine")
    tam.write_report(example[:100], tmp_path / "r.html", key="mine", title="Half")
    assert "<h1>Half</h1>" in text_of(tmp_path / "r.html")
    assert "Of 100 cells" in text_of(tmp_path / "r.html")


@WITHOUT_PICTURES
def test_annotating_writes_it_beside_the_file(example_file, tmp_path):
    tam.annotate_file(example_file, tmp_path / "out.h5ad", html=tmp_path / "r.html", tissue="brain")
    assert {p.name for p in tmp_path.iterdir()} == {"out.h5ad", "r.html"}
    adata = ad.read_h5ad(tmp_path / "out.h5ad")
    expected = render(summarise(material_of(adata, name=example_file.name)))
    assert text_of(tmp_path / "r.html") == re.sub(r"base64,[^\"]*", "", expected)


def test_a_report_needs_the_annotated_file(example_file, tmp_path):
    with pytest.raises(ParameterError, match="pass out= as well"):
        tam.annotate_file(example_file, None, table=tmp_path / "t.csv", html=tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


@WITHOUT_PICTURES
def test_nothing_is_written_if_the_report_fails(example_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.io._report.render", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tam.annotate_file(example_file, tmp_path / "out.h5ad", html=tmp_path / "r.html", tissue="brain")
    assert not list(tmp_path.iterdir())


@WITHOUT_PICTURES
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
    with pytest.raises(ResultNotFoundError, match=r"No results under the key 'tam'.*tl\.annotate"):
        report_file(example_file, tmp_path / "r.html")
    with pytest.raises(ResultNotFoundError, match=r"tl\.annotate"):
        tam.write_report(example, tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_scores_alone_are_no_annotation(example, tmp_path):
    tam.tl.score(example, tam.load_signatures(axis="state"), null="matched", min_coverage=0)
    example.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(ResultNotFoundError, match="obs has no 'tam_compartment'"):
        report_file(tmp_path / "in.h5ad", tmp_path / "r.html")


@WITHOUT_PICTURES
def test_damaged_files_and_absent_columns_are_told(annotated, tmp_path):
    annotated.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(ParameterError, match=r"in\.h5ad: No column 'nix' in obs"):
        report_file(tmp_path / "in.h5ad", tmp_path / "r.html", sample_key="nix")
    with pytest.raises(InputFileError, match="no such file"):
        report_file(tmp_path / "nix.h5ad", tmp_path / "r.html")
    whole = (tmp_path / "in.h5ad").read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputFileError, match="damaged"):
        report_file(tmp_path / "cut.h5ad", tmp_path / "r.html")


# Export: figures and tables as files.


NOTE = "ignore:tables.xlsx was not written:tamannot.errors.TamannotWarning"


def blocks_of(adata):
    report = summarise(replace(material_of(adata, name="data"), svg=True))
    return [b for s in report.sections for b in s.blocks]


@pytest.mark.filterwarnings(NOTE)
def test_every_figure_and_table_of_the_report_is_a_file(learned, tmp_path):
    learned.obs["patient"] = pd.Categorical([f"p{i % 4}" for i in range(learned.n_obs)])
    tam.tl.ferroptosis_summary(learned, "patient")
    tam.write_report(learned, tmp_path / "r.html", export=tmp_path / "files")
    contents = pd.read_csv(tmp_path / "files" / "contents.tsv", sep="\t", keep_default_na=False)
    blocks = [b for b in blocks_of(learned) if b.kind == "table" or getattr(b, "svg", b"")]
    assert list(zip(contents["title"], contents["note"], strict=True)) == [(b.title, b.note) for b in blocks]
    names = {p.name for p in (tmp_path / "files").iterdir()} - {"contents.tsv", "tables.xlsx"}
    assert names == set(contents["file"])
    assert len(contents) == len(names)
    assert {"calls_states-of-macrophages.tsv", "calls_m1-and-m2.svg"} <= names
    for name, block in zip(contents["file"], blocks, strict=True):
        path = tmp_path / "files" / name
        if block.kind == "table":
            table = pd.read_csv(path, sep="\t")
            assert set(block.columns) <= set(table.columns)
            shown = [[c.value for c in row] for row in block.rows]
            for i, column in enumerate(block.columns):
                if block.numeric[i] and len(table) == len(shown):
                    values = np.array([row[i] for row in shown], float)
                    np.testing.assert_allclose(table[column].to_numpy(float), values, rtol=1e-6)
        else:
            assert path.read_bytes() == b"<svg/>"


@pytest.mark.filterwarnings(NOTE)
@WITHOUT_PICTURES
def test_tables_of_an_export_have_all_rows(annotated, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.report._blocks.table_of.__kwdefaults__", {"note": "", "most": 2})
    tam.write_report(annotated, tmp_path / "r.html", export=tmp_path / "files")
    table = pd.read_csv(tmp_path / "files" / "calls_compartments-of-all-cells.tsv", sep="\t")
    assert table["n cells"].sum() == annotated.n_obs
    assert "Shown are 2 of" in (tmp_path / "files" / "contents.tsv").read_text()


@WITHOUT_PICTURES
def test_a_workbook_has_all_tables_and_no_formulas(annotated, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    annotated.obs["patient"] = pd.Categorical(["=1+1" if i % 2 else "b\x07" for i in range(annotated.n_obs)])
    tam.write_report(annotated, tmp_path / "r.html", export=tmp_path / "files", sample_key="patient")
    book = openpyxl.load_workbook(tmp_path / "files" / "tables.xlsx")
    contents = pd.read_csv(tmp_path / "files" / "contents.tsv", sep="\t", keep_default_na=False)
    tables = contents["file"][contents["file"].str.endswith(".tsv")]
    assert len(book.sheetnames) == 1 + len(tables)
    assert [c.value for c in book.worksheets[0][1]] == ["file", "section", "title", "note"]
    sheet = next(book[n] for n in book.sheetnames if "input_samples" in n)
    assert {(c.value, c.data_type) for c in sheet["A"][1:]} == {("=1+1", "s"), ("b", "s")}
    whole = pd.read_csv(tmp_path / "files" / "input_samples.tsv", sep="\t")
    assert [c.value for c in sheet["B"][1:]] == whole["n cells"].tolist()


@WITHOUT_PICTURES
def test_without_openpyxl_one_sentence_says_how_to_get_the_workbook(annotated, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.report._output.find_spec", lambda _: None)
    with pytest.warns(tam.errors.TamannotWarning, match=r"needs openpyxl:  pip install 'tamannot\[excel\]'"):
        tam.write_report(annotated, tmp_path / "r.html", export=tmp_path / "files")
    names = {p.name for p in (tmp_path / "files").iterdir()}
    assert "tables.xlsx" not in names
    assert "contents.tsv" in names


@pytest.mark.filterwarnings(NOTE)
@WITHOUT_PICTURES
def test_an_export_replaces_another_export_and_nothing_else(annotated, tmp_path):
    page, folder = tmp_path / "r.html", tmp_path / "files"
    tam.write_report(annotated, page, export=folder)
    with pytest.raises(OutputError, match=r"files already exists.*overwrite=True"):
        tam.write_report(annotated, tmp_path / "other.html", export=folder)
    tam.write_report(annotated, page, export=folder, overwrite=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="has files that no export wrote"):
        tam.write_report(annotated, page, export=folder, overwrite=True)
    assert (folder / "mine.txt").read_text() == "mine"
    assert {p.name for p in tmp_path.iterdir()} == {"r.html", "files"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/files", "no folder"),
        ("r.html", "contains the report"),
        (".", "already exists"),
        ("there.txt", "is a file. Pass the name of a folder"),
    ],
)
def test_bad_folders_are_refused(annotated, tmp_path, name, message):
    (tmp_path / "there.txt").write_text("mine")
    with pytest.raises(OutputError, match=message):
        tam.write_report(annotated, tmp_path / "r.html", export=tmp_path / name, overwrite=name == "there.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["there.txt"]


@WITHOUT_PICTURES
def test_an_export_that_fails_leaves_neither_folder_nor_report(annotated, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.report._output.find_spec", lambda _: 1 / 0)  # after the tables were written
    with pytest.raises(ZeroDivisionError):
        tam.write_report(annotated, tmp_path / "r.html", export=tmp_path / "files")
    assert not list(tmp_path.iterdir())
