"""Signatures matched to columns, and methods by name."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.scoring import (
    GSVA,
    SSGSEA,
    AUCell,
    ModuleScore,
    Run,
    UCell,
    WeightedMean,
    make_plan,
    method_of,
    score_linear,
    score_runs,
)
from tamannot.scoring._plan import Coverage, pack_arms
from tamannot.scoring._rows import CsrRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet, read_signatures

IDS = ["A", "B", "CXCL8", "C"]


def plan_of(source):
    signatures = read_signatures(source) if isinstance(source, dict) else SignatureSet(source)
    return make_plan(signatures, GeneIndex(IDS).locate, len(IDS))


def signature(signature_id, *symbols, **fields):
    return Signature(id=signature_id, genes=tuple(Gene(symbol=s) for s in symbols), **fields)


def test_arms_hold_the_columns_of_their_genes():
    part = plan_of({"x": ["C", "A", "B-"]}).parts[0]
    assert part.up.columns.tolist() == [3, 0]
    assert part.down.columns.tolist() == [1]


def test_missing_genes_are_named_and_keep_their_weight():
    plan = plan_of({"x": ["A", "absent", "gone-"]})
    assert plan.coverage[0].missing == ("absent", "gone")
    assert plan.parts[0].up.columns.tolist() == [0]
    assert plan.parts[0].up.all_weights.size == 2


@pytest.mark.parametrize(
    ("genes", "coverage"), [(["A", "B"], 1.0), (["A", "absent"], 0.5), (["absent"], 0.0), (["A", "B-", "gone-"], 2 / 3)]
)
def test_coverage_is_the_share_of_genes_found(genes, coverage):
    assert plan_of({"x": genes}).coverage[0].share == pytest.approx(coverage)


def test_outputs_keep_their_order():
    assert plan_of({"z": ["A"], "a": ["B"]}).ids == ["z", "a"]


def test_shared_parts_are_matched_once():
    module = signature("m", "A", "B")
    plan = plan_of([Signature(id="c1", modules=(module,)), Signature(id="c2", modules=(module, signature("n", "C")))])
    assert [p.signature.id for p in plan.parts] == ["m", "n"]
    assert plan.parts_of == ((0,), (0, 1))


def test_parts_of_one_id_and_other_genes_are_kept_apart():
    plan = plan_of([signature("m", "A"), Signature(id="c", modules=(signature("m", "B"),))])
    assert [p.up.columns.tolist() for p in plan.parts] == [[0], [1]]


def test_composite_counts_shared_genes_once():
    plan = plan_of([Signature(id="c", modules=(signature("m", "A", "B"), signature("n", "B", "absent")))])
    assert plan.coverage[0] == Coverage(3, 2, ("absent",))


def test_two_names_of_one_gene_are_one_column():
    assert plan_of({"x": ["CXCL8", "IL8", "A"]}).parts[0].up.columns.tolist() == [2, 0]


def test_two_names_of_one_gene_do_not_lower_coverage():
    assert plan_of({"x": ["CXCL8", "IL8"]}).coverage[0].share == 1.0


@pytest.mark.parametrize("method", ["ucell", UCell(), UCell(max_rank=500)], ids=str)
def test_method_by_name_or_as_it_is(method):
    assert method_of(method) == (UCell() if method == "ucell" else method)


@pytest.mark.parametrize("name", ["UCELL", "nonsense", ""])
def test_unknown_method_is_refused_with_the_known(name):
    with pytest.raises(ParameterError, match="ucell"):
        method_of(name)


# Arms packed gene by gene, and weights that sum exactly.


def test_every_gene_lists_its_arms():
    arms = pack_arms([np.array([2, 0]), np.array([2])], [[np.array([1.0, 2.0]), np.array([3.0])]], 4)
    np.testing.assert_array_equal(arms.gene_ptr, [0, 1, 1, 3, 3])
    np.testing.assert_array_equal(arms.arm_of, [0, 0, 1])
    np.testing.assert_array_equal(arms.weight_of, [[2, 1, 3]])
    np.testing.assert_array_equal(arms.arm_weight, [[3, 3]])


def test_every_method_has_weights_of_its_own():
    columns, first, second = [np.array([2, 0]), np.array([2])], [np.array([1, 2]), np.array([3])], np.array([5, 6])
    arms = pack_arms(columns, [first, [second, np.array([7])]], 4)
    np.testing.assert_array_equal(arms.weight_of, [[2, 1, 3], [6, 5, 7]])
    np.testing.assert_array_equal(arms.arm_weight, [[3, 3], [11, 7]])
    assert arms.weight_of.dtype == np.int64


def test_used_are_the_genes_of_any_arm():
    arms = pack_arms([np.array([3, 1]), np.array([1])], [[np.ones(2), np.ones(1)]], 5)
    np.testing.assert_array_equal(arms.used, [0, 1, 0, 1, 0])


@pytest.mark.parametrize("methods", [0, 1, 3])
def test_no_arms_is_an_empty_list_for_every_gene(methods):
    arms = pack_arms([], [[]] * methods, 3)
    np.testing.assert_array_equal(arms.gene_ptr, [0, 0, 0, 0])
    assert arms.weight_of.shape == arms.arm_weight.shape == (methods, 0)


def test_an_arm_without_genes_weighs_nothing():
    arms = pack_arms([np.array([], np.int64), np.array([1])], [[np.array([]), np.array([2.0])]], 3)
    np.testing.assert_array_equal(arms.arm_weight, [[0, 2]])


def planned(weights):
    """Return the weights of genes as a plan has them."""
    genes = [Gene(symbol=f"G{i}", weight=float(w)) for i, w in enumerate(weights)]
    plan = make_plan(
        SignatureSet([Signature(id="s", genes=tuple(genes))]), lambda symbol, _: int(symbol[1:]), len(genes)
    )
    return plan.parts[0].up.weights


@pytest.mark.parametrize("weight", [1.0, 0.25, 0.5, 2.0, 1000.0])
def test_dyadic_weights_are_kept(weight):
    assert planned([weight])[0] == weight


def test_weights_are_rounded_by_at_most_half_a_step_to_whole_steps():
    weights = np.random.default_rng(0).uniform(0.1, 10, 1000)
    assert np.abs(planned(weights) - weights).max() <= 2.0**-17
    assert (planned(weights) % 2.0**-16 == 0).all()


def test_weights_sum_the_same_in_any_order():
    rng = np.random.default_rng(1)
    weights = planned(rng.uniform(0.1, 1, 2000))
    terms = (weights * 2**16).astype(int) * rng.integers(0, 3000, 2000)
    floats = weights * (rng.integers(0, 3000, 2000) / 2)
    assert len({int(np.cumsum(rng.permutation(terms))[-1]) for _ in range(50)}) == 1
    assert len({float(np.cumsum(rng.permutation(floats))[-1]) for _ in range(50)}) == 1


# Weights of genes: used where a method has a place for them, refused where it has none, never dropped silently.


GENE_NAMES = [f"g{i}" for i in range(200)]


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


def weighted_plan(weights):
    genes = tuple(Gene(symbol=f"g{i}", weight=w) for i, w in enumerate(weights))
    return make_plan(SignatureSet([Signature(id="mine", genes=genes)]), GeneIndex(GENE_NAMES).locate, len(GENE_NAMES))


def score(method, weights):
    rows = CsrRows(sp.csr_matrix(np.random.default_rng(0).poisson(1.5, (20, len(GENE_NAMES))).astype(float)))
    plan = weighted_plan(weights)
    method.check(plan.parts[0], plan.n_vars)
    if isinstance(method, ModuleScore | WeightedMean):
        return score_linear(rows, plan, method, kind="log", threads=1).score
    return score_runs(rows, plan, [Run(method)], threads=1)[0].score


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
        REFUSING[name]().check(weighted_plan(WEIGHTS).parts[0], len(GENE_NAMES))
    assert "'mine' has weights (g0, g2, g3, …)" in str(caught.value)
    assert name in str(caught.value)
    assert "weights='ignore'" in str(caught.value)


@pytest.mark.parametrize("name", REFUSING)
def test_refused_weights_may_be_ignored(name):
    REFUSING[name](weights="ignore").check(weighted_plan(WEIGHTS).parts[0], len(GENE_NAMES))
    REFUSING[name]().check(weighted_plan([1.0] * 5).parts[0], len(GENE_NAMES))


def test_a_single_weight_of_a_down_gene_is_seen():
    genes = (Gene(symbol="g0"), Gene(symbol="g1", weight=0.5, direction="down"))
    plan = make_plan(SignatureSet([Signature(id="mine", genes=genes)]), GeneIndex(GENE_NAMES).locate, len(GENE_NAMES))
    with pytest.raises(SignatureFormatError, match=r"has weights \(g1\)"):
        SSGSEA().check(plan.parts[0], len(GENE_NAMES))


def test_ignored_weights_give_the_legacy_score_of_none():
    legacy = UCell(variant="legacy", weights="ignore")
    np.testing.assert_array_equal(score(legacy, WEIGHTS), score(legacy, [1.0] * 5))
