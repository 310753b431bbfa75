"""What changes a score on values by no more than rounding: order, container, number type, blocks, threads."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tamannot.scoring import ModuleScore, WeightedMean, make_plan, score_linear
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet

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
