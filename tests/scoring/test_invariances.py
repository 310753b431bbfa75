"""What must change no bit of a score on ranks, nor of its z and p: order, neighbours, container, number type, threads.

The same of the methods on values, to 1e-6, is in test_linear_invariances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tamannot.scoring import (
    AUCell,
    RankedRows,
    RankMethod,
    Run,
    UCell,
    depths_by_method,
    make_plan,
    null_bins,
    score_runs,
)
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet

TABLES = ("score", "z", "p", "detected", "expected")
EXAMPLES = settings(max_examples=30, deadline=None, derandomize=True)


METHODS: list[RankMethod] = [
    UCell(),
    UCell(max_rank=60, w_neg=0.3),
    UCell(max_rank=7, missing="skip"),
    UCell(variant="legacy", weights="ignore"),
    UCell(variant="legacy", weights="ignore", max_rank=60, missing="skip", w_neg=0.3),
    AUCell(),
    AUCell(top=0.4),
    AUCell(variant="pyscenic", top=0.4),
    AUCell(variant="pyscenic", top=1.0, weights="ignore"),
]


@dataclass(frozen=True)
class Case:
    counts: np.ndarray
    signatures: SignatureSet
    method: RankMethod
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
    parts = [draw_signature(rng, n_genes, f"s{i}") for i in range(draw(st.integers(1, 4)))]
    composite = Signature(id="composite", modules=tuple(parts))
    counts = np.minimum(rng.poisson(mean, (n_cells, n_genes)), 200)
    return Case(counts, SignatureSet([*parts, composite]), draw(st.sampled_from(METHODS)), rng)


def scored(case, rows, *, ids=None, signatures=None, bins=None, threads=1):
    ids = ids or case.ids
    plan = make_plan(signatures or case.signatures, GeneIndex(ids).locate, len(ids))
    if bins is None:
        bins = null_bins(depths_by_method(rows, [case.method], threads=threads)[0])
    return score_runs(rows, plan, [Run(case.method, bins)], threads=threads)[0]


def csr(counts, dtype=np.float32):
    return CsrRows(sp.csr_matrix(np.asarray(counts, dtype)))


def bits(scores, rows=slice(None), columns=slice(None)):
    return [np.ascontiguousarray(getattr(scores, t)[rows, columns]).tobytes() for t in TABLES]


def depth_bins(case):
    return null_bins(depths_by_method(csr(case.counts), [case.method], threads=1)[0])


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
@given(cases(), st.sampled_from([np.int8, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.float64]))
def test_number_type(case, dtype):
    counts = np.minimum(case.counts, 120)
    assert bits(scored(case, CsrRows(sp.csr_matrix(counts.astype(dtype))))) == bits(scored(case, csr(counts)))


def wide(matrix):
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


CONTAINERS = {
    "csc": lambda x: CscRows(sp.csc_matrix(x)),
    "csr array": lambda x: CsrRows(sp.csr_array(x)),
    "csc array": lambda x: CscRows(sp.csc_array(x)),
    "csr of 64-bit indices and pointers": lambda x: CsrRows(wide(sp.csr_array(x))),
    "csc of 64-bit indices and pointers": lambda x: CscRows(wide(sp.csc_array(x))),
    "dense": DenseRows,
    "dense, Fortran order": lambda x: DenseRows(np.asfortranarray(x)),
    "dense, every other column of a wider table": lambda x: DenseRows(np.repeat(x, 2, axis=1)[:, ::2]),
    "dense, backwards": lambda x: DenseRows(x[::-1, ::-1].copy()[::-1, ::-1]),
    "dense float64": lambda x: DenseRows(x.astype(np.float64)),
    "dense uint16": lambda x: DenseRows(x.astype(np.uint16)),
    "dense int64": lambda x: DenseRows(x.astype(np.int64)),
    "dense that slices to csr": lambda x: DenseRows(sp.csr_array(x)),
}


@pytest.mark.parametrize("container", CONTAINERS)
@settings(EXAMPLES, max_examples=10)
@given(case=cases())
def test_container(container, case):
    rows = CONTAINERS[container](case.counts.astype(np.float32))
    assert bits(scored(case, rows)) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(cases(), st.sampled_from([csr, CONTAINERS["csc"], DenseRows]), st.integers(1, 5), st.integers(1, 3))
def test_size_of_blocks(case, container, step, threads):
    rows = container(case.counts.astype(np.float32))
    rows.step = step
    assert bits(scored(case, rows, threads=threads)) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(
    cases(), st.lists(st.sampled_from(METHODS), min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4)
)
def test_several_methods_in_one_run(case, others, with_null):
    rows = csr(case.counts)
    plan = make_plan(case.signatures, GeneIndex(case.ids).locate, len(case.ids))
    methods = [case.method, *others]
    bins = [null_bins(depth) for depth in depths_by_method(rows, methods, threads=1)]
    runs = [Run(m, b if n else None) for m, b, n in zip(methods, bins, [True, *with_null], strict=False)]
    for run, together in zip(runs, score_runs(rows, plan, runs, threads=2), strict=True):
        alone = score_runs(rows, plan, [Run(run.method, run.null)], threads=1)[0]
        tables = TABLES if run.null is not None else ("score",)
        assert [getattr(together, x).tobytes() for x in tables] == [getattr(alone, x).tobytes() for x in tables]


@EXAMPLES
@given(cases(), st.integers(1, 30), st.integers(1, 3), st.sampled_from([CsrRows, CscRows]))
def test_ranks_kept_from_the_first_pass(case, step, threads, kind):
    rows = kind(sp.csr_matrix(case.counts) if kind is CsrRows else sp.csc_matrix(case.counts))
    rows.step = step
    plan, methods = make_plan(case.signatures, GeneIndex(case.ids).locate, len(case.ids)), [case.method, UCell()]
    ranked = RankedRows(rows, methods, keep=True)
    bins = [null_bins(d) for d in depths_by_method(rows, methods, threads=threads, ranked=ranked)]
    runs = [Run(m, b) for m, b in zip(methods, bins, strict=True)]
    found = score_runs(rows, plan, runs, threads=threads, ranked=ranked)
    assert bits(found[0]) == bits(scored(case, csr(case.counts)))


@EXAMPLES
@given(cases())
def test_null_changes_no_score(case):
    plan = make_plan(case.signatures, GeneIndex(case.ids).locate, len(case.ids))
    without = score_runs(csr(case.counts), plan, [Run(case.method)], threads=1)[0]
    assert without.score.tobytes() == scored(case, csr(case.counts)).score.tobytes()


@EXAMPLES
@given(cases())
def test_some_of_the_cells_with_the_bins_of_all(case):
    chosen, bins = case.rng.random(case.counts.shape[0]) < 0.5, depth_bins(case)
    some = scored(case, csr(case.counts[chosen]), bins=bins)
    assert bits(some) == bits(scored(case, csr(case.counts), bins=bins), rows=chosen)


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


@pytest.fixture(scope="module", params=[UCell(), METHODS[3], AUCell(top=0.2), METHODS[7]], ids=lambda m: m.name)
def big(request):
    rng = np.random.default_rng(7)
    counts = rng.poisson(rng.lognormal(-1.5, 1.2, 300), (2100, 300))
    signatures = [draw_signature(rng, 300, f"s{i}") for i in range(5)]
    composite = Signature(id="c", modules=tuple(signatures))
    return Case(counts, SignatureSet([*signatures, composite]), request.param, rng)


@pytest.mark.parametrize("threads", [2, 5])
@pytest.mark.parametrize("rows", [csr, CONTAINERS["csc"], DenseRows], ids=["csr", "csc", "dense"])
def test_number_of_threads(big, rows, threads):
    rows = rows(big.counts.astype(np.float32))
    rows.step = 300
    expected = scored(big, csr(big.counts))
    assert np.isfinite(expected.p).any()
    assert bits(scored(big, rows, threads=threads)) == bits(expected)


def test_read_only_input_is_enough(big):
    matrix = sp.csr_matrix(big.counts.astype(np.float32))
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array.flags.writeable = False
    assert bits(scored(big, CsrRows(matrix))) == bits(scored(big, csr(big.counts)))
