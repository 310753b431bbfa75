"""Ranks of a cell's genes: by hand, against scipy, and compiled against plain Python."""

from __future__ import annotations

from itertools import pairwise, permutations
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

from tamannot.scoring import UCell, _ranks
from tamannot.scoring._ranks import (
    AVERAGE,
    EXPECTED,
    LARGEST_NULL_CAP,
    LEGACY,
    RankedRows,
    depths_of,
    descending,
    rank_block,
    rank_rows,
)
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows, RowBlock


def depths(caps, ties):
    methods = zip(caps, ties, strict=True)
    return depths_of([SimpleNamespace(rank_cap=lambda _, cap=cap: cap, ties=tie) for cap, tie in methods], 0)


def order_bits(values):
    return RowBlock(values, np.empty(0, np.int32), np.zeros(1, np.int64)).bits


def ranked(values, n_genes, methods, function=rank_rows):
    """Rank a cell by each ``(cap, tie)``: depths of the entries, those of a zero, how many are positive."""
    bits, how = order_bits(np.asarray(values)), depths(*map(list, zip(*methods, strict=True)))
    room = bits.size + 1
    group, ptr = np.empty(bits.size, np.int32), np.zeros(2, np.int64)
    depth, high = np.empty((len(methods), room), np.int64), np.empty(room, np.uint8)
    assert function(bits, np.array([0, bits.size]), n_genes, how, bits.size, (group, ptr, depth, high)) == 1
    assert ptr.tolist() == [0, group.max(initial=0) + 1]
    depth = depth / how.step[:, None]
    return depth[:, group], depth[:, 0], int(high[group].sum())


def one(values, k, n_genes, tie=AVERAGE, function=rank_rows):
    depth, zero, positive = ranked(values, n_genes, [(k, tie)], function)
    return depth[0], zero[0], positive


@pytest.fixture(params=["compiled", "python"])
def function(request, plain_python):
    return rank_rows if request.param == "compiled" else plain_python(rank_rows)


def expected_depths(row, k):
    return np.maximum(k - scipy.stats.rankdata(-np.asarray(row, float)), 0)


@pytest.mark.parametrize(
    ("values", "k", "n_genes", "depth", "zero", "positive"),
    [
        pytest.param([3.0, 1.0, 2.0], 5, 10, [4, 2, 3], 0.0, 3, id="distinct"),
        pytest.param([2.0, 2.0, 1.0], 5, 5, [3.5, 3.5, 2], 0.5, 3, id="ties share the mean rank"),
        pytest.param([7.0, 7.0, 7.0], 4, 4, [2, 2, 2], 0.0, 3, id="all the same"),
        pytest.param([5.0], 10, 10, [9], 4.0, 1, id="one value, zeros within the cap"),
        pytest.param([5.0, 0.0, 3.0], 5, 5, [4, 1, 3], 1.0, 2, id="stored zero"),
        pytest.param([5.0, -0.0, 3.0], 5, 5, [4, 1, 3], 1.0, 2, id="stored negative zero"),
        pytest.param([0.0, 0.0], 4, 4, [1.5, 1.5], 1.5, 0, id="all stored zeros"),
        pytest.param([3.0, 2.0, 1.0], 2, 10, [1, 0, 0], 0.0, 3, id="ranks beyond the cap"),
        pytest.param([1.0], 1, 1, [0], 0.0, 1, id="cap of one"),
    ],
)
def test_depths_by_hand(function, values, k, n_genes, depth, zero, positive):
    got, got_zero, got_positive = one(np.array(values), k, n_genes, function=function)
    np.testing.assert_array_equal(got, depth)
    assert (got_zero, got_positive) == (zero, positive)


@pytest.mark.parametrize(
    ("values", "k", "n_genes", "depth", "zero"),
    [
        pytest.param([3.0, 2.0, 1.0], 2, 9, [2, 1, 0], 0, id="rank K is one, not none"),
        pytest.param([3.0, 2.0, 2.0], 2, 9, [2, 0, 0], 0, id="a tie of mean rank beyond K is none"),
        pytest.param([3.0, 2.0, 2.0, 2.0], 3, 9, [3, 1, 1, 1], 0, id="a tie over K of mean rank K counts whole"),
        pytest.param([3.0], 4, 5, [4], 1.5, id="zeros of mean rank within K"),
    ],
)
def test_legacy_depths_by_hand(function, values, k, n_genes, depth, zero):
    got, got_zero, _ = one(np.array(values), k, n_genes, LEGACY, function)
    np.testing.assert_array_equal(got, depth)
    assert got_zero == zero


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize(
    "row", [[5, 3, 3, 3, 1, 0, 0], [2, 2, 2, 2, 2, 2, 2], [0, 0, 0, 0, 0, 0, 0], [9, 9, 1, 1, 1, 0, 4]]
)
def test_expected_depths_are_the_mean_over_all_ways_to_break_ties(function, row, k):
    row, total, ways = np.array(row, float), np.zeros(7), 0
    for order in permutations(range(7)):
        if all(row[a] >= row[b] for a, b in pairwise(order)):
            total[list(order)] += np.maximum(k - np.arange(1, 8), 0)
            ways += 1
    got, _, _ = one(row, k, 7, EXPECTED, function)
    np.testing.assert_allclose(got, total / ways, rtol=0, atol=2.0**-16)


