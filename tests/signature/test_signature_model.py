"""Signatures as values."""

from __future__ import annotations

import copy
import hashlib
import pickle

import pytest
from pydantic import ValidationError

import tamannot as tam
from tamannot.errors import SignatureFormatError
from tamannot.signature import Gene, Reference, Signature, SignatureSet


def demo(**fields):
    genes = (Gene(symbol="A1", ensembl="ENSG00000000001"), Gene(symbol="B1", direction="down", weight=0.5))
    return Signature(**({"id": "demo", "species": "human", "genes": genes} | fields))


def one(symbol="A1", **fields):
    return Signature(id="one", genes=(Gene(symbol=symbol, **fields),))


def composite(*modules, **fields):
    return Signature(**({"id": "both", "modules": modules} | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "Other"},
        {"description": "Other"},
        {"version": "1.2.3"},
        {"id": "renamed"},
        {"licence": "CC0"},
        {"axis": "state"},
        {"provisional": True},
        {"references": (Reference(key="a", citation="A", checked=False),)},
    ],
    ids=lambda f: next(iter(f)),
)
def test_digest_is_stable_under_changes_of_text(fields):
    assert demo(**fields).digest == demo().digest


@pytest.mark.parametrize("fields", [{"note": "x"}, {"evidence": 3}], ids=str)
def test_digest_is_stable_under_notes_of_genes(fields):
    assert one(**fields).digest == one().digest


def test_digest_does_not_depend_on_the_order_of_genes():
    assert demo(genes=demo().genes[::-1]).digest == demo().digest


def test_digest_goes_by_ensembl_id_where_there_is_one():
    assert one("OLD", ensembl="ENSG00000000001").digest == one("NEW", ensembl="ENSG00000000001").digest


@pytest.mark.parametrize(
    "changed",
    [
        one("A2"),
        one(direction="down"),
        one(weight=0.5),
        one(ensembl="ENSG00000000001"),
        Signature(id="one", species="human", genes=one().genes),
        Signature(id="one", genes=(*one().genes, Gene(symbol="B1"))),
    ],
    ids=["gene", "direction", "weight", "ensembl", "species", "more genes"],
)
def test_digest_changes_with_what_is_scored(changed):
    assert changed.digest != one().digest


def test_digest_is_the_sha256_of_canonical_json():
    canonical = b'{"genes":[["ENSG00000000001","up",1.0],["symbol:B1","down",0.5]],"species":"human"}'
    assert demo().digest == hashlib.sha256(canonical).hexdigest()


def test_digest_of_a_composite_follows_its_modules():
    assert composite(one(), demo()).digest == composite(demo(), one()).digest
    assert composite(one(), demo()).digest != composite(one("A2"), demo()).digest


@pytest.mark.parametrize(("target", "field"), [(demo(), "id"), (demo().genes[0], "symbol"), (demo(), "genes")])
def test_values_are_frozen(target, field):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(target, field, "x")


def test_equal_values_are_equal_after_use():
    used = demo()
    assert used.digest
    assert used.parts
    assert used == demo()
    assert hash(used) == hash(demo())


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])  # noqa: S301
def test_copies_are_equal(clone):
    assert clone(demo()) == demo()


def test_up_and_down_split_the_genes():
    assert [g.symbol for g in demo().up] == ["A1"]
    assert [g.symbol for g in demo().down] == ["B1"]


def test_name_holds_the_version():
    assert demo(version="1.2.3").name == "demo@1.2.3"


def test_plain_signature_is_its_only_part():
    assert demo().parts == (demo(),)


def test_parts_of_nested_composites_are_flat():
    nested = composite(composite(one(), id="inner"), demo())
    assert [p.id for p in nested.parts] == ["one", "demo"]


