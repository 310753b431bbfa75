"""CSV that a spreadsheet can open: names are never formulas, and ordinary ones stay as they are."""

from __future__ import annotations

import csv
import tracemalloc
from contextlib import closing

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from tamannot.data import forget_run
from tamannot.errors import InputFileError
from tamannot.io._targets import write_table
from tamannot.io._write import SpooledTables

ANNOTATED = pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:zarr v3", "ignore:Consolidated metadata")


MATRICES = [
    "X/data",
    "X/indices",
    "X/indptr",
    "raw/X/data",
    "layers/dense",
    "layers/columns/data",
    "obsp/distances/data",
]


def chunks(file: h5py.File, name: str) -> list[tuple[object, bytes]]:
    found = file[name]
    if found.chunks is None:
        return [((), found[()].tobytes())]
    infos = [found.id.get_chunk_info(i) for i in range(found.id.get_num_chunks())]
    return [(i.chunk_offset, found.id.read_direct_chunk(i.chunk_offset)) for i in infos]


@ANNOTATED
@pytest.mark.parametrize("compression", ["gzip", "lzf", None])
def test_compressed_blocks_are_those_of_the_source(
    rich, put, tmp_path, compression, annotate_by_hand, without_matrices, bytes_of
):
    rich.write_h5ad(tmp_path / "in.h5ad", compression=compression)
    before = bytes_of(tmp_path / "in.h5ad")
    put(tmp_path / "in.h5ad", tmp_path / "out.h5ad", without_matrices(annotate_by_hand(rich)))
    with h5py.File(tmp_path / "in.h5ad") as old, h5py.File(tmp_path / "out.h5ad") as new:
        for name in MATRICES:
            assert chunks(new, name) == chunks(old, name)
            assert new[name].compression == old[name].compression == compression
    assert bytes_of(tmp_path / "in.h5ad") == before


@ANNOTATED
def test_h5ad_reads_back_as_the_whole_object_written(
    rich, put, tmp_path, annotate_by_hand, without_matrices, assert_same
):
    rich.write_h5ad(tmp_path / "in.h5ad")
    annotate_by_hand(rich)
    rich.write_h5ad(tmp_path / "whole.h5ad")
    put(tmp_path / "in.h5ad", tmp_path / "out.h5ad", without_matrices(rich))
    assert_same(ad.read_h5ad(tmp_path / "out.h5ad"), ad.read_h5ad(tmp_path / "whole.h5ad"))


@ANNOTATED
@pytest.mark.parametrize("version", [2, 3])
def test_zarr_keeps_files_and_format(
    rich, put, tmp_path, version, annotate_by_hand, without_matrices, bytes_of, assert_same
):
    with ad.settings.override(zarr_write_format=version):
        rich.write_zarr(tmp_path / "in.zarr")
        annotate_by_hand(rich)
        rich.write_zarr(tmp_path / "whole.zarr")
    before = bytes_of(tmp_path / "in.zarr")
    put(tmp_path / "in.zarr", tmp_path / "out.zarr", without_matrices(rich))
    after = bytes_of(tmp_path / "out.zarr")
    assert bytes_of(tmp_path / "in.zarr") == before
    for name in MATRICES:
        files = {
            k: v for k, v in before.items() if k.startswith(f"{name}/") and not k.endswith((".zattrs", "zarr.json"))
        }
        assert files
        assert files.items() <= after.items()
    opened = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert opened.metadata.zarr_format == version
    assert opened.metadata.consolidated_metadata is not None
    assert_same(ad.read_zarr(tmp_path / "out.zarr"), ad.read_zarr(tmp_path / "whole.zarr"))


@ANNOTATED
@pytest.mark.parametrize(("start", "end"), [("h5ad", "zarr"), ("zarr", "h5ad")])
def test_from_one_kind_of_container_to_the_other(
    rich, put, tmp_path, monkeypatch, start, end, annotate_by_hand, without_matrices, assert_same
):
    monkeypatch.setattr("tamannot.io._write._VALUES_A_READ", 64)
    source, out = tmp_path / f"in.{start}", tmp_path / f"out.{end}"
    getattr(rich, f"write_{start}")(source)
    annotate_by_hand(rich)
    put(source, out, without_matrices(rich))
    back = ad.read_h5ad(out) if end == "h5ad" else ad.read_zarr(out)
    assert_same(back, rich)
    assert back.layers["columns"].format == "csc"
    assert back.X.dtype == np.float32


