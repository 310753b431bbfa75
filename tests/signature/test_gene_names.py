"""Gene names as other programs leave them."""

from __future__ import annotations

import re

import pytest

from tamannot.signature import GeneIndex, human_genes, read_ids, recognise_species

CD68, VSIR = "ENSG00000129226", "ENSG00000107738"


def index_of(texts: list[str], species: str | None = None) -> GeneIndex:
    found = read_ids(texts)
    return GeneIndex(found.ids, found.ensembl, written=found.written, species=species)


@pytest.mark.parametrize(
    "text",
    [
        *("b'CD68'", 'b"CD68"', '"CD68"', "'CD68'", " CD68", "CD68 ", "\tCD68", "\ufeffCD68", "CD68__chr17"),
        *(f"CD68:{CD68}", f"CD68_{CD68}", f"CD68|{CD68}", f"CD68-{CD68}", f"CD68 ({CD68})", f"CD68.{CD68}"),
        *(f"{CD68}_CD68", f"{CD68}.12_CD68", f"{CD68}|CD68", f"{CD68} CD68", f'"{CD68}.3:CD68"', f"hg38_{CD68}_CD68"),
        f"CD68_{CD68}.12",
    ],
)
def test_what_is_around_a_symbol_is_taken_off_and_recorded(text):
    index = index_of(["VSIR", text])
    assert index.ids[1] == "CD68"
    assert index.locate("CD68", CD68) == 1
    assert index.substitutions == {"CD68": text}


@pytest.mark.parametrize(
    "text", ["ENSA", "HLA-DRA", "C10orf54", "AC004687.1", "7SK", "CD68.1", "ENSG00000182378.14_PAR_Y", f"gene:{CD68}"]
)
def test_other_ids_stay_one(text):
    assert read_ids([text]).ensembl is None or read_ids([text]).ids == [CD68]


def test_a_symbol_that_stands_alone_goes_before_one_with_an_ensembl_id():
    index = index_of(["TBCE_ENSG00000284770", "TBCE", "CD68"])
    assert index.locate("TBCE") == 1
    assert index.substitutions == {}


def test_equal_symbols_are_told_apart_by_the_ensembl_ids_beside_them():
    assert index_of(["CD68_ENSG00000999999", f"CD68_{CD68}"]).locate("CD68", CD68) == 1


@pytest.mark.parametrize("text", ["HLA.DRA", "HLA_DRA"])
def test_hyphens_that_became_something_else(text):
    index = index_of([text, "CD68"])
    assert index.locate("HLA-DRA") == 0
    assert index.substitutions == {"HLA-DRA": text}


def test_where_there_are_hyphens_a_point_stands_for_none():
    assert index_of(["ERVK3.1", "HLA-DRB1"]).locate("ERVK3-1") == -1


def test_a_name_of_another_gene_is_never_taken():
    """C4B_2 is a gene; it is not how R writes C4B-2."""
    assert index_of(["C4B_2", "CD68"]).locate("C4B-2") == -1


def test_small_letters():
    index = index_of(["cd68", "hla-dra", "c10orf54", "spp1"])
    assert [index.locate(g) for g in ("CD68", "HLA-DRA", "VSIR", "SPP1", "CD14")] == [0, 1, 2, 3, -1]
    assert index.substitutions["VSIR"] == "c10orf54"


def test_a_few_small_letters_are_no_genes():
    """Names beside those of genes may be of antibodies."""
    assert index_of(["CD14", "SPP1", "VSIR", "cd68"]).locate("CD68") == -1


def test_orf_in_capitals():
    assert index_of(["C10ORF54", "CD68"]).locate("VSIR") == 0


MOUSE_CAPITALS = ["CD68", "H2-AA", "CCL12", "LY6C2", "GM12345", "1700010I14RIK", "SPP1", "C1QA"]


def test_mouse_in_capitals():
    index = index_of(MOUSE_CAPITALS)
    assert [index.locate(g) for g in ("Cd68", "H2-Aa", "Ccl12", "Cd14")] == [0, 1, 2, -1]


def test_human_names_do_not_answer_for_mouse_genes():
    assert index_of(["CD68", "HLA-DRA", "C1QA", "SPP1"]).locate("Cd68") == -1


def test_antibodies_beside_mouse_genes_do_not_answer_for_them():
    assert index_of(["Cd14", "Spp1", "Gm12345", "CD68"], "mouse").locate("Cd68") == -1


@pytest.mark.parametrize(
    ("date", "gene"),
    [
        *(("3-Mar", "MARCHF3"), ("03-Mar", "MARCHF3"), ("Mar-03", "MARCHF3"), ("10-Mar", "MARCHF10")),
        *(("2-Sep", "SEPTIN2"), ("Sep-02", "SEPTIN2"), ("2-Sept", "SEPTIN2"), ("02.Sep", "SEPTIN2")),
        *(("X2.Sep", "SEPTIN2"), ("11-Sep-21", "SEPTIN11"), ("2021-09-11", "SEPTIN11"), ("15-Sep", "SELENOF")),
        *(("1-Dec", "DELEC1"), ("Dec-01", "DELEC1"), ("03. Mrz", "MARCHF3"), ("2021-09-02 00:00:00", "SEPTIN2")),
    ],
)
def test_dates(date, gene):
    index = index_of(["CD68", date])
    assert index.locate(gene) == 1
    assert index.substitutions == {gene: date}


def test_dates_of_mouse():
    assert index_of(["Cd68", "Gm12345", "11-Sep"], "mouse").locate("Septin11") == 2


