"""Rows as the kernels read them: same bits from every container, the user's arrays untouched."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.scoring._rows import CscRows, CsrRows, DenseRows, order_bits


@pytest.fixture
def dense():
    return np.random.default_rng(0).poisson(0.7, (9, 40)).astype(np.float32)


def dense_of(rows, dtype=np.float32):
    block = rows.block(0, rows.shape[0])
    data = block.bits.view(dtype)
    return sp.csr_matrix((data, block.indices, block.indptr), shape=rows.shape).toarray()


def with_reversed_rows(matrix):
    data, indices = matrix.data.copy(), matrix.indices.copy()
    for lo, hi in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        data[lo:hi], indices[lo:hi] = data[lo:hi][::-1].copy(), indices[lo:hi][::-1].copy()
    return sp.csr_matrix((data, indices, matrix.indptr.copy()), shape=matrix.shape)


def with_split_entries(matrix):
    parts = sp.coo_matrix(matrix)
    row, col = np.tile(parts.row, 2), np.tile(parts.col, 2)
    data = np.concatenate([parts.data / 4, parts.data * 3 / 4])
    order = np.lexsort((np.arange(row.size), row))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=matrix.shape[0]))])
    return sp.csr_matrix((data[order], col[order], indptr), shape=matrix.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8, np.uint16, bool], ids=str)
def test_order_bits_keep_the_order_of_values(dtype):
    values = np.arange(200).astype(dtype)
    bits = order_bits(values).astype(np.uint64)
    assert (np.sign(np.diff(bits.astype(np.int64))) == np.sign(np.diff(values.astype(np.int64)))).all()


def test_order_bits_of_big_endian_keep_the_order():
    bits = order_bits(np.array([1, 256, 257, 65536], dtype=">i4"))
    assert (np.diff(bits.astype(np.int64)) > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64], ids=str)
def test_order_bits_share_memory_where_the_width_allows(dtype):
    values = np.arange(5).astype(dtype)
    assert np.shares_memory(order_bits(values), values)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array], ids=["matrix", "array"])
def test_canonical_csr_is_not_copied(dense, container):
    matrix = container(dense)
    block = CsrRows(matrix).block(0, 9)
    assert np.shares_memory(block.bits, matrix.data)
    assert np.shares_memory(block.indices, matrix.indices)


@pytest.mark.parametrize("make", [with_reversed_rows, with_split_entries])
def test_untidy_csr_reads_as_the_same_matrix(dense, make):
    matrix = make(sp.csr_matrix(dense))
    np.testing.assert_array_equal(dense_of(CsrRows(matrix)), dense)


@pytest.mark.parametrize("make", [sp.csr_matrix, lambda m: with_reversed_rows(sp.csr_matrix(m)), with_split_entries])
def test_reading_changes_nothing_of_the_matrix(dense, make):
    matrix = make(sp.csr_matrix(dense))
    arrays = [matrix.data, matrix.indices, matrix.indptr]
    before, header = [a.tobytes() for a in arrays], sorted(vars(matrix))
    CsrRows(matrix).block(0, 9)
    assert [a.tobytes() for a in arrays] == before
    assert all(a is b for a, b in zip(arrays, [matrix.data, matrix.indices, matrix.indptr], strict=True))
    assert sorted(vars(matrix)) == header


@pytest.mark.parametrize("make", [with_reversed_rows, with_split_entries])
def test_format_flags_of_an_untidy_matrix_stay_false(dense, make):
    matrix = make(sp.csr_matrix(dense))
    assert not matrix.has_canonical_format
    CsrRows(matrix).block(0, 9)
    assert not matrix.has_canonical_format


def test_block_holds_the_rows_asked_for(dense):
    block = CsrRows(sp.csr_matrix(dense)).block(2, 5)
    counts = np.diff(block.indptr)
    np.testing.assert_array_equal(counts, (dense[2:5] > 0).sum(axis=1))


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix, sp.csc_matrix], ids=["ndarray", "csr", "csc"])
def test_dense_rows_give_the_rows_of_anything_that_slices(dense, make):
    block = DenseRows(make(dense)).block(3, 8)
    got = sp.csr_matrix((block.bits.view(np.float32), block.indices, block.indptr), shape=(5, 40)).toarray()
    np.testing.assert_array_equal(got, dense[3:8])


@pytest.mark.parametrize("container", [sp.csc_matrix, sp.csc_array], ids=["matrix", "array"])
@pytest.mark.parametrize(("start", "stop"), [(0, 9), (0, 1), (3, 8), (8, 9), (4, 4)])
def test_blocks_of_csc_are_those_of_csr_to_the_bit(dense, container, start, stop):
    turned, rows = CscRows(container(dense)).block(start, stop), CsrRows(sp.csr_matrix(dense)).block(start, stop)
    assert turned.values.dtype == rows.values.dtype
    for field in ("values", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(turned, field), getattr(rows, field))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int32, np.int64, np.uint16, bool], ids=str)
@pytest.mark.parametrize(("container", "rows"), [(sp.csr_matrix, CsrRows), (sp.csc_matrix, CscRows)])
def test_rows_of_any_number_type_are_in_the_order_of_their_values(dense, dtype, container, rows):
    block = rows(container(dense.astype(dtype))).block(0, 9)
    values = sp.csr_matrix(dense.astype(dtype)).data.astype(float)
    assert (np.argsort(block.bits, kind="stable") == np.argsort(values, kind="stable")).all()


@pytest.mark.parametrize(("container", "rows"), [(sp.csr_array, CsrRows), (sp.csc_array, CscRows)])
def test_wide_indices_and_pointers_read_as_narrow_ones(dense, container, rows):
    wide = container(dense)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    np.testing.assert_array_equal(dense_of(rows(wide)), dense)


def test_csc_shares_the_arrays_of_the_matrix(dense):
    matrix = sp.csc_matrix(dense)
    rows = CscRows(matrix)
    assert np.shares_memory(rows._data, matrix.data)
    assert np.shares_memory(rows._indices, matrix.indices)


@pytest.mark.parametrize("make", [with_reversed_rows, with_split_entries])
def test_untidy_csc_reads_as_the_same_matrix_and_is_not_changed(dense, make):
    matrix = make(sp.csr_matrix(dense.T)).T
    assert matrix.format == "csc"
    arrays = [matrix.data, matrix.indices, matrix.indptr]
    before = [a.tobytes() for a in arrays]
    np.testing.assert_array_equal(dense_of(CscRows(matrix)), dense)
    assert [a.tobytes() for a in arrays] == before


@pytest.mark.parametrize(
    "make",
    [np.asfortranarray, lambda d: np.repeat(d, 2, axis=1)[:, ::2], lambda d: np.repeat(d, 2, axis=0)[::2]],
    ids=["Fortran order", "every other column", "every other row"],
)
def test_dense_rows_of_any_memory_order(dense, make):
    np.testing.assert_array_equal(dense_of(DenseRows(make(dense))), dense)


@pytest.mark.parametrize("dtype", [np.float16, ">f2", ">f4", ">f8", ">i4", ">u2"], ids=str)
def test_dense_rows_of_types_that_scipy_cannot_pack(dense, dtype):
    block = DenseRows(dense.astype(dtype)).block(0, 9)
    got = sp.csr_array((block.values, block.indices, block.indptr), shape=(9, 40)).toarray()
    np.testing.assert_array_equal(got, dense)


def test_shape_is_that_of_the_matrix(dense):
    assert CsrRows(sp.csr_matrix(dense)).shape == DenseRows(dense).shape == CscRows(sp.csc_matrix(dense)).shape
    assert DenseRows(dense).shape == (9, 40)