@ANNOTATED
@pytest.mark.parametrize("matrix", [np.zeros((4, 0), np.float32), sp.csr_matrix((4, 5), dtype=np.int64), None])
def test_empty_matrices_change_container(put, tmp_path, matrix, annotate_by_hand, assert_same):
    adata = ad.AnnData(matrix, obs=pd.DataFrame(index=list("abcd")), var=None)
    adata.write_h5ad(tmp_path / "in.h5ad")
    put(tmp_path / "in.h5ad", tmp_path / "out.zarr", annotate_by_hand(adata))
    put(tmp_path / "out.zarr", tmp_path / "back.h5ad", adata)
    assert_same(ad.read_h5ad(tmp_path / "back.h5ad"), adata)


@ANNOTATED
class TestRunAgain:
    @pytest.fixture
    def source(self, rich, tmp_path, annotate_by_hand):
        """A file that was annotated under ``tam`` and ``tam_v2``, with a column of the user's."""
        annotate_by_hand(rich)
        annotate_by_hand(rich, "tam_v2")
        rich.obs["tam_checked"] = pd.Categorical(["yes", "no"] * 20)
        rich.obsm["tam_z"] = rich.obsm["tam_scores"]
        rich.obs["tam_status"] = "old"
        rich.write_h5ad(tmp_path / "in.h5ad")
        return tmp_path / "in.h5ad"

    def test_what_the_new_run_has_not_is_gone(self, source, put, tmp_path, assert_same):
        adata = ad.read_h5ad(source)
        del adata.obs["tam_status"], adata.obsm["tam_z"], adata.uns["tam_state_colors"]
        adata.obs["tam_state_prob"] = np.float32(0.25)
        adata.uns["tamannot"]["tam"] = {"n": 1}
        put(source, tmp_path / "out.h5ad", adata)
        back = ad.read_h5ad(tmp_path / "out.h5ad")
        assert_same(back.obs[sorted(back.obs)], adata.obs[sorted(adata.obs)])
        assert set(back.obsm) == {"X_pca", "tam_scores", "tam_v2_scores"}
        assert set(back.uns) == {"log1p", "tam_v2_state_colors", "tamannot"}
        assert back.uns["tamannot"]["tam"] == {"n": 1}
        assert back.uns["tamannot"]["tam_v2"]["n"] == 40

    def test_other_runs_stay_though_not_in_memory(self, source, put, tmp_path):
        adata = ad.read_h5ad(source)
        adata.obs = adata.obs.drop(columns=[c for c in adata.obs if c.startswith("tam_v2_")])
        del adata.obsm["tam_v2_scores"]
        put(source, tmp_path / "out.h5ad", adata)
        back = ad.read_h5ad(tmp_path / "out.h5ad")
        assert {"tam_v2_state", "tam_v2_state_prob", "tam_checked"} <= set(back.obs)
        assert "tam_v2_scores" in back.obsm

    def test_columns_of_the_users_are_copied_whatever_their_type(self, source, put, tmp_path):
        with h5py.File(source, "a") as file:
            del file["obs/tam_checked"]
            values = pd.array(["seen", None] * 20, dtype="string")
            with ad.settings.override(allow_write_nullable_strings=True):
                ad.io.write_elem(file["obs"], "tam_checked", values)
        adata = ad.read_h5ad(source)
        put(source, tmp_path / "out.h5ad", adata)
        assert ad.read_h5ad(tmp_path / "out.h5ad").obs["tam_checked"].isna().sum() == 20

    def test_an_index_may_begin_with_the_key(self, rich, put, tmp_path, annotate_by_hand):
        rich.obs.index.name = "tam_id"
        rich.write_h5ad(tmp_path / "in.h5ad")
        put(tmp_path / "in.h5ad", tmp_path / "out.h5ad", annotate_by_hand(rich))
        assert ad.read_h5ad(tmp_path / "out.h5ad").obs_names.tolist() == rich.obs_names.tolist()

    def test_forgetting_a_run_leaves_the_users_columns(self, source):
        adata = ad.read_h5ad(source)
        forget_run(adata, "tam")
        left = {c for c in adata.obs if c.startswith("tam_")}
        assert left == {"tam_checked", "tam_v2_state", "tam_v2_state_prob", "tam_v2_mixed_lineage"}
        assert set(adata.uns["tamannot"]) == {"tam_v2"}
        assert "tam_z" not in adata.obsm

    def test_without_a_record_nothing_is_forgotten(self, rich, annotate_by_hand):
        annotate_by_hand(rich)
        del rich.uns["tamannot"]
        forget_run(rich, "tam")
        assert {"tam_state", "tam_state_prob"} <= set(rich.obs)


