"""Writing signatures for other tools and reading them back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import gseapy
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import tamannot as tam
from tamannot._resources import resource_path
from tamannot.errors import OutputError, SignatureFormatError, TamannotWarning
from tamannot.signature import Gene, Signature, SignatureSet
from tamannot.signature._exchange import FORMATS

SIGNED = Signature(
    id="signed",
    species="human",
    title="Signed set",
    genes=(
        Gene(symbol="CD68", ensembl="ENSG00000129226"),
        Gene(symbol="CD14", ensembl="ENSG00000170458"),
        Gene(symbol="CD3E", ensembl="ENSG00000198851", direction="down"),
    ),
)
WEIGHTED = SIGNED.model_copy(update={"id": "weighted", "genes": (*SIGNED.genes[1:], Gene(symbol="FTL", weight=0.25))})
SUFFIX = {"gmt": ".gmt", "json": ".json", "network": ".csv", "ucell": ".csv", "scgate": ".tsv"}


def content(signature: Signature) -> set[tuple[str, str]]:
    return {(g.symbol, g.direction) for g in signature.genes}


@pytest.mark.parametrize("name", FORMATS)
def test_genes_and_directions_come_back(tmp_path, name):
    path = tmp_path / f"x{SUFFIX[name]}"
    tam.write_signatures(SignatureSet([SIGNED]), path, format=name)
    back = tam.read_signatures(path)
    assert list(back) == ["signed"]
    assert content(back["signed"]) == content(SIGNED)


@pytest.mark.parametrize("name", ["json", "network"])
def test_digest_survives_where_the_format_holds_everything(tmp_path, name):
    path = tmp_path / f"x{SUFFIX[name]}"
    tam.write_signatures(SignatureSet([SIGNED, WEIGHTED]), path, format=name)
    back = tam.read_signatures(path)
    assert [s.digest for s in back.values()] == [SIGNED.digest, WEIGHTED.digest]


def test_json_holds_the_whole_library(tmp_path):
    library = tam.load_signatures()
    tam.write_signatures(library, tmp_path / "x.json")
    back = tam.read_signatures(tmp_path / "x.json")
    assert [s.digest for s in back.values()] == [s.digest for s in library.values()]
    assert back["lipid_associated"] == library["lipid_associated"]
    assert back["immunoregulatory"].modules == library["immunoregulatory"].modules


def test_toml_folder_holds_the_whole_library(tmp_path):
    states = tam.load_signatures(axis="state")
    tam.write_signatures(states, tmp_path / "lib")
    back = tam.read_signatures(tmp_path / "lib")
    assert {i: back[i].digest for i in states} == {i: s.digest for i, s in states.items()}


@pytest.mark.parametrize("name", ["gmt", "ucell", "scgate"])
def test_what_is_lost_is_said(tmp_path, name):
    signatures = SignatureSet([SIGNED, WEIGHTED, tam.load_signature("immunoregulatory")])
    with pytest.warns(TamannotWarning, match=r"cannot hold gene weights of weighted.*modules of immunoregulatory"):
        tam.write_signatures(signatures, tmp_path / f"x{SUFFIX[name]}", format=name)


def test_an_uncited_list_in_toml_is_a_draft_and_said_to_be_one(tmp_path):
    """The library's own format has a source for every gene; nothing is made up to fill the gaps."""
    with pytest.warns(TamannotWarning, match="mine cannot be read until"):
        tam.write_signatures(tam.read_signatures({"mine": ["CD68", "SPP1"]}), tmp_path, format="toml")
    with pytest.raises(SignatureFormatError, match="licence: Field required"):
        tam.read_signatures(tmp_path)


@pytest.mark.parametrize(
    "given",
    [[SIGNED], SignatureSet([SIGNED]), SIGNED, {"signed": ["CD68", "CD14", "CD3E-"]}],
    ids=lambda g: type(g).__name__,
)
def test_one_or_several_signatures_or_genes_are_written(tmp_path, given):
    tam.write_signatures(given, tmp_path / "x.json")
    (read,) = tam.read_signatures(tmp_path / "x.json").values()
    assert (read.id, [(g.symbol, g.direction) for g in read.genes]) == (
        "signed",
        [("CD68", "up"), ("CD14", "up"), ("CD3E", "down")],
    )


def test_what_is_no_signature_is_not_written(tmp_path):
    with pytest.raises(SignatureFormatError, match="is not a signature"):
        tam.write_signatures([3], tmp_path / "x.json")
    with pytest.raises(SignatureFormatError, match="occurs more than once"):
        tam.write_signatures([SIGNED, SIGNED], tmp_path / "x.json")


def test_gmt_splits_directions(tmp_path):
    tam.write_signatures(SIGNED, tmp_path / "x.gmt")
    lines = (tmp_path / "x.gmt").read_text().splitlines()
    assert lines == ["signed_UP\tSigned_set\tCD68\tCD14", "signed_DN\tSigned_set\tCD3E"]


