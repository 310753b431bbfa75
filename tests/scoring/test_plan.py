"""Signatures matched to columns, and methods by name."""

from __future__ import annotations

import pytest

from tamannot.errors import ParameterError
from tamannot.scoring import UCell, make_plan, method_of
from tamannot.scoring._plan import Coverage
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
