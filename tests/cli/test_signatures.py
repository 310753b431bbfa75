from __future__ import annotations

import json
import os
from functools import partial

import pytest

import tamannot as tam


@pytest.fixture
def run(run):
    """Run ``tamannot signatures``; return exit code, stdout and stderr."""
    return partial(run, "signatures")


def test_list(run):
    code, out, _ = run("list", "--axis", "state", "--json")
    assert code == 0
    assert [row["id"] for row in json.loads(out)] == list(tam.load_signatures(axis="state"))
    assert "lipid_associated" in run("list")[1]


def test_show_has_references(run):
    code, out, _ = run("show", "lipid_associated@1.0.0")
    assert code == 0
    assert "GPNMB" in out
    assert "doi:10.1016/j.it.2022.04.008" in out
    assert tam.load_signature("lipid_associated@1.0.0").digest in out


def test_show_suggests_a_name(run):
    code, out, err = run("show", "lipid_asociated")
    assert (code, out) == (2, "")
    assert "Did you mean 'lipid_associated', 'border_associated' or " in err


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_an_exported_library_is_valid_with_the_modules_of_a_former_version(run, tmp_path, species):
    assert run("export", "--axis", "state", "--species", species, "--format", "toml", "-o", tmp_path)[0] == 0
    assert run("validate", tmp_path)[:2] == (0, f"{tmp_path}: no faults\n")
    changed = tmp_path / "interferon_primed_ifng" / "1.0.0.toml"
    changed.write_text(changed.read_text().replace("evidence = 3", "evidence = 9"))
    assert run("validate", tmp_path)[0] == 2


def test_validate(run, tmp_path):
    assert run("validate")[0] == 0
    (tmp_path / "x.toml").write_text("id = 3\n")
    code, out, err = run("validate", tmp_path / "x.toml")
    assert code == 2
    assert f"{tmp_path / 'x.toml'}:1: id: " in out
    assert "faults in" in err


def test_export_and_read_back(run, tmp_path):
    path = tmp_path / "x.gmt"
    code, out, err = run("export", "microglia", "m1", "--format", "gmt", "-o", path)
    assert code == 0
    assert out == f"{path}: 2 signatures\n"
    assert set(tam.read_signatures(path)) == {"microglia", "m1"}
    assert "lost" not in err
    assert run("export", "--format", "gmt", "-o", path)[0] == 2
    assert run("export", "--axis", "state", "--format", "gmt", "-o", path, "--overwrite")[0] == 0


def test_export_keeps_the_file_that_it_reads_and_ids_of_the_axis(run, tmp_path):
    path = tmp_path / "own.json"
    assert run("export", "m1", "--format", "json", "-o", path)[0] == 0
    before = path.read_bytes()
    code, _, err = run("export", "--signatures", path, "--format", "gmt", "-o", path, "--overwrite")
    assert (code, "own.json is the input. Choose another name." in err) == (2, True)
    assert path.read_bytes() == before
    code, _, err = run("export", "m1", "--axis", "state", "--format", "gmt", "-o", tmp_path / "x.gmt")
    assert (code, "No signature 'm1'." in err) == (2, True)
    assert run("export", "m1", "--axis", "polarization", "--format", "gmt", "-o", tmp_path / "x.gmt")[0] == 0


def test_export_says_what_is_lost(run, tmp_path):
    _, _, err = run("export", "immunoregulatory", "--format", "ucell", "-o", tmp_path / "x.csv")
    assert "note: " in err
    assert "cannot hold" in err


def fill_in(path):
    text = path.read_text().replace("What a high score means, and what it does not.", "High in cells that are mine.")
    path.write_text(text.replace("author2026", "me2026"))


def test_diff_and_new(run, tmp_path):
    code, _out, _ = run("new", "my_set", "--signatures", tmp_path)
    assert code == 0
    path = tmp_path / "my_set" / "1.0.0.toml"
    code, out, err = run("validate", tmp_path)
    assert (code, err) == (2, f"tamannot: 2 faults in {tmp_path}.\n")
    assert out.splitlines()[0].endswith("description: replace the text of the template.")
    fill_in(path)
    assert run("validate", tmp_path)[0] == 0
    assert run("diff", path, path)[1] == "same genes, directions and weights\n"
    assert "+ MRC1\tup\t1" in run("diff", "m1", "m2")[1]
    assert run("list", "--signatures", tmp_path, "--json")[0] == 0


