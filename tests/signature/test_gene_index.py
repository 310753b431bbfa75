"""Which column of the data is which gene."""

from __future__ import annotations

from collections import Counter

import pytest

from tamannot.errors import GeneIdError
from tamannot.signature import GeneIndex, human_genes
from tamannot.signature._gene_ids import REVIEWED_ALIASES, without_versions

VSIR, CD68 = "ENSG00000107738", "ENSG00000129226"


def test_literal_symbol_is_found():
    assert GeneIndex(["CD68", "VSIR"]).locate("VSIR") == 1


def test_absent_gene_is_minus_one():
    assert GeneIndex(["CD68"]).locate("VSIR") == -1


def test_no_columns_find_nothing():
    assert GeneIndex([]).locate("VSIR", VSIR) == -1


def test_approved_symbol_wins_over_former():
    assert GeneIndex(["C10orf54", "VSIR"]).locate("VSIR") == 1


def test_former_symbol_stands_in():
    assert GeneIndex(["CD68", "C10orf54"]).locate("VSIR") == 1


def test_ensembl_wins_over_former_symbol():
    assert GeneIndex(["C10orf54", VSIR]).locate("VSIR", VSIR) == 1


@pytest.mark.parametrize("column", [VSIR, f"{VSIR}.9", f"{VSIR}.14"])
@pytest.mark.parametrize("ensembl", [VSIR, None])
def test_ensembl_column_is_found_by_symbol(column, ensembl):
    assert GeneIndex([CD68, column]).locate("VSIR", ensembl) == 1


@pytest.mark.parametrize("asked", [VSIR, f"{VSIR}.7"])
@pytest.mark.parametrize("column", [VSIR, f"{VSIR}.9", "VSIR", "C10orf54"])
def test_gene_asked_for_by_ensembl_id_is_found(asked, column):
    assert GeneIndex(["CD68", column]).locate(asked) == 1


@pytest.mark.parametrize("column", ["SELENOP", "ENSG00000250722"])
def test_gene_asked_for_by_former_symbol_finds_the_approved(column):
    assert GeneIndex(["CD68", column]).locate("SEPP1") == 1


@pytest.mark.parametrize(("asked", "column"), [("S100A9", "MIF"), ("GPNMB", "NMB"), ("CXCL10", "C7")])
def test_alias_that_is_a_gene_of_its_own_is_not_used(asked, column):
    assert GeneIndex([column]).locate(asked) == -1


@pytest.mark.parametrize("gene_id", ["my_gene", "ERCC-00002", "Cd68", "1433", "LOC1234"])
def test_unknown_id_is_found_literally(gene_id):
    assert GeneIndex(["CD68", gene_id]).locate(gene_id) == 1


def test_case_is_not_ignored():
    assert GeneIndex(["Cd68"]).locate("CD68") == -1


def test_empty_id_in_the_data_stands_for_no_gene():
    assert GeneIndex(["", "CD68"]).locate("my_gene") == -1


def test_use_of_a_former_symbol_is_recorded():
    index = GeneIndex(["C10orf54", "CD68"])
    index.locate("VSIR")
    assert index.substitutions == {"VSIR": "C10orf54"}


def test_substitutions_are_recorded_once_and_sorted():
    index = GeneIndex(["IL8", "C10orf54"])
    for symbol in ("VSIR", "CXCL8", "VSIR"):
        index.locate(symbol)
    assert list(index.substitutions) == ["CXCL8", "VSIR"]


@pytest.mark.parametrize("column", ["VSIR", VSIR, f"{VSIR}.3"])
def test_own_names_are_no_substitution(column):
    index = GeneIndex([column])
    index.locate("VSIR", VSIR)
    assert index.substitutions == {}


def test_ensembl_asked_symbol_found_is_no_substitution():
    index = GeneIndex(["VSIR"])
    index.locate(VSIR)
    assert index.substitutions == {}


def test_user_given_former_symbol_found_as_approved_is_recorded():
    index = GeneIndex(["SELENOP"])
    index.locate("SEPP1")
    assert index.substitutions == {"SEPP1": "SELENOP"}


def test_absent_gene_is_no_substitution():
    index = GeneIndex(["CD68"])
    index.locate("VSIR")
    assert index.substitutions == {}


def test_find_records_nothing():
    index = GeneIndex(["C10orf54"])
    assert index.find("VSIR") == 0
    assert index.substitutions == {}


def test_find_takes_the_first_of_duplicates():
    assert GeneIndex(["CD68", "VSIR", "VSIR"]).find("VSIR") == 1


def test_find_of_an_absent_gene_is_minus_one():
    assert GeneIndex(["CD68"]).find("VSIR") == -1


def test_needed_duplicate_is_refused_with_its_columns():
    with pytest.raises(GeneIdError, match=r"'VSIR' matches 2 columns \(numbers 0, 2\).*gene_ids"):
        GeneIndex(["VSIR", "CD68", "VSIR"]).locate("VSIR")


def test_duplicate_that_is_not_needed_is_no_matter():
    assert GeneIndex(["VSIR", "VSIR", "CD68"]).locate("CD68") == 2


def test_ensembl_id_in_two_versions_is_a_duplicate():
    with pytest.raises(GeneIdError):
        GeneIndex([f"{VSIR}.1", f"{VSIR}.2"]).locate("VSIR")


def test_duplicated_former_symbol_does_not_hide_the_approved():
    assert GeneIndex(["C10orf54", "C10orf54", "VSIR"]).locate("VSIR") == 2


def test_duplicated_former_symbol_is_refused_where_needed():
    with pytest.raises(GeneIdError, match="C10orf54"):
        GeneIndex(["C10orf54", "C10orf54"]).locate("VSIR")


@pytest.mark.parametrize("second", [["ENSG00000999999", VSIR], ["ENSG00000999999", f"{VSIR}.4"], ["nan", VSIR]])
def test_second_ids_tell_duplicates_apart(second):
    assert GeneIndex(["VSIR", "VSIR"], second).locate("VSIR", VSIR) == 1


def test_second_ids_tell_duplicates_apart_by_the_table():
    assert GeneIndex(["VSIR", "VSIR"], ["ENSG00000999999", VSIR]).locate("VSIR") == 1


@pytest.mark.parametrize("second", [[VSIR, VSIR], [CD68, CD68]])
def test_second_ids_that_tell_nothing_apart_leave_the_error(second):
    with pytest.raises(GeneIdError):
        GeneIndex(["VSIR", "VSIR"], second).locate("VSIR", VSIR)


def test_empty_second_id_does_not_hide_the_right_one():
    assert GeneIndex(["VSIR", "VSIR"], ["", VSIR]).locate("VSIR", VSIR) == 1


def test_empty_second_id_is_no_match():
    with pytest.raises(GeneIdError):
        GeneIndex(["VSIR", "VSIR"], ["", CD68]).locate("VSIR", VSIR)


def test_second_ids_are_not_looked_at_without_duplicates():
    assert GeneIndex(["CD68", "other"], ["x", VSIR]).locate("VSIR", VSIR) == -1


# The shipped table of approved human genes.


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
    assert without_versions([gene_id]) == [plain]
