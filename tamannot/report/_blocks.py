"""What a report is made of: plain data that the template turns into HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Point:
    """An entry of a list: what it is about, and a sentence on it."""

    head: str
    text: str
    link: str = ""


@dataclass(frozen=True)
class Points:
    """A list."""

    points: tuple[Point, ...]
    kind: str = "points"


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Cell:
    """A value of a table as it is read, and what it is sorted by; None if by its text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table; ``numeric`` says of each column whether it holds numbers."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Picture:
    """A picture, PNG."""

    title: str
    alt: str
    png: bytes
    note: str = ""
    kind: str = "picture"


@dataclass(frozen=True)
class Quote:
    """A text to be copied."""

    text: str
    kind: str = "quote"


@dataclass(frozen=True)
class Embedding:
    """Cells on an embedding, as JSON for the browser to draw; the picture, PNG, is for those without a script."""

    title: str
    cells: str
    png: bytes | None
    note: str = ""
    kind: str = "embedding"


Block = Text | Points | Facts | Table | Picture | Quote | Embedding


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading; ``name`` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """All that a report says."""

    title: str
    source: str
    """What it is about: a file, or an object in memory."""
    made: str
    """When and by what."""
    sections: tuple[Section, ...]
    head: Section | None = None
    """What is seen first."""
