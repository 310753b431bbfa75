"""The README: its Python runs, and it fits on two screens."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import tamannot as tam

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tamannot.report._analyses._MOST_CARDS", 1)
    monkeypatch.setattr("tamannot.report._blocks._DPI", 40)
    monkeypatch.setattr("tamannot.report._embedding.computed", lambda *_: None)  # tested in report/test_embedding.py
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(code.splitlines()) <= 10
    names: dict[str, object] = {"tam": tam}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - the block is ours
    assert (tmp_path / "report.html").is_file()
    plt.close("all")


def test_it_fits_on_two_screens() -> None:
    assert len(README.splitlines()) <= 135
