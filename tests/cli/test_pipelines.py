"""The rule of docs/pipelines.md, word for word."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import anndata as ad
import pytest

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
    known = set(re.findall(r"--[a-z-]+", usage)) | {"--cores"}
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