def test_ensembl_ids_on_request(tmp_path):
    tam.write_signatures(SIGNED, tmp_path / "x.gmt", ids="ensembl")
    assert "ENSG00000129226" in (tmp_path / "x.gmt").read_text()


def test_a_lone_up_set_keeps_its_name(tmp_path):
    (tmp_path / "x.gmt").write_text("HALLMARK_X_UP\tna\tCD68\tCD14\n")
    assert list(tam.read_signatures(tmp_path / "x.gmt")) == ["HALLMARK_X_UP"]


def test_gseapy_reads_the_gmt(tmp_path):
    gseapy = pytest.importorskip("gseapy")
    states = tam.load_signatures(axis="overlay")
    with pytest.warns(TamannotWarning):
        tam.write_signatures(states, tmp_path / "x.gmt")
    read = gseapy.read_gmt(str(tmp_path / "x.gmt"))
    assert {k: set(v) for k, v in read.items()} == {i: {g.symbol for g in s.genes} for i, s in states.items()}


def test_the_long_table_has_decouplers_columns(tmp_path):
    tam.write_signatures(SignatureSet([SIGNED, WEIGHTED]), tmp_path / "x.csv")
    net = pd.read_csv(tmp_path / "x.csv")
    assert list(net.columns[:3]) == ["source", "target", "weight"]
    assert net.set_index(["source", "target"])["weight"][("signed", "CD3E")] == -1
    assert net.set_index(["source", "target"])["weight"][("weighted", "FTL")] == 0.25


def test_ucell_table_read_back_gives_the_scores_of_the_dict(tmp_path, tiny):
    genes = list(tiny.var_names)
    own = tam.read_signatures({"a": [*genes[:5], f"{genes[7]}-"], "b": genes[10:14]})
    tam.write_signatures(own, tmp_path / "x.csv", format="ucell")
    tam.tl.score(tiny, own)
    before = tam.get.scores(tiny)
    tam.tl.score(tiny, tam.read_signatures(tmp_path / "x.csv"))
    np.testing.assert_array_equal(tam.get.scores(tiny), before)


