"""Sums of rank depths against dense computations, and compiled against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

from tamannot.kernels import _sums
from tamannot.kernels._pack import pack_arms
from tamannot.kernels._rows import CsrRows
from tamannot.kernels._sums import add_gene_totals, arm_sums, bin_moments, longest_row

CAPS = [20, 90, 120]


@pytest.fixture
def counts():
    dense = np.random.default_rng(3).poisson(0.6, (15, 120)).astype(np.float32)
    dense[4] = 0
    return dense


@pytest.fixture
def plain_python(monkeypatch):
    for name in ("rank_depths", "work_space", "longest_row"):
        monkeypatch.setattr(_sums, name, getattr(_sums, name).py_func)
    with np.errstate(over="ignore"):
        yield


def block_of(dense):
    block = CsrRows(sp.csr_matrix(dense)).block(0, dense.shape[0])
    return block.bits, block.indices, block.indptr


def dense_depths(dense, k):
    return np.maximum(k - np.array([scipy.stats.rankdata(-row) for row in dense]), 0)


def totals(dense, k, function=add_gene_totals):
    total = np.zeros(dense.shape[1])
    function(*block_of(dense), float(k), total)
    return total


def moments_of(dense, k, bin_of, function=bin_moments):
    sizes = np.bincount(bin_of)
    out = np.full((dense.shape[0], sizes.size, 4), -1.0)
    function(*block_of(dense), float(k), bin_of, sizes, out)
    return out


def sums_of(dense, k, columns, weights, function=arm_sums):
    arms = pack_arms(columns, weights, dense.shape[1])
    sums, detected = np.empty((dense.shape[0], len(columns))), np.empty((dense.shape[0], len(columns)), np.int16)
    packed = (arms.gene_ptr, arms.arm_of, arms.weight_of, arms.arm_weight)
    function(*block_of(dense), float(k), *packed, sums, detected)
    return sums, detected


def with_zeros_stored(dense):
    block = CsrRows(sp.csr_matrix(dense + 1))
    matrix = sp.csr_matrix(
        (dense.ravel().copy(), block.block(0, len(dense)).indices, block.block(0, len(dense)).indptr)
    )
    return CsrRows(matrix).block(0, dense.shape[0])


ARMS = [np.array([0, 5, 9, 77]), np.array([5]), np.array([], np.int64), np.array([9, 100, 119])]
WEIGHTS = [np.array([1.0, 0.5, 2.0, 0.25]), np.array([1.0]), np.array([]), np.array([1.0, 1.0, 3.0])]


@pytest.mark.parametrize("k", CAPS)
def test_gene_totals_are_depths_above_zeros_summed_over_cells(counts, k):
    depth = dense_depths(counts, k).astype(np.float64)
    zero = np.maximum(k - 0.5 * ((counts > 0).sum(axis=1) + 1 + counts.shape[1]), 0)
    np.testing.assert_array_equal(totals(counts, k), (depth - zero[:, None]).sum(axis=0))


def test_gene_totals_are_added_to_what_is_there(counts):
    total = np.ones(counts.shape[1])
    add_gene_totals(*block_of(counts), 90.0, total)
    np.testing.assert_array_equal(total, totals(counts, 90) + 1)


@pytest.mark.parametrize("k", CAPS)
def test_arm_sums_are_weighted_sums_of_depths(counts, k):
    depth = dense_depths(counts, k).astype(np.float64)
    sums, _ = sums_of(counts, k, ARMS, WEIGHTS)
    expected = np.stack([depth[:, c] @ w for c, w in zip(ARMS, WEIGHTS, strict=True)], axis=1)
    np.testing.assert_array_equal(sums, expected)


def test_detected_counts_genes_above_zero(counts):
    _, detected = sums_of(counts, 90, ARMS, WEIGHTS)
    np.testing.assert_array_equal(detected, np.stack([(counts[:, c] > 0).sum(axis=1) for c in ARMS], axis=1))


def test_stored_zeros_are_not_detected(counts):
    block = with_zeros_stored(counts)
    assert block.bits.size == counts.size
    arms = pack_arms(ARMS, WEIGHTS, counts.shape[1])
    sums, detected = np.empty((15, 4)), np.empty((15, 4), np.int16)
    packed = (arms.gene_ptr, arms.arm_of, arms.weight_of, arms.arm_weight)
    arm_sums(block.bits, block.indices, block.indptr, 90.0, *packed, sums, detected)
    expected = sums_of(counts, 90, ARMS, WEIGHTS)
    np.testing.assert_array_equal(sums, expected[0])
    np.testing.assert_array_equal(detected, expected[1])


@pytest.mark.parametrize("k", CAPS)
def test_bin_moments_are_power_sums_of_depths_in_each_bin(counts, k):
    bin_of = np.random.default_rng(0).integers(0, 5, counts.shape[1]).astype(np.int32)
    depth = dense_depths(counts, k).astype(np.float64)
    got = moments_of(counts, k, bin_of)
    for b in range(5):
        for power in (1, 2, 3):
            np.testing.assert_array_equal(got[:, b, power - 1], (depth[:, bin_of == b] ** power).sum(axis=1))
        np.testing.assert_array_equal(got[:, b, 3], (counts[:, bin_of == b] > 0).sum(axis=1))


def test_bin_moments_ignore_stored_zeros(counts):
    bin_of = (np.arange(counts.shape[1]) % 3).astype(np.int32)
    block, sizes = with_zeros_stored(counts), np.bincount(bin_of)
    out = np.empty((15, 3, 4))
    bin_moments(block.bits, block.indices, block.indptr, 120.0, bin_of, sizes, out)
    np.testing.assert_array_equal(out, moments_of(counts, 120, bin_of))


def test_bin_moments_do_not_depend_on_the_order_of_genes():
    rng = np.random.default_rng(5)
    dense, order = rng.random((3, 4000)) * (rng.random((3, 4000)) < 0.5), rng.permutation(4000)
    bin_of = (np.arange(4000) % 2).astype(np.int32)
    assert moments_of(dense, 1500, bin_of).tobytes() == moments_of(dense[:, order], 1500, bin_of[order]).tobytes()


@pytest.mark.usefixtures("plain_python")
def test_gene_totals_compiled_equal_plain_python(counts):
    assert totals(counts, 90).tobytes() == totals(counts, 90, add_gene_totals.py_func).tobytes()


@pytest.mark.usefixtures("plain_python")
def test_arm_sums_compiled_equal_plain_python(counts):
    weights = [w / 3 for w in WEIGHTS]
    compiled, plain = sums_of(counts, 90, ARMS, weights), sums_of(counts, 90, ARMS, weights, arm_sums.py_func)
    assert [a.tobytes() for a in compiled] == [a.tobytes() for a in plain]


@pytest.mark.usefixtures("plain_python")
def test_bin_moments_compiled_equal_plain_python(counts):
    bin_of = (np.arange(counts.shape[1]) % 4).astype(np.int32)
    compiled, plain = moments_of(counts, 120, bin_of), moments_of(counts, 120, bin_of, bin_moments.py_func)
    assert compiled.tobytes() == plain.tobytes()


@pytest.mark.parametrize(("indptr", "longest"), [([0], 0), ([0, 0], 0), ([0, 3, 4], 3), ([0, 1, 6, 6], 5)])
def test_longest_row(indptr, longest):
    assert longest_row(np.array(indptr, np.int32)) == longest
