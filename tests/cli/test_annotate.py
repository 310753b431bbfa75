"""The rule of docs/pipelines.md, word for word."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam

CLI = pytest.mark.filterwarnings("ignore:Variable names are not unique")


@CLI
def test_annotate_says_in_one_screen_what_it_found(run, example_file, tmp_path):
    code, out, err = run("annotate", example_file, "-o", tmp_path / "out.h5ad", "--table", tmp_path / "t.csv")
    assert code == 0
    assert err == ""
    assert "macrophages   19 of 184 cells (10.3%)" in out
    assert "origins       microglia 16, monocyte_derived 1; unassigned 2 (" in out
    assert "states        inflammatory " in out
    for line in out.splitlines():
        if not line.startswith(("origins", "states")):
            continue
        unassigned, reasons = re.search(r"; unassigned ([0-9]+) \((.*)\)", line).groups()
        assert int(unassigned) == sum(int(r.rsplit(" ", 1)[1]) for r in reasons.split("; "))
    assert "low coverage  " in out
    assert "CXCL8 found as IL8" in out
    assert out.count("\n") <= 24
    assert {p.name for p in tmp_path.iterdir()} == {"out.h5ad", "t.csv"}


@CLI
def test_json_is_for_pipelines(run, example_file, tmp_path):
    code, out, _ = run("annotate", example_file, "-o", tmp_path / "out.h5ad", "--json")
    summary = json.loads(out)
    assert code == 0
    assert summary["n_macrophages"] == 19
    assert summary["outputs"] == [str(tmp_path / "out.h5ad")]


@CLI
def test_quiet_prints_nothing(run, example_file, tmp_path):
    assert run("annotate", example_file, "-o", tmp_path / "out.h5ad", "--quiet", "--threads", 1) == (0, "", "")


@CLI
def test_own_signatures(run, example_file, tmp_path):
    (tmp_path / "own.gmt").write_text("my_set\tnone\tCD68\tCD14\tAIF1\tCSF1R\tC1QA\n")
    code, _, _ = run("annotate", example_file, "-o", tmp_path / "o.h5ad", "--signatures", tmp_path / "own.gmt")
    assert code == 0
    assert tam.get.scores(ad.read_h5ad(tmp_path / "o.h5ad"))["my_set"].max() > 0.5


@CLI
def test_check_lists_matrix_ids_and_coverage(run, example_file):
    code, out, _ = run("check", example_file)
    assert code == 0
    assert "can be annotated" in out
    assert "X: linear, 9,450 genes" in out
    assert "microglia " in out


@CLI
def test_check_as_json(run, example_file):
    code, out, _ = run("check", example_file, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["coverage"]["macrophage"]["n_genes"] == 20


def _scaled(adata: ad.AnnData) -> None:
    adata.X = adata.X.toarray() - 1


def _no_known_gene(adata: ad.AnnData) -> None:
    adata.var_names = [f"gene{i}" for i in range(adata.n_vars)]


def _nan(adata: ad.AnnData) -> None:
    adata.X.data[-1] = np.nan


def _twice(adata: ad.AnnData) -> None:
    names = adata.var_names.to_numpy(copy=True)
    names[0] = "CD68"
    adata.var_names = names


@CLI
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_scaled, "No usable expression matrix. X: not usable, it has negative values"),
        (_no_known_gene, "No known gene: none of the 9,450 ids of X in var_names (first: gene0, gene1, gene2)"),
        (_nan, "it has NaN values"),
        (_twice, "Gene 'CD68' matches 2 columns"),
    ],
)
@pytest.mark.parametrize("command", ["annotate", "check"])
def test_unusable_data_get_one_message_and_exit_2(run, example, tmp_path, spoil, message, command):
    spoil(example)
    example.write_h5ad(tmp_path / "in.h5ad")
    _refused(run, tmp_path / "in.h5ad", message, command)


def _empty(path: Path) -> None:
    ad.AnnData(np.zeros((0, 3), np.float32), var=pd.DataFrame(index=["CD68", "CD14", "C1QA"])).write_h5ad(path)


def _truncated(path: Path) -> None:
    tam.datasets.oligodendroglioma().write_h5ad(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _text(path: Path) -> None:
    path.write_text("barcode,gene\n")


def _not_anndata(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["something"] = [1, 2, 3]


@CLI
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_empty, "The data have no cells"),
        (_truncated, "damaged"),
        (_text, "not an HDF5 file"),
        (_not_anndata, ""),
        (lambda path: None, "no such file"),
    ],
)
@pytest.mark.parametrize("command", ["annotate", "check"])
def test_unreadable_files_get_one_message_and_exit_2(run, tmp_path, make, message, command):
    make(tmp_path / "in.h5ad")
    _refused(run, tmp_path / "in.h5ad", message, command)


def _refused(run, path: Path, message: str, command: str) -> None:
    before = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    files = sorted(path.parent.iterdir())
    target = ["-o", path.parent / "out.h5ad", "--table", path.parent / "t.csv"] if command == "annotate" else []
    code, out, err = run(command, path, *target)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.startswith("tamannot: ")
    assert err.count("\n") == 1
    assert sorted(path.parent.iterdir()) == files
    assert before is None or hashlib.sha256(path.read_bytes()).hexdigest() == before


@CLI
def test_unknown_options_exit_2(run, example_file):
    code, _, err = run("annotate", example_file, "--tissue", "lung")
    assert code == 2
    assert "lung" in err


@CLI
@pytest.mark.parametrize(
    "words",
    [
        ("score", "a", "b\u202ec", "\x1b[2J", "\udcb8"),
        ("score", "--\u202e\udcb8"),
        ("\udcb8\u2028",),
        ("check", "--species", "\x1b]0;x\x07\u202e"),
    ],
)
def test_words_that_are_not_understood_are_shown_without_harm(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: tamannot")
    assert all(c.isprintable() for c in err.replace("\n", ""))


@CLI
def test_a_bug_is_exit_1_with_its_traceback(example_file, tmp_path):
    script = (
        "import sys, tamannot.io as s\n"
        "def boom(*a, **k): raise ZeroDivisionError('a bug')\n"
        "s.annotate_file = boom\n"
        f"sys.argv = ['tamannot', 'annotate', {str(example_file)!r}, '-o', {str(tmp_path / 'o.h5ad')!r}]\n"
        "from tamannot.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError: a bug" in done.stderr


@CLI
@pytest.mark.parametrize("args", [[], ["annotate"], ["check"]])
def test_every_command_has_help(run, args):
    code, out, _ = run(*args, "--help")
    assert code == 0
    assert "Usage: tamannot" in out


@CLI
def test_version(run):
    assert run("--version")[1] == f"tamannot {tam.__version__}\n"


@CLI
def test_the_module_runs_and_loads_little_for_help():
    script = (
        "import sys, runpy\n"
        "sys.argv = ['tamannot', '--help']\n"
        "try: runpy.run_module('tamannot', run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'anndata', 'numba', 'scanpy', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "annotate" in done.stdout


# Report.


REPORT = pytest.mark.usefixtures("without_pictures")


HOSTILE = "<img src=x onerror=alert(1)>.h5ad"


@REPORT
def test_report_of_an_annotated_file(run, annotated, tmp_path):
    source, out = tmp_path / HOSTILE, tmp_path / "r.html"
    annotated.write_h5ad(source)
    code, said, err = run("report", source, "-o", out)
    assert (code, err) == (0, "")
    assert said.startswith(f"{out}: 0.")
    text = out.read_text(encoding="utf-8")
    assert "&lt;img src=x onerror=alert(1)&gt;.h5ad" in text
    assert "<img src=x" not in text
    code, said, err = run("report", source, "-o", out)
    assert (code, said) == (2, "")
    assert "--overwrite" in err
    assert run("report", source, "-o", out, "--overwrite", "--quiet", "--title", "Mine") == (0, "", "")
    assert "<h1>Mine</h1>" in out.read_text(encoding="utf-8")


@REPORT
def test_export_of_a_report(run, annotated, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.report._output.find_spec", lambda _: None)
    source, out, folder = tmp_path / "in.h5ad", tmp_path / "r.html", tmp_path / "files"
    annotated.write_h5ad(source)
    code, said, err = run("report", source, "-o", out, "--export", folder)
    assert code == 0
    assert f"{folder}: {len(list(folder.iterdir()))} files" in said
    assert err == "note: tables.xlsx was not written, because it needs openpyxl:  pip install 'tamannot[excel]'\n"
    code, said, err = run("report", source, "-o", tmp_path / "other.html", "--export", folder)
    assert (code, said) == (2, "")
    assert "files already exists" in err
    assert "--overwrite" in err
    assert run("report", source, "-o", out, "--export", folder, "--overwrite", "--quiet") == (0, "", "")
    assert run("report", source, "-o", out, "--export", tmp_path, "--overwrite")[0] == 2
    assert {p.name for p in tmp_path.iterdir()} == {"in.h5ad", "r.html", "files"}


@REPORT
def test_what_is_not_annotated_is_told_in_one_line(run, example_file, tmp_path):
    code, out, err = run("report", example_file, "-o", tmp_path / "r.html")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "tamannot annotate" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick_pictures")
def test_annotate_writes_a_report(run, example_file, tmp_path):
    code, out, _ = run("annotate", example_file, "-o", tmp_path / "o.h5ad", "--report", tmp_path / "r.html")
    assert code == 0
    assert f"written       {tmp_path / 'r.html'}" in out
    assert "Of 184 cells, 19 (" in (tmp_path / "r.html").read_text(encoding="utf-8")


@REPORT
def test_one_report_is_not_of_many_files(run, example_file, tmp_path):
    code, _, err = run("annotate", example_file, "--out-dir", tmp_path / "d", "--report", tmp_path / "r.html")
    assert code == 2
    assert "Run tamannot report on each output." in err


# The rule of docs/pipelines.md, word for word.


ROOT = Path(__file__).parents[2]


@pytest.fixture
def snakefile() -> str:
    text = (ROOT / "docs" / "pipelines.md").read_text()
    found = re.search(r"<!-- snakemake -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def test_the_options_of_the_docs_are_those_of_the_command(run):
    text = (ROOT / "docs" / "pipelines.md").read_text()
    code, usage, _ = run("annotate", "--help")
    known = set(re.findall(r"--[a-z-]+", usage)) | {"--cores", "--install-completion", "--show-completion"}
    assert code == 0
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= known


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("snakemake") is None, reason="snakemake is not installed")
def test_the_snakemake_rule_annotates_every_sample(snakefile, example_file, tmp_path):
    (tmp_path / "samples").mkdir()
    for sample in ("p1", "p2"):
        shutil.copy(example_file, tmp_path / "samples" / f"{sample}.h5ad")
    (tmp_path / "Snakefile").write_text(snakefile)
    command = tmp_path / "bin" / "tamannot"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m tamannot "$@"\n')
    command.chmod(0o755)
    env = os.environ | {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["snakemake", "--cores", "1"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    logs = {s: json.loads((tmp_path / "logs" / f"{s}.json").read_text()) for s in ("p1", "p2")}
    assert {s: log["options"]["tissue"] for s, log in logs.items()} == {"p1": "auto", "p2": "other"}
    assert {log["threads"] for log in logs.values()} == {1}
    for sample in ("p1", "p2"):
        assert "tam_state" in ad.read_h5ad(tmp_path / "annotated" / f"{sample}.h5ad").obs
        assert (tmp_path / "annotated" / f"{sample}.csv").exists()
