from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

pytestmark = pytest.mark.filterwarnings("ignore::Warning")

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


def test_an_old_file_becomes_a_zarr_of_today(before_07, put, tmp_path, annotate_by_hand, assert_same):
    adata = annotate_by_hand(ad.read_h5ad(before_07))
    put(before_07, tmp_path / "out.zarr", adata)
    assert_same(ad.read_zarr(tmp_path / "out.zarr").raw.X, COUNTS)
    assert_same(ad.read_zarr(tmp_path / "out.zarr").X, COUNTS)


def test_an_old_file_is_annotated_twice(before_07, put, tmp_path, annotate_by_hand, assert_same):
    put(before_07, tmp_path / "one.h5ad", annotate_by_hand(ad.read_h5ad(before_07)))
    put(tmp_path / "one.h5ad", tmp_path / "two.h5ad", annotate_by_hand(ad.read_h5ad(tmp_path / "one.h5ad")))
    assert_same(ad.read_h5ad(tmp_path / "two.h5ad"), ad.read_h5ad(tmp_path / "one.h5ad"))


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
