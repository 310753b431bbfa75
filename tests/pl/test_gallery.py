"""Every function of ``tam.pl`` has its picture in docs/gallery.md, and the tool draws what is shown there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tamannot as tam

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs" / "gallery.md"
# A block of code, and the picture that follows it.
SHOWN = re.compile(r"```python\n((?:(?!```).)*)```\n\n!\[[^\]]+\]\(images/gallery_(\w+)\.png\)", re.DOTALL)


def shown() -> list[tuple[str, str]]:
    return SHOWN.findall(GALLERY.read_text(encoding="utf-8"))


def drawn() -> list[str]:
    """Return what the tool draws, read and not run: it needs scanpy."""
    for node in ast.parse((ROOT / "tools" / "draw_gallery.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "PICTURES":
            return [ast.literal_eval(key) for key in node.value.keys]
    raise AssertionError


@pytest.mark.parametrize("name", tam.pl.__all__)
def test_every_picture_function_is_shown(name):
    assert any(f"tam.pl.{name}(" in code for code, _ in shown())


def test_what_is_shown_is_what_the_tool_draws():
    pictures = [picture for _, picture in shown()]
    assert sorted(pictures) == sorted(drawn())
    assert all((ROOT / "docs" / "images" / f"gallery_{picture}.png").is_file() for picture in pictures)