@ANNOTATED
def test_a_source_that_changed_meanwhile_is_refused(rich, put, tmp_path):
    rich.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(InputFileError, match="changed while it was read: it had 20 cells and now has 40"):
        put(tmp_path / "in.h5ad", tmp_path / "out.h5ad", rich[:20].copy())
    assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]


def test_spooled_rows_must_follow_those_before(tmp_path):
    with closing(SpooledTables({"z": ["m1"]}, tmp_path / "x.h5ad")) as tables:
        tables.add(range(2), {"z": np.zeros((2, 1))})
        with pytest.raises(ValueError, match="rows 3 to 4 after 2 rows"):
            tables.add(range(3, 4), {"z": np.zeros((1, 1))})


@ANNOTATED
@pytest.mark.parametrize("end", ["h5ad", "zarr"])
def test_no_matrix_is_read_whole(put, tmp_path, end, annotate_by_hand, without_matrices):
    counts = sp.random(4000, 1000, density=0.5, format="csr", dtype=np.float64, random_state=np.random.default_rng(0))
    adata = ad.AnnData(counts)
    adata.write_h5ad(tmp_path / "in.h5ad")
    annotate_by_hand(adata)
    light = without_matrices(adata)
    size = counts.data.nbytes
    del adata, counts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamannot.io._write._VALUES_A_READ", 1 << 16)
        patch.setattr("tamannot.io._write._VALUES_A_CHUNK", 1 << 14)
        tracemalloc.start()
        try:
            put(tmp_path / "in.h5ad", tmp_path / f"out.{end}", light)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < size / 2


# CSV that a spreadsheet can open: names are never formulas, and ordinary ones stay as they are.


def rows(table, tmp_path):
    write_table(table.rename_axis("cell"), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x")'])
def test_what_a_spreadsheet_would_run_has_an_apostrophe(tmp_path, name):
    table = pd.DataFrame({"text": [name], "kind": pd.Categorical([name]), name: [0.5]}, index=[name])
    assert rows(table, tmp_path) == [["cell", "text", "kind", f"'{name}"], [f"'{name}", f"'{name}", f"'{name}", "0.5"]]


@pytest.mark.parametrize(
    ("name", "as_"), [("\tx", "\\tx"), ("a\rb", "a\\rb"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J")]
)
def test_what_does_not_print_is_escaped(tmp_path, name, as_):
    assert rows(pd.DataFrame({"text": [name]}, index=[name]), tmp_path)[1] == [as_, as_]


@pytest.mark.parametrize("name", ["AACG-1", "1_AACG", "-1", "+5.2e-3", "", "a=b", "'=x", "é", "x@y"])
def test_others_stay_as_they_are(tmp_path, name):
    table = pd.DataFrame({"text": [name], "kind": pd.Categorical([name])}, index=[name])
    assert rows(table, tmp_path)[1] == [name] * 3


def test_numbers_and_missing_values_stay(tmp_path):
    table = pd.DataFrame({"x": [-1.5, np.nan], "n": [-1, 2], "flag": [True, False], "t": ["a", None]}, index=["a", "b"])
    before = table.copy()
    table.to_csv(tmp_path / "plain.csv", index_label="cell")
    write_table(table.rename_axis("cell"), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    pd.testing.assert_frame_equal(table, before)


def test_categories_that_become_the_same_as_others_are_refused_by_none(tmp_path):
    table = pd.DataFrame({"kind": pd.Categorical(["=x", "'=x"])}, index=["a", "b"])
    assert [row[1] for row in rows(table, tmp_path)[1:]] == ["'=x", "'=x"]
