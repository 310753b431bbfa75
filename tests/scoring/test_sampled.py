"""The cells learned from are kept in few bytes, and read as they were."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.scoring._features import MOST_CELLS, learning_rows, taken
from tamannot.scoring._rows import CsrRows

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
        np.testing.assert_array_equal(got.toarray(), expected[start:stop].toarray())


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
    assert sum(map(len, learning_rows(MOST_CELLS))) == sum(map(len, learning_rows(10**7))) == MOST_CELLS


class _Elsewhere(CsrRows):
    """Rows that must be read to be in memory, as those of a file."""

    in_memory = False
