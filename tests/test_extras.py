"""What is not installed is named with the line that installs it; that each says so is tested where it is used."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import tamannot

ROOT = Path(__file__).parents[1]
SOURCE = Path(tamannot.__file__).parent
# Data in dask exist only where dask does; regions need nothing; the others are for who works on tamannot.
NEVER_MISSED = {"all", "dask", "spatial", "browser", "docs", "lint", "test"}


def extras() -> dict[str, list[str]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_lines_that_install_name_extras_that_exist_and_none_is_forgotten():
    told = set()
    for path in SOURCE.rglob("*.py"):
        told |= set(re.findall(r"pip install 'tamannot\[(\w+)\]'", path.read_text(encoding="utf-8")))
    assert told == set(extras()) - NEVER_MISSED


def test_all_has_all_of_them():
    assert extras()["all"] == ["tamannot[crosstalk,dask,parquet,spatial]"]
