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

from tamannot.io import score_file

pytestmark = pytest.mark.filterwarnings("ignore::Warning")

FILTERS = {
    "gzip": {"compression": "gzip", "compression_opts": 9},
    "lzf": {"compression": "lzf"},
    "szip": {"compression": "szip", "compression_opts": ("nn", 2)},
    "shuffle": {"shuffle": True},
    "fletcher32": {"fletcher32": True},
    "scale-offset": {"scaleoffset": 0},
    "scale-offset and gzip": {"scaleoffset": 0, "compression": "gzip"},
    "gzip and fletcher32": {"compression": "gzip", "fletcher32": True},
    "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
}
# HDF5 ends the process where it fails.
_WHILE_READ = """
import sys
import h5py
import tamannot
from tamannot.io import score_file
for i, path in enumerate(sys.argv[1:]):
    out = path.replace(".h5ad", ".out.h5ad")
    with h5py.File(path) as file:
        held = [file[name] for name in ("X/data", "layers/dense", "obsm/random")]
        read = [dataset[...] for dataset in held]  # HDF5 keeps what it unpacked
        score_file(path, out, signatures=["state"], min_coverage=0)
    if i == 7:  # its chunks are read by blocks, from the file that stays open
        tamannot.annotate_file(path, out, tissue="other", overwrite=True)
    print(path)
"""


def write_filtered(adata: ad.AnnData, path: Path, how: dict[str, object]) -> None:
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        for name, chunks in (("X/data", (7,)), ("layers/dense", (5, 7)), ("obsm/random", (5, 7))):
            values, attrs = file[name][...], dict(file[name].attrs)
            del file[name]
            file.create_dataset(name, data=values, chunks=chunks, **how).attrs.update(attrs)


def test_chunks_of_all_filters_are_copied_while_they_are_read(tiny, tmp_path):
    counts = tiny.X.toarray().astype(np.int32)
    tiny.X, tiny.layers["dense"] = sp.csr_matrix(counts), counts
    tiny.obsm["random"] = np.random.default_rng(0).integers(0, 2**62, (12, 30))  # packed it is larger
    paths = [tmp_path / f"in{i}.h5ad" for i in range(len(FILTERS))]
    for path, how in zip(paths, FILTERS.values(), strict=True):
        write_filtered(tiny, path, how)
    words = [sys.executable, "-W", "ignore", "-c", _WHILE_READ, *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(path) for path in paths], done.stderr
    assert done.returncode == 0
    for path in paths:
        back = ad.read_h5ad(path.with_suffix(".out.h5ad"))
        np.testing.assert_array_equal(back.X.toarray(), counts)
        np.testing.assert_array_equal(back.layers["dense"], counts)
        np.testing.assert_array_equal(back.obsm["random"], tiny.obsm["random"])


def add_columns(path: Path, slot: str, n: int) -> list[str]:
    """Add columns to a table as anndata does where there is room for so many names."""
    names = [f"column_{i}" for i in range(n)]
    with h5py.File(path) as old, h5py.File(path.with_name("in.h5ad"), "w", libver=("v108", "latest")) as new:
        new.attrs.update(old.attrs)
        for name in set(old) - {"obs", "var", "obsm"}:
            old.copy(name, new)
        for name in ("obs", "var", "obsm/wide"):
            ad.io.write_elem(new, name, ad.io.read_elem(old[name]))
        new["obsm"].attrs.update(old["obsm"].attrs)
        table = new[slot]
        ad.io.write_elem(table, names[0], np.arange(float(table[table.attrs["_index"]].size)))
        for name in names[1:]:
            table[name] = table[names[0]]
        table.attrs["column-order"] = names
    return names


@pytest.mark.parametrize("slot", ["obs", *(pytest.param(s, marks=pytest.mark.slow) for s in ("var", "obsm/wide"))])
def test_thousands_of_columns_are_taken_over(tiny, tmp_path, slot):
    tiny.obsm["wide"] = pd.DataFrame(index=tiny.obs_names)
    tiny.write_h5ad(tmp_path / "few.h5ad")
    names = add_columns(tmp_path / "few.h5ad", slot, 5000)
    score_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", signatures=["state"], min_coverage=0)
    with h5py.File(tmp_path / "out.h5ad") as file:
        assert list(file[slot].attrs["column-order"]) == names
        assert file[slot][names[-1]][:3].tolist() == [0, 1, 2]


@pytest.mark.slow
def test_twenty_thousand_keys_are_taken_over_in_seconds(tiny, tmp_path):
    tiny.write_h5ad(tmp_path / "in.h5ad")
    with h5py.File(tmp_path / "in.h5ad", "a") as file:
        for i in range(20_000):
            ad.io.write_elem(file["uns"], f"k{i}é", i) if i < 2 else file.copy("uns/k1é", file["uns"], f"k{i}é")
    began = time.process_time()
    score_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", signatures=["state"], min_coverage=0)
    assert time.process_time() - began < 30  # a minute and more, when each was opened several times
    with h5py.File(tmp_path / "out.h5ad") as file:
        assert set(file["uns"]) == {f"k{i}é" for i in range(20_000)} | {"tamannot"}
        assert file["uns/k19999é"][()] == 1


def test_a_large_text_and_a_deep_group_are_taken_over(tiny, tmp_path):
    tiny.uns["text"] = "x" * 5_000_000
    tiny.uns["deep"] = deepest = {}
    for _ in range(30):
        deepest["g"] = deepest = {}
    deepest["end"] = 1
    tiny.write_h5ad(tmp_path / "in.h5ad")
    with h5py.File(tmp_path / "in.h5ad", "a") as file:
        file["uns"].attrs["note"] = "y" * 60_000
    score_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", signatures=["state"], min_coverage=0)
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    assert back.uns["text"] == tiny.uns["text"]
    with h5py.File(tmp_path / "out.h5ad") as file:
        assert file["uns/deep" + "/g" * 30 + "/end"][()] == 1
        assert len(file["uns"].attrs["note"]) == 60_000
