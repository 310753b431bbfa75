"""The notebooks of the docs run from top to bottom, and hold no output: the site computes it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import tamannot as tam

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def _code(notebook: Path) -> list[dict[str, object]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tam.settings, "progress", tam.settings.progress)
    names: dict[str, object] = {"__name__": "__main__"}
    kept = [word for name in ("display.float_format", "display.max_colwidth") for word in (name, pd.get_option(name))]
    with pd.option_context(*kept), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for cell in _code(notebook):
            exec(compile("".join(cell["source"]), str(notebook), "exec"), names)  # noqa: S102 - the cells are ours
    plt.close("all")


def test_there_are_three_notebooks_without_outputs() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["cohort", "signatures_and_models", "states_and_origins"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for path in NOTEBOOKS for cell in _code(path))
