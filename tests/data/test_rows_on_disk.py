"""Blocks from disk are those from memory, bit for bit, however they are stored and whoever reads them."""

from __future__ import annotations

import io
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import zarr

from tamannot.data import _matrix, _rows
from tamannot.data._rows import RowsFromColumns, row_source
from tamannot.errors import InputFileError, OutputError
from tamannot.scoring._rows import CsrRows, DenseRows

N_CELLS, N_GENES = 300, 70


STORAGE = {
    "contiguous": {},
    "chunks": {"chunks": True},
    "gzip": {"compression": "gzip"},
    "gzip, shuffled": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf"},
    "lzf, shuffled": {"compression": "lzf", "shuffle": True},
    "checksums": {"compression": "gzip", "fletcher32": True},
}


TYPES = ["f4", "f8", "i4", "i8", "u2", "u1", "f2", ">f4", "?"]


@pytest.fixture
def dense():
    return np.random.default_rng(0).poisson(0.7, (N_CELLS, N_GENES)).astype(np.float32)


def store_hdf5(path, matrix, *, chunk=137, dtype=None, indices="i4", indptr="i8", **how):
    """Write a sparse matrix with arrays of given types and storage, as old and new anndata and others do."""
    if "chunks" in how or "compression" in how:
        how |= {"chunks": (chunk,), "maxshape": (None,)}  # a chunk may be larger than what there is
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs.update({"encoding-type": f"{matrix.format}_matrix", "encoding-version": "0.1.0"})
        group.attrs["shape"] = matrix.shape
        group.create_dataset("data", data=matrix.data.astype(dtype or matrix.dtype), **how)
        group.create_dataset("indices", data=matrix.indices.astype(indices), **how)
        group["indptr"] = matrix.indptr.astype(indptr)
    return ad.io.sparse_dataset(h5py.File(path, "r")["X"])


def store_zarr(path, matrix, *, zarr_format, chunk=137):
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    group = root.create_group("X")
    group.attrs.update({"encoding-type": f"{matrix.format}_matrix", "encoding-version": "0.1.0"})
    group.attrs["shape"] = list(matrix.shape)
    for key in ("data", "indices", "indptr"):
        array = getattr(matrix, key)
        group.create_array(key, shape=array.shape, dtype=array.dtype, chunks=(chunk,))[:] = array
    return ad.io.sparse_dataset(zarr.open_group(path, mode="r")["X"])


def assert_same_blocks(found, expected):
    """Compare blocks that begin and end anywhere, read by four threads at once."""
    assert found.shape == expected.shape
    starts = [0, 1, 7, 63, 128, 130, 255, 299, 300]
    spans = [(a, b) for a in starts for b in starts if a <= b]
    with ThreadPoolExecutor(4) as pool:
        blocks = list(pool.map(lambda span: found.block(*span), spans))
    for span, block in zip(spans, blocks, strict=True):
        same = expected.block(*span)
        assert block.indptr.tobytes() == same.indptr.tobytes()
        assert block.indices.astype(np.int64).tobytes() == same.indices.astype(np.int64).tobytes()
        assert block.values.dtype == same.values.dtype
        assert block.values.tobytes() == same.values.tobytes()
        assert block.values.flags.writeable  # else kernels would be compiled a second time


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("chunk", [16, 137, 100_000])
def test_csr_in_hdf5(dense, tmp_path, storage, chunk):
    matrix = store_hdf5(tmp_path / "x.h5ad", sp.csr_matrix(dense), chunk=chunk, **STORAGE[storage])
    assert_same_blocks(row_source(matrix), CsrRows(sp.csr_matrix(dense)))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("storage", ["contiguous", "gzip, shuffled", "lzf"])
def test_any_number_type(dense, tmp_path, dtype, storage):
    values = dense > 0 if dtype == "?" else dense
    matrix = store_hdf5(tmp_path / "x.h5ad", sp.csr_matrix(values), dtype=dtype, **STORAGE[storage])
    same = {"f2": np.float32, ">f4": np.float32}.get(dtype, dtype)
    assert_same_blocks(row_source(matrix), CsrRows(sp.csr_matrix(values).astype(same)))


@pytest.mark.parametrize("indices", ["i4", "i8", "u4", "u8", "u2", ">i4"])
@pytest.mark.parametrize("indptr", ["i4", "i8", "u8", ">i8"])
def test_any_type_of_index(dense, tmp_path, indices, indptr):
    matrix = store_hdf5(tmp_path / "x.h5ad", sp.csr_matrix(dense), indices=indices, indptr=indptr)
    assert_same_blocks(row_source(matrix), CsrRows(sp.csr_matrix(dense)))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_matrix], ids=["csr", "csc"])
