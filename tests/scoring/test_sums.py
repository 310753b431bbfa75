"""Sums of rank depths against dense computations, and compiled against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

from tamannot.scoring import _sums
from tamannot.scoring._pack import exact_weights, in_steps, pack_arms
from tamannot.scoring._ranks import AVERAGE, EXPECTED, LEGACY, depths, longest_row, rank_block
from tamannot.scoring._rows import CsrRows
from tamannot.scoring._sums import CellSums, GeneBins, add_gene_totals, arm_sums, gene_arms, null_sums

CAPS = [20, 90, 120]
FEW = _sums._FEW_GROUPS  # from so many distinct values on, moments are added up entry by entry


@pytest.fixture
def counts():
    dense = np.random.default_rng(3).poisson(0.6, (15, 120)).astype(np.float32)
    dense[4] = 0
    return dense


def block_of(dense):
    return CsrRows(sp.csr_matrix(dense)).block(0, dense.shape[0])


def dense_depths(dense, k):
    return np.maximum(k - np.array([scipy.stats.rankdata(-row) for row in dense.astype(float)]), 0)


def how_of(methods):
    return depths([k for k, _ in methods], [tie for _, tie in methods])


def totals(dense, methods, function=add_gene_totals, start=0):
    """Sum the depths of genes by each ``(cap, tie)``, in ranks."""
    how = how_of(methods)
    ranked = rank_block(block_of(dense), dense.shape[1], how)
    total = np.full((len(methods), dense.shape[1]), start, np.int64)
    function(ranked, total)
    return total / how.step[:, None]


def all_of(dense, methods, columns=(), weights=(), bin_of=None, compiled=lambda kernel: kernel, block=None):
    """Return sums in ranks, detected genes, and moments in ranks by each ``(cap, tie)``."""
    how = how_of(methods)
    ranked, step = rank_block(block or block_of(dense), dense.shape[1], how), how.step
    (n_cells, n_genes), n_methods, n_arms = dense.shape, len(methods), len(columns)
    arms = pack_arms(list(columns), [[in_steps(w) for w in weights]] * n_methods, n_genes)
    bins = np.empty((n_methods, 0), np.int32) if bin_of is None else np.tile(bin_of, (n_methods, 1)).astype(np.int32)
    sizes = np.array([np.bincount(b) for b in bins]).reshape(n_methods, -1)
    sums = np.full((n_methods, n_cells, n_arms), -1, np.int64)
    detected = np.full((n_cells if bin_of is not None else 0, n_arms), -1, np.int16)
    moments = np.full((n_methods, n_cells, sizes.shape[1], 4), -1, np.int64)
    if bin_of is None:
        compiled(arm_sums)(ranked, gene_arms(arms), sums)
    else:
        out = CellSums(sums, detected, moments)
        compiled(null_sums)(ranked, gene_arms(arms), GeneBins(bins, sizes), out)
    unit = step[:, None, None, None] ** np.array([1, 2, 3, 0])
    return sums * 2.0**-16 / step[:, None, None], detected, moments / unit


def with_zeros_stored(dense):
    full = CsrRows(sp.csr_matrix(dense + 1)).block(0, len(dense))
    return CsrRows(sp.csr_matrix((dense.ravel().copy(), full.indices, full.indptr))).block(0, dense.shape[0])


ARMS = [np.array([0, 5, 9, 77]), np.array([5]), np.array([], np.int64), np.array([9, 100, 119])]
WEIGHTS = [np.array([1.0, 0.5, 2.0, 0.25]), np.array([1.0]), np.array([]), np.array([1.0, 1.0, 3.0])]
MIXED = [(20, AVERAGE), (90, EXPECTED), (120, LEGACY), (120, AVERAGE)]


@pytest.mark.parametrize("k", CAPS)
def test_gene_totals_are_depths_above_zeros_summed_over_cells(counts, k):
    depth = dense_depths(counts, k)
    zero = np.maximum(k - 0.5 * ((counts > 0).sum(axis=1) + 1 + counts.shape[1]), 0)
    np.testing.assert_array_equal(totals(counts, [(k, AVERAGE)])[0], (depth - zero[:, None]).sum(axis=0))


def test_gene_totals_are_added_to_what_is_there(counts):
    np.testing.assert_array_equal(totals(counts, [(90, AVERAGE)], start=2), totals(counts, [(90, AVERAGE)]) + 1)


def test_gene_totals_of_several_methods_are_those_of_each_alone(counts):
    alone = [totals(counts, [method])[0] for method in MIXED]
    np.testing.assert_array_equal(totals(counts, MIXED), alone)


@pytest.mark.parametrize("k", CAPS)
def test_arm_sums_are_weighted_sums_of_depths(counts, k):
    depth = dense_depths(counts, k)
    sums, _, _ = all_of(counts, [(k, AVERAGE)], ARMS, WEIGHTS)
    np.testing.assert_array_equal(sums[0], np.stack([depth[:, c] @ w for c, w in zip(ARMS, WEIGHTS, strict=True)], 1))


def test_arm_sums_of_several_methods_are_those_of_each_alone(counts):
    together = all_of(counts, MIXED, ARMS, WEIGHTS, np.arange(120) % 4)
    for m, method in enumerate(MIXED):
        alone = all_of(counts, [method], ARMS, WEIGHTS, np.arange(120) % 4)
        np.testing.assert_array_equal(together[0][m], alone[0][0])
        np.testing.assert_array_equal(together[1], alone[1])
        np.testing.assert_array_equal(together[2][m], alone[2][0])


def test_arm_sums_do_not_depend_on_the_null(counts):
    with_null = all_of(counts, MIXED, ARMS, WEIGHTS, np.arange(120) % 4)
    np.testing.assert_array_equal(all_of(counts, MIXED, ARMS, WEIGHTS)[0], with_null[0])


def test_detected_counts_genes_above_zero(counts):
    _, detected, _ = all_of(counts, [(90, AVERAGE)], ARMS, WEIGHTS, np.zeros(120, int))
    np.testing.assert_array_equal(detected, np.stack([(counts[:, c] > 0).sum(axis=1) for c in ARMS], axis=1))


def test_stored_zeros_change_nothing(counts):
    block = with_zeros_stored(counts)
    assert block.bits.size == counts.size
    arguments = (counts, MIXED, ARMS, WEIGHTS, np.arange(120) % 3)
    for stored, left_out in zip(all_of(*arguments, block=block), all_of(*arguments), strict=True):
        np.testing.assert_array_equal(stored, left_out)


@pytest.mark.parametrize("k", CAPS)
def test_moments_are_power_sums_of_depths_in_each_bin(counts, k):
    bin_of = np.random.default_rng(0).integers(0, 5, counts.shape[1])
    depth = dense_depths(counts, k)
    _, _, got = all_of(counts, [(k, AVERAGE)], bin_of=bin_of)
    for b in range(5):
        for power in (1, 2, 3):
            np.testing.assert_array_equal(got[0, :, b, power - 1], (depth[:, bin_of == b] ** power).sum(axis=1))
        np.testing.assert_array_equal(got[0, :, b, 3], (counts[:, bin_of == b] > 0).sum(axis=1))


@pytest.mark.parametrize("n_values", [FEW - 1, FEW, FEW + 1, 5 * FEW])
@pytest.mark.parametrize("cap", [60, 900, 1000])
def test_moments_are_the_same_whether_values_are_counted_first_or_not(n_values, cap):
    rng = np.random.default_rng(4)
    dense = np.zeros((3, 1000))
    for row in dense:
        row[rng.permutation(1000)[:800]] = np.arange(800) % n_values + 1.0
    bin_of = rng.integers(0, 6, 1000)
    _, _, got = all_of(dense, [(cap, AVERAGE)], bin_of=bin_of)
    powers = dense_depths(dense, cap)[:, :, None] ** np.arange(1, 4)
    np.testing.assert_array_equal(
        got[0, :, :, :3], np.stack([powers[:, bin_of == b].sum(axis=1) for b in range(6)], axis=1)
    )


def test_nothing_depends_on_the_order_of_genes():
    rng = np.random.default_rng(5)
    dense, order = rng.random((3, 4000)) * (rng.random((3, 4000)) < 0.5), rng.permutation(4000)
    bin_of, place = np.arange(4000) % 2, np.argsort(order)
    columns, weights = [rng.choice(4000, 60, replace=False)], [exact_weights(rng.random(60))]
    methods = [(1500, AVERAGE), (200, EXPECTED)]
    one = all_of(dense, methods, columns, weights, bin_of)
    other = all_of(dense[:, order], methods, [place[columns[0]]], weights, bin_of[order])
    assert [a.tobytes() for a in one] == [a.tobytes() for a in other]


def test_gene_totals_compiled_equal_plain_python(counts, plain_python):
    assert totals(counts, MIXED).tobytes() == totals(counts, MIXED, plain_python(add_gene_totals)).tobytes()


@pytest.mark.parametrize("few", [0, FEW], ids=["entry by entry", "counted first"])
def test_arm_sums_compiled_equal_plain_python(counts, monkeypatch, plain_python, few):
    weights = [exact_weights(w / 3) for w in WEIGHTS]
    for bin_of in (None, np.arange(120) % 4):
        compiled = all_of(counts, MIXED, ARMS, weights, bin_of)
        with monkeypatch.context() as patched:
            patched.setattr(_sums, "_FEW_GROUPS", few)
            plain = all_of(counts, MIXED, ARMS, weights, bin_of, plain_python)
        assert [a.tobytes() for a in compiled] == [a.tobytes() for a in plain]


@pytest.mark.parametrize(("indptr", "longest"), [([0], 0), ([0, 0], 0), ([0, 3, 4], 3), ([0, 1, 6, 6], 5)])
def test_longest_row(indptr, longest):
    assert longest_row(np.array(indptr, np.int32)) == longest