@pytest.mark.parametrize("ids", [["1-Mar"], ["01-Mar", "Mar-01"], ["1-Mar", "1-Mar"]])
def test_a_date_that_can_be_two_genes_is_said_and_not_guessed(ids):
    index = index_of(ids)
    assert index.locate("MARCHF1") == index.locate("MTARC1") == -1
    assert f"'{ids[0]}', which could be MARCHF1 or MTARC1" in index.note
    assert index.nearest("MARCHF1")[0] == ids[0]


@pytest.mark.parametrize("other", ["MTARC1", "MARC1", human_genes().ensembl["MTARC1"]])
def test_a_date_is_unique_where_the_other_gene_is_there(other):
    index = index_of(["1-Mar", other])
    assert index.locate("MARCHF1") == 0
    assert index.note == ""


def test_a_date_is_not_taken_where_its_gene_is_there():
    index = index_of(["2-Sep", "SEPTIN2"])
    assert index.locate("SEPTIN2") == 1
    assert index.substitutions == {}


@pytest.mark.parametrize("copy", ["CD68-1", "CD68.1"])
def test_the_second_of_two_is_named_and_never_taken(copy):
    assert index_of([copy, "CD68", "HLA-DRA"]).locate("CD68") == 1
    index = index_of([copy, "HLA-DRA"])
    assert index.locate("CD68") == -1
    assert index.nearest("CD68") == [copy]


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("cd68", ["CD68"]),
        ("Cd68", ["CD68"]),
        ("HLADRA", ["HLA-DRA"]),
        ("SPPI", ["SPP1"]),
        ("SSP1", ["SPP1"]),
        ("CD6", []),
        ("CD14", []),
        ("FOOBAR", []),
    ],
)
def test_what_may_be_meant(asked, near):
    index = index_of(["CD68", "HLA-DRA", "SPP1", "C1QA"])
    assert index.locate(asked) == -1
    assert index.nearest(asked) == near


# Species recognised from gene ids.


@pytest.mark.parametrize(
    ("ids", "species"),
    [
        pytest.param(["CD68", "C1QA", "PTPRC"], "human", id="human symbols"),
        pytest.param(["SEPP1", "IL8"], "human", id="human former symbols"),
        pytest.param(["C1orf112", "C10orf54"], "human", id="human symbols with orf"),
        pytest.param(["ENSG00000129226", "ENSG00000107738.4"], "human", id="human ensembl"),
        pytest.param(["Cd68", "C1qa", "Ptprc"], "mouse", id="mouse symbols"),
        pytest.param(["ENSMUSG00000018774", "ENSMUSG00000036887.5"], "mouse", id="mouse ensembl"),
        pytest.param(["Cd68", "C1qa", "CD68"], "mouse", id="most are mouse"),
        pytest.param(["CD68", "C1QA", "Cd68", "my_gene"], "human", id="most are human"),
        pytest.param(["gene_1", "gene_2"], "unknown", id="neither"),
        pytest.param(["ENSDARG00000000001"], "zebrafish", id="fish"),
        pytest.param([], "unknown", id="none"),
        pytest.param(["", "1", "cd68"], "unknown", id="odd ids"),
    ],
)
def test_species_of_ids(ids, species):
    assert recognise_species(ids).species == species


@pytest.mark.parametrize(
    ("gene_id", "plain"),
    [
        ("GRCh38_CD68", "CD68"),
        ("GRCh38______CD68", "CD68"),
        ("hg19_CD68", "CD68"),
        ("mm10___Cd68", "Cd68"),
        ("mm10_Cd68", "Cd68"),
        ("grch38_CD68", "CD68"),
        ("GRCh38_ENSG00000129226", "ENSG00000129226"),
        ("GRCh38_HLA_X", "HLA_X"),
        ("GRCh38-CD68", "CD68"),
        ("hg38-HLA-DRA", "HLA-DRA"),
        ("mm10---Cd68", "Cd68"),
        ("GRCm39-Cd68", "Cd68"),
        ("mm10...Cd68", "Cd68"),
    ],
)
def test_genome_prefix_is_stripped(gene_id, plain):
    assert read_ids([gene_id]).ids == [plain]


@pytest.mark.parametrize("gene_id", ["CD68", "mm10", "GRCh38", "hg19CD68", "my_hg19_gene", ""])
def test_id_without_prefix_is_kept(gene_id):
    assert read_ids([gene_id]).ids == [gene_id]


def test_ids_without_prefix_among_prefixed_ones_are_kept():
    assert read_ids(["GRCh38_CD68", "ERCC-00002"]).ids == ["CD68", "ERCC-00002"]


def test_two_genomes_of_one_species_are_one_species():
    found = read_ids(["GRCh38_CD68", "hg19_VSIR"])
    assert (found.ids, found.two_genomes) == (["CD68", "VSIR"], "")


def test_genomes_of_two_species_are_told_apart_by_a_pattern():
    found = read_ids(["GRCh38_CD68", "GRCh38_VSIR", "mm10___Cd68"])
    assert found.ids == ["CD68", "VSIR", "Cd68"]
    assert [bool(re.search(found.two_genomes, i)) for i in ("GRCh38_CD68", "mm10___Cd68", "mm10---Cd68")] == [
        False,
        True,
        True,
    ]


def test_reading_leaves_the_list_given_alone():
    ids = ["GRCh38_CD68"]
    read_ids(ids)
    assert ids == ["GRCh38_CD68"]