def test_zarr(dense, tmp_path, zarr_format, make):
    matrix = store_zarr(tmp_path / "x.zarr", make(dense), zarr_format=zarr_format)
    assert_same_blocks(row_source(matrix), CsrRows(sp.csr_matrix(dense)))


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("chunks", [(16, 13), (300, 70), (7, 70)])
@pytest.mark.parametrize("dtype", ["f4", "u2", "f2"])
def test_dense_in_hdf5(dense, tmp_path, storage, chunks, dtype):
    how = STORAGE[storage] | ({"chunks": chunks} if STORAGE[storage] else {})
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        file.create_dataset("X", data=dense.astype(dtype), **how)
    with h5py.File(tmp_path / "x.h5ad") as file:
        assert_same_blocks(row_source(file["X"]), DenseRows(dense.astype(dtype)))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_dense_in_zarr(dense, tmp_path, zarr_format):
    array = zarr.create_array(tmp_path / "x.zarr", data=dense, chunks=(16, 13), zarr_format=zarr_format)
    assert_same_blocks(row_source(array), DenseRows(dense))


def untidy(matrix):
    """Put the entries of each row upside down, and store each value in two parts."""
    twice = sp.csr_matrix(
        (np.repeat(matrix.data / 2, 2), np.repeat(matrix.indices, 2), matrix.indptr * 2), shape=matrix.shape
    )
    for lo, hi in zip(twice.indptr[:-1], twice.indptr[1:], strict=True):
        twice.indices[lo:hi], twice.data[lo:hi] = twice.indices[lo:hi][::-1].copy(), twice.data[lo:hi][::-1].copy()
    return twice


def test_unsorted_and_repeated_columns(dense, tmp_path):
    matrix = store_hdf5(tmp_path / "x.h5ad", untidy(sp.csr_matrix(dense)), compression="lzf")
    assert_same_blocks(row_source(matrix), CsrRows(untidy(sp.csr_matrix(dense))))
    assert_same_blocks(row_source(matrix), CsrRows(sp.csr_matrix(dense)))


def test_a_file_that_is_being_written_is_read_through_h5py(dense, tmp_path):
    store_hdf5(tmp_path / "x.h5ad", sp.csr_matrix(dense)).group.file.close()
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["X/data"][:] = np.arange(file["X/data"].size)
        expected = sp.csr_matrix(dense)
        expected.data = np.arange(expected.nnz, dtype=np.float32)
        assert_same_blocks(row_source(ad.io.sparse_dataset(file["X"])), CsrRows(expected))


