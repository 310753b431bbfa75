from __future__ import annotations

import hashlib
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import OutputError, ParameterError
from tamannot.io._output import replacing

pytestmark = pytest.mark.filterwarnings("ignore:Variable names are not unique")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_out_is_the_input_with_annotations(example_file, annotated, tmp_path):
    before = digest(example_file)
    summary = tam.annotate_file(example_file, tmp_path / "out.h5ad")
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    pd.testing.assert_frame_equal(tam.get.annotations(back), tam.get.annotations(annotated))
    assert (back.X != annotated.X).nnz == 0
    assert summary.n_macrophages == 19
    assert digest(example_file) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5ad"]


def test_zarr_in_and_out(example, annotated, tmp_path):
    example.write_zarr(tmp_path / "in.zarr")
    tam.annotate_file(tmp_path / "in.zarr", tmp_path / "out.zarr")
    back = ad.read_zarr(tmp_path / "out.zarr")
    assert back.obs["tam_state"].astype(str).tolist() == annotated.obs["tam_state"].astype(str).tolist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]


@pytest.mark.nightly
def test_zarr_may_be_replaced(example, tmp_path):
    example.write_zarr(tmp_path / "in.zarr")
    for _ in range(2):
        tam.annotate_file(tmp_path / "in.zarr", tmp_path / "out.zarr", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]


def test_csv_alone(example_file, annotated, tmp_path):
    tam.annotate_file(example_file, None, table=tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv", index_col="cell", keep_default_na=False)
    assert table["tam_state"].tolist() == annotated.obs["tam_state"].astype(str).tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_parquet(example_file, annotated, tmp_path):
    pytest.importorskip("pyarrow")
    tam.annotate_file(example_file, None, table=tmp_path / "t.parquet")
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table["tam_origin"].astype(str).tolist() == annotated.obs["tam_origin"].astype(str).tolist()


def test_parquet_without_pyarrow_says_what_to_install(example_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.io._targets.find_spec", lambda _: None)
    with pytest.raises(ParameterError, match=r"pip install 'tamannot\[parquet\]'"):
        tam.annotate_file(example_file, None, table=tmp_path / "t.parquet")


def test_existing_out_needs_overwrite(example_file, tmp_path):
    out = tmp_path / "out.h5ad"
    out.write_text("mine")
    with pytest.raises(OutputError, match=r"out\.h5ad exists.*overwrite=True"):
        tam.annotate_file(example_file, out)
    assert out.read_text() == "mine"
    tam.annotate_file(example_file, out, overwrite=True)
    assert "tam_state" in ad.read_h5ad(out).obs


@pytest.mark.parametrize(
    ("out", "message"),
    [("x.txt", r"must end in \.h5ad or \.zarr"), ("nowhere/x.h5ad", "no folder"), (None, "Nowhere to write")],
)
def test_bad_targets_are_refused(example_file, tmp_path, out, message):
    with pytest.raises((OutputError, ParameterError), match=message):
        tam.annotate_file(example_file, tmp_path / out if out else None)
    assert not list(tmp_path.iterdir())


class TestReplacing:
    def test_an_error_leaves_the_target_as_it_was(self, tmp_path):
        target = tmp_path / "a.txt"
        target.write_text("old")
        with pytest.raises(ZeroDivisionError), replacing(target) as beside:
            beside.write_text("half")
            raise ZeroDivisionError
        assert target.read_text() == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]

    def test_interruption_leaves_nothing(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as beside:
            beside.write_text("half")
            raise KeyboardInterrupt
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_is_an_output_error(self, tmp_path):
        with pytest.raises(OutputError, match="No space left on device"), replacing(tmp_path / "a.txt"):
            raise OSError(28, "No space left on device")
        assert not list(tmp_path.iterdir())

    def test_both_outputs_or_none(self, example_file, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
        with pytest.raises(OutputError, match="No space"):
            tam.annotate_file(example_file, tmp_path / "o.h5ad", table=tmp_path / "t.csv")
        assert not list(tmp_path.iterdir())
