from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("quick_pictures")

HOSTILE = "<img src=x onerror=alert(1)>.h5ad"


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


def test_what_is_not_annotated_is_told_in_one_line(run, example_file, tmp_path):
    code, out, err = run("report", example_file, "-o", tmp_path / "r.html")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "tamannot annotate" in err
    assert not list(tmp_path.iterdir())


def test_annotate_writes_a_report(run, example_file, tmp_path):
    code, out, _ = run("annotate", example_file, "-o", tmp_path / "o.h5ad", "--report", tmp_path / "r.html")
    assert code == 0
    assert f"written       {tmp_path / 'r.html'}" in out
    assert "Of 184 cells, 19 (" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_one_report_is_not_of_many_files(run, example_file, tmp_path):
    code, _, err = run("annotate", example_file, "--out-dir", tmp_path / "d", "--report", tmp_path / "r.html")
    assert code == 2
    assert "Run tamannot report on each output." in err
