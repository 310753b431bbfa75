"""Analyses of samples: whatever tables a record has, with its cautions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tamannot.report._blocks import Block, Facts, Picture, Point, Points, Section, Table, Text
from tamannot.report._material import Material
from tamannot.report._pictures import pictures_of
from tamannot.report._tables import NOTHING, number, pretty, table_of

# In the order in which they are read: how many, what they do, beside whom, what follows.
TITLES = {
    "composition": "Composition: what differs between conditions",
    "regions": "Regions",
    "ferroptosis_summary": "Ferroptosis by sample and label",
    "enrichment": "Enrichment",
    "crosstalk": "Crosstalk with malignant cells",
    "claims": "Claims of the reviews, held against these data",
}
_TITLES_OF_TABLES = {"table": "Results", "shares": "Shares of cells as called", "expected": "Expected shares"}
_CAUTIONS = "cautions"
_FIRST, _LAST = ("claims", "tests", "table"), ("signatures", "samples")
# Long, and read when the rest has been.
_FAR_RIGHT = ("measure", "tam", "malignant", "kind", "source", "note", "leading_edge", "digest")
_FEW_ROWS = 3
_MOST_LETTERS = 300


def analyses(material: Material) -> Iterator[Section]:
    """Give out a section for each analysis that was made."""
    for name, title in TITLES.items():
        found = material.run.variants(name) if material.run.has(name) else {}
        for i, (of, record) in enumerate(found.items()):
            place = name.replace("_", "-") + (f"-{i + 1}" if i else "")
            heading = f"{title} ({pretty(of)})" if len(found) > 1 else title
            shown = _of_one_kind(record) if name == "composition" else record
            yield Section(place, heading, _blocks(shown, pictures_of(material, name, of=of)))


def _of_one_kind(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a comparison with the shares that it is of: as called, or expected."""
    parameters = record.get("parameters")
    counts = parameters.get("counts") if isinstance(parameters, Mapping) else None
    other = "shares" if counts == "expected" else "expected"
    return {name: value for name, value in record.items() if name != other}


def _blocks(record: Mapping[str, Any], pictures: tuple[Picture, ...]) -> tuple[Block, ...]:
    """Return the cautions, then pictures, then tables, what was tested before what it was tested on."""
    return (*_cautions(record), *pictures, *_tables(record), *_facts(record))


def _cautions(record: Mapping[str, Any]) -> Iterator[Block]:
    said = [str(c) for c in np.ravel(record.get(_CAUTIONS, []))]
    if said:
        yield Points(tuple(Point("Caution.", text) for text in said))


def _tables(record: Mapping[str, Any]) -> Iterator[Block]:
    frames = [(name, value) for name, value in _leaves(record) if isinstance(value, pd.DataFrame)]
    for name, frame in sorted(frames, key=lambda item: _order(item[0])):
        title = _TITLES_OF_TABLES.get(name) or pretty(name).capitalize()
        yield _table(frame, title) if len(frame) else Text(f"{title}: no rows.")


def _table(frame: pd.DataFrame, title: str) -> Table:
    """Return a table whose first columns are read first; what is the same in every row is said once, below it."""
    places = sorted(range(frame.shape[1]), key=lambda i: frame.columns[i] in _FAR_RIGHT)
    many = len(frame) >= _FEW_ROWS
    same = [i for i in places if many and frame.iloc[:, i].astype(str).nunique() == 1]
    if not same or len(same) == len(places):
        return table_of(frame.iloc[:, places], title)
    once = table_of(frame.iloc[:1, same].reset_index(drop=True), title)
    said = "; ".join(f"{name} {cell.text or NOTHING}" for name, cell in zip(once.columns, once.rows[0], strict=True))
    varied = frame.iloc[:, [i for i in places if i not in same]]
    return table_of(varied, title, note=f"In every row: {said}.")


def _facts(record: Mapping[str, Any]) -> Iterator[Block]:
    found = [(name.removeprefix("parameters "), _fact(value)) for name, value in _leaves(record)]
    if facts := tuple((pretty(name), text) for name, text in found if text is not None):
        yield Facts(facts)


def _order(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST) + (name in _LAST)


def _leaves(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in sorted(record.items()):  # as a file keeps them
        if name == _CAUTIONS and not above:
            continue
        path = f"{above} {name}".strip()
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _fact(value: Any) -> str | None:
    """Return a parameter in words; None for what is none: tables, long arrays."""
    if isinstance(value, pd.DataFrame):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, float, np.number)):
        return number(float(value))
    text = ", ".join(map(str, value.tolist())) if isinstance(value, np.ndarray) and value.ndim <= 1 else str(value)
    return text if isinstance(value, (str, np.ndarray)) and 0 < len(text) <= _MOST_LETTERS else None