def test_a_row_without_entries_is_all_zeros(function):
    got, zero, positive = one(np.empty(0), 10, 10, function=function)
    assert (got.size, zero, positive) == (0, 4.5, 0)


def test_no_gene_is_zero_where_all_are_positive(function):
    assert one(np.array([1.0, 2.0]), 5, 2, function=function)[1] == 0.0


def test_values_that_share_a_hash_slot_are_told_apart():
    values = np.arange(1, 513).astype(np.float64) * 2.0**40
    got, _, _ = one(values, 600, 600)
    np.testing.assert_array_equal(got, expected_depths(np.concatenate([values, np.zeros(88)]), 600)[:512])


def test_adjacent_floats_are_distinct():
    got, _, _ = one(np.array([1.0, np.nextafter(1.0, 2.0)]), 10, 20)
    np.testing.assert_array_equal(got, [8, 9])


def test_subnormal_is_not_zero():
    got, _, positive = one(np.array([5e-324, 1.0]), 10, 20)
    assert (got.tolist(), positive) == ([8.0, 9.0], 2)


ALL_TIES = [(150, AVERAGE), (150, EXPECTED), (150, LEGACY), (40, EXPECTED)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64], ids=str)
@pytest.mark.parametrize("mean", [2.0, 60.0], ids=["few values", "many values"])
def test_compiled_equals_plain_python(dtype, mean, plain_python):
    values = np.random.default_rng(0).poisson(mean, 200).astype(dtype)
    compiled = ranked(values, 400, ALL_TIES)
    plain = ranked(values, 400, ALL_TIES, plain_python(rank_rows))
    assert compiled[0].tobytes() == plain[0].tobytes()
    assert compiled[1].tobytes() == plain[1].tobytes()
    assert compiled[2] == plain[2]


def test_methods_ranked_together_have_the_bits_of_each_alone():
    values = np.random.default_rng(1).poisson(2.0, 200).astype(float)
    together, zeros, _ = ranked(values, 400, ALL_TIES)
    for m, method in enumerate(ALL_TIES):
        alone, zero, _ = ranked(values, 400, [method])
        assert together[m].tobytes() == alone[0].tobytes()
        assert zeros[m] == zero[0]


@pytest.mark.parametrize("k", [7, 1500, 5000])
@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, np.uint32, bool], ids=str
)
def test_ranks_are_those_of_scipy(dtype, k):
    row = np.random.default_rng(0).poisson(0.8, 5000).astype(dtype)
    got, _, _ = one(row, k, row.size)
    np.testing.assert_array_equal(got, expected_depths(row, k))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
@pytest.mark.parametrize("tie", [AVERAGE, EXPECTED])
def test_ranks_of_all_distinct_values_are_those_of_scipy(dtype, tie):
    row = (np.random.default_rng(1).permutation(5000) + 1).astype(dtype) / dtype(7)
    assert np.unique(row).size == row.size
    got, _, _ = one(row, 5000, row.size, tie)
    np.testing.assert_array_equal(got, expected_depths(row, 5000))


@pytest.mark.parametrize("tie", [AVERAGE, EXPECTED, LEGACY])
def test_zero_left_out_ranks_as_zero_stored(tie):
    row = np.random.default_rng(2).poisson(1.0, 300).astype(float)
    stored, zero, positive = one(row, 300, 300, tie)
    sparse, sparse_zero, sparse_positive = one(row[row > 0], 300, 300, tie)
    np.testing.assert_array_equal(stored[row > 0], sparse)
    assert set(stored[row == 0]) == {zero} == {sparse_zero}
    assert positive == sparse_positive == (row > 0).sum()


