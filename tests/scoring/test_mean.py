"""Weighted means and sums against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.errors import ParameterError
from tamannot.scoring import WeightedMean, make_plan, score_linear
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet

COLUMNS, WEIGHTS = [3, 17, 40, 8, 25], np.array([1.0, 0.25, 3.0, -2.0, -0.5])
ROWS = {"csr": lambda x: CsrRows(sp.csr_matrix(x)), "csc": lambda x: CscRows(sp.csc_matrix(x)), "dense": DenseRows}


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.lognormal(0, 1, 50), (30, 50)).astype(float)
    counts[4] = 0
    counts[:, 25] = 0  # a gene without spread
    return counts


def signature(columns, weights, signature_id="x"):
    genes = [
        Gene(symbol=f"g{c}", weight=abs(float(w)), direction="up" if w > 0 else "down")
        for c, w in zip(columns, weights, strict=True)
    ]
    return Signature(id=signature_id, genes=tuple(genes))


WEIGHTED = signature(COLUMNS, WEIGHTS)


def score(values, *signatures, kind="log", rows="csr", **settings):
    ids = [f"g{i}" for i in range(values.shape[1])]
    plan = make_plan(SignatureSet(signatures or [WEIGHTED]), GeneIndex(ids).locate, len(ids))
    return score_linear(ROWS[rows](values), plan, WeightedMean(**settings), kind=kind, threads=1).score


def log_of(counts):
    total = counts.sum(axis=1, keepdims=True)
    return np.log1p(counts / np.where(total > 0, total, 1) * 1e4)


def standardised(values):
    sd = values.std(axis=0)
    return np.divide(values - values.mean(axis=0), sd, out=np.zeros_like(values), where=sd > 0)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("weights", ["use", "ignore"])
@pytest.mark.parametrize(
    ("form", "of"),
    [
        ("mean", lambda x, w: x @ w / np.abs(w).sum()),
        ("sum", lambda x, w: x @ w),
        ("zmean", lambda x, w: standardised(x) @ w / np.abs(w).sum()),
    ],
)
def test_scores_are_those_of_numpy(counts, rows, weights, form, of):
    w = WEIGHTS if weights == "use" else np.sign(WEIGHTS)
    for values, kind in [(counts, "counts"), (counts * 0.3, "linear"), (log_of(counts), "log")]:
        logs = values if kind == "log" else log_of(values)
        got = score(values, kind=kind, rows=rows, form=form, weights=weights)
        np.testing.assert_allclose(got[:, 0], of(logs[:, COLUMNS], w), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["counts", "linear", "log", "signed"])
def test_values_are_taken_as_they_are_if_asked(counts, kind):
    got = score(counts - 3, kind=kind, scale="as_is", form="sum", rows="dense")
    np.testing.assert_allclose(got[:, 0], (counts - 3)[:, COLUMNS] @ WEIGHTS, rtol=1e-6)


CELL = np.array([[1.0, 2.0, 4.0, 0.0]])


@pytest.mark.parametrize(
    ("form", "weights", "expected"),
    [
        ("mean", [1, 1, 1], 7 / 3),
        ("mean", [2, 1, 0.5], (2 + 2 + 2) / 3.5),
        ("mean", [1, 1, -3], (1 + 2 - 12) / 5),
        ("sum", [2, 1, -0.5], 2 + 2 - 2),
        ("zmean", [1, 1, 1], 0.0),
    ],
)
def test_scores_by_hand(form, weights, expected):
    assert score(CELL, signature([0, 1, 2], weights), form=form)[0, 0] == pytest.approx(expected, abs=1e-6)


def test_missing_genes_are_left_out_of_the_mean():
    assert score(CELL, signature([0, 2, 77], [1, 1, 9]))[0, 0] == pytest.approx(2.5)


@pytest.mark.parametrize("form", ["mean", "sum", "zmean"])
def test_a_signature_without_genes_in_the_data_is_zero(form):
    assert score(CELL, signature([77], [1]), form=form)[0, 0] == 0


def test_a_composite_is_the_greatest_of_its_parts(counts):
    parts = (signature([1, 2], [1, 1], "a"), signature([5, 9], [1, -2], "b"))
    got = score(counts, Signature(id="both", modules=parts), *parts)
    np.testing.assert_array_equal(got[:, 0], got[:, 1:].max(axis=1))


@pytest.mark.parametrize(
    ("settings", "says"), [({"form": "median"}, "'median'"), ({"weights": "no"}, "'no'"), ({"scale": "raw"}, "'raw'")]
)
def test_setting_out_of_range_is_refused(settings, says):
    with pytest.raises(ParameterError, match=says):
        WeightedMean(**settings)
