"""Weighted sums of values against numpy, and compiled against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tamannot.scoring import ModuleScore, WeightedMean, make_plan, score_linear
from tamannot.scoring._expression import add_gene_sums, add_label_sums, to_log, weighted_sums
from tamannot.scoring._plan import pack_arms
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet

COLUMNS = [np.array([3, 0, 7]), np.array([], np.int64), np.array([7, 11, 7])]


WEIGHTS = [np.array([1.0, -0.5, 2.0]), np.array([]), np.array([0.1, 1.0, -3.0])]


@pytest.fixture
def matrix():
    dense = np.random.default_rng(0).poisson(0.8, (9, 12)).astype(float)
    dense[4] = 0
    return sp.csr_matrix(dense)


def log_of(matrix, function=to_log):
    values = matrix.data.copy()
    function(values, matrix.indptr, 1e4)
    return values


def sums_of(matrix, function=weighted_sums):
    packed, out = pack_arms(COLUMNS, [WEIGHTS], 12), np.full((9, 3), np.nan, np.float32)
    function((matrix.data, matrix.indices, matrix.indptr), 0.0, packed, np.array([0.0, 2.5, -1.0]), out)
    return out


def gene_sums_of(matrix, function=add_gene_sums):
    sums = np.stack([np.ones(12), np.zeros(12)], axis=1)
    for first, last in ((0, 5), (5, 12)):  # as threads share the genes
        function((matrix.data, matrix.indices, matrix.indptr), 0.0, first, last, sums)
    return sums.T


LABELS = np.array([0, 2, 2, 0, 2, 0, 0, 2, 2])


def label_sums_of(matrix, function=add_label_sums):
    sums = np.zeros((3, 12, 3))
    sums[1] = 7  # of no row
    function(matrix.data, matrix.indices, matrix.indptr, LABELS, sums)
    return sums


def test_logarithms_are_those_of_ten_thousand_a_cell(matrix):
    total = np.maximum(matrix.sum(axis=1), 1)
    got = sp.csr_matrix((log_of(matrix), matrix.indices, matrix.indptr), shape=matrix.shape).toarray()
    np.testing.assert_allclose(got, np.log1p(matrix.toarray() * 1e4 / np.asarray(total)), rtol=1e-12)


def test_a_cell_of_stored_zeros_stays_zero():
    values = np.zeros(3)
    to_log(values, np.array([0, 3]), 1e4)
    assert not values.any()


def test_weighted_sums_are_products_plus_the_constant(matrix):
    dense = matrix.toarray()
    expected = [dense[:, c] @ w + k for c, w, k in zip(COLUMNS, WEIGHTS, [0.0, 2.5, -1.0], strict=True)]
    np.testing.assert_allclose(sums_of(matrix), np.stack(expected, axis=1), rtol=1e-6, atol=1e-6)


def test_gene_sums_are_added_to_what_is_there(matrix):
    total, squares = gene_sums_of(matrix)
    np.testing.assert_allclose(total, matrix.toarray().sum(axis=0) + 1)
    np.testing.assert_allclose(squares, (matrix.toarray() ** 2).sum(axis=0))


def test_gene_sums_are_added_row_by_row():
    dense = np.random.default_rng(0).random((50, 3)) * [1e-8, 1.0, 1e8]
    by_row = [0.0, 0.0, 0.0]
    for row in dense:
        by_row = [s + v for s, v in zip(by_row, row, strict=True)]
    matrix, sums = sp.csr_matrix(dense), np.zeros((3, 2))
    add_gene_sums((matrix.data, matrix.indices, matrix.indptr), 0.0, 0, 3, sums)
    assert sums[:, 0].tolist() == by_row


@pytest.mark.parametrize("n_sets", [1, 3, 4, 5, 8, 9, 17])
def test_a_gene_of_many_sets_counts_once_in_each(matrix, n_sets):
    columns = [np.array([3, 7 + s % 5]) for s in range(n_sets)]
    weights = [np.array([1.0 + s, -0.5]) for s in range(n_sets)]
    packed, out = pack_arms(columns, [weights], 12), np.full((9, n_sets), np.nan)
    weighted_sums((matrix.data, matrix.indices, matrix.indptr), 0.0, packed, np.zeros(n_sets), out)
    dense = matrix.toarray()
    np.testing.assert_allclose(out.T, [dense[:, c] @ w for c, w in zip(columns, weights, strict=True)])


@pytest.mark.parametrize("number", [1.0, 0.3])
def test_sums_of_counts_are_those_of_their_logarithms(matrix, number):
    """Small whole counts have a table of their logarithms, others not."""
    counts = sp.csr_matrix(matrix * number)
    logs = sp.csr_matrix((log_of(counts), counts.indices, counts.indptr), shape=counts.shape)
    packed, out = pack_arms(COLUMNS, [WEIGHTS], 12), np.full((9, 3), np.nan)
    weighted_sums((counts.data, counts.indices, counts.indptr), 1e4, packed, np.zeros(3), out)
    np.testing.assert_allclose(out, np.stack([logs[:, c] @ w for c, w in zip(COLUMNS, WEIGHTS, strict=True)], axis=1))
    sums = np.zeros((12, 2))
    add_gene_sums((counts.data, counts.indices, counts.indptr), 1e4, 0, 12, sums)
    np.testing.assert_allclose(sums[:, 0], logs.toarray().sum(axis=0))


def test_label_sums_are_detected_cells_values_and_squares(matrix):
    matrix.data[:3] = 0  # stored zeros are not detected
    sums, dense = label_sums_of(matrix), matrix.toarray()
    for label in (0, 2):
        rows = dense[label == LABELS]
        np.testing.assert_allclose(sums[label].T, [(rows > 0).sum(axis=0), rows.sum(axis=0), (rows**2).sum(axis=0)])
    assert (sums[1] == 7).all()


@pytest.mark.parametrize(
    ("call", "kernel"), [(sums_of, weighted_sums), (gene_sums_of, add_gene_sums), (label_sums_of, add_label_sums)]
)
def test_compiled_equals_plain_python(matrix, call, kernel):
    compiled, plain = call(matrix), call(matrix, kernel.py_func)
    assert np.asarray(compiled).tobytes() == np.asarray(plain).tobytes()


def test_logarithms_compiled_equal_plain_python_but_for_the_last_bits(matrix):
    np.testing.assert_allclose(log_of(matrix), log_of(matrix, to_log.py_func), rtol=1e-15)


# What changes a score on values by no more than rounding: order, container, number type, blocks, threads.


N_CELLS, N_GENES = 40, 200


IDS = np.array([f"g{i}" for i in range(N_GENES)])


EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True)


MEANS = [WeightedMean(), WeightedMean(form="sum")]


OF_ALL_CELLS = [WeightedMean(form="zmean"), ModuleScore(ctrl_size=None), ModuleScore(ctrl_size=None, variant="seurat")]


DRAWN = [ModuleScore(ctrl_size=5), ModuleScore(variant="seurat", ctrl_size=2, ctrl_as_ref=False)]


CONTAINERS = [
    lambda x: CsrRows(sp.csr_matrix(x)),
    lambda x: CscRows(sp.csc_matrix(x)),
    lambda x: CsrRows(sp.csr_array(x.astype(np.int32))),
    lambda x: CscRows(sp.csc_array(x.astype(np.uint16))),
    DenseRows,
    lambda x: DenseRows(np.asfortranarray(x, np.float32)),
    lambda x: DenseRows(np.repeat(x, 2, axis=1)[:, ::2]),
]


def data(seed):
    rng = np.random.default_rng(seed)
    return rng, rng.poisson(rng.lognormal(0, 1, N_GENES), (N_CELLS, N_GENES)).astype(float)


def signature(rng, signature_id):
    genes = [
        Gene(symbol=f"g{c}", weight=float(rng.choice([1.0, 0.3, 2.7])), direction=str(rng.choice(["up", "up", "down"])))
        for c in rng.choice(N_GENES, 15, replace=False)
    ]
    return Signature(id=signature_id, genes=tuple(genes))


FIXED = [signature(np.random.default_rng(i), f"s{i}") for i in range(3)]


def scored(counts, method, *, rows=CONTAINERS[0], ids=IDS, signatures=FIXED, step=512, threads=1, kind="counts"):
    plan, source = make_plan(SignatureSet(signatures), GeneIndex(list(ids)).locate, N_GENES), rows(counts)
    source.step = step
    return score_linear(source, plan, method, kind=kind, threads=threads).score


def assert_same(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@EXAMPLES
@given(st.integers(0, 999), st.sampled_from(MEANS + OF_ALL_CELLS))
def test_order_of_genes_but_where_controls_are_drawn_by_it(seed, method):
    rng, counts = data(seed)
    order = rng.permutation(N_GENES)
    assert_same(scored(counts[:, order], method, ids=IDS[order]), scored(counts, method))


@EXAMPLES
@given(st.integers(0, 999), st.sampled_from(MEANS + OF_ALL_CELLS))
def test_order_of_cells_but_where_controls_are_drawn(seed, method):
    rng, counts = data(seed)
    order = rng.permutation(N_CELLS)
    assert_same(scored(counts[order], method), scored(counts, method)[order])


@EXAMPLES
@given(st.integers(0, 999), st.sampled_from(MEANS))
def test_other_cells_but_where_the_method_looks_at_them(seed, method):
    rng, counts = data(seed)
    chosen = rng.random(N_CELLS) < 0.4
    assert_same(scored(counts[chosen], method), scored(counts, method)[chosen])


@EXAMPLES
@given(st.integers(0, 999), st.sampled_from(MEANS + OF_ALL_CELLS + DRAWN), st.sampled_from(CONTAINERS))
def test_container_and_number_type(seed, method, rows):
    counts = data(seed)[1]
    assert_same(scored(counts, method, rows=rows), scored(counts, method))


@EXAMPLES
@given(
    st.integers(0, 999),
    st.sampled_from(MEANS + OF_ALL_CELLS + DRAWN),
    st.sampled_from(CONTAINERS[:2]),
    st.integers(1, 60),
    st.sampled_from([1, 2, 5]),
)
def test_blocks_and_threads_change_no_bit(seed, method, rows, step, threads):
    counts = data(seed)[1]
    got = scored(counts, method, rows=rows, step=step, threads=threads)
    assert got.tobytes() == scored(counts, method, rows=rows).tobytes()


@EXAMPLES
@given(st.integers(0, 999), st.sampled_from(MEANS + OF_ALL_CELLS + DRAWN))
def test_further_signatures_change_no_bit(seed, method):
    rng, counts = data(seed)
    more = scored(counts, method, signatures=[signature(rng, "more"), *FIXED])
    assert more[:, 1:].tobytes() == scored(counts, method).tobytes()


@EXAMPLES
@given(st.integers(0, 999), st.sampled_from(MEANS + OF_ALL_CELLS))
def test_sequencing_depth_of_counts(seed, method):
    rng, counts = data(seed)
    assert_same(scored(counts * rng.integers(1, 50, (N_CELLS, 1)), method), scored(counts, method))


@pytest.mark.parametrize("method", MEANS + OF_ALL_CELLS + DRAWN, ids=str)
def test_input_is_not_modified(method):
    matrix = sp.csr_matrix(data(0)[1])
    before = [a.tobytes() for a in (matrix.data, matrix.indices, matrix.indptr)]
    scored(matrix, method, rows=CsrRows)
    assert [a.tobytes() for a in (matrix.data, matrix.indices, matrix.indptr)] == before
