"""Files that are right and odd: rare filters, thousands of columns, keys and layers."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.stream import score_file

pytestmark = pytest.mark.filterwarnings("ignore::Warning")

FILTERS = {
    "gzip": {"compression": "gzip", "compression_opts": 9},
    "lzf": {"compression": "lzf"},
    "szip": {"compression": "szip"},
    "shuffle": {"shuffle": True},
    "fletcher32": {"fletcher32": True},
    "scale-offset": {"scaleoffset": 0},
    "scale-offset and gzip": {"scaleoffset": 0, "compression": "gzip"},
    "gzip and fletcher32": {"compression": "gzip", "fletcher32": True},
    "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
}
# HDF5 ends the process where it fails.
_SCORE_WHILE_READ = """
import sys
import h5py
from tamannot.stream import score_file
for path in sys.argv[1:]:
    with h5py.File(path) as file:
        for name in ("X/data", "layers/dense", "obsm/random"):
            file[name][...]
        score_file(path, path.replace("in", "out"), signatures=["state"], min_coverage=0)
    print(path)
"""


def test_chunks_of_all_filters_are_copied_while_they_are_read(tiny, tmp_path):
    counts = tiny.X.toarray().astype(np.int32)
    tiny.X, tiny.layers["dense"] = sp.csr_matrix(counts), counts
    tiny.obsm["random"] = np.random.default_rng(0).integers(0, 2**62, (12, 30))  # packed it is larger
    paths = []
    for i, how in enumerate(FILTERS.values()):
        paths.append(tmp_path / f"in{i}.h5ad")
        tiny.write_h5ad(paths[-1])
        with h5py.File(paths[-1], "a") as file:
            for name, chunks in (("X/data", (7,)), ("layers/dense", (5, 7)), ("obsm/random", (5, 7))):
                values, attrs = file[name][...], dict(file[name].attrs)
                del file[name]
                file.create_dataset(name, data=values, chunks=chunks, **how).attrs.update(attrs)
    words = [sys.executable, "-W", "ignore", "-c", _SCORE_WHILE_READ, *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(path) for path in paths], done.stderr
    assert done.returncode == 0
    for i in range(len(FILTERS)):
        back = ad.read_h5ad(tmp_path / f"out{i}.h5ad")
        np.testing.assert_array_equal(back.X.toarray(), counts)
        np.testing.assert_array_equal(back.layers["dense"], counts)
        np.testing.assert_array_equal(back.obsm["random"], tiny.obsm["random"])


def test_a_checksummed_matrix_is_annotated(example, tmp_path):
    example.write_h5ad(tmp_path / "in.h5ad", compression="gzip", shuffle=True, fletcher32=True)
    script = "import sys, tamannot; tamannot.annotate_file(*sys.argv[1:], tissue='brain')"
    words = [sys.executable, "-W", "ignore", "-c", script, tmp_path / "in.h5ad", tmp_path / "out.h5ad"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    assert (back.X != example.X).nnz == 0


def columns(n: int, index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({f"column_{i}": np.full(len(index), float(i)) for i in range(n)}, index=index)


def write_wide(adata: ad.AnnData, path: Path) -> None:
    """Write as anndata does where there is room for the names of so many columns."""
    with h5py.File(path, "w", libver=("v108", "latest")) as file:
        ad.io.write_elem(file, "/", adata)


@pytest.mark.parametrize("n", [5000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_thousands_of_columns_are_taken_over(tiny, tmp_path, n):
    tiny.obs, tiny.var = columns(n, tiny.obs_names), columns(n, tiny.var_names)
    tiny.obsm["wide"] = columns(n, tiny.obs_names)
    write_wide(tiny, tmp_path / "in.h5ad")
    score_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", signatures=["state"], min_coverage=0)
    with h5py.File(tmp_path / "out.h5ad") as file:
        for name in ("obs", "var", "obsm/wide"):
            assert list(file[name].attrs["column-order"]) == list(tiny.obs.columns)
            assert file[name][f"column_{n - 1}"][0] == n - 1


def test_thousands_of_columns_of_a_zarr_folder_become_an_h5ad(tiny, tmp_path):
    tiny.obs = columns(4200, tiny.obs_names)
    tiny.write_zarr(tmp_path / "in.zarr")
    score_file(tmp_path / "in.zarr", tmp_path / "out.h5ad", signatures=["state"], min_coverage=0)
    pd.testing.assert_frame_equal(ad.read_h5ad(tmp_path / "out.h5ad").obs, tiny.obs)


@pytest.mark.slow
@pytest.mark.parametrize("slot", ["uns", "obsm", "layers"])
def test_twenty_thousand_keys_are_taken_over_in_seconds(tiny, tmp_path, slot):
    tiny.write_h5ad(tmp_path / "in.h5ad")
    with h5py.File(tmp_path / "in.h5ad", "a", libver=("v108", "latest")) as file:
        ad.io.write_elem(file, "first", np.zeros((12, 40) if slot == "layers" else (12, 1)))
        for i in range(20_000):
            file.copy("first", file[slot], f"k{i}é")
        del file["first"]
    began = time.process_time()
    score_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", signatures=["state"], min_coverage=0)
    assert time.process_time() - began < 40
    with h5py.File(tmp_path / "out.h5ad") as file:
        assert len(file[slot]) >= 20_000
        assert not file[slot]["k19999é"][...].any()
    if slot == "uns":
        with h5py.File(tmp_path / "out.h5ad") as file:
            assert set(file["uns"]) == {f"k{i}é" for i in range(20_000)} | {"tamannot"}


def test_a_large_text_and_a_deep_group_are_taken_over(tiny, tmp_path):
    tiny.uns["text"] = "x" * 5_000_000
    tiny.uns["deep"] = deepest = {}
    for _ in range(30):
        deepest["g"] = deepest = {}
    deepest["end"] = 1
    tiny.write_h5ad(tmp_path / "in.h5ad")
    with h5py.File(tmp_path / "in.h5ad", "a") as file:
        file["uns"].attrs["note"] = "y" * 60_000
    tam.annotate_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", tissue="other")
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    assert back.uns["text"] == tiny.uns["text"]
    with h5py.File(tmp_path / "out.h5ad") as file:
        assert file["uns/deep" + "/g" * 30 + "/end"][()] == 1
        assert len(file["uns"].attrs["note"]) == 60_000
