"""Sums over groups of cells."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.scoring._expression import group_sums
from tamannot.scoring._rows import rows_in_memory


@pytest.fixture
def cells() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.poisson(0.7, (2500, 30)).astype(np.float32), rng.integers(-1, 4, 2500)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csc_array])
def test_sums_are_those_of_a_dense_table(cells, container):
    counts, codes = cells
    found = group_sums(rows_in_memory(container(counts)), codes, 4, squares=True)
    for group in range(4):
        mine = counts[codes == group].astype(float)
        assert found.n_cells[group] == len(mine)
        np.testing.assert_array_equal(found.sums[group], mine.sum(axis=0))
        np.testing.assert_array_equal(found.squares[group], (mine**2).sum(axis=0))
    np.testing.assert_array_equal(found.detected, (counts[codes >= 0] > 0).sum(axis=0))


def test_logarithms_are_taken_of_each_cell_before_adding(cells):
    counts, codes = cells
    found = group_sums(rows_in_memory(sp.csr_array(counts)), codes, 4, target=1e4)
    whole = counts.astype(float)
    logs = np.log1p(whole * (1e4 / np.maximum(whole.sum(axis=1, keepdims=True), 1)))
    np.testing.assert_allclose(found.sums[2], logs[codes == 2].sum(axis=0), rtol=1e-10)
    assert found.squares.shape == (0, 30)


def test_threads_do_not_change_a_bit(cells):
    counts, codes = cells
    one, two = (group_sums(rows_in_memory(counts), codes, 4, target=1e4, squares=True, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.sums, two.sums)
    np.testing.assert_array_equal(one.squares, two.squares)


def test_stored_zeros_are_not_detected():
    matrix = sp.csr_array((np.array([0.0, 2.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    assert group_sums(rows_in_memory(matrix), np.array([0]), 1).detected.tolist() == [0, 1]
