"""What must change no bit of a result: order, neighbours, container, number type, threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tamannot.genes import GeneIndex
from tamannot.kernels import _threads
from tamannot.kernels._rows import CsrRows, DenseRows
from tamannot.scorers import UCell, gene_depths, make_plan, null_bins, score_rows
from tamannot.signature import Gene, Signature, SignatureSet

TABLES = ("score", "z", "p", "detected", "expected")
EXAMPLES = settings(max_examples=30, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Case:
    counts: np.ndarray
    signatures: SignatureSet
    method: UCell
    rng: np.random.Generator

    @property
    def ids(self):
        return [f"g{i}" for i in range(self.counts.shape[1])]


def draw_signature(rng, n_genes, signature_id, largest=25):
    size = int(rng.integers(1, min(n_genes, largest) + 1))
    columns = rng.choice(n_genes + 3, size, replace=False)
    genes = [
        Gene(symbol=f"g{c}", weight=float(w), direction=d)
        for c, w, d in zip(
            columns, rng.choice([1.0, 0.25, 0.1, 3.7], size), rng.choice(["up", "up", "down"], size), strict=True
        )
    ]
    return Signature(id=signature_id, genes=tuple(genes))


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_cells, n_genes = draw(st.integers(1, 12)), draw(st.integers(3, 300))
    mean = rng.lognormal(draw(st.sampled_from([-2.5, -1.0, 1.0])), 1.5, n_genes)
    max_rank = draw(st.sampled_from([5, 60, 1500]))
    parts = [draw_signature(rng, n_genes, f"s{i}", min(max_rank, 25)) for i in range(draw(st.integers(1, 4)))]
    composite = Signature(id="composite", modules=tuple(parts))
    method = UCell(
        max_rank=max_rank,
        w_neg=draw(st.sampled_from([1.0, 0.3])),
        missing=draw(st.sampled_from(["impute", "skip"])),
    )
    counts = np.minimum(rng.poisson(mean, (n_cells, n_genes)), 200)
    return Case(counts, SignatureSet([*parts, composite]), method, rng)


def scored(case, rows, *, ids=None, signatures=None, bins=None, threads=1):
    ids = ids or case.ids
    plan = make_plan(signatures or case.signatures, GeneIndex(ids).locate, len(ids))
    bins = bins or null_bins(gene_depths(rows, case.method, threads=threads))
    return score_rows(rows, plan, case.method, null=bins, threads=threads)


def csr(counts, dtype=np.float32):
    return CsrRows(sp.csr_matrix(np.asarray(counts, dtype)))


def bits(scores, rows=slice(None), columns=slice(None)):
    return [np.ascontiguousarray(getattr(scores, t)[rows, columns]).tobytes() for t in TABLES]


def depth_bins(case):
    return null_bins(gene_depths(csr(case.counts), case.method, threads=1))


@EXAMPLES
@given(cases())
def test_order_of_genes(case):
    order = case.rng.permutation(case.counts.shape[1])
    permuted = scored(case, csr(case.counts[:, order]), ids=[case.ids[i] for i in order])
    assert bits(permuted) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(cases())
def test_order_of_cells(case):
    order = case.rng.permutation(case.counts.shape[0])
    assert bits(scored(case, csr(case.counts[order]))) == bits(scored(case, csr(case.counts)), rows=order)


@EXAMPLES
@given(
    cases(),
    st.sampled_from(
        [np.log1p, np.sqrt, lambda x: x**3, lambda x: x * 1e-6, lambda x: x / 7 + (x > 0), lambda x: np.log1p(x) / 2]
    ),
)
def test_strictly_increasing_map_that_keeps_zero(case, function):
    mapped = function(case.counts.astype(np.float64))
    assert bits(scored(case, csr(mapped, np.float64))) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(cases())
def test_log_normalisation_to_a_total(case):
    total = np.maximum(case.counts.sum(axis=1, keepdims=True), 1)
    assert bits(scored(case, csr(np.log1p(case.counts / total * 1e4)))) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(cases(), st.integers(0, 11))
def test_cell_alone_with_the_bins_of_its_block(case, i):
    i %= case.counts.shape[0]
    bins = depth_bins(case)
    alone = scored(case, csr(case.counts[i : i + 1]), bins=bins)
    assert bits(alone) == bits(scored(case, csr(case.counts), bins=bins), rows=slice(i, i + 1))


@EXAMPLES
@given(cases(), st.integers(0, 11))
def test_score_of_a_cell_alone_without_any_bins(case, i):
    i %= case.counts.shape[0]
    alone, block = scored(case, csr(case.counts[i : i + 1])), scored(case, csr(case.counts))
    assert alone.score.tobytes() == block.score[i : i + 1].tobytes()


@EXAMPLES
@given(cases(), st.sampled_from([np.int8, np.int32, np.int64, np.uint8, np.uint32, np.float64]))
def test_number_type(case, dtype):
    counts = np.minimum(case.counts, 120)
    assert bits(scored(case, CsrRows(sp.csr_matrix(counts.astype(dtype))))) == bits(scored(case, csr(counts)))


@EXAMPLES
@given(cases())
def test_dense_rows(case):
    assert bits(scored(case, DenseRows(case.counts.astype(np.float32)))) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(cases())
def test_index_type(case):
    matrix = sp.csr_matrix(case.counts.astype(np.float32))
    wide = sp.csr_array(matrix)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert bits(scored(case, CsrRows(wide))) == bits(scored(case, CsrRows(matrix)))


def shuffled_within_rows(matrix, rng):
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((rng.random(row.size), row))
    return sp.csr_matrix((matrix.data[order], matrix.indices[order], matrix.indptr), shape=matrix.shape)


def split_in_two(matrix, rng):
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    first = np.floor(matrix.data * rng.random(matrix.data.size))
    data, indices = np.concatenate([first, matrix.data - first]), np.tile(matrix.indices, 2)
    order = np.lexsort((rng.random(data.size), np.tile(row, 2)))
    arrays = (data[order].astype(matrix.dtype), indices[order], matrix.indptr * 2)
    return sp.csr_matrix(arrays, shape=matrix.shape)


@EXAMPLES
@given(cases())
def test_unsorted_indices(case):
    matrix = sp.csr_matrix(case.counts.astype(np.float32))
    untidy = shuffled_within_rows(matrix, case.rng)
    np.testing.assert_array_equal(untidy.toarray(), case.counts)
    assert bits(scored(case, CsrRows(untidy))) == bits(scored(case, CsrRows(matrix)))


@EXAMPLES
@given(cases())
def test_duplicate_entries_are_summed(case):
    matrix = sp.csr_matrix(case.counts.astype(np.float32))
    untidy = split_in_two(matrix, case.rng)
    assert untidy.nnz == 2 * matrix.nnz
    assert bits(scored(case, CsrRows(untidy))) == bits(scored(case, CsrRows(matrix)))


@EXAMPLES
@given(cases())
def test_stored_zeros(case):
    n_cells, n_genes = case.counts.shape
    indices, indptr = np.tile(np.arange(n_genes), n_cells), np.arange(n_cells + 1) * n_genes
    stored = sp.csr_matrix((case.counts.astype(np.float32).ravel(), indices, indptr), shape=case.counts.shape)
    assert stored.nnz == case.counts.size
    assert bits(scored(case, CsrRows(stored))) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(cases())
def test_further_signatures(case):
    more = case.signatures | SignatureSet([draw_signature(case.rng, case.counts.shape[1], "more")])
    some, all_of_them = scored(case, csr(case.counts)), scored(case, csr(case.counts), signatures=more)
    assert bits(all_of_them, columns=slice(len(case.signatures))) == bits(some)


@EXAMPLES
@given(cases())
def test_order_of_signatures(case):
    backwards = SignatureSet(list(case.signatures.values())[::-1])
    got = scored(case, csr(case.counts), signatures=backwards)
    assert bits(got, columns=slice(None, None, -1)) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(cases())
def test_scores_and_p_are_shares_and_z_is_finite(case):
    got = scored(case, csr(case.counts))
    assert ((got.score >= 0) & (got.score <= 1)).all()
    assert (np.isnan(got.p) | ((got.p >= 0) & (got.p <= 1))).all()
    assert np.isfinite(got.z).all()


@EXAMPLES
@given(cases())
def test_input_is_not_modified(case):
    matrix = shuffled_within_rows(sp.csr_matrix(case.counts.astype(np.float32)), case.rng)
    arrays = [matrix.data, matrix.indices, matrix.indptr]
    before, header = [a.tobytes() for a in arrays], sorted(vars(matrix))
    scored(case, CsrRows(matrix))
    assert [a.tobytes() for a in arrays] == before
    assert all(a is b for a, b in zip(arrays, [matrix.data, matrix.indices, matrix.indptr], strict=True))
    assert sorted(vars(matrix)) == header


@pytest.fixture(scope="module")
def big():
    rng = np.random.default_rng(7)
    counts = rng.poisson(rng.lognormal(-1.5, 1.2, 300), (2100, 300))
    signatures = [draw_signature(rng, 300, f"s{i}") for i in range(5)]
    return Case(counts, SignatureSet([*signatures, Signature(id="c", modules=tuple(signatures))]), UCell(), rng)


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("rows", [csr, lambda counts: DenseRows(counts.astype(np.float32))], ids=["csr", "dense"])
def test_number_of_threads(big, rows, threads):
    assert np.isfinite(scored(big, csr(big.counts)).p).any()
    assert bits(scored(big, rows(big.counts), threads=threads)) == bits(scored(big, csr(big.counts)))


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_size_of_blocks(big, size, monkeypatch):
    expected = bits(scored(big, csr(big.counts)))
    monkeypatch.setattr(_threads, "ROWS_A_CALL", size)
    assert bits(scored(big, csr(big.counts), threads=3)) == expected


def test_read_only_input_is_enough(big):
    matrix = sp.csr_matrix(big.counts.astype(np.float32))
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array.flags.writeable = False
    assert bits(scored(big, CsrRows(matrix))) == bits(scored(big, csr(big.counts)))