def test_all_genes_of_a_composite_are_listed_once():
    other = Signature(id="other", genes=(Gene(symbol="A1"), Gene(symbol="C1")))
    assert [g.symbol for g in composite(one(), other).all_genes] == ["A1", "C1"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"symbol": ""}, "symbol"),
        ({"symbol": "   "}, "symbol"),
        ({"symbol": "A", "ensembl": "ENSG1"}, "ensembl"),
        ({"symbol": "A", "ensembl": "ENSG00000129226.1"}, "ensembl"),
        ({"symbol": "A", "direction": "sideways"}, "direction"),
        ({"symbol": "A", "weight": 0}, "weight"),
        ({"symbol": "A", "weight": -1}, "weight"),
        ({"symbol": "A", "weight": 1001}, "weight"),
        ({"symbol": "A", "weight": float("nan")}, "weight"),
        ({"symbol": "A", "weight": float("inf")}, "weight"),
        ({"symbol": "A", "evidence": -1}, "evidence"),
        ({"symbol": "A", "wieght": 1}, "wieght"),
    ],
)
def test_bad_gene_is_refused_with_its_field(fields, says):
    with pytest.raises(ValidationError, match=says):
        Gene(**fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"id": ""}, "id"),
        ({"id": "a/b"}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"version": "1.0"}, "version"),
        ({"version": "01.0.0"}, "version"),
        ({"axis": "mood"}, "axis"),
        ({"species": "rat"}, "species"),
        ({"cell_ontology": ("CL:12",)}, "cell_ontology"),
        ({"combine": "mean"}, "combine"),
        ({"genes": ()}, "has no genes"),
        ({"modules": (one(),)}, "both genes and modules"),
        ({"genes": (Gene(symbol="A"), Gene(symbol="A", direction="down"))}, "A is listed more than once"),
        (
            {"genes": tuple(Gene(symbol=s, ensembl="ENSG00000000001") for s in "AB")},
            "ENSG00000000001 is listed more than once",
        ),
        ({"genes": (Gene(symbol="A", references=("x",)),)}, "gene A cites x"),
        ({"references": tuple(Reference(key="a", citation="A", checked=False) for _ in "12")}, "a is defined more"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_signature_is_refused_with_its_field(fields, says):
    with pytest.raises(ValidationError, match=says):
        demo(**fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"key": "A 1"}, "key"),
        ({"citation": ""}, "citation"),
        ({"doi": "doi:10.1/x"}, "doi"),
        ({"doi": "https://doi.org/10.1000/x"}, "doi"),
        ({"pmid": "PMC1"}, "pmid"),
        ({"doi": None}, "needs a doi, pmid or url"),
    ],
)
def test_bad_reference_is_refused_with_its_field(fields, says):
    with pytest.raises(ValidationError, match=says):
        Reference(**({"key": "a", "citation": "A", "doi": "10.1000/x"} | fields))


@pytest.mark.parametrize(
    "source", [{"pmid": "1"}, {"url": "https://x"}, {"doi": "10.1000/x"}, {"checked": False}], ids=str
)
def test_reference_needs_one_way_to_be_found(source):
    assert Reference(key="a", citation="A", **source).key == "a"


def test_set_is_a_mapping_of_ids():
    signatures = SignatureSet([demo(), one()])
    assert list(signatures) == ["demo", "one"]
    assert len(signatures) == 2
    assert signatures["one"] == one()
    assert "demo" in signatures
    assert signatures.get("absent") is None
    assert dict(signatures) == {"demo": demo(), "one": one()}


def test_set_raises_key_error_for_an_absent_id():
    with pytest.raises(KeyError, match="absent"):
        SignatureSet([demo()])["absent"]


def test_set_cannot_be_changed():
    with pytest.raises(TypeError):
        SignatureSet([demo()])["x"] = one()


def test_set_refuses_a_repeated_id():
    with pytest.raises(SignatureFormatError, match="demo"):
        SignatureSet([demo(), demo()])


def test_sets_of_the_same_signatures_are_equal():
    assert SignatureSet([demo(), one()]) == SignatureSet([one(), demo()])


def test_union_replaces_by_id_and_keeps_the_order():
    union = SignatureSet([demo(), one()]) | SignatureSet([demo(title="new"), composite(one())])
    assert list(union) == ["demo", "one", "both"]
    assert union["demo"].title == "new"


def test_union_with_a_dict_is_a_set():
    assert isinstance(SignatureSet([demo()]) | {"one": one()}, SignatureSet)


def test_union_leaves_both_sides_alone():
    left, right = SignatureSet([demo()]), SignatureSet([one()])
    assert len(left | right) == 2
    assert (len(left), len(right)) == (1, 1)


def test_select_keeps_one_axis_in_order():
    signatures = SignatureSet([demo(axis="state"), one(), composite(one(), axis="state")])
    assert list(signatures.select(axis="state")) == ["demo", "both"]


def test_repr_names_the_ids():
    assert repr(SignatureSet([demo(), one()])) == "SignatureSet(2: demo, one)"


def test_changed_copy_has_a_digest_of_its_own():
    signature = demo()
    before = signature.digest
    assert signature.model_copy(update={"genes": one().genes}).digest != before


def test_what_is_derived_from_genes_does_not_go_with_a_changed_copy():
    signature = tam.read_signatures({"mine": ["CD68", "SPP1"]})["mine"]
    digest, genes = signature.digest, signature.all_genes
    shorter = signature.model_copy(update={"genes": signature.genes[:1]})
    assert shorter.digest == tam.read_signatures({"mine": ["CD68"]})["mine"].digest != digest
    assert shorter.all_genes == genes[:1]
    assert signature.digest == digest
    assert signature == tam.read_signatures({"mine": ["CD68", "SPP1"]})["mine"]
