"""The shipped table of approved human genes."""

from __future__ import annotations

from collections import Counter

import pytest

from tamannot.signature import human_genes
from tamannot.signature._gene_ids import REVIEWED_ALIASES, without_version


@pytest.mark.parametrize(
    ("former", "approved"),
    [("C10orf54", "VSIR"), ("IL8", "CXCL8"), ("SEPP1", "SELENOP"), ("GPR56", "ADGRG1"), ("IBA1", "AIF1")],
)
def test_former_symbol_stands_for_its_gene(former, approved):
    assert human_genes().approved_of[former] == approved
    assert former in human_genes().former[approved]


@pytest.mark.parametrize(("symbol", "not_for"), [("MIF", "S100A9"), ("NMB", "GPNMB"), ("C7", "CXCL10")])
def test_gene_that_is_an_alias_of_another_is_only_itself(symbol, not_for):
    table = human_genes()
    assert symbol in table.ensembl
    assert symbol not in table.approved_of
    assert symbol not in table.former.get(not_for, ())


def test_no_former_symbol_is_approved():
    assert not human_genes().approved_of.keys() & human_genes().ensembl.keys()


def test_former_symbol_belongs_to_one_gene():
    counts = Counter(name for names in human_genes().former.values() for name in names)
    assert [name for name, n in counts.items() if n > 1] == []


def test_former_symbols_lead_to_approved_ones():
    assert set(human_genes().approved_of.values()) <= human_genes().ensembl.keys()


def test_ensembl_id_belongs_to_one_gene():
    counts = Counter(e for e in human_genes().ensembl.values() if e)
    assert [e for e, n in counts.items() if n > 1] == []


def test_ensembl_ids_are_well_formed():
    assert all(e.startswith("ENSG") and len(e) == 15 for e in human_genes().symbol_of)


def test_table_covers_the_approved_genes():
    assert len(human_genes().ensembl) > 40_000


@pytest.mark.parametrize(
    ("symbol", "ensembl"),
    [
        ("CD68", "ENSG00000129226"),
        ("GPNMB", "ENSG00000136235"),
        ("VSIR", "ENSG00000107738"),
        ("C1QA", "ENSG00000173372"),
    ],
)
def test_symbol_and_ensembl_lead_to_each_other(symbol, ensembl):
    assert human_genes().ensembl[symbol] == ensembl
    assert human_genes().symbol_of[ensembl] == symbol


@pytest.mark.parametrize(("alias", "symbol"), REVIEWED_ALIASES.items())
def test_reviewed_alias_is_no_gene_of_its_own(alias, symbol):
    assert alias not in human_genes().ensembl
    assert human_genes().approved_of[alias] == symbol


@pytest.mark.parametrize(
    ("gene_id", "plain"),
    [
        ("ENSG00000129226.14", "ENSG00000129226"),
        ("ENSMUSG00000018774.3", "ENSMUSG00000018774"),
        ("ENSG00000129226", "ENSG00000129226"),
        ("AC004687.1", "AC004687.1"),
        ("CD68", "CD68"),
        ("", ""),
    ],
)
def test_only_ensembl_ids_lose_a_version(gene_id, plain):
    assert without_version(gene_id) == plain
