from __future__ import annotations

import json
import sys

import pytest

import tamannot as tam
from tamannot.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*args):
        monkeypatch.setattr(sys, "argv", ["tamannot", "signatures", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


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
    assert tam.load_signature("lipid_associated").digest in out


def test_show_suggests_a_name(run):
    code, out, err = run("show", "lipid_asociated")
    assert (code, out) == (2, "")
    assert "Did you mean 'lipid_associated'?" in err


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


def test_export_says_what_is_lost(run, tmp_path):
    _, _, err = run("export", "immunoregulatory", "--format", "ucell", "-o", tmp_path / "x.csv")
    assert "note: " in err
    assert "cannot hold" in err


def test_diff_and_new(run, tmp_path):
    code, _out, _ = run("new", "my_set", "--signatures", tmp_path)
    assert code == 0
    path = tmp_path / "my_set" / "1.0.0.toml"
    assert run("validate", tmp_path)[0] == 0
    assert run("diff", path, path)[1] == "same genes, directions and weights\n"
    assert "+ MRC1\tup\t1" in run("diff", "m1", "m2")[1]
    assert run("list", "--signatures", tmp_path, "--json")[0] == 0


@pytest.mark.parametrize("command", ["list", "show", "validate", "export", "diff", "new"])
def test_every_command_has_help(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert len(out) > 100
