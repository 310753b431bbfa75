"""A damaged file is named with the place, and never gives a number that is wrong."""

from __future__ import annotations

import shutil
import zlib

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import zarr

from tamannot.data._rows import row_source
from tamannot.errors import InputFileError

N_CELLS, N_GENES = 200, 50


@pytest.fixture
def matrix():
    return sp.csr_matrix(np.random.default_rng(3).poisson(0.8, (N_CELLS, N_GENES)).astype(np.float32))


def store(path, matrix, **how):
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        group.attrs["shape"] = matrix.shape
        for key in ("data", "indices", "indptr"):
            group.create_dataset(key, data=getattr(matrix, key), **(how if key != "indptr" else {}))
    return path


def read_all(path):
    with h5py.File(path) as file:
        return row_source(ad.io.sparse_dataset(file["X"])).block(0, N_CELLS)


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
@pytest.mark.parametrize("key", ["data", "indices"])
@pytest.mark.parametrize(
    "harm",
    [lambda b: b[: len(b) // 2], lambda _: b"x", lambda b: b[:10] + bytes(40) + b[50:], lambda b: b"\xff" * len(b)],
    ids=["torn", "one byte", "holes", "other bytes"],
)
def test_a_damaged_chunk(matrix, tmp_path, compression, key, harm):
    path = store(tmp_path / "x.h5ad", matrix, chunks=(500,), compression=compression)
    with h5py.File(path, "r+") as file:
        chunks = file["X"][key].id
        skipped, packed = chunks.read_direct_chunk((1000,))
        assert not skipped
        chunks.write_direct_chunk((1000,), harm(packed))
    with pytest.raises(InputFileError, match=rf"x\.h5ad: X/{key} is damaged|x\.h5ad: X is damaged"):
        read_all(path)


def test_a_chunk_that_unpacks_to_more_than_a_chunk(matrix, tmp_path):
    path = store(tmp_path / "x.h5ad", matrix, chunks=(500,), compression="gzip")
    with h5py.File(path, "r+") as file:
        file["X/data"].id.write_direct_chunk((1000,), zlib.compress(bytes(100_000_000)))
    values = read_all(path).values
    np.testing.assert_array_equal(values[1000:1500], np.zeros(500))
    np.testing.assert_array_equal(values[1500:], matrix.data[1500:])


def test_a_file_cut_after_it_was_opened(matrix, tmp_path):
    path = store(tmp_path / "x.h5ad", matrix)
    with h5py.File(path) as file:
        rows = row_source(ad.io.sparse_dataset(file["X"]))
        with path.open("r+b") as raw:
            raw.truncate(4096)
        with pytest.raises(InputFileError, match=r"cannot be read.*the file ends before"):
            rows.block(0, N_CELLS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.indptr.__setitem__(5, 10**6), "pointers do not rise"),
        (lambda m: m.indptr.__setitem__(0, 1), "pointers do not rise from 0"),
        (lambda m: m.indptr.__setitem__(-1, 10**6), "pointers go to 1,000,000, but it has"),
        (lambda m: m.indices.__setitem__(9, N_GENES), "has an index 50, where there are 50"),
        (lambda m: m.indices.__setitem__(9, -1), "has an index -1"),
    ],
)
def test_pointers_and_indices_that_lead_nowhere(matrix, tmp_path, change, message):
    change(matrix)
    with pytest.raises(InputFileError, match=message):
        read_all(store(tmp_path / "x.h5ad", matrix))


def test_too_few_pointers(matrix, tmp_path):
    path = store(tmp_path / "x.h5ad", matrix)
    with h5py.File(path, "r+") as file:
        file["X"].attrs["shape"] = (N_CELLS + 1, N_GENES)
    with pytest.raises(InputFileError, match="needs 202 pointers, and has 201"):
        read_all(path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_damaged_chunk_of_zarr(matrix, tmp_path, zarr_format):
    path = tmp_path / "x.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format).create_group("X")
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": list(matrix.shape)})
    for key in ("data", "indices", "indptr"):
        array = getattr(matrix, key)
        group.create_array(key, shape=array.shape, dtype=array.dtype, chunks=(500,))[:] = array
    chunks = [p for p in (path / "X" / "data").rglob("*") if p.is_file() and not p.name.startswith((".z", "zarr."))]
    chunks[0].write_bytes(b"\x01\x02\x03")
    rows = row_source(ad.io.sparse_dataset(zarr.open_group(path, mode="r")["X"]))
    with pytest.raises(InputFileError, match="X/data is damaged"):
        rows.block(0, N_CELLS)
    shutil.rmtree(path)


def test_a_damaged_dense_matrix(tmp_path):
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        stored = file.create_dataset("X", data=np.eye(40), chunks=(10, 40), compression="gzip")
        stored.id.write_direct_chunk((20, 0), b"nothing")
    with h5py.File(tmp_path / "x.h5ad") as file:
        rows = row_source(file["X"])
        rows.block(0, 20)
        with pytest.raises(InputFileError, match=r"x\.h5ad: X is damaged: rows 20 to 40"):
            rows.block(20, 40)
