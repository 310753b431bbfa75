"""Malformed files: each is refused by ``read_signatures`` and by ``signatures validate``, with file and place."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

import tamannot as tam
from tamannot._resources import resource_path
from tamannot.cli._main import main
from tamannot.errors import SignatureFormatError, SignatureNotFoundError
from tamannot.signature._library import Library

VALID = (Path(__file__).parent / "demo.toml").read_text()
HEAD = VALID[: VALID.index("genes = [")]
TABLES = (
    HEAD
    + """\
[[genes]]
symbol = "CD68"
ensembl = "ENSG00000129226"
references = ["a2020"]

[[genes]]
symbol = "GPNMB"
ensembl = "ENSG00000136235"
weight = -1.0
references = ["a2020"]

"""
    + VALID[VALID.index("[[references]]") :]
)


@pytest.fixture
def validate(monkeypatch, capsys):
    """Run ``tamannot signatures validate``: exit code 2, no traceback; return what it prints."""

    def call(path):
        monkeypatch.setattr(sys, "argv", ["tamannot", "signatures", "validate", str(path)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert stop.value.code == 2, out
        assert "Traceback" not in err
        assert err.startswith("tamannot: ")
        assert all(c.isprintable() or c == "\n" for c in out)
        return out

    return call


@pytest.fixture
def write(tmp_path):
    def call(content, name="demo.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return call


def refusal(path):
    with pytest.raises((SignatureFormatError, SignatureNotFoundError)) as caught:
        tam.read_signatures(path)
    message = str(caught.value)
    assert all(c.isprintable() for c in message)
    assert len(message) < 5000
    return message


def edited(old, new, text=VALID):
    assert old in text
    return text.replace(old, new, 1)


def replaced(old, says, line, **instead):
    """Return a case for each text that stands instead of ``old``; all are refused with the same words."""
    return [pytest.param(edited(old, new), says, line, id=name.replace("_", " ")) for name, new in instead.items()]


# What is wrong, the field that is named, and the line.
FIELDS = [
    pytest.param("surprise = 1\n" + VALID, "surprise: Extra inputs", 1, id="unknown key"),
    pytest.param(VALID + "[surprise]\na = 1\n", "surprise: Extra inputs", 18, id="unknown table"),
    pytest.param(
        '"\\u001b[31m" = 1\n' + VALID, "\\x1b[31m: Extra inputs", None, id="unknown key of control characters"
    ),
    pytest.param(f"{'k' * 100_000} = 1\n" + VALID, "kkk…", 1, id="unknown key without end"),
    *replaced(
        "schema_version = 1",
        "schema_version",
        1,
        schema_a_boolean="schema_version = true",
        schema_a_fraction="schema_version = 1.0",
    ),
    *replaced(
        '"demo"',
        "id: use lower-case letters",
        2,
        id_with_capitals='"Demo"',
        id_with_a_dot='"de.mo"',
        id_a_folder='".."',
        id_with_an_accent='"démo"',
    ),
    *replaced('"demo"', "id: String should have at most 100", 2, id_too_long=f'"{"a" * 101}"'),
    *replaced(
        '"1.0.0"',
        "version: a version is three",
        3,
        version_too_long=f'"{"9" * 5000}.0.0"',
        version_of_other_digits='"١.0.0"',
    ),
    *replaced('"Demo"', "title: Input should be a valid string", 4, title_a_number="3", title_a_date="2026-11-21"),
    *replaced(
        '"Demo"',
        "title: has a line break",
        4,
        escape_in_the_title='"De\\u001b[31mmo"',
        tab_in_the_title='"De\\tmo"',
    ),
    *replaced('"A demo."', "description: has a control", 5, NUL_in_the_description='"A\\u0000demo."'),
    *replaced('"state"', "axis", 6, axis_a_list='["state"]'),
    *replaced(
        "2026-11-21",
        "created",
        9,
        created_with_a_time="2026-11-21T10:00:00Z",
        created_a_time="10:00:00",
        created_a_number="20261121",
        created_a_text='"2026-11-21"',
    ),
    *replaced("genes = [", "deprecated", 10, boolean_a_text='deprecated = "no"\ngenes = ['),
    pytest.param(HEAD + 'genes = "CD68"\n', "genes", 10, id="genes a text"),
    pytest.param(HEAD + 'genes = ["CD68"]\n', "genes.0", 10, id="genes a list of texts"),
    *replaced('"GPNMB"', "genes.1.symbol", 12, symbol_a_number="7"),
    *replaced('"GPNMB"', "gene CD68 is listed more than once", 12, symbol_twice='"CD68"'),
    *replaced('"GPNMB"', "gene ACTB is out of order", 12, not_sorted='"ACTB"'),
    *replaced(
        '"GPNMB"',
        "genes.1.symbol: has a line break",
        12,
        bell_in_a_symbol='"GP\\u0007NMB"',
        line_break_in_a_symbol='"GPNMB\\nX"',
    ),
    *replaced("136235", "gene ENSG00000129226 is listed more than once", 12, Ensembl_id_twice="129226"),
    *replaced("ENSG00000136235", "genes.1.ensembl: an Ensembl", 12, short_Ensembl_id="ENSG136235"),
    *replaced("ENSG00000136235", "genes.1.ensembl", 12, Ensembl_id_with_version="ENSG00000136235.4"),
    *replaced("ENSG00000136235", "gene GPNMB has no Ensembl", 12, mouse_Ensembl_id="ENSMUSG00000136235"),
    *replaced(
        "= 0.5",
        "genes.1.weight",
        12,
        weight_a_text='= "0.5"',
        weight_a_boolean="= true",
        weight_a_date="= 2026-11-21",
        weight_NaN="= nan",
        weight_inf="= inf",
        weight_minus_inf="= -inf",
        weight_negative="= -1.0",
    ),
    pytest.param(TABLES, "genes.1.weight", 18, id="weight negative in a table"),
    pytest.param(HEAD + "modules = [1]\n", "modules.0", 10, id="modules numbers"),
    pytest.param(HEAD + "[modules]\na = 1\n", "modules", 10, id="modules a table"),
    pytest.param(HEAD + 'modules = ["../../etc/passwd@1.0.0"]\n', "modules.0", 10, id="module escapes"),
    pytest.param(HEAD + 'modules = ["/etc/passwd"]\n', "modules.0", 10, id="module an absolute path"),
    pytest.param(HEAD + 'modules = ["m1@1.0.0", "m1@1.0.0"]\n', "module m1@1.0.0 is listed", None, id="module twice"),
    *replaced('doi = "10.1000/xyz"', "references.0.doi", 17, doi_a_number="doi = 10.1"),
    pytest.param(VALID + VALID[VALID.index("[[ref") :], "reference a2020 is defined more", 19, id="reference twice"),
]


@pytest.mark.parametrize(("content", "says", "line"), FIELDS)
def test_field_is_named_with_its_line(write, validate, content, says, line):
    path = write(content)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert says in message
    place = f"{path}:{line}: " if line else f"{path}: "
    printed = validate(path)
    assert printed.startswith(place)
    assert says in printed


# What is no signature file at all.
FILES = [
    pytest.param("", "Field required", id="empty"),
    pytest.param(" \n\n", "Field required", id="blank"),
    pytest.param("a = 1\nb = \n", "line 2", id="no value"),
    pytest.param("x = " + "[" * 100_000, "nested too deeply", id="arrays of 100,000 levels"),
    pytest.param("x = " + "[" * 100_000 + "]" * 100_000, "nested too deeply", id="closed arrays of 100,000 levels"),
    pytest.param("x = " + "{a=" * 100_000, "nested too deeply", id="tables of 100,000 levels"),
    pytest.param("x" + ".x" * 1_000_000 + " = 1", "line 1", id="a key of a million parts"),
    pytest.param("[" + "x." * 1_000_000 + "x]", "line 1", id="a table of a million parts"),
    pytest.param(VALID.encode("utf-16"), "line 1: cannot be read: byte 0x", id="UTF-16"),
    pytest.param(
        VALID.replace("A demo", "A démo").encode("latin-1"), "line 5: cannot be read: byte 0xe9", id="Latin-1"
    ),
    pytest.param(b"a = 1\nb = '\x00'\n", "line 2", id="NUL bytes"),
    pytest.param(bytes(1000), "line 1", id="NUL bytes alone"),
    pytest.param(b"\x89HDF\r\n\x1a\n", "line 1: cannot be read: byte 0x89", id="HDF5"),
    pytest.param("schema_version = " + "9" * 5000, "cannot be read", id="number without end"),
]


@pytest.mark.parametrize(("content", "says"), FILES)
def test_what_is_no_signature_file_is_named(write, validate, content, says):
    path = write(content)
    assert refusal(path).startswith(f"{path}: ")
    assert says in refusal(path)
    printed = validate(path)
    assert printed.startswith(str(path))
    assert says in printed


def test_byte_order_mark_does_no_harm(write):
    assert tam.read_signatures(write(b"\xef\xbb\xbf" + VALID.encode()))["demo"].genes[0].symbol == "CD68"


SUFFIXES = [".toml", ".gmt", ".json", ".csv", ".tsv", ".txt"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_file_of_100_mb_is_refused_unread(write, validate, suffix):
    path = write("", f"huge{suffix}")
    os.truncate(path, 100 * 2**20)
    refusal(path)  # whatever is imported on first use
    tracemalloc.start()
    start = time.perf_counter()
    message = refusal(path)
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"{path}: larger than" in message
    assert (seconds < 1, peak < 2**20) == (True, True)
    assert "larger than" in validate(path)


def test_million_genes_are_refused_by_size(write, validate):
    line = '  { symbol = "G0000001", ensembl = "ENSG00000129226", references = ["a"] },\n'
    path = write(HEAD + "genes = [\n" + line * 1_000_000 + "]\n")
    assert f"{path}: larger than 4 MB" in refusal(path)
    assert f"{path}: larger than 4 MB" in validate(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_folder_with_the_name_of_a_file_is_refused(tmp_path, validate, suffix):
    path = tmp_path / f"x{suffix}"
    path.mkdir()
    assert str(path) in refusal(path)
    assert str(path) in validate(path)


@pytest.mark.parametrize("place", ["x.toml", "x/1.0.0.toml"])
def test_folder_among_the_files_is_refused(write, tmp_path, validate, place):
    write(VALID, "demo/1.0.0.toml")
    path = tmp_path / place
    path.mkdir(parents=True)
    assert f"{path}: " in refusal(tmp_path)
    assert f"{path}: " in validate(tmp_path)


def test_pipe_is_refused_and_not_waited_for(tmp_path, validate):
    path = tmp_path / "x.toml"
    os.mkfifo(path)
    assert f"{path}: " in refusal(path)
    assert f"{path}: " in validate(path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero")  # noqa: PTH110
def test_file_without_end_is_refused(tmp_path, validate):
    path = tmp_path / "x.toml"
    path.symlink_to("/dev/zero")
    assert f"{path}: " in refusal(path)


@pytest.mark.parametrize("name", ["a" * 300 + ".toml", "a" * 300, "absent/x.toml", "absent"])
def test_what_is_not_there_is_refused(tmp_path, validate, name):
    assert str(tmp_path / name) in refusal(tmp_path / name)
    assert str(tmp_path / name) in validate(tmp_path / name)


def test_nul_in_a_name_is_refused():
    with pytest.raises(SignatureFormatError):
        tam.read_signatures("a\0b.gmt")


# Libraries.


@pytest.mark.parametrize(
    ("place", "field", "line"),
    [
        ("demo/1.1.0.toml", "version: '1.0.0'", 3),
        ("other/1.0.0.toml", "id: 'demo'", 2),
        ("mouse/demo/1.0.0.toml", "species: 'human'", 7),
        ("human/demo/latest.toml", "version: '1.0.0'", 3),
    ],
)
def test_path_that_disagrees_is_a_fault(write, tmp_path, validate, place, field, line):
    path = write(VALID, place)
    assert f"{path}:{line}: {field} does not match the path." in validate(tmp_path)


def test_library_refuses_a_path_that_disagrees(write, tmp_path):
    path = write(VALID, "other/1.0.0.toml")
    with pytest.raises(SignatureFormatError, match="does not match the path") as caught:
        Library(tmp_path).get("other")
    assert str(caught.value).startswith(f"{path}: id: ")


@pytest.mark.parametrize("place", ["loose.toml", "deep/er/demo/1.0.0.toml"])
def test_file_in_a_place_that_a_library_does_not_have_is_a_fault(write, tmp_path, validate, place):
    write(VALID, "demo/1.0.0.toml")
    path = write(edited('"demo"', '"loose"'), place)
    assert f"{path}: is in the wrong place for a library file; expected <id>/<version>.toml." in validate(tmp_path)


@pytest.mark.parametrize("name", ["../x", "../human/m1", "demo@../../x", "/etc/passwd", "demo/../demo", "..", "."])
def test_names_cannot_leave_the_library(write, tmp_path, name):
    write(VALID, "lib/demo/1.0.0.toml")
    write(edited('"demo"', '"x"'), "x/1.0.0.toml")
    with pytest.raises(SignatureNotFoundError):
        Library(tmp_path / "lib").get(name)


@pytest.mark.parametrize("link", ["lib/x/1.0.0.toml", "lib/x.toml", "lib/x"])
def test_link_out_of_the_folder_is_refused(write, tmp_path, validate, link):
    outside = write(edited('"demo"', '"x"'), "outside/1.0.0.toml")
    write(VALID, "lib/demo/1.0.0.toml")
    path = tmp_path / link
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside if path.suffix else outside.parent)
    assert f"{path}" in validate(tmp_path / "lib")
    assert "links to a file outside" in validate(tmp_path / "lib")
    if path.suffix:  # folders that are links are not gone into
        assert "links to a file outside" in refusal(tmp_path / "lib")


def test_link_to_itself_is_refused(write, tmp_path, validate):
    write(VALID, "demo/1.0.0.toml")
    (tmp_path / "demo" / "1.1.0.toml").symlink_to("1.1.0.toml")
    assert "1.1.0.toml: " in validate(tmp_path)
    assert "1.1.0.toml: " in refusal(tmp_path)


def test_link_within_the_folder_is_taken(write, tmp_path):
    path = write(VALID, "store/abc")
    (tmp_path / "demo.toml").symlink_to(path)
    assert list(tam.read_signatures(tmp_path)) == ["demo"]


def composite(name, *modules, species="human"):
    text = HEAD.replace('"demo"', f'"{name}"').replace('"human"', f'"{species}"')
    return text + f"modules = {json.dumps([f'{m}@1.0.0' for m in modules])}\n"


@pytest.mark.parametrize(
    "circle", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {f"c{n}": [f"c{n + 1}"] for n in range(500)}]
)
def test_circles_and_chains_of_modules_are_refused(write, tmp_path, validate, circle):
    for name, modules in circle.items():
        write(composite(name, *modules), f"{name}/1.0.0.toml")
    first = tmp_path / min(circle) / "1.0.0.toml"
    assert "is itself a composite; list its modules instead" in validate(tmp_path)
    assert validate(tmp_path).startswith(f"{first}:10: modules: ")
    message = refusal(tmp_path)
    assert message.startswith(f"{first}: modules: ")
    with pytest.raises(SignatureFormatError, match="is itself a composite"):
        Library(tmp_path).get(min(circle))


def test_module_of_another_species_is_refused(write, tmp_path, validate):
    write(VALID.replace('"human"', '"mouse"').replace("ENSG", "ENSMUSG"), "demo/1.0.0.toml")
    path = write(composite("both", "demo"), "both/1.0.0.toml")
    assert f"{path}:10: modules: 'demo@1.0.0' is a mouse signature, but 'both' is human." in validate(tmp_path)
    assert refusal(tmp_path).startswith(f"{path}: modules: 'demo@1.0.0' is a mouse signature")


def test_module_that_is_not_there_is_refused(write, tmp_path, validate):
    path = write(composite("both", "absent"), "both/1.0.0.toml")
    assert f"{path}:10: modules: No signature 'absent'" in validate(tmp_path)
    assert refusal(tmp_path).startswith(f"{path}: modules: No signature 'absent'")
    assert refusal(path).startswith(f"{path}: modules: No signature 'absent'")


def test_loose_files_are_checked_as_they_are_read(write, tmp_path, validate):
    write(VALID, "a.toml")
    path = write(VALID, "b.toml")
    assert f"{path}: demo@1.0.0 occurs more than once" in refusal(tmp_path)
    assert f"{path}: demo@1.0.0 occurs more than once" in validate(tmp_path)


# Formats of other tools: file, text, the place and the reason.
NETWORK = "source,target,weight\n"
OTHERS = [
    pytest.param("x.gmt", "", "this file contains no signatures", id="gmt empty"),
    pytest.param("x.gmt", "a\t\tA\nb\tB\n", "line 2: a GMT line is name", id="gmt of two columns"),
    pytest.param("x.gmt", "a\t\tA\nb/c\t\tB\n", "line 2: Signature 'b/c': id: an id has", id="gmt id"),
    pytest.param(
        "x.gmt", "a\t\tA\nb\t\tB\tC\x07\n", "line 2: Signature 'b': gene 'C\\x07'", id="gmt control character"
    ),
    pytest.param("x.gmt", "a\t\tA\nb\t\tB\x00\n", "line 2: Signature 'b': gene 'B\\x00'", id="gmt NUL"),
    pytest.param("x.gmt", b"a\t\tA\nb\t\t\xff\n", "line 2: cannot be read: byte 0xff", id="gmt not UTF-8"),
    pytest.param(
        "x.gmt",
        "a\t\t" + "\t".join(f"g{i}" for i in range(1_000_000)),
        "line 1: Signature 'a': more than 100000",
        id="gmt of a million genes",
    ),
    pytest.param("x.json", "", "line 1 column 1", id="json empty"),
    pytest.param("x.json", "{}", "this file contains no signatures", id="json of nothing"),
    pytest.param("x.json", "[" * 100_000, "nested too deeply", id="json of 100,000 arrays"),
    pytest.param("x.json", '{"a":' * 100_000, "nested too deeply", id="json of 100,000 objects"),
    pytest.param("x.json", '{"a":\n[1 2]}', "line 2 column 4", id="json syntax"),
    pytest.param("x.json", b'{"a":\n["\xe9"]}', "line 2: cannot be read: byte 0xe9", id="json not UTF-8"),
    pytest.param("x.json", '{"a": ["B", null]}', "Signature 'a': gene 2: None", id="json null gene"),
    pytest.param("x.json", '{"a": ["B", NaN]}', "Signature 'a': gene 2: nan", id="json NaN gene"),
    pytest.param("x.json", '{"a": [["B"]]}', "Signature 'a': gene 1: ['B']", id="json nested list"),
    pytest.param("x.json", '{"a": {"B": 0.5}}', "Signature 'a': expected a list", id="json weights"),
    pytest.param("x.json", '{"a": ["B\\u0000"]}', "Signature 'a': gene 'B\\x00': symbol", id="json NUL"),
    pytest.param("x.json", '{"a": ["B"], "a": ["C"]}', "'a' occurs more than once", id="json key twice"),
    pytest.param("x.json", '{"a": ' + "9" * 5000 + "}", "Exceeds the limit", id="json number without end"),
    pytest.param("x.csv", "", "the table is empty", id="table empty"),
    pytest.param(
        "x.csv",
        "source,weight\na,1\n",
        "line 1: unknown column 'source'. Expected the columns source and target",
        id="long table without target",
    ),
    pytest.param(
        "x.csv",
        "src,tgt,weight\na,CD68,1\n",
        "line 1: unknown column 'weight'. Expected",
        id="long table of other names",
    ),
    pytest.param("x.csv", "src,tgt,mor\na,CD68,0.5\n", "column 3: numbers such as '0.5'", id="numbers for genes"),
    pytest.param("x.csv", "source;target\na;CD68\n", "line 1: the columns are separated by ';'", id="semicolons"),
    pytest.param("x.csv", NETWORK + "\na,CD68,1\nb\n", "line 4: column 'target' is empty", id="long table, short row"),
    pytest.param(
        "x.csv", NETWORK + "a,CD68,0,5\n", "line 2: 4 columns, but the header has 3", id="long table, long row"
    ),
    pytest.param(
        "x.csv", NETWORK + "a,CD68,heavy\n", "line 2: weight 'heavy' is not a number", id="long table, weight"
    ),
    pytest.param("x.csv", NETWORK + "a,CD68,1\na,FTL,inf\n", "line 3: gene 'FTL': weight", id="long table, inf"),
    pytest.param("x.csv", NETWORK + "a,CD68,nan\n", "line 2: gene 'CD68': weight", id="long table, NaN"),
    pytest.param("x.csv", NETWORK + "a,CD68,0\n", "line 2: gene 'CD68': weight", id="long table, zero"),
    pytest.param("x.csv", NETWORK + "a,CD\x0068,1\n", "line 2: gene 'CD\\x0068': symbol", id="long table, NUL"),
    pytest.param(
        "x.csv", NETWORK + "a,CD68,1\na,CD68,-1\n", "Signature 'a': gene CD68 is listed", id="long table, gene twice"
    ),
    pytest.param(
        "x.csv", "source,target,ensembl\na,CD68,ENSG1\n", "line 2: gene 'CD68': ensembl", id="long table, Ensembl id"
    ),
    pytest.param("x.csv", "source,target,species\na,CD68,rat\n", "Signature 'a': species", id="long table, species"),
    pytest.param(
        "x.csv",
        "source,target,species\na,CD68,human\na,FTL,mouse\n",
        "line 3: the species of 'a' is mouse",
        id="long table, two species",
    ),
    pytest.param("x.csv", NETWORK.encode() + b"a,\xe9,1\n", "line 2: cannot be read: byte 0xe9", id="table not UTF-8"),
    pytest.param("x.csv", NETWORK + f'a,"{"x" * 200_000}",1\n', "line 2: field larger", id="field too long"),
    pytest.param(
        "x.csv", "a,b\nCD68,\n", "column 2: Signature 'b': signature 'b' has no genes", id="UCell, empty column"
    ),
    pytest.param("x.csv", "a,b\n", "column 1: Signature 'a'", id="UCell, no rows"),
    pytest.param("x.csv", "a,b\nCD68,FTL,FTH1\n", "line 2: 3 columns, but the header has 2", id="UCell, long row"),
    pytest.param("x.csv", "a,a\nCD68,FTL\n", "a occurs more than once", id="UCell, column twice"),
    pytest.param("x.csv", "a,\nCD68,FTL\n", "column 2: Signature '': id", id="UCell, no name"),
    pytest.param("x.tsv", "name\tsignature\na\n", "line 2: column 'signature' is empty", id="scGate, short row"),
    pytest.param(
        "x.tsv",
        "levels\tuse_as\tname\nlevel1\tpositive\ta\n",
        "line 1: unknown column 'levels'. Expected",
        id="scGate, no signature",
    ),
    pytest.param(
        "x.tsv", "name\tsignature\na\tCD68;CD68-\n", "line 2: Signature 'a': gene CD68", id="scGate, up and down"
    ),
    pytest.param("x.txt", bytes(100), "column 1: Signature", id="table of NUL"),
]


@pytest.mark.parametrize(("name", "content", "says"), OTHERS)
def test_file_of_another_tool_is_refused_by_name_and_place(write, validate, name, content, says):
    path = write(content, name)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert says in message
    printed = validate(path)
    assert printed.startswith(str(path))
    assert says in printed


def exported(**changes):
    fields = {"id": "a", "version": "1.0.0", "genes": [{"symbol": "CD68", "weight": 1.0}]} | changes
    return json.dumps({"format": "tamannot-signatures", "schema_version": 1, "signatures": {"a": fields}})


def modules_of(depth):
    text = '{"id": "a", "genes": [{"symbol": "CD68"}]}'
    return text if depth == 0 else '{"id": "a", "modules": [' * depth + text + "]}" * depth


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (exported(surprise=1), "Signature 'a': surprise: Extra inputs"),
        (exported(id="b"), "Signature 'a': its id is 'b'"),
        (exported(genes=[{"symbol": "CD68", "weight": "1"}]), "Signature 'a': genes.0.weight"),
        (exported(genes=[{"symbol": "CD68", "weight": float("nan")}]), "Signature 'a': genes.0.weight"),
        (exported(genes=[{"symbol": "A\n"}, {"symbol": "B\nC"}]), "Signature 'a': genes.1.symbol"),
        (exported(title="a\x1b[31m"), "Signature 'a': title: has a line break"),
        (exported(genes={}), "Signature 'a': genes"),
        (exported().replace('"schema_version": 1', '"schema_version": 2'), "schema_version 1 and an object"),
        (json.dumps({"format": "tamannot-signatures", "signatures": []}), "schema_version 1 and an object"),
        (json.dumps({"format": "tamannot-signatures", "signatures": {"a": 3}}), "Signature 'a': Input should be"),
        (
            f'{{"format": "tamannot-signatures", "signatures": {{"a": {modules_of(400)}}}}}',
            "Signature 'a': modules.0.modules.0",
        ),
        (f'{{"format": "tamannot-signatures", "signatures": {{"a": {modules_of(50_000)}}}}}', "nested too deeply"),
    ],
)
def test_our_own_json_is_refused_with_signature_and_field(write, validate, content, says):
    path = write(content, "x.json")
    assert says in refusal(path)
    assert refusal(path).startswith(f"{path}: ")
    assert says in validate(path)


def test_sets_that_only_look_like_pairs_are_kept_apart(write):
    read = tam.read_signatures(write("x\t\tA\nx_UP\t\tB\nx_DN\t\tC\n", "x.gmt"))
    assert list(read) == ["x", "x_UP", "x_DN"]


def test_line_separator_in_a_description_of_gmt_is_no_line(write):
    read = tam.read_signatures(write("a\tone\u2028two\x85\tA\nb\t\tB\n", "x.gmt"))
    assert list(read) == ["a", "b"]


@pytest.mark.parametrize("name", ["..", "My set", "a.b", "a" * 200])
def test_toml_is_not_written_under_a_name_that_is_no_id(tmp_path, name):
    own = tam.read_signatures({name: ["CD68"]})
    with pytest.raises(SignatureFormatError, match="is not a valid library id"):
        tam.write_signatures(own, tmp_path / "lib", format="toml")
    assert list(tmp_path.iterdir()) == []


# The lock.


@pytest.fixture
def locked(tmp_path, monkeypatch):
    for name in ("m1", "m2"):
        shutil.copytree(resource_path("signatures") / "human" / name, tmp_path / "human" / name)
    monkeypatch.setattr(sys, "argv", ["tamannot", "signatures", "lock", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    return tmp_path


def test_edited_released_file_is_a_fault(locked, validate):
    path = locked / "human/m1/1.0.0.toml"
    path.write_text(path.read_text() + "# a word\n")
    assert validate(locked).startswith(f"{path}: was released and has changed. Restore it")


def test_removed_released_file_is_a_fault(locked, validate):
    path = locked / "human/m1/1.0.0.toml"
    path.unlink()
    assert validate(locked).startswith(f"{path}: was released and is missing. Restore it")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1 column 1"),
        (b"\xff", "line 1: cannot be read: byte 0xff"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "Input should be a valid dictionary"),
        (b'{"files": []}', "files: Input should be a valid dictionary"),
        (b'{"files": {"x": 1}}', "files.x: Input should be a valid dictionary"),
        (b'{"files": {"x": {"sha256": "1", "digest": "2"}}}', "files.x.sha256: "),
        (b'{"schema_version": 2, "files": {}}', "schema_version: "),
        (b'{"files": {"\\u001b": 1}}', "files.\\x1b: "),
    ],
)
def test_malformed_lock_is_a_fault(locked, validate, content, says):
    (locked / "lock.json").write_bytes(content)
    printed = validate(locked)
    assert printed.startswith(f"{locked / 'lock.json'}: ")
    assert says in printed


@pytest.mark.parametrize("kind", ["folder", "100 MB"])
def test_lock_that_cannot_be_read_is_a_fault(locked, validate, kind):
    path = locked / "lock.json"
    if kind == "folder":
        path.unlink()
        path.mkdir()
    else:
        os.truncate(path, 100 * 2**20)
    assert validate(locked).startswith(f"{path}: ")