def test_plain_json_object_is_read(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"mine": ["CD3E", "CD79A-"]}))
    assert content(tam.read_signatures(tmp_path / "x.json")["mine"]) == {("CD3E", "up"), ("CD79A", "down")}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", "[1, 2]", "expected a JSON object"),
        ("x.json", "{", "cannot be read as signatures"),
        ("x.json", '{"a": 3}', "expected a list of genes, not 3"),
        ("x.json", '{"format": "tamannot-signatures"}', "an object 'signatures'"),
        ("x.json", '{"format": "tamannot-signatures", "signatures": {"a": {"id": "a"}}}', "has no genes"),
        ("x.csv", "", "the table is empty"),
        ("x.csv", "source,target,weight\na,CD68,heavy\n", "line 2: weight 'heavy' is not a number"),
        ("x.csv", "source,target,weight\na,CD68,nan\n", "genes|weight"),
        ("x.tsv", "name\tsignature\na\n", "line 2: column 'signature' is empty"),
        ("x.txt", "TREM2\nGPNMB\n", "line 1: 'TREM2' is a gene, but the first line is the name"),
        ("x.csv", "Trem2\nGpnmb\n", "'Trem2' is a gene"),
        ("x.txt", "ENSG00000095970\nENSG00000136235\n", "'ENSG00000095970' is a gene"),
        ("x.doc", "", "not a signature format"),
    ],
)
def test_malformed_files_are_refused_by_name(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SignatureFormatError, match=message) as caught:
        tam.read_signatures(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("text", ["my_lam\nTREM2\nGPNMB\n", "SPP1\nTREM2+\nGPNMB+\n", "SPP1,CD68\nTREM2,GPNMB\n"])
def test_a_column_has_its_name_above_its_genes(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    found = tam.read_signatures(tmp_path / "x.txt")
    assert ",".join(found) == text.partition("\n")[0]
    assert "TREM2" in {g.symbol for s in found.values() for g in s.genes}


def test_unknown_format_and_unwritable_target(tmp_path):
    with pytest.raises(SignatureFormatError, match="Unknown format"):
        tam.write_signatures(SIGNED, tmp_path / "x.doc")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        tam.write_signatures(SIGNED, tmp_path / "file" / "x.gmt")


@pytest.mark.filterwarnings("ignore")
def test_decoupler_scores_with_the_long_table(tmp_path, tiny):
    dc = pytest.importorskip("decoupler")
    genes = list(tiny.var_names)
    own = tam.read_signatures({"a": genes[:8], "b": [*genes[10:16], *(f"{g}-" for g in genes[20:24])]})
    tam.write_signatures(own, tmp_path / "x.csv")
    dc.mt.ulm(tiny, pd.read_csv(tmp_path / "x.csv"), tmin=3)
    assert set(tiny.obsm["score_ulm"].columns) == {"a", "b"}


EXPORTS = sorted((resource_path("signatures") / "exports").iterdir(), key=lambda p: p.name)
GMTS = [p for p in EXPORTS if p.suffix == ".gmt"]


def sets_of(path: Path) -> dict[str, list[str]]:
    """The sets that an exported GMT file should hold, from the signature files."""
    species, axis, *rest = path.stem.split("_")
    found = {}
    for s in tam.load_signatures(axis, species=species).values():
        for direction, mark in (("up", "_UP"), ("down", "_DN")):
            genes = [(g.ensembl or g.symbol) if rest else g.symbol for g in s.all_genes if g.direction == direction]
            if genes:
                found[s.id + (mark if any(g.direction == "down" for g in s.all_genes) else "")] = genes
    return found


def in_order(sets: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: sorted(set(genes)) for name, genes in sets.items()}


def test_every_exported_gmt_is_read_by_gseapy():
    assert len(GMTS) > 30
    assert [p.name for p in GMTS if in_order(gseapy.read_gmt(str(p))) != in_order(sets_of(p))] == []


def split_at_blanks(path: Path) -> dict[str, list[str]]:
    """Read a GMT file as decoupler does: a word of a description became a gene named "macrophages"."""
    rows = [line.strip().split() for line in path.read_text().splitlines()]
    return {row[0]: row[2:] for row in rows}


def test_every_exported_gmt_is_read_by_a_reader_that_splits_at_blanks():
    assert [p.name for p in GMTS if split_at_blanks(p) != sets_of(p)] == []


def test_every_exported_gmt_is_read_by_decoupler():
    dc = pytest.importorskip("decoupler")
    read = {p: {n: sorted(of["target"]) for n, of in dc.pp.read_gmt(str(p)).groupby("source")} for p in GMTS}
    assert [p.name for p, sets in read.items() if sets != in_order(sets_of(p))] == []


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_exports_are_read_by_r():
    code = """
    for (f in commandArgs(TRUE)) {
      if (grepl("gmt$", f)) { lines <- strsplit(readLines(f), "\\t"); n <- sum(lengths(lines) - 2) }
      else n <- nrow(read.csv(f))
      cat(basename(f), n, "\\n")
    }"""
    files = [p for p in EXPORTS if p.suffix in (".gmt", ".csv")]
    command = [shutil.which("Rscript"), "-e", code, *map(str, files)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    read = dict(line.split() for line in out.splitlines())
    for path in files:
        rows = len(pd.read_csv(path)) if path.suffix == ".csv" else sum(map(len, sets_of(path).values()))
        assert int(read[path.name]) == rows


def test_every_exported_long_table_is_a_network_of_the_library():
    tables = [p for p in EXPORTS if p.suffix == ".csv"]
    assert len(tables) > 10
    for path in tables:
        species, axis = path.stem.split("_")
        net = pd.read_csv(path)
        assert not net.duplicated(["source", "target"]).any(), path  # decoupler refuses repeated edges
        assert np.isfinite(net["weight"]).all(), path
        back = tam.read_signatures(path)
        library = tam.load_signatures(axis, species=species)
        assert list(back) == list(library), path
        wrong = [i for i in back if content(back[i]) != {(g.symbol, g.direction) for g in library[i].all_genes}]
        assert wrong == [], path


def test_descriptions_of_gmt_are_one_word(tmp_path):
    own = SIGNED.model_copy(update={"title": "Two words,\u00a0and a third "})
    tam.write_signatures(own, tmp_path / "x.gmt")
    assert [line.split("\t")[1] for line in (tmp_path / "x.gmt").read_text().splitlines()] == [
        "Two_words,_and_a_third",
        "Two_words,_and_a_third",
    ]


def test_genes_are_there_for_other_tools(tiny):
    assert (SIGNED.genes_up, SIGNED.genes_down) == (["CD68", "CD14"], ["CD3E"])
    composite = tam.load_signature("interferon_primed")
    assert composite.genes_up == [g.symbol for g in composite.all_genes]
    mine = tam.read_signatures({"mine": list(tiny.var_names[:6])})["mine"]
    sc.tl.score_genes(tiny, mine.genes_up, score_name="mine", ctrl_size=5, n_bins=4)
    assert tiny.obs["mine"].std() > 0


def test_gmt_says_that_it_cannot_tell_down_genes_alone(tmp_path):
    with pytest.warns(TamannotWarning, match="the direction of lone"):
        tam.write_signatures(tam.read_signatures({"lone": ["CD3E-", "CD79A-"]}), tmp_path / "x.gmt")
