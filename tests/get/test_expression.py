from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.data import RunMatrix
from tamannot.errors import MatrixError, ParameterError
from tamannot.get._run_evidence import by_label, columns_of, of_cells

CODES = np.array([0, 1, -1, 1, 0, -1, 1, 1, 0, 1])


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(1.0, (10, 6)).astype(np.float32) + np.eye(10, 6, dtype=np.float32)


def run_matrix(values, kind: str = "counts") -> RunMatrix:
    return RunMatrix("X", kind, values, np.array([f"G{i}" for i in range(6)], dtype=object))


def logs(counts: np.ndarray) -> np.ndarray:
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_labels_have_the_shares_means_and_squares_of_their_cells(counts, container):
    found = by_label(run_matrix(container(counts)), CODES, 3)
    assert found.n.tolist() == [3, 5, 0]
    for label in (0, 1):
        x = logs(counts)[label == CODES]
        np.testing.assert_allclose(found.detected[label], (x > 0).mean(axis=0))
        np.testing.assert_allclose(found.mean[label], x.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(found.square[label], (x**2).mean(axis=0), rtol=1e-6)
    assert not found.mean[2].any()


def test_apart_is_in_standard_deviations_of_both_sides(counts):
    one, other = logs(counts)[CODES == 0], logs(counts)[CODES == 1]
    expected = (one.mean(0) - other.mean(0)) / np.sqrt((one.var(0) + other.var(0)) / 2)
    np.testing.assert_allclose(by_label(run_matrix(counts), CODES, 2).apart(0), expected, rtol=1e-5)


def test_logarithms_are_taken_as_they_are(counts):
    chosen = CODES >= 0
    as_logs = of_cells(run_matrix(sp.csr_matrix(logs(counts)), "log"), chosen, [4, 1])
    np.testing.assert_allclose(as_logs, logs(counts)[chosen][:, [4, 1]])
    np.testing.assert_allclose(of_cells(run_matrix(counts), chosen, [4, 1]), as_logs, rtol=1e-5)


def test_refused(counts):
    with pytest.raises(MatrixError, match="it held counts and no longer does"):
        by_label(run_matrix(counts + 0.5), CODES, 2)
    assert columns_of(run_matrix(counts), ["G5", "G0"]) == [5, 0]
    with pytest.raises(
        ParameterError, match="No gene G6, G7 in the matrix 'X' of the run, whose genes are named as G0"
    ):
        columns_of(run_matrix(counts), ["G5", "G6", "G7"])