@pytest.mark.parametrize("cap", [1, 2, 15, 315, 1500, 20_000, LARGEST_NULL_CAP])
@pytest.mark.parametrize("tie", [AVERAGE, EXPECTED, LEGACY])
def test_cubes_of_all_depths_fit_into_64_bits(cap, tie):
    step = int(depths([cap], [tie]).step[0])
    deepest = cap if tie == LEGACY else cap - 1
    most = (deepest * (deepest + 1) // 2) ** 2 * step**3  # the sum of cubes of 1, 2, … is the square of their sum
    assert most < 2**63


@pytest.mark.parametrize("cap", [5, 15, 50, 315, 1500, 3000])
def test_steps_of_expected_ties_are_finer_than_a_score_shows(cap):
    assert 0.5 / depths([cap], [EXPECTED]).step[0] / (cap - 1) < 1e-5


def test_half_ranks_are_whole_steps():
    assert depths([1500, 40_000], [AVERAGE, LEGACY]).step.tolist() == [2, 2]


@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
@pytest.mark.parametrize("n", [0, 1, 2, 300, 5000])
def test_values_are_put_in_order_as_numpy_does(kind, n):
    rng, most = np.random.default_rng(n), np.iinfo(kind).max
    ends = np.array([most, 0, 1, most // 2, 255, 256], kind)[:n]
    values = np.concatenate([ends, np.setdiff1d(rng.integers(257, most // 2, n, kind), ends)])[:n]
    values = rng.permutation(values)
    np.testing.assert_array_equal(descending(values, n), np.argsort(values)[::-1])
    np.testing.assert_array_equal(descending.py_func(values, n), np.argsort(values)[::-1])


# Rows replaced by groups of equal values, and what is kept of them.


METHODS = [UCell(max_rank=50), UCell(max_rank=90)]


HOW = depths([50, 90], [AVERAGE, AVERAGE])


@pytest.fixture
def rows():
    return CsrRows(sp.csr_matrix(np.random.default_rng(0).poisson(0.7, (40, 90)).astype(np.float32)))


def fields(block):
    return [a.tolist() for a in (block.indices, block.indptr, block.group, block.ptr, block.depth, block.high)]


def test_equal_values_are_a_group_and_others_are_not(rows):
    block, ranked = rows.block(0, 40), rank_block(rows.block(0, 40), 90, HOW)
    for i in range(40):
        mine = slice(block.indptr[i], block.indptr[i + 1])
        values, group = block.values[mine], ranked.group[mine]
        assert len(set(zip(values, group, strict=True))) == len(set(values)) == len(set(group))
        assert ranked.ptr[i + 1] - ranked.ptr[i] == len(set(group)) + 1


WIDTHS = [(255, np.uint8), (256, np.uint16), (65_535, np.uint16), (65_536, np.int32)]


@pytest.mark.parametrize(("n_values", "kind"), WIDTHS)
def test_groups_are_numbered_in_the_narrowest_type_that_holds_them(n_values, kind):
    values = np.random.default_rng(1).permutation(n_values).astype(np.float32) + 1
    few = np.arange(n_values, dtype=np.float32)[None] % 200 + 1  # rows around it: groups are numbered within a row
    rows = CsrRows(sp.csr_matrix(np.concatenate([few, values[None], few])))
    how = depths([n_values], [AVERAGE])
    ranked = rank_block(rows.block(0, 3), n_values, how)
    assert ranked.group.dtype == kind
    depth = ranked.depth[0][ranked.ptr[1] : ranked.ptr[2]][ranked.group[n_values : 2 * n_values]] / 2
    np.testing.assert_array_equal(depth, values - 1)
    alone = rank_block(rows.block(0, 1), n_values, how)
    for i in (0, 2):
        np.testing.assert_array_equal(ranked.group[i * n_values : (i + 1) * n_values], alone.group)
        np.testing.assert_array_equal(ranked.depth[0][ranked.ptr[i] : ranked.ptr[i + 1]], alone.depth[0])


def test_no_cells_and_empty_cells():
    empty = CsrRows(sp.csr_matrix((3, 10), dtype=np.float32))
    assert rank_block(empty.block(0, 0), 10, HOW).ptr.tolist() == [0]
    assert rank_block(empty.block(0, 3), 10, HOW).ptr.tolist() == [0, 1, 2, 3]


def test_what_is_kept_is_what_would_be_made_again(rows):
    ranked = RankedRows(rows, METHODS, keep=True)
    first, again = ranked.block(8, 24), ranked.block(8, 24)
    assert again is first
    assert fields(first) == fields(rank_block(rows.block(8, 24), 90, HOW))
    assert fields(ranked.block(8, 16)) == fields(rank_block(rows.block(8, 16), 90, HOW))


def test_no_more_is_kept_than_there_is_room(rows, monkeypatch):
    size = sum(a.nbytes for a in rank_block(rows.block(0, 20), 90, HOW))
    monkeypatch.setattr(_ranks, "_MOST_KEPT", int(1.5 * size))
    ranked = RankedRows(rows, METHODS, keep=True)
    first, second = ranked.block(0, 20), ranked.block(20, 40)
    assert ranked.block(0, 20) is first
    assert ranked.block(20, 40) is not second
    assert fields(ranked.block(20, 40)) == fields(second)


@pytest.mark.parametrize("keep", [True, False])
def test_rows_that_are_not_in_memory_are_never_kept(keep, rows):
    elsewhere = DenseRows(np.ones((4, 90), np.float32))
    elsewhere.in_memory = False
    ranked = RankedRows(elsewhere if keep else rows, METHODS, keep=keep)
    assert ranked.block(0, 4) is not ranked.block(0, 4)


def test_rows_of_a_matrix_by_columns_are_never_kept():
    ranked = RankedRows(CscRows(sp.csc_matrix(np.ones((4, 90), np.float32))), METHODS, keep=True)
    assert ranked.block(0, 4) is not ranked.block(0, 4)