@pytest.fixture
def own(run, tmp_path):
    """A library of two files that is not locked."""
    folder = tmp_path / "own"
    for name in ("one", "two"):
        assert run("new", name, "--signatures", folder)[0] == 0
        fill_in(folder / name / "1.0.0.toml")
    return folder


def new_version(folder, version):
    old = folder / "one" / "1.0.0.toml"
    new = old.with_name(f"{version}.toml")
    new.write_text(old.read_text().replace('version = "1.0.0"', f'version = "{version}"'))
    return new


def test_lock_is_written_and_extended(run, own):
    lock = own / "lock.json"
    assert run("lock", own) == (0, f"{lock}: 2 files added, 0 there before\n", "")
    first = json.loads(lock.read_text())["files"]
    assert list(first) == ["one/1.0.0.toml", "two/1.0.0.toml"]
    new_version(own, "1.1.0")
    assert run("validate", own)[0] == 0
    assert run("lock", own)[1] == f"{lock}: 1 file added, 2 there before\n"
    second = json.loads(lock.read_text())["files"]
    assert {n: second[n] for n in first} == first
    assert run("validate", own)[0] == 0


def test_lock_with_nothing_new_is_left_alone(run, own):
    run("lock", own)
    before = (own / "lock.json").stat().st_mtime_ns
    assert run("lock", own)[1] == f"{own / 'lock.json'}: 0 files added, 2 there before\n"
    assert (own / "lock.json").stat().st_mtime_ns == before
    assert sorted(p.name for p in own.iterdir()) == ["lock.json", "one", "two"]


def test_lock_of_a_library_by_species(run, tmp_path):
    for species in ("human", "mouse"):
        run("new", "mine", "--signatures", tmp_path / species, "--species", species)
        fill_in(tmp_path / species / "mine" / "1.0.0.toml")
    assert run("lock", tmp_path)[0] == 0
    assert list(json.loads((tmp_path / "lock.json").read_text())["files"]) == [
        "human/mine/1.0.0.toml",
        "mouse/mine/1.0.0.toml",
    ]


def test_faults_are_printed_and_nothing_is_locked(run, own):
    new_version(own, "1.1.0").write_text("id = 3\n")
    code, out, err = run("lock", own)
    assert (code, out, err) == run("validate", own)
    assert code == 2
    assert f"{own / 'one' / '1.1.0.toml'}:1: id: " in out
    assert not (own / "lock.json").exists()


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_lock_refuses_released_files_that_changed_or_went(run, own, change):
    run("lock", own)
    before = (own / "lock.json").read_bytes()
    path = own / "two" / "1.0.0.toml"
    text = path.read_text()
    path.write_text(text + "# a word\n") if change == "edit" else path.unlink()
    new_version(own, "1.1.0")
    code, out, err = run("lock", own)
    assert code == 2
    assert out.startswith(f"{path}: was released and ")
    assert "Restore it" in out
    assert err == f"tamannot: 1 fault in {own}.\n"
    assert (own / "lock.json").read_bytes() == before
    path.write_text(text)
    assert run("lock", own)[0] == 0


def test_lock_refuses_what_is_no_library(run, own):
    (own / "loose.toml").write_text((own / "one" / "1.0.0.toml").read_text().replace('"one"', '"loose"'))
    assert "is in the wrong place for a library file" in run("lock", own)[1]
    loose = own.parent / "loose"
    loose.mkdir()
    (own / "loose.toml").rename(loose / "loose.toml")
    for path, says in (
        (loose, "this folder has no <id>/<version>.toml to lock"),
        (loose / "loose.toml", "is a file. Give the folder"),
        (loose / "absent", "1 fault in"),
    ):
        code, _, err = run("lock", path)
        assert (code, says in err) == (2, True)
    assert not (loose / "lock.json").exists()


def test_lock_that_cannot_be_written_is_one_message(run, own):
    (own / f".lock.json.{os.getpid()}.part").mkdir()
    code, _, err = run("lock", own)
    assert (code, "lock.json: cannot be written" in err) == (2, True)
    assert not (own / "lock.json").exists()


@pytest.mark.parametrize("command", ["list", "show", "validate", "lock", "export", "diff", "new"])
def test_every_command_has_help(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert len(out) > 100
