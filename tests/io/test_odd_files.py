"""Files that are right and odd: rare filters, thousands of columns, keys and layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

import tamannot as tam
from tamannot.errors import InputFileError
from tamannot.io import score_file

ODD_FILES = pytest.mark.filterwarnings("ignore::Warning")


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


@ODD_FILES
@pytest.mark.nightly
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


@ODD_FILES
@pytest.mark.parametrize("slot", ["obs", *(pytest.param(s, marks=pytest.mark.nightly) for s in ("var", "obsm/wide"))])
def test_thousands_of_columns_are_taken_over(tiny, tmp_path, slot):
    tiny.obsm["wide"] = pd.DataFrame(index=tiny.obs_names)
    tiny.write_h5ad(tmp_path / "few.h5ad")
    names = add_columns(tmp_path / "few.h5ad", slot, 5000)
    score_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", signatures=["state"], min_coverage=0)
    with h5py.File(tmp_path / "out.h5ad") as file:
        assert list(file[slot].attrs["column-order"]) == names
        assert file[slot][names[-1]][:3].tolist() == [0, 1, 2]


@ODD_FILES
def test_thousands_of_keys_are_taken_over(tiny, tmp_path):
    tiny.write_h5ad(tmp_path / "in.h5ad")
    with h5py.File(tmp_path / "in.h5ad", "a") as file:
        for i in range(2000):
            ad.io.write_elem(file["uns"], f"k{i}é", i) if i < 2 else file.copy("uns/k1é", file["uns"], f"k{i}é")
    score_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", signatures=["state"], min_coverage=0)
    with h5py.File(tmp_path / "out.h5ad") as file:
        assert set(file["uns"]) == {f"k{i}é" for i in range(2000)} | {"tamannot"}
        assert file["uns/k1999é"][()] == 1


@ODD_FILES
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


# Old encodings.


OLD_ENCODINGS = pytest.mark.filterwarnings("ignore::Warning")


COUNTS = sp.csr_matrix(np.random.default_rng(3).poisson(0.7, (8, 6)).astype(np.float32))


OBS = np.array(
    [(f"c{i}".encode(), i % 2, i / 2) for i in range(8)], dtype=[("index", "S4"), ("patient", "i1"), ("depth", "f4")]
)


VAR = np.array([(f"g{i}".encode(), float(i)) for i in range(6)], dtype=[("index", "S4"), ("mean", "f8")])


PARTS = ("data", "indices", "indptr")


def sparse_of_old(parent: Any, name: str) -> None:
    group = parent.create_group(name)
    group.attrs["h5sparse_format"], group.attrs["h5sparse_shape"] = b"csr", np.array(COUNTS.shape)
    for part in PARTS:
        group.create_dataset(part, data=getattr(COUNTS, part), compression="gzip", chunks=(5,))


@pytest.fixture
def before_07(tmp_path: Path) -> Path:
    """What anndata 0.6 wrote: tables as compound data sets, categories in uns, ``raw.X``, no encodings."""
    path = tmp_path / "in.h5ad"
    with h5py.File(path, "w") as file:
        sparse_of_old(file, "X")
        sparse_of_old(file, "raw.X")
        file["obs"], file["var"], file["raw.var"] = OBS, VAR, VAR
        file["raw.varm"] = np.array([((1.0, 2.0),)] * 6, dtype=[("PCs", "f4", (2,))])
        file["obsm"] = np.array([((i, 0.5),) for i in range(8)], dtype=[("X_pca", "f4", (2,))])
        file["uns/patient_categories"] = np.array([b"p", b"q"])
        file["uns/title"] = "old"
        file["uns/scores"] = np.arange(3.0)
        sparse_of_old(file.create_group("layers"), "counts")
        file["layers/dense"] = COUNTS.toarray()
    return path


@pytest.fixture
def of_07(tmp_path: Path) -> Path:
    """What anndata 0.7 wrote: groups with some encodings, categories as references."""
    path = tmp_path / "in.h5ad"
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": COUNTS.shape})
        for part in PARTS:
            group.create_dataset(part, data=getattr(COUNTS, part), compression="gzip", chunks=(5,))
        for name, names, column in (("obs", OBS["index"], "patient"), ("var", VAR["index"], "kind")):
            group = file.create_group(name)
            group["_index"] = names.astype(object)
            group[column] = np.arange(len(names), dtype=np.int8) % 2
            group[f"__categories/{column}"] = np.array([b"p", b"q"], dtype=object)
            group[f"__categories/{column}"].attrs["ordered"] = False
            group[column].attrs["categories"] = group[f"__categories/{column}"].ref
            group.attrs.update({"_index": "_index", "column-order": [column], "encoding-type": "dataframe"})
            group.attrs["encoding-version"] = "0.1.0"
        file["obsm/X_pca"] = np.ones((8, 2))
        file["uns/title"] = "old"
        file["uns/colors"] = np.array([b"#000000", b"#ffffff"], dtype=object)
        file["layers/dense"] = COUNTS.toarray()
        file.copy("X", file.create_group("raw"), "X")
        file.copy("var", file["raw"], "var", expand_refs=True)
    return path


def without_encoding(path: Path) -> list[str]:
    """Names of the elements of a file that anndata would not know without guessing."""
    found: list[str] = []

    def look(name: str, node: Any) -> None:
        parent = node.parent.attrs.get("encoding-type", "")
        if "encoding-type" not in node.attrs and not str(parent).endswith("_matrix"):
            found.append(name)

    with h5py.File(path) as file:
        file.visititems(look)
    return found


@OLD_ENCODINGS
@pytest.mark.parametrize("made", ["before_07", "of_07"])
def test_an_old_file_becomes_one_of_today(made, request, put, tmp_path, annotate_by_hand, assert_same, bytes_of):
    source, out = request.getfixturevalue(made), tmp_path / "out.h5ad"
    before = bytes_of(source)
    adata = annotate_by_hand(ad.read_h5ad(source))
    put(source, out, adata)
    assert bytes_of(source) == before
    assert without_encoding(out) == []
    adata.write_h5ad(tmp_path / "whole.h5ad")
    assert_same(ad.read_h5ad(out), ad.read_h5ad(tmp_path / "whole.h5ad"))
    assert ad.read_h5ad(out).obs["patient"].tolist() == ["p", "q"] * 4
    with h5py.File(source) as old, h5py.File(out) as new:
        for part in PARTS:
            assert new[f"X/{part}"].chunks == (5,)
            assert new[f"X/{part}"].id.read_direct_chunk((0,)) == old[f"X/{part}"].id.read_direct_chunk((0,))


@OLD_ENCODINGS
def test_an_old_file_becomes_a_zarr_of_today(before_07, put, tmp_path, annotate_by_hand, assert_same):
    adata = annotate_by_hand(ad.read_h5ad(before_07))
    put(before_07, tmp_path / "out.zarr", adata)
    assert_same(ad.read_zarr(tmp_path / "out.zarr").raw.X, COUNTS)
    assert_same(ad.read_zarr(tmp_path / "out.zarr").X, COUNTS)


@OLD_ENCODINGS
def test_an_old_file_is_annotated_twice(before_07, put, tmp_path, annotate_by_hand, assert_same):
    put(before_07, tmp_path / "one.h5ad", annotate_by_hand(ad.read_h5ad(before_07)))
    put(tmp_path / "one.h5ad", tmp_path / "two.h5ad", annotate_by_hand(ad.read_h5ad(tmp_path / "one.h5ad")))
    assert_same(ad.read_h5ad(tmp_path / "two.h5ad"), ad.read_h5ad(tmp_path / "one.h5ad"))


@OLD_ENCODINGS
def test_zarr_without_encodings(put, tmp_path, annotate_by_hand, assert_same):
    source = tmp_path / "in.zarr"
    root = zarr.open_group(source, mode="w", zarr_format=2)
    group = root.create_group("X")
    group.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": list(COUNTS.shape)})
    for part in PARTS:
        group.create_array(part, data=getattr(COUNTS, part), chunks=(5,))
    ad.io.write_elem(root, "obs", pd.DataFrame(index=[f"c{i}" for i in range(8)]))
    ad.io.write_elem(root, "var", pd.DataFrame(index=[f"g{i}" for i in range(6)]))
    put(source, tmp_path / "out.zarr", annotate_by_hand(ad.read_zarr(source)))
    new = zarr.open_group(tmp_path / "out.zarr", mode="r")["X"]
    assert dict(new.attrs) == {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [8, 6]}
    assert (tmp_path / "out.zarr/X/data/0").read_bytes() == (source / "X/data/0").read_bytes()
    assert_same(ad.read_zarr(tmp_path / "out.zarr").X, COUNTS)


@OLD_ENCODINGS
def test_a_file_of_the_newest_hdf5_can_be_copied(rich, put, tmp_path, annotate_by_hand, assert_same):
    rich.write_h5ad(tmp_path / "plain.h5ad", compression="gzip")
    with h5py.File(tmp_path / "plain.h5ad") as old, h5py.File(tmp_path / "in.h5ad", "w", libver="latest") as new:
        new.attrs.update(old.attrs)
        for name in old:
            old.copy(name, new)
        new.create_dataset("uns/grown", data=np.arange(100), maxshape=(None,), chunks=(7,)).attrs.update(
            {"encoding-type": "array", "encoding-version": "0.2.0"}
        )
    put(tmp_path / "in.h5ad", tmp_path / "out.h5ad", annotate_by_hand(rich))
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    assert back.uns["grown"].tolist() == list(range(100))
    assert_same(back.X, rich.X)


# Links.


LINKS = pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore::DeprecationWarning")


@pytest.fixture
def source(rich, tmp_path) -> Path:
    rich.write_h5ad(tmp_path / "in.h5ad")
    return tmp_path / "in.h5ad"


@LINKS
def test_links_within_the_file_become_what_they_lead_to(rich, source, put, tmp_path, annotate_by_hand):
    with h5py.File(source, "a") as file:
        file["layers/linked"] = h5py.SoftLink("/layers/dense")
        file["uns/log1p/self"] = h5py.SoftLink("/uns/log1p/base")
    put(source, tmp_path / "out.h5ad", annotate_by_hand(rich))
    source.unlink()
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_array_equal(back.layers["linked"], rich.layers["dense"])
    assert back.uns["log1p"]["self"] == 2.0


@LINKS
@pytest.mark.parametrize("end", ["h5ad", "zarr"])
def test_a_circle_of_links_ends_with_an_error(source, tmp_path, end):
    with h5py.File(source, "a") as file:
        file["uns/log1p/back"] = file["uns"]
    with pytest.raises(InputFileError, match="circular"):
        tam.annotate_file(source, tmp_path / f"out.{end}")
    assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]


def _external_link(file: h5py.File, other: Path) -> None:
    file["layers/far"] = h5py.ExternalLink(other, "/X")


def _external_values(file: h5py.File, other: Path) -> None:
    file.create_dataset("layers/far", shape=(40, 30), dtype="f4", external=[(other, 0, 40 * 30 * 4)])


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout(shape=(40, 30), dtype="f4")
    layout[:] = h5py.VirtualSource(other, "layers/dense", shape=(40, 30))
    file.create_virtual_dataset("layers/far", layout)


WAYS = {"external_link": _external_link, "external_values": _external_values, "virtual": _virtual}


@LINKS
@pytest.mark.parametrize("way", list(WAYS))
def test_other_files_are_refused_before_any_work(source, tmp_path, way, monkeypatch, example_file):
    def never(*_: object) -> None:
        raise AssertionError

    with h5py.File(source, "a") as file:
        WAYS[way](file, tmp_path / "other.h5ad")
    monkeypatch.setattr("tamannot.io._read.without_matrices", never)
    with pytest.raises(InputFileError, match=r"/layers/far .*(outside the|another) file.*Write it as a single file"):
        tam.annotate_file(source, tmp_path / "out.h5ad")
    assert not (tmp_path / "out.h5ad").exists()


@LINKS
def test_a_link_in_a_zarr_folder_is_refused(rich, tmp_path):
    rich.write_zarr(tmp_path / "in.zarr")
    (tmp_path / "in.zarr/layers/dense").rename(tmp_path / "elsewhere")
    (tmp_path / "in.zarr/layers/dense").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputFileError, match=r"layers/dense is a symbolic link to .*elsewhere"):
        tam.annotate_file(tmp_path / "in.zarr", tmp_path / "out.zarr")
