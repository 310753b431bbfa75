"""Signatures from the user's dicts and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tamannot.errors import SignatureFormatError, TamannotError
from tamannot.signature import load_signature, read_signatures
from tamannot.signature._toml import MAX_BYTES, parse_file, to_signature, to_toml


def genes(signature):
    return [(g.symbol, g.direction) for g in signature.genes]


def refusal(source):
    with pytest.raises(SignatureFormatError) as caught:
        read_signatures(source)
    return str(caught.value)


@pytest.mark.parametrize(
    ("symbols", "read"),
    [
        (["CD3E", "CD79A-"], [("CD3E", "up"), ("CD79A", "down")]),
        (["CD3E+", "CD79A"], [("CD3E", "up"), ("CD79A", "up")]),
        (["CD3E", "CD3E", "CD3E+"], [("CD3E", "up")]),
        (["CD79A-", "CD79A-"], [("CD79A", "down")]),
        ([" CD3E ", "\tCD79A-\n"], [("CD3E", "up"), ("CD79A", "down")]),
        (["CD3E", "", "  "], [("CD3E", "up")]),
        (["HLA-DRA", "HLA-DRB1-"], [("HLA-DRA", "up"), ("HLA-DRB1", "down")]),
        (["ENSG00000129226", "my gene", "Cd68"], [("ENSG00000129226", "up"), ("my gene", "up"), ("Cd68", "up")]),
        (("B", "A"), [("B", "up"), ("A", "up")]),
        (np.array(["A", "B-"]), [("A", "up"), ("B", "down")]),
        ((s for s in ["A", "B"]), [("A", "up"), ("B", "up")]),
    ],
)
def test_dict_is_read(symbols, read):
    assert genes(read_signatures({"x": symbols})["x"]) == read


def test_order_of_the_dict_is_kept():
    assert list(read_signatures({"z": ["A"], "a": ["A"]})) == ["z", "a"]


def test_empty_dict_is_an_empty_set():
    assert len(read_signatures({})) == 0


@pytest.mark.parametrize("signature_id", ["T cells (CD8+)", "Überschrift", "a.b-c"])
def test_any_text_is_an_id(signature_id):
    assert list(read_signatures({signature_id: ["A"]})) == [signature_id]


def test_dict_given_is_not_changed():
    source = {"x": [" A ", "B-"]}
    read_signatures(source)
    assert source == {"x": [" A ", "B-"]}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"x": "CD3E"}, "'x': expected a list of genes"),
        ({"x": []}, "no genes"),
        ({"x": ["", " "]}, "no genes"),
        ({"x": ["-"]}, "symbol"),
        ({"x": ["A", "A-"]}, "A is listed more than once"),
        ({"a/b": ["A"]}, "id"),
        ({"": ["A"]}, "id"),
        ({"a\nb": ["A"]}, "id"),
        ({1: ["A"]}, "id"),
        ({"x": None}, "'x'"),
        ({"x": 3}, "'x'"),
        ({" x": ["A"], "x": ["B"]}, "x occurs more than once"),
    ],
    ids=str,
)
def test_bad_dict_is_refused(source, says):
    assert says in refusal(source)


@pytest.fixture
def gmt(tmp_path):
    def write(content):
        path = tmp_path / "sets.gmt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_gmt_is_read(gmt):
    signatures = read_signatures(gmt("a\thttp://x\tCD3E\tCD79A-\nb\t\tMIF\t\t\n"))
    assert {i: genes(s) for i, s in signatures.items()} == {
        "a": [("CD3E", "up"), ("CD79A", "down")],
        "b": [("MIF", "up")],
    }


@pytest.mark.parametrize("content", ["a\t\tA\r\nb\t\tB\r\n", "\na\t\tA\n\n\nb\t\tB", "a\t\tA\nb\t\tB\n\n"])
def test_line_ends_and_blank_lines_of_gmt_do_not_matter(gmt, content):
    assert {i: genes(s) for i, s in read_signatures(gmt(content)).items()} == {"a": [("A", "up")], "b": [("B", "up")]}


def test_path_may_be_a_string(gmt):
    assert list(read_signatures(str(gmt("a\t\tA\n")))) == ["a"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("a\t\tA\nb\tB\n", id="two fields"),
        pytest.param("a,b,c\n", id="no tabs"),
        pytest.param(bytes(range(128, 256)), id="binary"),
        pytest.param("a\t\t\n", id="no genes"),
        pytest.param("a\t\tA\na\t\tB\n", id="id twice"),
        pytest.param("a/b\t\tA\n", id="slash in id"),
        pytest.param("a\t\tA\tA-\n", id="gene up and down"),
    ],
)
def test_bad_gmt_is_refused_by_name(gmt, content):
    assert "sets.gmt" in refusal(gmt(content))


def test_short_line_of_gmt_is_named(gmt):
    assert "line 3" in refusal(gmt("a\t\tA\n\nb\tB\n"))


@pytest.mark.parametrize("name", ["absent.toml", "absent.gmt", "absent", "sets.xlsx"])
def test_missing_or_foreign_file_is_refused_by_name(tmp_path, name):
    assert name in refusal(tmp_path / name)


@pytest.fixture
def folder(tmp_path):
    for signature_id in ("m2", "m1", "immunoregulatory"):
        path = tmp_path / "deep" / signature_id / "1.0.0.toml"
        path.parent.mkdir(parents=True)
        path.write_text(to_toml(load_signature(signature_id)), encoding="utf-8")
    return tmp_path


def test_toml_file_is_read(folder):
    assert read_signatures(folder / "deep" / "m1" / "1.0.0.toml")["m1"] == load_signature("m1")


def test_composite_file_finds_bundled_modules(folder):
    path = folder / "deep" / "immunoregulatory" / "1.0.0.toml"
    assert read_signatures(path)["immunoregulatory"] == load_signature("immunoregulatory")


def test_folder_is_read_to_any_depth_sorted_by_path(folder):
    assert list(read_signatures(folder)) == ["immunoregulatory", "m1", "m2"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"id = ", b"id = 'x'", b"a = " + b"[" * 10_000])
def test_bad_file_in_a_folder_is_refused_by_name(folder, content):
    (folder / "bad.toml").write_bytes(content)
    assert "bad.toml" in refusal(folder)


def test_id_twice_in_a_folder_is_refused(folder):
    (folder / "again.toml").write_text(to_toml(load_signature("m1")), encoding="utf-8")
    assert "m1" in refusal(folder)


def test_mouse_file_is_read_although_no_mouse_set_is_bundled(tmp_path):
    text = to_toml(load_signature("m1")).replace('species = "human"', 'species = "mouse"').replace("ENSG", "ENSMUSG")
    path = tmp_path / "mouse.toml"
    path.write_text(text, encoding="utf-8")
    assert read_signatures(path)["m1"].species == "mouse"


def test_composite_of_an_unknown_module_is_refused_by_name(tmp_path):
    text = to_toml(load_signature("interferon_primed")).replace("_ifng@1.0.0", "_absent@1.0.0")
    path = tmp_path / "composite.toml"
    path.write_text(text, encoding="utf-8")
    assert "composite.toml" in refusal(path)


def test_folder_without_signature_files_is_refused(tmp_path):
    (tmp_path / "sets.gmt").write_text("a\t\tA\n")
    assert "no .toml signature file" in refusal(tmp_path)


def test_composite_finds_the_modules_beside_it(tmp_path):
    from tamannot.signature import load_signature
    from tamannot.signature._toml import to_toml

    whole = load_signature("interferon_primed")
    for signature in (whole, *whole.modules):
        text = to_toml(signature).replace('version = "1.0.0"', 'version = "9.0.0"').replace("@1.0.0", "@9.0.0")
        (tmp_path / f"{signature.id}.toml").write_text(text)
    read = read_signatures(tmp_path)
    assert [m.version for m in read["interferon_primed"].modules] == ["9.0.0", "9.0.0"]


# One signature file: what is accepted, what is refused and with which words.


VALID = (Path(__file__).parent / "demo.toml").read_text()


COMPOSITE = VALID[: VALID.index("genes = [")] + 'modules = ["m1@1.0.0", "m2@1.0.0"]\n'


def unresolvable(name):
    raise AssertionError(name)


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "demo.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def refused(path):
    with pytest.raises(SignatureFormatError) as caught:
        parse_file(path)
    assert isinstance(caught.value, TamannotError)
    assert "demo.toml" in str(caught.value)
    return str(caught.value)


def test_valid_file_is_read(file):
    parsed = parse_file(file(VALID))
    assert (parsed.id, parsed.version, [g.symbol for g in parsed.genes]) == ("demo", "1.0.0", ["CD68", "GPNMB"])
    assert (parsed.genes[0].direction, parsed.genes[0].weight) == ("up", 1.0)
    assert (parsed.genes[1].direction, parsed.genes[1].weight) == ("down", 0.5)


def test_windows_line_ends_are_read(file):
    assert parse_file(file(VALID.replace("\n", "\r\n"))).id == "demo"


@pytest.mark.parametrize("field", ["id", "version", "title", "description", "axis", "species", "licence", "created"])
def test_missing_field_is_named(file, field):
    text = "".join(line for line in VALID.splitlines(keepends=True) if not line.startswith(f"{field} ="))
    assert f"{field}: Field required" in refused(file(text))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("schema_version = 1", "schema_version = 2", "schema_version"),
        ('id = "demo"', 'id = "Demo"', "id"),
        ('id = "demo"', 'id = "de mo"', "id"),
        ('id = "demo"', 'id = "../demo"', "id"),
        ('id = "demo"', "id = 7", "id"),
        ('"1.0.0"', '"1.0"', "version"),
        ('"1.0.0"', '"v1.0.0"', "version"),
        ('"1.0.0"', '"1.0.00"', "version"),
        ('"1.0.0"', "1.0", "version"),
        ('"state"', '"mood"', "axis"),
        ('"human"', '"any"', "species"),
        ('"human"', '"rat"', "species"),
        ("2026-11-21", '"soon"', "created"),
        ('title = "Demo"', 'title = " "', "title"),
        ('title = "Demo"', 'titel = "Demo"', "titel"),
        ("10.1000/xyz", "https://doi.org/10.1000/xyz", "references.0.doi"),
        ("10.1000/xyz", "11.1000/xyz", "references.0.doi"),
        ('doi = "10.1000/xyz"', "", "reference 'a2020' needs a doi, pmid or url"),
        ('key = "a2020"', 'key = "b2020"', "gene CD68 cites a2020"),
        ("ENSG00000129226", "ENSG129226", "genes.0.ensembl"),
        ("ENSG00000129226", "ENST00000129226", "genes.0.ensembl"),
        ("ENSG00000129226", "ENSG00000136235", "ENSG00000136235 is listed more than once"),
        ("GPNMB", "CD68", "CD68 is listed more than once"),
        ("CD68", "ZZZ3", "sorted by symbol"),
        ("weight = 0.5", "weight = 0", "genes.1.weight"),
        ("weight = 0.5", "weight = nan", "genes.1.weight"),
        ("weight = 0.5", "weight = inf", "genes.1.weight"),
        ("weight = 0.5", 'weight = "heavy"', "genes.1.weight"),
        ('"down"', '"sideways"', "genes.1.direction"),
        ('ensembl = "ENSG00000129226", references = ["a2020"]', "references = []", "gene CD68 has no reference"),
        ('references = ["a2020"] },\n]', 'refs = ["a2020"] },\n]', "genes.1.refs"),
        ("genes = [", 'modules = ["m1@1.0.0"]\ngenes = [', "either genes or modules"),
    ],
)
def test_fault_is_named(file, old, new, says):
    assert old in VALID
    assert says in refused(file(VALID.replace(old, new, 1)))


def test_neither_genes_nor_modules_is_refused(file):
    assert "either genes or modules" in refused(file(COMPOSITE[: COMPOSITE.index("modules")]))


def test_repeated_reference_is_refused(file):
    assert "a2020 is defined more than once" in refused(file(VALID + VALID[VALID.index("[[references]]") :]))


@pytest.mark.parametrize("module", ["m1", "m1@1", "M1@1.0.0", "../m1@1.0.0"])
def test_module_without_exact_version_is_refused(file, module):
    assert "modules.0" in refused(file(COMPOSITE.replace("m1@1.0.0", module)))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("genes: [a, b]", id="yaml"),
        pytest.param("{}", id="json"),
        pytest.param("id = 'a'\nid = 'b'", id="key twice"),
        pytest.param("id = ", id="no value"),
        pytest.param("created = 2026-13-45", id="impossible date"),
        pytest.param(bytes(range(256)), id="binary"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + bytes(100), id="hdf5"),
        pytest.param(b"\xff\xfei\x00d\x00", id="utf-16"),
        pytest.param("a = " + "[" * 100_000, id="deep arrays"),
        pytest.param("a = " + "{a=" * 100_000, id="deep tables"),
        pytest.param("a" + ".a" * 5_000 + " = 1", id="deep dotted key"),
        pytest.param("schema_version = " + "9" * 5_000, id="endless number"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_signature_is_refused_by_name(file, content):
    refused(file(content))


def test_too_large_a_file_is_refused_unread(file):
    assert "larger than 4 MB" in refused(file(VALID + "#" * MAX_BYTES))


def test_missing_file_is_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path / "demo.toml")


def test_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / "demo.toml").mkdir()
    assert "cannot be read" in refused(tmp_path / "demo.toml")


def test_written_file_reads_back_the_same(file, tmp_path):
    signature = to_signature(parse_file(file(VALID)), unresolvable)
    again = tmp_path / "again.toml"
    again.write_text(to_toml(signature), encoding="utf-8")
    assert to_signature(parse_file(again), unresolvable) == signature


@pytest.mark.parametrize(
    "text", ['"quoted" \\ back', "tab\there", "α–β µ", "line\nbreak", '"""', "'''", "# no comment"]
)
def test_texts_survive_writing(file, tmp_path, text):
    plain = to_signature(parse_file(file(VALID)), unresolvable)
    gene = plain.genes[0].model_copy(update={"note": text})
    signature = plain.model_copy(update={"description": f"x{text}x", "genes": (gene, plain.genes[1])})
    again = tmp_path / "again.toml"
    again.write_text(to_toml(signature), encoding="utf-8")
    parsed = parse_file(again)
    assert parsed.description == f"x{text}x"
    assert parsed.genes[0].note == text


def test_genes_are_written_sorted_one_a_line(file):
    signature = to_signature(parse_file(file(VALID)), unresolvable)
    unsorted = signature.model_copy(update={"genes": signature.genes[::-1]})
    lines = [line for line in to_toml(unsorted).splitlines() if "symbol =" in line]
    assert [line.split('"')[1] for line in lines] == ["CD68", "GPNMB"]
