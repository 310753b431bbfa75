"""One look at the arrays of a matrix, and CSC turned to rows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tamannot.scoring._survey import all_whole, csc_block, extremes, rises_strictly, survey

FEW = settings(max_examples=50, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("indices", "indptr", "rises"),
    [
        ([0, 1, 5], [0, 3], True),
        ([0, 1, 1], [0, 3], False),
        ([0, 5, 1], [0, 3], False),
        ([3, 5, 0, 1], [0, 2, 4], True),
        ([3, 5, 1, 1], [0, 2, 4], False),
        ([], [0, 0, 0], True),
        ([], [0], True),
    ],
)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_rows_rise_where_no_index_falls_or_stands_twice(indices, indptr, rises, dtype):
    arrays = np.array(indices, dtype), np.array(indptr, dtype)
    assert rises_strictly(*arrays) == rises_strictly.py_func(*arrays) == rises


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "values",
    [[3.0, 1.0, 2.5], [0.0, -0.0, 1.0], [-0.0], [-2.0, -3.0, 5.0], [1.0, np.inf], [-np.inf, 0.0], [5e-324, 7.0]],
)
def test_survey_gives_the_smallest_and_the_largest(values, dtype):
    values = np.array(values, dtype)
    assert survey(values) == (values.min(), values.max())


@pytest.mark.parametrize("nan", [np.nan, -np.nan])
@pytest.mark.parametrize("place", [0, 3, 6])
@pytest.mark.parametrize("first", [1.0, -1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_survey_never_misses_a_nan(nan, place, first, dtype):
    values = np.array([first, 2.0, 3.0, np.inf, 4.0, 0.0, 5.0], dtype)
    values[place] = nan
    assert np.isnan(survey(values)).any()


@FEW
@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(allow_nan=False)))
def test_survey_equals_numpy(values):
    assert survey(values) == (values.min(), values.max())


@pytest.mark.parametrize(
    ("values", "whole"), [([0.0, 3.0, -2.0], True), ([0.5, 1.0], False), ([2.0**40], True), ([np.nan], False)]
)
def test_all_whole_by_hand(values, whole):
    assert all_whole(np.array(values)) == all_whole.py_func(np.array(values)) == whole


def test_extremes_compiled_equal_plain_python():
    values = np.random.default_rng(0).integers(-50, 50, 30)
    assert extremes(values) == extremes.py_func(values) == (values.min(), values.max())


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
