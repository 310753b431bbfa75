"""Where in the text of a signature file a fault is."""

from __future__ import annotations

import re
from collections.abc import Sequence

Location = Sequence[str | int]


def line_of(text: str, location: Location, reason: str) -> int | None:
    """Return the line that a fault is about, counted from 1; None if it cannot be told.

    Parameters
    ----------
    text
        The file.
    location
        Where the field is, as pydantic says it: ``("genes", 3, "weight")``.
    reason
        What is wrong with it. Says the place where the location is empty: a line, or genes and references.
    """
    lines = text.split("\n")
    if not location:
        return _line_said(reason) or _line_named(lines, reason)
    name, index, *rest = [*location, None, None][:3]
    return _line_of_item(lines, str(name), index, rest[0]) if isinstance(index, int) else _line_of_key(lines, str(name))


def _line_said(reason: str) -> int | None:
    said = re.search(r"\bline (\d{1,9})\b", reason)
    return int(said[1]) if said else None


def _line_named(lines: list[str], reason: str) -> int | None:
    """Find the gene or reference that the reason names; the second of two if they are too many."""
    words = "|".join(re.escape(w) for w in re.findall(r"[^\s,:;']+", reason)[:50])
    named = re.compile(rf"""\b(?:symbol|ensembl|key)\s*=\s*["']({words})["']""")
    hits = [(n, value) for n, line in enumerate(lines, 1) for value in named.findall(line)]
    same = [n for n, value in hits if value == hits[0][1]]
    return same[1] if "more than once" in reason and len(same) > 1 else same[0] if same else None


def _line_of_key(lines: list[str], key: str, start: int = 0, end: int | None = None) -> int | None:
    starts = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((n for n, line in enumerate(lines[start:end], start + 1) if starts.match(line)), None)


def _line_of_item(lines: list[str], name: str, index: int, key: str | int | None) -> int | None:
    """Find an item of an array: a ``[[name]]`` table, a ``{…}`` on a line of its own, or the array."""
    header = re.compile(rf"""\s*\[\[\s*["']?{re.escape(name)}["']?\s*\]\]""")
    tables = [n for n, line in enumerate(lines, 1) if header.match(line)]
    if index < len(tables):
        start, *after = tables[index:]
        inside = _line_of_key(lines, str(key), start, after[0] - 1 if after else None)
        return inside or start
    first = _line_of_key(lines, name)
    items = [n for n, line in enumerate(lines, 1) if first and n > first and line.lstrip().startswith("{")]
    return items[index] if index < len(items) else first
