"""Weights of genes: used where a method has a place for them, refused where it has none, never dropped silently.

What they do is computed by hand with each method: test_ucell, test_aucell, test_module, test_mean.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.errors import SignatureFormatError
from tamannot.scoring import (
    GSVA,
    SSGSEA,
    AUCell,
    ModuleScore,
    UCell,
    WeightedMean,
    make_plan,
    score_linear,
    score_rows,
)
from tamannot.scoring._rows import CsrRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet

IDS = [f"g{i}" for i in range(200)]
WEIGHTS = [2.0, 1.0, 0.5, 1.5, 3.0]
USING = [
    UCell,
    AUCell,
    lambda **how: AUCell(variant="pyscenic", **how),
    ModuleScore,
    lambda **how: WeightedMean(form="mean", **how),
    lambda **how: WeightedMean(form="sum", **how),
    lambda **how: WeightedMean(form="zmean", **how),
]
NAMES = ["ucell", "aucell", "pyscenic", "module", "mean", "sum", "zmean"]
REFUSING = {"UCell(variant='legacy')": lambda **how: UCell(variant="legacy", **how), "ssGSEA": SSGSEA, "GSVA": GSVA}


def plan_of(weights):
    genes = tuple(Gene(symbol=f"g{i}", weight=w) for i, w in enumerate(weights))
    return make_plan(SignatureSet([Signature(id="mine", genes=genes)]), GeneIndex(IDS).locate, len(IDS))


def score(method, weights):
    rows = CsrRows(sp.csr_matrix(np.random.default_rng(0).poisson(1.5, (20, len(IDS))).astype(float)))
    plan = plan_of(weights)
    method.check(plan.parts[0], plan.n_vars)
    if isinstance(method, ModuleScore | WeightedMean):
        return score_linear(rows, plan, method, kind="log", threads=1).score
    return score_rows(rows, plan, method, null=None, threads=1).score


@pytest.mark.parametrize("make", USING, ids=NAMES)
def test_weights_are_used_unless_ignored(make):
    plain = score(make(), [1.0] * 5)
    assert np.abs(score(make(), WEIGHTS) - plain).max() > 1e-3
    np.testing.assert_array_equal(score(make(weights="ignore"), WEIGHTS), plain)


@pytest.mark.parametrize("make", USING, ids=NAMES)
def test_weights_of_one_are_no_weights(make):
    np.testing.assert_array_equal(score(make(), [1.0] * 5), score(make(weights="ignore"), [1.0] * 5))


@pytest.mark.parametrize("name", REFUSING)
def test_weights_are_refused_by_name_with_what_to_do(name):
    with pytest.raises(SignatureFormatError) as caught:
        REFUSING[name]().check(plan_of(WEIGHTS).parts[0], len(IDS))
    assert "'mine' has weights (g0, g2, g3, …)" in str(caught.value)
    assert name in str(caught.value)
    assert "weights='ignore'" in str(caught.value)


@pytest.mark.parametrize("name", REFUSING)
def test_refused_weights_may_be_ignored(name):
    REFUSING[name](weights="ignore").check(plan_of(WEIGHTS).parts[0], len(IDS))
    REFUSING[name]().check(plan_of([1.0] * 5).parts[0], len(IDS))


def test_a_single_weight_of_a_down_gene_is_seen():
    genes = (Gene(symbol="g0"), Gene(symbol="g1", weight=0.5, direction="down"))
    plan = make_plan(SignatureSet([Signature(id="mine", genes=genes)]), GeneIndex(IDS).locate, len(IDS))
    with pytest.raises(SignatureFormatError, match=r"has weights \(g1\)"):
        SSGSEA().check(plan.parts[0], len(IDS))


def test_ignored_weights_give_the_legacy_score_of_none():
    legacy = UCell(variant="legacy", weights="ignore")
    np.testing.assert_array_equal(score(legacy, WEIGHTS), score(legacy, [1.0] * 5))
