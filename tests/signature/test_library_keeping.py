"""Validation, lock, differences, templates."""

from __future__ import annotations

import json
import runpy
import shutil

import pytest

import tamannot as tam
from tamannot._resources import resource_path
from tamannot.errors import OutputError, SignatureFormatError
from tamannot.signature._toml import write_template
from tamannot.signature._validate import LOCK, difference, lock_of, schema, validate

FOLDER = resource_path("signatures")


@pytest.fixture
def library(tmp_path):
    """A library of two signatures with a lock."""
    for name in ("m1", "m2"):
        shutil.copytree(FOLDER / "human" / name, tmp_path / "human" / name)
    (tmp_path / LOCK).write_text(json.dumps({"files": lock_of(tmp_path)}))
    return tmp_path


def edit(path, old, new, *, to=None):
    (to or path).write_text(path.read_text().replace(old, new, 1))


@pytest.fixture(scope="module")
def faults() -> list:
    """Those of the library: to find them, and that there are none, is to read and compare all its files."""
    return validate(FOLDER)


def test_bundled_library_has_no_faults(faults):
    assert faults == []


def test_every_bundled_file_is_locked():
    assert json.loads((FOLDER / LOCK).read_text())["files"] == lock_of(FOLDER)


def test_schema_is_what_the_model_generates():
    assert (FOLDER / "schema.json").read_text() == schema()


def test_a_changed_released_file_is_a_fault(library):
    path = library / "human/m1/1.0.0.toml"
    edit(path, "title =", "title  =")
    (fault,) = validate(library)
    assert fault.path == path
    assert "was released and has changed" in fault.reason


def test_a_file_that_went_is_a_fault(library):
    shutil.rmtree(library / "human/m2")
    assert "was released and is missing" in str(validate(library)[0])


def test_a_new_version_is_none(library):
    old = library / "human/m1/1.0.0.toml"
    edit(old, 'version = "1.0.0"', 'version = "1.1.0"', to=old.with_name("1.1.0.toml"))
    assert validate(library) == []


def test_a_patch_must_keep_the_genes(library):
    old, new = library / "human/m1/1.0.0.toml", library / "human/m1/1.0.1.toml"
    edit(old, 'version = "1.0.0"', 'version = "1.0.1"', to=new)
    assert validate(library) == []
    edit(new, 'direction = "up"', 'direction = "down"')
    assert "at least a MINOR version" in str(validate(library)[0])


def test_unchecked_sources_are_no_evidence(library):
    old, newest = library / "human/m2/1.0.0.toml", library / "human/m2/2.0.0.toml"
    assert validate(library) == []
    assert any("evidence of" in f.reason for f in validate(old))  # what is released stays
    edit(newest, 'references = ["martinez2006"], evidence = 0', 'references = ["martinez2006"], evidence = 1')
    (library / LOCK).unlink()
    (fault,) = validate(library)
    assert fault.reason == "genes: evidence of CCL23 is 1, but 0 of its sources are checked."
    assert 'symbol = "CCL23"' in newest.read_text().splitlines()[fault.line - 1]
    assert validate(newest) == [fault]


def test_what_a_note_says_is_said_in_the_field(tmp_path):
    path = tmp_path / "x.toml"
    edit(FOLDER / "human/m2/2.0.0.toml", "checked = false\n", "", to=path)
    (fault,) = validate(path)
    assert fault.reason == "references: the note of 'azizi2018' says that it is unchecked; set checked = false."
    assert path.read_text().splitlines()[fault.line - 1] == 'key = "azizi2018"'


def test_path_must_agree_with_content(library):
    shutil.move(library / "human/m1", library / "human/other")
    assert any("does not match the path" in str(f) for f in validate(library))


