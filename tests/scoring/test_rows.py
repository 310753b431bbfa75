"""Rows as the kernels read them: same bits from every container, the user's arrays untouched."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tamannot.scoring._features import taken
from tamannot.scoring._rows import (
    MOST_CELLS,
    CscRows,
    CsrRows,
    DenseRows,
    RowBlock,
    all_whole,
    csc_block,
    seen_in,
    spread_rows,
)


def order_bits(values):
    return RowBlock(values, np.empty(0, np.int32), np.zeros(1, np.int64)).bits


@pytest.fixture
def assorted():
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
def test_canonical_csr_is_not_copied(assorted, container):
    matrix = container(assorted)
    block = CsrRows(matrix).block(0, 9)
    assert np.shares_memory(block.bits, matrix.data)
    assert np.shares_memory(block.indices, matrix.indices)


@pytest.mark.parametrize("make", [with_reversed_rows, with_split_entries])
def test_untidy_csr_reads_as_the_same_matrix(assorted, make):
    matrix = make(sp.csr_matrix(assorted))
    np.testing.assert_array_equal(dense_of(CsrRows(matrix)), assorted)


@pytest.mark.parametrize("make", [sp.csr_matrix, lambda m: with_reversed_rows(sp.csr_matrix(m)), with_split_entries])
def test_reading_changes_nothing_of_the_matrix(assorted, make):
    matrix = make(sp.csr_matrix(assorted))
    arrays = [matrix.data, matrix.indices, matrix.indptr]
    before, header = [a.tobytes() for a in arrays], sorted(vars(matrix))
    CsrRows(matrix).block(0, 9)
    assert [a.tobytes() for a in arrays] == before
    assert all(a is b for a, b in zip(arrays, [matrix.data, matrix.indices, matrix.indptr], strict=True))
    assert sorted(vars(matrix)) == header


@pytest.mark.parametrize("make", [with_reversed_rows, with_split_entries])
def test_format_flags_of_an_untidy_matrix_stay_false(assorted, make):
    matrix = make(sp.csr_matrix(assorted))
    assert not matrix.has_canonical_format
    CsrRows(matrix).block(0, 9)
    assert not matrix.has_canonical_format


def test_block_holds_the_rows_asked_for(assorted):
    block = CsrRows(sp.csr_matrix(assorted)).block(2, 5)
    counts = np.diff(block.indptr)
    np.testing.assert_array_equal(counts, (assorted[2:5] > 0).sum(axis=1))


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix, sp.csc_matrix], ids=["ndarray", "csr", "csc"])
def test_dense_rows_give_the_rows_of_anything_that_slices(assorted, make):
    block = DenseRows(make(assorted)).block(3, 8)
    got = sp.csr_matrix((block.bits.view(np.float32), block.indices, block.indptr), shape=(5, 40)).toarray()
    np.testing.assert_array_equal(got, assorted[3:8])


@pytest.mark.parametrize("container", [sp.csc_matrix, sp.csc_array], ids=["matrix", "array"])
@pytest.mark.parametrize(("start", "stop"), [(0, 9), (0, 1), (3, 8), (8, 9), (4, 4)])
def test_blocks_of_csc_are_those_of_csr_to_the_bit(assorted, container, start, stop):
    turned, rows = CscRows(container(assorted)).block(start, stop), CsrRows(sp.csr_matrix(assorted)).block(start, stop)
    assert turned.values.dtype == rows.values.dtype
    for field in ("values", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(turned, field), getattr(rows, field))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int32, np.int64, np.uint16, bool], ids=str)
@pytest.mark.parametrize(("container", "rows"), [(sp.csr_matrix, CsrRows), (sp.csc_matrix, CscRows)])
def test_rows_of_any_number_type_are_in_the_order_of_their_values(assorted, dtype, container, rows):
    block = rows(container(assorted.astype(dtype))).block(0, 9)
    values = sp.csr_matrix(assorted.astype(dtype)).data.astype(float)
    assert (np.argsort(block.bits, kind="stable") == np.argsort(values, kind="stable")).all()


@pytest.mark.parametrize(("container", "rows"), [(sp.csr_array, CsrRows), (sp.csc_array, CscRows)])
def test_wide_indices_and_pointers_read_as_narrow_ones(assorted, container, rows):
    wide = container(assorted)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    np.testing.assert_array_equal(dense_of(rows(wide)), assorted)


def test_csc_shares_the_arrays_of_the_matrix(assorted):
    matrix = sp.csc_matrix(assorted)
    rows = CscRows(matrix)
    assert np.shares_memory(rows._data, matrix.data)
    assert np.shares_memory(rows._indices, matrix.indices)


@pytest.mark.parametrize("make", [with_reversed_rows, with_split_entries])
def test_untidy_csc_reads_as_the_same_matrix_and_is_not_changed(assorted, make):
    matrix = make(sp.csr_matrix(assorted.T)).T
    assert matrix.format == "csc"
    arrays = [matrix.data, matrix.indices, matrix.indptr]
    before = [a.tobytes() for a in arrays]
    np.testing.assert_array_equal(dense_of(CscRows(matrix)), assorted)
    assert [a.tobytes() for a in arrays] == before


@pytest.mark.parametrize(
    "make",
    [np.asfortranarray, lambda d: np.repeat(d, 2, axis=1)[:, ::2], lambda d: np.repeat(d, 2, axis=0)[::2]],
    ids=["Fortran order", "every other column", "every other row"],
)
def test_dense_rows_of_any_memory_order(assorted, make):
    np.testing.assert_array_equal(dense_of(DenseRows(make(assorted))), assorted)


@pytest.mark.parametrize("dtype", [np.float16, ">f2", ">f4", ">f8", ">i4", ">u2"], ids=str)
def test_dense_rows_of_types_that_scipy_cannot_pack(assorted, dtype):
    block = DenseRows(assorted.astype(dtype)).block(0, 9)
    got = sp.csr_array((block.values, block.indices, block.indptr), shape=(9, 40)).toarray()
    np.testing.assert_array_equal(got, assorted)


def test_shape_is_that_of_the_matrix(assorted):
    assert CsrRows(sp.csr_matrix(assorted)).shape == DenseRows(assorted).shape == CscRows(sp.csc_matrix(assorted)).shape
    assert DenseRows(assorted).shape == (9, 40)


# One look at the arrays of a matrix, and CSC turned to rows.


FEW = settings(max_examples=50, deadline=None, derandomize=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", np.int64, np.uint8], ids=str)
@pytest.mark.parametrize("values", [[3.0, 1.0, 2.5], [0.0, 1.0], [7.0]])
def test_a_look_gives_the_smallest_and_the_largest(values, dtype):
    values = np.array(values).astype(dtype)
    seen = seen_in(values)
    assert (seen.low, seen.high, seen.whole) == (values.min(), values.max(), bool((values % 1 == 0).all()))


@pytest.mark.parametrize("nan", [np.nan, -np.nan])
@pytest.mark.parametrize("place", [0, 3, 6])
@pytest.mark.parametrize("first", [1.0, -1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_look_never_misses_a_nan(nan, place, first, dtype):
    values = np.array([first, 2.0, 3.0, np.inf, 4.0, 0.0, 5.0], dtype)
    values[place] = nan
    assert np.isnan([seen_in(values).low, seen_in(values).high]).all()


@pytest.mark.parametrize(
    ("values", "whole"), [([0.0, 3.0, -2.0], True), ([0.5, 1.0], False), ([2.0**40], True), ([np.nan], False)]
)
def test_all_whole_by_hand(values, whole):
    assert all_whole(np.array(values)) == all_whole.py_func(np.array(values)) == whole


@FEW
@given(
    hnp.arrays(np.int8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.sampled_from([0, 0, 1, 5])),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_block_of_columns_is_the_slice_of_rows(dense, one, other):
    start, stop = sorted(min(x, dense.shape[0]) for x in (one, other))
    matrix, rows = sp.csc_array(dense), sp.csr_array(dense)[start:stop]
    values, columns, ends = csc_block(matrix.data, matrix.indices, matrix.indptr, start, stop)
    np.testing.assert_array_equal(values, rows.data)
    np.testing.assert_array_equal(columns, rows.indices)
    np.testing.assert_array_equal(ends, rows.indptr)


def test_block_of_columns_compiled_equals_plain_python(plain_python):
    matrix = sp.csc_array(np.random.default_rng(0).poisson(0.5, (9, 20)).astype(np.float32))
    arguments = (matrix.data, matrix.indices, matrix.indptr, 2, 7)
    compiled, plain = csc_block(*arguments), plain_python(csc_block)(*arguments)
    assert [a.tobytes() for a in compiled] == [a.tobytes() for a in plain]


# The cells learned from are kept in few bytes, and read as they were.


N = 1300


def matrix_of(values, n_vars=200):
    rng = np.random.default_rng(0)
    few = sp.csr_array(rng.random((N, 200)) < 0.2)
    columns = few.indices * (n_vars // 200)
    return sp.csr_array((rng.choice(values, columns.size), columns, few.indptr), shape=(N, n_vars))


@pytest.mark.parametrize("n_vars", [200, 70_000])
@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2, 255], np.float32),
        np.array([1, 256, 65_535], np.float64),
        np.array([1, 65_536], np.float32),
        np.array([0.5, 1.25], np.float32),
        np.array([-1, 3], np.int64),
        np.array([0, 7], np.uint8),
    ],
    ids=["bytes", "two bytes", "large counts", "logarithms", "negative", "stored zeros"],
)
def test_rows_are_given_out_as_they_were(values, n_vars):
    matrix = matrix_of(values, n_vars)
    runs = [range(3, 640), range(700, N)]  # longer than what is read at once, and with a gap
    found = taken(_Elsewhere(matrix), runs, threads=2, tick=lambda _: None)
    expected = sp.vstack([matrix[r.start : r.stop] for r in runs], format="csr")
    assert found.shape == expected.shape
    for start, stop in [(0, 1), (0, found.shape[0]), (499, 501), (500, 1000), (1111, 1112)]:
        block = found.block(start, stop)
        got = sp.csr_array((block.values, block.indices, block.indptr), shape=(stop - start, n_vars))
        assert block.values.dtype == values.dtype
        assert block.indices.dtype == np.int32
        assert (got != expected[start:stop]).nnz == 0


@pytest.mark.parametrize(("values", "most"), [((1, 2, 255), 3.5), ((1, 300), 4.5), ((0.5, 1.5), 6.5)])
def test_counts_need_half_the_memory(values, most):
    rows = _Elsewhere(matrix_of(np.array(values, np.float32), 2000))
    n = rows.block(0, N).values.size
    tracemalloc.start()
    try:
        kept = taken(rows, [range(N)], threads=1, tick=lambda _: None)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept.shape == rows.shape
    assert held < most * n


def test_no_more_cells_are_kept_of_a_larger_matrix():
    assert sum(map(len, spread_rows(MOST_CELLS))) == sum(map(len, spread_rows(10**7))) == MOST_CELLS


@pytest.mark.parametrize("most", [2, 7, 400, 700])
@pytest.mark.parametrize("n_obs", [450, 701, 5000])
def test_few_rows_are_rows_of_the_matrix_each_once(n_obs, most):
    rows = [row for run in spread_rows(n_obs, most) for row in run]
    assert rows == sorted(set(rows))
    assert (rows[0], rows[-1]) == (0, n_obs - 1)
    assert len(rows) == n_obs if n_obs <= most else len(rows) <= most


class _Elsewhere(CsrRows):
    """Rows that must be read to be in memory, as those of a file."""

    in_memory = False


@pytest.mark.parametrize("kind", [bool, np.float32, np.int64])
def test_totals_are_those_of_each_row_and_zero_of_empty_ones(assorted, kind):
    dense = assorted.astype(kind)
    dense[[0, 4, 8]] = 0
    stored = sp.csr_matrix(dense)
    block = RowBlock(stored.data, stored.indices, stored.indptr.astype(np.int64))
    np.testing.assert_array_equal(block.totals(block.values), dense.sum(axis=1))
    np.testing.assert_array_equal(block.totals(block.indices < 20), (dense[:, :20] > 0).sum(axis=1))
