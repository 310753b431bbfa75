"""Rows replaced by groups of equal values, and what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.scoring import _ranks
from tamannot.scoring._ranks import AVERAGE, RankedRows, depths, rank_block
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows

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
    ranked = RankedRows(rows, HOW, keep=True)
    first, again = ranked.block(8, 24), ranked.block(8, 24)
    assert again is first
    assert fields(first) == fields(rank_block(rows.block(8, 24), 90, HOW))
    assert fields(ranked.block(8, 16)) == fields(rank_block(rows.block(8, 16), 90, HOW))


def test_no_more_is_kept_than_there_is_room(rows, monkeypatch):
    size = rank_block(rows.block(0, 20), 90, HOW).nbytes
    monkeypatch.setattr(_ranks, "_MOST_KEPT", int(1.5 * size))
    ranked = RankedRows(rows, HOW, keep=True)
    first, second = ranked.block(0, 20), ranked.block(20, 40)
    assert ranked.block(0, 20) is first
    assert ranked.block(20, 40) is not second
    assert fields(ranked.block(20, 40)) == fields(second)


@pytest.mark.parametrize("keep", [True, False])
def test_rows_that_are_not_in_memory_are_never_kept(keep, rows):
    elsewhere = DenseRows(np.ones((4, 90), np.float32))
    elsewhere.in_memory = False
    ranked = RankedRows(elsewhere if keep else rows, HOW, keep=keep)
    assert ranked.block(0, 4) is not ranked.block(0, 4)


def test_rows_of_a_matrix_by_columns_are_never_kept():
    ranked = RankedRows(CscRows(sp.csc_matrix(np.ones((4, 90), np.float32))), HOW, keep=True)
    assert ranked.block(0, 4) is not ranked.block(0, 4)
