"""One signature file: what is accepted, what is refused and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamannot.errors import SignatureFormatError, TamannotError
from tamannot.signature._toml import MAX_BYTES, parse_file, to_signature, to_toml

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


def refusal(path):
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
    assert f"{field}: Field required" in refusal(file(text))


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
    assert says in refusal(file(VALID.replace(old, new, 1)))


def test_neither_genes_nor_modules_is_refused(file):
    assert "either genes or modules" in refusal(file(COMPOSITE[: COMPOSITE.index("modules")]))


def test_repeated_reference_is_refused(file):
    assert "a2020 is defined more than once" in refusal(file(VALID + VALID[VALID.index("[[references]]") :]))


@pytest.mark.parametrize("module", ["m1", "m1@1", "M1@1.0.0", "../m1@1.0.0"])
def test_module_without_exact_version_is_refused(file, module):
    assert "modules.0" in refusal(file(COMPOSITE.replace("m1@1.0.0", module)))


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
    refusal(file(content))


def test_too_large_a_file_is_refused_unread(file):
    assert "larger than 4 MB" in refusal(file(VALID + "#" * MAX_BYTES))


def test_missing_file_is_refused(tmp_path):
    assert "cannot be read" in refusal(tmp_path / "demo.toml")


def test_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / "demo.toml").mkdir()
    assert "cannot be read" in refusal(tmp_path / "demo.toml")


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
