"""What people read has none of the words that only this project used; ``docs/style.md`` has the rules.

``python tests/docs/test_style.py`` prints what is still to be rewritten in the places of ``TO_COME``.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKED = ("README.md", "docs", "tamannot")  # of the package docstrings, messages, help and the report
TO_COME: tuple[str, ...] = ()  # places that are not rewritten yet
GENERATED = {"generated", "catalogue", "_build", "style.md"}  # style.md shows such words

# a pattern: what to write instead
WORDS = {
    r"beyond (any )?doubt": "confidently assigned",
    r"taught|teach(es)?": "trained",
    r"stands? out|standing out": "active, significant, enriched",
    r"stands? (above|under|beneath)|stood above": "rank above, exceed",
    r"eaten": "phagocytosed",
    r"elects?( nobody)?": "vote",
    r"heads": "classifiers",
    r"(?<!there )(?<!had )(are|is|were) no(?! (longer|more|less|different))": "are not, is not",
    r"look(s|ed)? like": "background, resemble",
    r"resembles? to": "resembles",
    r"drawn (to|towards) (?!scale)": "shrunk towards",
    r"h[eo]lds? against": "compared with",
    r"sp(eaks?|oke) (for|against)": "evidence for, evidence against",
    r"c[ao]mes? true": "are right",
    r"where the two part|part(s|ed)? the two": "separate",
    r"(a|one) (row|line|page|gene|file|value) a \w+": "per",
    r"planted": "simulated",
    r"unasked": "unless you ask",
    r"in silence": "silently",
    r"go(es)? first": "takes precedence",
    r"hand(ed)? (them|it|the \w+) over|hand over the": "pass",
    r"no proof of none": "does not prove absence",
    r"ask(s|ed)? (it )?of samples": "test over samples",
    r"an? (order|ordering) of cells|orders? cells": "rank cells",
    r"ways? on": "continue",
    r"is had|are had": "is obtained",
    r"and the like": "and similar",
    r"pictures?": "figure",
    r"all of it": "everything",
    r"what (it|that|they) (is|are) worth": "accuracy",
}
PATTERN = re.compile("|".join(rf"(?P<w{i}>\b(?:{word})\b)" for i, word in enumerate(WORDS)), re.IGNORECASE)
CODE = re.compile(r"^```.*?^```$|^<!-- run before:.*?^-->", re.MULTILINE | re.DOTALL)
# code, links, markers, what images show, and expressions of templates
QUIET = re.compile(r"`[^`\n]*`|\]\([^)\s]*\)|<!--.*?-->|!\[[^\]]*\]|\{[{%].*?[%}]\}")


def blanked(text: str, what: re.Pattern[str]) -> str:
    """Return the text with what is not prose as blanks, its lines at their numbers."""
    return what.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Return the texts that people read, each with the number of its first line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        strings = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        yield from ((n.lineno, blanked(str(n.value), QUIET)) for n in strings)
    elif path.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "markdown"]
        yield from ((1, blanked("".join(cell), QUIET)) for cell in cells)
    else:
        yield 1, blanked(blanked(text, CODE), QUIET)


def files(place: str) -> list[Path]:
    """Return the files of a place that people read."""
    path = ROOT / place
    if path.is_file():
        return [path]
    found = [p for p in path.rglob("*") if p.suffix in {".md", ".ipynb", ".py", ".j2"}]
    return sorted(p for p in found if not GENERATED & set(p.relative_to(ROOT).parts))


def faults(path: Path) -> list[str]:
    """Return where a file has such a word, and what to write instead."""
    instead, name = list(WORDS.values()), path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    return [
        f"{name}:{first + text.count(chr(10), 0, m.start())}: {m[0]!r}: {instead[int((m.lastgroup or 'w0')[1:])]}"
        for first, text in prose(path)
        for m in PATTERN.finditer(text.replace("\n", " "))
    ]


@pytest.mark.parametrize("place", CHECKED)
def test_no_private_words(place: str) -> None:
    scripts = {".py"} if place == "docs" else set()  # its scripts are not read
    later = [p for other in TO_COME for p in files(other)]
    pages = [p for p in files(place) if p.suffix not in scripts and p not in later]
    assert pages
    found = [fault for page in pages for fault in faults(page)]
    assert not found, "\n".join(found)


def test_the_style_page_has_twenty_pairs() -> None:
    page = (ROOT / "docs" / "style.md").read_text(encoding="utf-8")
    pairs = re.findall(r"^\| (.+?) \| (.+?) \|$", page, re.MULTILINE)[1:]
    assert len(pairs) == 20
    assert not [after for _, after in pairs if PATTERN.search(after)]
    assert sum(bool(PATTERN.search(before)) for before, _ in pairs) >= 12  # the others are about syntax


def test_code_and_links_are_not_prose(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`eaten` and [link](what-stands-out.md)\n\n```\nnothing stands out\n```\n\nIt was eaten.\n")
    assert faults(page) == ["page.md:7: 'eaten': phagocytosed"]


if __name__ == "__main__":
    left = [fault for place in TO_COME for path in files(place) for fault in faults(path)]
    sys.stdout.write("\n".join([*left, f"{len(left)} places", ""]))
