"""Ranks of a cell's genes: by hand, against scipy, and compiled against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tamannot.kernels._ranks import rank_depths
from tamannot.kernels._rows import order_bits
from tamannot.kernels._sums import work_space


def depths(values, k, n_genes, function=rank_depths):
    table, group, value, count, depth = work_space(len(values))
    with np.errstate(over="ignore"):
        zero, positive = function(order_bits(np.asarray(values)), float(k), n_genes, table, group, value, count, depth)
    return depth[: len(values)].copy(), zero, positive


def expected_depths(row, k):
    return np.maximum(k - scipy.stats.rankdata(-np.asarray(row, float)), 0)


@pytest.mark.parametrize("function", [rank_depths, rank_depths.py_func], ids=["compiled", "python"])
@pytest.mark.parametrize(
    ("values", "k", "n_genes", "depth", "zero", "positive"),
    [
        pytest.param([3.0, 1.0, 2.0], 5, 10, [4, 2, 3], 0.0, 3, id="distinct"),
        pytest.param([2.0, 2.0, 1.0], 5, 5, [3.5, 3.5, 2], 0.5, 3, id="ties share the mean rank"),
        pytest.param([7.0, 7.0, 7.0], 4, 3, [2, 2, 2], 0.5, 3, id="all the same"),
        pytest.param([5.0], 10, 10, [9], 4.0, 1, id="one value, zeros within the cap"),
        pytest.param([5.0, 0.0, 3.0], 5, 5, [4, 1, 3], 1.0, 2, id="stored zero"),
        pytest.param([5.0, -0.0, 3.0], 5, 5, [4, 1, 3], 1.0, 2, id="stored negative zero"),
        pytest.param([0.0, 0.0], 4, 4, [1.5, 1.5], 1.5, 0, id="all stored zeros"),
        pytest.param([3.0, 2.0, 1.0], 2, 10, [1, 0, 0], 0.0, 3, id="ranks beyond the cap"),
        pytest.param([1.0], 1, 1, [0], 0.0, 1, id="cap of one"),
    ],
)
def test_depths_by_hand(function, values, k, n_genes, depth, zero, positive):
    got, got_zero, got_positive = depths(np.array(values), k, n_genes, function)
    np.testing.assert_array_equal(got, depth)
    assert (got_zero, got_positive) == (zero, positive)


@pytest.mark.parametrize("function", [rank_depths, rank_depths.py_func], ids=["compiled", "python"])
def test_a_row_without_entries_is_all_zeros(function):
    got, zero, positive = depths(np.empty(0), 10, 10, function)
    assert (got.size, zero, positive) == (0, 4.5, 0)


def test_values_that_share_a_hash_slot_are_told_apart():
    values = np.arange(1, 513).astype(np.float64) * 2.0**40
    got, _, _ = depths(values, 600, 600)
    np.testing.assert_array_equal(got, expected_depths(np.concatenate([values, np.zeros(88)]), 600)[:512])


def test_adjacent_floats_are_distinct():
    got, _, _ = depths(np.array([1.0, np.nextafter(1.0, 2.0)]), 10, 20)
    np.testing.assert_array_equal(got, [8, 9])


def test_subnormal_is_not_zero():
    got, _, positive = depths(np.array([5e-324, 1.0]), 10, 20)
    assert (got.tolist(), positive) == ([8.0, 9.0], 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_compiled_equals_plain_python(dtype, seed):
    values = np.random.default_rng(seed).poisson(2.0, 200).astype(dtype)
    compiled = depths(values, 150, 400)
    plain = depths(values, 150, 400, rank_depths.py_func)
    assert compiled[0].tobytes() == plain[0].tobytes()
    assert compiled[1:] == plain[1:]


@pytest.mark.parametrize("k", [7, 1500, 5000])
@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, np.uint32, bool], ids=str
)
def test_ranks_are_those_of_scipy(dtype, k):
    row = np.random.default_rng(0).poisson(0.8, 5000).astype(dtype)
    got, _, _ = depths(row, k, row.size)
    np.testing.assert_array_equal(got, expected_depths(row, k))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
def test_ranks_of_all_distinct_values_are_those_of_scipy(dtype):
    row = (np.random.default_rng(1).permutation(5000) + 1).astype(dtype) / dtype(7)
    assert np.unique(row).size == row.size
    got, _, _ = depths(row, 5000, row.size)
    np.testing.assert_array_equal(got, expected_depths(row, 5000))


def test_zero_left_out_ranks_as_zero_stored():
    row = np.random.default_rng(2).poisson(1.0, 300).astype(float)
    stored, zero, positive = depths(row, 300, 300)
    sparse, sparse_zero, sparse_positive = depths(row[row > 0], 300, 300)
    np.testing.assert_array_equal(stored[row > 0], sparse)
    assert set(stored[row == 0]) == {zero} == {sparse_zero}
    assert positive == sparse_positive == (row > 0).sum()


def test_work_table_is_clean_after_use():
    table, group, value, count, depth = work_space(6)
    rank_depths(order_bits(np.array([1.0, 2, 2, 3, 0, 5])), 10.0, 10, table, group, value, count, depth)
    assert (table == -1).all()


@pytest.mark.parametrize("longest", [0, 1, 3, 4, 1000])
def test_hash_table_is_a_power_of_two_larger_than_twice_the_row(longest):
    table = work_space(longest)[0]
    assert table.size & (table.size - 1) == 0
    assert table.size >= 2 * longest + 1
