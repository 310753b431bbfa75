"""Species recognised from gene ids."""

from __future__ import annotations

import re

import pytest

from tamannot.signature import read_ids, recognise_species


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
