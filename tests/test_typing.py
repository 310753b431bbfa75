"""The types of the package are those that its users see."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tamannot

USERS = Path(__file__).parent / "typing"
PACKAGE = Path(tamannot.__file__).parent
# What mypy knows of the packages that are installed takes half a minute to find out, and seldom changes.
CACHE = Path(__file__).parents[1] / ".mypy_cache" / "users"


@pytest.mark.slow
def test_strict_users_find_every_type_and_are_told_of_misuse(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed: pip install 'tamannot[lint]'")
    # As a user would, away from the checkout and its configuration.
    shutil.copytree(USERS, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    how = ("--strict", "--follow-imports=silent", "--config-file=", "--cache-dir", CACHE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *how, *names(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": where()},
        capture_output=True,
        text=True,
        check=False,
    )
    told = re.findall(r"^(\w+\.py):(\d+): error", done.stdout, re.MULTILINE)
    assert "user.py" not in dict(told), done.stdout + done.stderr
    assert {int(line) for _, line in told} == misused(), done.stdout + done.stderr


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py"))


def where() -> str:
    """Mypy finds installed packages, but no checkout that was only put on the path."""
    return "" if "site-packages" in PACKAGE.parts else str(PACKAGE.parent)


def misused() -> set[int]:
    lines = (USERS / "misuse.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.startswith("    tam.")}
