"""Analyses of samples: whatever tables a record has, with its cautions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tamannot.report._blocks import Block, Facts, Point, Points, Section, Text
from tamannot.report._material import Material
from tamannot.report._pictures import pictures_of
from tamannot.report._tables import number, pretty, table_of

# In the order in which they are read: how many, what they do, beside whom, what follows.
TITLES = {
    "composition": "Composition: what differs between conditions",
    "regions": "Regions",
    "ferroptosis_summary": "Ferroptosis by sample and label",
    "enrichment": "Enrichment",
    "crosstalk": "Crosstalk with malignant cells",
    "claims": "Claims of the reviews, held against these data",
}
_CAUTIONS = "cautions"
_MOST_LETTERS = 300


def analyses(material: Material) -> Iterator[Section]:
    """Give out a section for each analysis that was made."""
    for name, title in TITLES.items():
        record = material.run.get(name)
        if isinstance(record, Mapping) and record:
            yield Section(name.replace("_", "-"), title, (*_blocks(record), *pictures_of(material, name)))


def _blocks(record: Mapping[str, Any]) -> Iterator[Block]:
    said = [str(c) for c in np.ravel(record.get(_CAUTIONS, []))]
    if said:
        yield Points(tuple(Point("Caution.", text) for text in said))
    facts = tuple((pretty(k), text) for k, v in _leaves(record) if (text := _fact(v)) is not None)
    tables = [(k, v) for k, v in _leaves(record) if isinstance(v, pd.DataFrame)]
    for name, frame in tables:
        yield (
            table_of(frame, pretty(name).capitalize()) if len(frame) else Text(f"{pretty(name).capitalize()}: no rows.")
        )
    if facts:
        yield Facts(facts)


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
