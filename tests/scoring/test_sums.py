"""Sums of rank depths against dense computations, and compiled against plain Python."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from tamannot.scoring import (
    Run,
    SignedGenes,
    UCell,
    _sums,
    depths_by_method,
    make_plan,
    null_bins,
    null_contributions,
    score_runs,
)
from tamannot.scoring._expression import group_sums
from tamannot.scoring._plan import pack_arms
from tamannot.scoring._ranks import AVERAGE, EXPECTED, LEGACY, depths_of, longest_row, rank_block
from tamannot.scoring._rows import CsrRows, rows_in_memory
from tamannot.scoring._sums import CellSums, GeneBins, OutputParts, arm_sums, finish_scores, gene_totals, null_sums
from tamannot.signature import Gene, Signature, SignatureSet

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
    return depths_of([SimpleNamespace(rank_cap=lambda _, k=k: k, ties=tie) for k, tie in methods], 0)


def exact(weights):
    return np.rint(weights * 2**16) / 2**16


def totals(dense, methods, function=gene_totals):
    """Sum the depths of genes by each ``(cap, tie)``, in ranks."""
    how = how_of(methods)
    ranked = rank_block(block_of(dense), dense.shape[1], how)
    return function(ranked, dense.shape[1]) / how.step[:, None]


def all_of(dense, methods, columns=(), weights=(), bin_of=None, compiled=lambda kernel: kernel, block=None):
    """Return sums in ranks, detected genes, and moments in ranks by each ``(cap, tie)``."""
    how = how_of(methods)
    ranked, step = rank_block(block or block_of(dense), dense.shape[1], how), how.step
    (n_cells, n_genes), n_methods, n_arms = dense.shape, len(methods), len(columns)
    arms = pack_arms(list(columns), [[(w * 2**16).astype(np.int64) for w in weights]] * n_methods, n_genes)
    bins = np.empty((n_methods, 0), np.int32) if bin_of is None else np.tile(bin_of, (n_methods, 1)).astype(np.int32)
    sizes = np.array([np.bincount(b) for b in bins]).reshape(n_methods, -1)
    sums = np.full((n_methods, n_cells, n_arms), -1, np.int64)
    detected = np.full((n_cells if bin_of is not None else 0, n_arms), -1, np.int16)
    moments = np.full((n_methods, n_cells, sizes.shape[1], 4), -1, np.int64)
    if bin_of is None:
        compiled(arm_sums)(ranked, arms, sums)
    else:
        out = CellSums(sums, detected, moments)
        compiled(null_sums)(ranked, arms, GeneBins(bins, sizes, np.arange(len(bins))), out)
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
    columns, weights = [rng.choice(4000, 60, replace=False)], [exact(rng.random(60))]
    methods = [(1500, AVERAGE), (200, EXPECTED)]
    one = all_of(dense, methods, columns, weights, bin_of)
    other = all_of(dense[:, order], methods, [place[columns[0]]], weights, bin_of[order])
    assert [a.tobytes() for a in one] == [a.tobytes() for a in other]


def test_gene_totals_compiled_equal_plain_python(counts, plain_python):
    assert totals(counts, MIXED).tobytes() == totals(counts, MIXED, plain_python(gene_totals)).tobytes()


@pytest.mark.parametrize("few", [0, FEW], ids=["entry by entry", "counted first"])
def test_arm_sums_compiled_equal_plain_python(counts, monkeypatch, plain_python, few):
    weights = [exact(w / 3) for w in WEIGHTS]
    for bin_of in (None, np.arange(120) % 4):
        compiled = all_of(counts, MIXED, ARMS, weights, bin_of)
        with monkeypatch.context() as patched:
            patched.setattr(_sums, "_FEW_GROUPS", few)
            plain = all_of(counts, MIXED, ARMS, weights, bin_of, plain_python)
        assert [a.tobytes() for a in compiled] == [a.tobytes() for a in plain]


@pytest.mark.parametrize(("indptr", "longest"), [([0], 0), ([0, 0], 0), ([0, 3, 4], 3), ([0, 1, 6, 6], 5)])
def test_longest_row(indptr, longest):
    assert longest_row(np.array(indptr, np.int32)) == longest


# From sums to scores: by hand, and compiled against plain Python.


# Parts: up arm 0; up arm 1 and down arm 0; down arm 1 alone; nothing that is in the data.
ARM = np.array([[0, -1], [1, 0], [-1, 1], [-1, -1]])


MOST = np.array([[10.0, 0.0], [20.0, 10.0], [0.0, 20.0], [0.0, 0.0]])


def finished(sums, *, w_neg=1.0, offset=0.0, parts_of=((0,), (1,), (2,), (3,)), function=finish_scores):
    sums = np.array(sums, np.int64)
    ends = np.cumsum([0, *map(len, parts_of)])
    out = np.full((len(sums), len(parts_of)), np.nan, np.float32)
    order = np.concatenate(parts_of).astype(np.int64)
    function(sums, OutputParts(ARM, np.full((4, 2), offset), MOST, w_neg, ends, order), out)
    return out


@pytest.mark.parametrize(
    ("sums", "settings", "expected"),
    [
        pytest.param([5, 10], {}, [0.5, 0.0, 0.0, 0.0], id="up less down"),
        pytest.param([5, 16], {}, [0.5, 0.3, 0.0, 0.0], id="above zero"),
        pytest.param([5, 16], {"w_neg": 0.5}, [0.5, 0.55, 0.0, 0.0], id="weight of the down arm"),
        pytest.param([5, 0], {"offset": 1.0}, [0.6, 0.0, 0.0, 0.0], id="nothing is added to a sum of zero"),
    ],
)
def test_scores_by_hand(sums, settings, expected):
    np.testing.assert_allclose(finished([sums], **settings)[0], expected, atol=1e-7)


def test_an_output_is_the_greatest_of_its_parts():
    got = finished([[5, 16], [1, 18]], parts_of=((0, 1), (1, 2, 3)))
    np.testing.assert_allclose(got, [[0.5, 0.3], [0.8, 0.8]], atol=1e-7)


def test_compiled_equals_plain_python():
    sums = np.random.default_rng(0).integers(0, 20, (30, 2))
    settings = {"w_neg": 0.3, "offset": 0.7, "parts_of": ((0, 1), (1,), (2, 3, 0))}
    assert finished(sums, **settings).tobytes() == finished(sums, **settings, function=finish_scores.py_func).tobytes()


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6))
def test_plain_sets_get_the_same_bits_beside_a_composite(seed, n):
    rng = np.random.default_rng(seed)
    sums = rng.integers(0, 4, (5, n)) * rng.integers(0, 100_000, (5, n))
    arm = np.column_stack([rng.permutation(n), np.full(n, -1)])
    offset, most = rng.normal(0, 1000, (n, 2)), rng.uniform(1, 200_000, (n, 2))
    alone, beside = np.full((5, n), np.nan, np.float32), np.full((5, n + 1), np.nan, np.float32)
    finish_scores(sums, OutputParts(arm, offset, most, 1.0, np.arange(n + 1), np.arange(n)), alone)
    both = np.array([*range(n), 0, n - 1])
    finish_scores(sums, OutputParts(arm, offset, most, 1.0, np.array([*range(n + 1), n + 2]), both), beside)
    np.testing.assert_array_equal(alone, beside[:, :n])
    np.testing.assert_array_equal(beside[:, n], np.maximum(alone[:, 0], alone[:, n - 1]))


# Sums over groups of cells.


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


# Contributions.


N_GENES = 900


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    counts = rng.poisson(rng.gamma(0.4, 2.0, N_GENES), (30, N_GENES)).astype(np.float32)
    counts[0] = 0  # an empty cell
    return CsrRows(sp.csr_matrix(counts))


@pytest.fixture(scope="module")
def null(rows):
    return null_bins(depths_by_method(rows, [UCell()], threads=1)[0])


@pytest.fixture(scope="module")
def signed():
    rng = np.random.default_rng(5)
    columns = rng.permutation(N_GENES)[:40]
    weights = np.where(np.arange(40) < 30, rng.choice([0.5, 1.0, 2.0], 40), -1.0)
    return SignedGenes(columns, weights)


def test_equal_methods_with_different_nulls_score_as_each_does_alone(rows, null):
    genes = tuple(Gene(symbol=f"g{c}") for c in range(0, 60, 2))
    plan = make_plan(SignatureSet([Signature(id="s", genes=genes)]), lambda symbol, _: int(symbol[1:]), N_GENES)
    runs = [Run(UCell(), null), Run(UCell(max_rank=50)), Run(UCell(), null[::-1].copy()), Run(UCell())]
    for together, run in zip(score_runs(rows, plan, runs, threads=1), runs, strict=True):
        (alone,) = score_runs(rows, plan, [run], threads=1)
        for table, values in alone.by_cell().items():
            np.testing.assert_array_equal(getattr(together, table), values)


def test_contributions_sum_to_z(rows, null, signed):
    genes = tuple(
        Gene(symbol=f"g{c}", weight=abs(w), direction="up" if w > 0 else "down")
        for c, w in zip(signed.columns, signed.weights, strict=True)
    )
    plan = make_plan(SignatureSet([Signature(id="s", genes=genes)]), lambda symbol, _: int(symbol[1:]), N_GENES)
    z = score_runs(rows, plan, [Run(UCell(), null)], threads=1)[0].column("z", "s")
    found = null_contributions(rows.block(0, 30), N_GENES, UCell(), [signed], null)[0]
    np.testing.assert_allclose(found.sum(axis=1), z, rtol=1e-5, atol=1e-6)
    assert not found[0].any()


def test_a_gene_is_held_against_the_mean_depth_of_its_bin(rows, null):
    """The first bin is large enough for one gene, so that no other is merged with it."""
    cell = 4
    row = rows.block(cell, cell + 1)
    values = np.zeros(N_GENES)
    values[row.indices] = row.values
    depth = np.maximum(N_GENES - rankdata(-values), 0)
    column = int(np.flatnonzero(null == 0)[0])
    mine = depth[null == 0]
    assert mine.size >= 12
    expected = (depth[column] - mine.mean()) / mine.std()
    parts = [SignedGenes(np.array([column]), np.array([1.0]))]
    found = null_contributions(row, N_GENES, UCell(), parts, null)[0]
    np.testing.assert_allclose(found, [[expected]], rtol=1e-9)


def test_signatures_do_not_touch_each_other(rows, null, signed):
    other = SignedGenes(signed.columns[:7][::-1].copy(), np.ones(7))
    block = rows.block(0, 30)
    together = null_contributions(block, N_GENES, UCell(), [signed, other], null)
    for part, both in zip([signed, other], together, strict=True):
        np.testing.assert_array_equal(null_contributions(block, N_GENES, UCell(), [part], null)[0], both)