class TestColumns:
    """A CSC matrix is turned by a temporary file that nobody sees."""

    @pytest.fixture(autouse=True)
    def small_steps(self, monkeypatch, tmp_path):
        monkeypatch.setattr(_rows, "_ENTRIES_A_PART", 500)
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr(_rows.tempfile, "tempdir", str(tmp_path / "tmp"))

    @pytest.mark.parametrize("storage", STORAGE)
    @pytest.mark.parametrize("dtype", ["f4", "i8", "u1", "f2"])
    def test_rows(self, dense, tmp_path, storage, dtype):
        matrix = store_hdf5(tmp_path / "x.h5ad", sp.csc_matrix(dense), dtype=dtype, **STORAGE[storage])
        same = np.float32 if dtype == "f2" else dtype
        assert_same_blocks(row_source(matrix), CsrRows(sp.csr_matrix(dense).astype(same)))
        assert not list((tmp_path / "tmp").iterdir())

    def test_empty_rows_and_columns(self, dense, tmp_path):
        dense[:40], dense[100:260], dense[:, 5:60] = 0, 0, 0
        matrix = store_hdf5(tmp_path / "x.h5ad", sp.csc_matrix(dense))
        assert_same_blocks(row_source(matrix), CsrRows(sp.csr_matrix(dense)))

    def test_nothing_at_all(self, tmp_path):
        matrix = store_hdf5(tmp_path / "x.h5ad", sp.csc_matrix((300, 70), dtype=np.float32))
        assert_same_blocks(row_source(matrix), CsrRows(sp.csr_matrix((300, 70), dtype=np.float32)))

    def test_small_ones_are_loaded_and_large_ones_turned(self, dense, tmp_path, monkeypatch):
        adata = ad.AnnData(X=store_hdf5(tmp_path / "x.h5ad", sp.csc_matrix(dense)))
        assert isinstance(_matrix.candidates(adata, "X")[0].matrix, sp.csc_matrix)
        monkeypatch.setattr(_matrix, "_SMALL", 1000)
        assert isinstance(row_source(_matrix.candidates(adata, "X")[0].matrix), RowsFromColumns)

    def test_no_room_is_said_before(self, dense, tmp_path, monkeypatch):
        matrix = store_hdf5(tmp_path / "x.h5ad", sp.csc_matrix(dense))
        monkeypatch.setattr(_rows.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
        with pytest.raises(OutputError, match=r"x\.h5ad: X is stored by columns.*TMPDIR"):
            row_source(matrix)

    def test_a_disk_that_fills_up(self, dense, tmp_path, monkeypatch):
        class Full(io.BytesIO):
            def write(self, _):
                raise OSError(28, "No space left on device")

        matrix = store_hdf5(tmp_path / "x.h5ad", sp.csc_matrix(dense))
        monkeypatch.setattr(_rows.tempfile, "TemporaryFile", lambda **_: Full())
        with pytest.raises(OutputError, match=r"is full.*TMPDIR"):
            row_source(matrix)
        assert not list((tmp_path / "tmp").iterdir())

    def test_a_row_that_is_not_there(self, dense, tmp_path):
        turned = sp.csc_matrix(dense)
        turned.indices[77] = N_CELLS
        matrix = store_hdf5(tmp_path / "x.h5ad", turned)
        with pytest.raises(InputFileError, match="damaged: it has the index 300, but the size is 300"):
            row_source(matrix)


def test_places_beyond_32_bits(tmp_path):
    """Three billion entries that were never written take no room, and are found where they are."""
    n, per_row = 3_000_000_000, 1000
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        group.attrs["shape"] = (n // per_row, 2 * per_row)
        for key, dtype in (("data", "f4"), ("indices", "i4")):
            group.create_dataset(key, shape=(n,), dtype=dtype, chunks=(1 << 20,), compression="lzf")
        group["indptr"] = np.arange(0, n + 1, per_row)
        group["data"][n - 2 * per_row :] = np.arange(1, 2 * per_row + 1)
        group["indices"][n - 2 * per_row :] = np.tile(np.arange(per_row) * 2, 2)
    with h5py.File(tmp_path / "x.h5ad") as file:
        rows = row_source(ad.io.sparse_dataset(file["X"]))
        block = rows.block(n // per_row - 2, n // per_row)
    assert block.indptr.tolist() == [0, per_row, 2 * per_row]
    assert block.values.tolist() == list(range(1, 2 * per_row + 1))
    assert block.indices.tolist() == [*range(0, 2 * per_row, 2)] * 2


# A damaged file is named with the place, and never gives a number that is wrong.


N_ROWS, N_COLUMNS = 200, 50


@pytest.fixture
def matrix():
    return sp.csr_matrix(np.random.default_rng(3).poisson(0.8, (N_ROWS, N_COLUMNS)).astype(np.float32))


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
        return row_source(ad.io.sparse_dataset(file["X"])).block(0, N_ROWS)


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
        with pytest.raises(InputFileError, match=r"cannot be read.*the file ends too early"):
            rows.block(0, N_ROWS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.indptr.__setitem__(5, 10**6), "pointers do not rise"),
        (lambda m: m.indptr.__setitem__(0, 1), "pointers do not rise from 0"),
        (lambda m: m.indptr.__setitem__(-1, 10**6), "pointers end at 1,000,000, but it has"),
        (lambda m: m.indices.__setitem__(9, N_COLUMNS), "has the index 50, but the size is 50"),
        (lambda m: m.indices.__setitem__(9, -1), "has the index -1"),
    ],
)
def test_pointers_and_indices_that_lead_nowhere(matrix, tmp_path, change, message):
    change(matrix)
    with pytest.raises(InputFileError, match=message):
        read_all(store(tmp_path / "x.h5ad", matrix))


def test_too_few_pointers(matrix, tmp_path):
    path = store(tmp_path / "x.h5ad", matrix)
    with h5py.File(path, "r+") as file:
        file["X"].attrs["shape"] = (N_ROWS + 1, N_COLUMNS)
    with pytest.raises(InputFileError, match="needs 202 pointers, but has 201"):
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
        rows.block(0, N_ROWS)
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