@pytest.mark.parametrize(
    ("old", "new", "line_has", "reason"),
    [
        ('direction = "up"', 'direction = "sideways"', "sideways", "up"),
        ("weight = 1.0", "weight = -1.0", "weight = -1.0", "greater than"),
        ('axis = "polarization"', 'axis = "nonsense"', "nonsense", "Input should be"),
        ('symbol = "CD80"', 'symbol = "CD86"', "CD86", "more than once"),
        ("schema_version = 1", "schema_version = = 1", "= = 1", "cannot be read"),
        ("schema_version = 1", "schema_version = 1\nsurprise = 2", "surprise", "Extra inputs"),
    ],
)
def test_faults_have_a_line_and_a_reason(tmp_path, old, new, line_has, reason):
    path = tmp_path / "x.toml"
    edit(FOLDER / "human/m1/1.0.0.toml", old, new, to=path)
    fault = validate(path)[0]
    assert reason in fault.reason
    assert fault.line is not None
    assert line_has in path.read_text().splitlines()[fault.line - 1]
    assert str(fault).startswith(f"{path}:{fault.line}: ")


def test_absent_and_empty_folders_are_faults(tmp_path):
    assert "no such file" in str(validate(tmp_path / "nothing")[0])
    assert "no signature file" in str(validate(tmp_path)[0])


def test_difference_lists_genes_in_out_and_changed():
    a = tam.read_signatures({"x": ["A", "B", "C"]})["x"]
    b = tam.read_signatures({"x": ["A", "B-", "D"]})["x"]
    added, removed, changed = difference(a, b)
    assert [g.symbol for g in added] == ["D"]
    assert [g.symbol for g in removed] == ["C"]
    assert [new.symbol for _, new in changed] == ["B"]
    assert difference(a, a) == ([], [], [])


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_template_reads_but_validates_only_when_it_is_filled_in(tmp_path, species):
    path = write_template("my_set", tmp_path, species)
    assert tam.read_signatures(path)["my_set"].species == species
    for place in (path, tmp_path):
        faults = validate(place)
        assert [f.reason.partition(":")[0] for f in faults] == ["description", "references"]
        assert all("template" in f.reason for f in faults)
        lines = path.read_text().splitlines()
        assert lines[faults[0].line - 1].startswith("description")
        assert 'key = "author2026"' in lines[faults[1].line - 1]
    edit(path, "What a high score means, and what it does not.", "High where cells are mine.")
    path.write_text(path.read_text().replace("author2026", "me2026"))
    assert validate(path) == validate(tmp_path) == []
    with pytest.raises(OutputError, match=r"1\.1\.0\.toml"):
        write_template("my_set", tmp_path, species)


@pytest.mark.parametrize("name", ["My Set", "../escape", "a/b", ""])
def test_template_refuses_ids_that_are_none(tmp_path, name):
    with pytest.raises(SignatureFormatError, match="is not a valid library id"):
        write_template(name, tmp_path, "human")


def test_newest_version_that_is_not_deprecated_is_taken(tmp_path):
    old = FOLDER / "human/m1/1.0.0.toml"
    for version, extra in (
        ("1.0.0", ""),
        ("1.10.0", ""),
        ("1.9.0", ""),
        ("2.0.0", 'deprecated = true\nreplaced_by = "m2@1.0.0"\n'),
    ):
        path = tmp_path / f"m1/{version}.toml"
        path.parent.mkdir(exist_ok=True)
        edit(old, 'version = "1.0.0"\n', f'version = "{version}"\n{extra}', to=path)
    assert tam.read_signatures(tmp_path)["m1"].version == "1.10.0"


def test_names_cannot_escape_the_library():
    for name in ("../human/m1", "m1@../../x", "/etc/passwd"):
        with pytest.raises(tam.errors.SignatureNotFoundError):
            tam.load_signature(name)


@pytest.mark.parametrize("species", tam.signature.bundled_species())
def test_what_is_loaded_is_what_the_files_say(species):
    """`load_signatures` reads the exports, `load_signature` the files."""
    library = tam.signature._library.bundled(species)
    loaded = tam.load_signatures(species=species)
    assert sorted(loaded) == library.ids
    for name, signature in loaded.items():
        assert signature == library.get(name)


def test_generated_files_are_fresh(capsys, faults):
    """Lock, schema and exports are what the tool would write."""
    tool = FOLDER.parent / "tools" / "release_signatures.py"
    if not tool.is_file():
        pytest.skip("the tools are not in the wheel")
    main = runpy.run_path(str(tool))["main"]
    main.__globals__["validate"] = lambda _: faults
    assert main(["--check"]) == 0, capsys.readouterr().out
