"""Analyses of samples, ferroptosis programs, and the evidence for typical cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tamannot import get, pl
from tamannot.data import other_n_cells
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.pl._style import pretty
from tamannot.report import _blocks as page
from tamannot.report._material import Material

# In reading order: abundance, programs, neighbours, consequences.
TITLES = {
    "composition": "Composition: differences between conditions",
    "regions": "Regions",
    "ferroptosis_summary": "Ferroptosis by sample and label",
    "enrichment": "Enrichment",
    "crosstalk": "Crosstalk with malignant cells",
    "claims": "Claims of reviews, tested on these data",
}
_TITLES_OF_TABLES = {"table": "Results", "shares": "Shares of cells as called", "expected": "Expected shares"}
_CAUTIONS = "cautions"
_FIRST, _LAST = ("claims", "tests", "table"), ("signatures", "samples")  # what was tested before what it was tested on
# Long columns, which come last.
_FAR_RIGHT = ("measure", "tam", "malignant", "kind", "source", "note", "leading_edge", "digest")
_FEW_ROWS = 3
_MOST_LETTERS = 300
_SUMMARIES = ("ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance")
_MEANING = (
    "Transcript programs of iron, glutathione and lipid peroxide handling. They do not measure death, of these cells "
    "or of cells nearby. Most rest on one to four detected genes per cell, so read means of samples and labels."
)
_SIGN = (
    "What the sign means: drive, defence and balance describe capacity. In 19 experiments in which cells did undergo "
    "ferroptosis, drive rose in 13, defence rose in 15 and balance fell in 15, because cells under attack raise their "
    "defence most. A negative balance may mark a cell that undergoes ferroptosis. The set that rises in such cells is "
    "ferroptosis_response; score it with tamannot.tl.score."
)
_MOST_CARDS = 7
_COLUMNS = ["axis", "z", "baseline", "above_baseline", "p", "probability", "called", "n_detected", "genes"]
_AXES = ("origin", "state", "overlay")
_HOW = (
    "For each state, the cell with the median probability of all cells with that call: a typical cell, not the best. "
    "Bars to the right support a label, bars to the left oppose it; the strongest alternative is hatched. The baseline "
    "is the z of macrophages of these data that are not in the state; the call depends on how far z exceeds it."
)


def analyses(material: Material) -> Iterator[page.Section]:
    """Yield a section for each analysis that was run: cautions, figures, tables, and other results."""
    for name, title in TITLES.items():
        found = material.run.variants(name) if material.run.has(name) else {}
        for i, (of, record) in enumerate(found.items()):
            cautions = list(map(str, np.ravel(record.get(_CAUTIONS, []))))
            if n := other_n_cells(record, material.cells.n_obs):
                cautions.append(f"These results are of {n} cells, not of the cells of this report. Run them again.")
            said = tuple(page.Point("Caution.", text) for text in cautions)
            blocks: list[page.Block] = [page.Points(said)] if said else []
            blocks += page.pictures_of(material, name, of=of)
            values = list(_leaves(record))
            if name == "composition":  # with its shares: as called, or expected
                counts = dict(values).get("parameters counts")
                values = [v for v in values if v[0] != ("shares" if counts == "expected" else "expected")]
            order = {first: i for i, first in enumerate(_FIRST)} | dict.fromkeys(_LAST, len(_FIRST) + 1)
            for path, value in sorted(values, key=lambda item: order.get(item[0], len(_FIRST))):
                if isinstance(value, pd.DataFrame):
                    heading = _TITLES_OF_TABLES.get(path) or pretty(path).capitalize()
                    blocks.append(_table(value, heading) if len(value) else page.Text(f"{heading}: no rows."))
            texts = {path.removeprefix("parameters "): _fact(value) for path, value in values}
            facts = tuple((pretty(path), text) for path, text in texts.items() if text is not None)
            blocks += [page.Facts(facts)] if facts else []
            place = name.replace("_", "-") + (f"-{i + 1}" if i else "")
            yield page.Section(place, f"{title} ({pretty(of)})" if len(found) > 1 else title, tuple(blocks))


def _table(frame: pd.DataFrame, title: str) -> page.Table:
    """Return a table with the important columns first; values that are equal in all rows are stated once below it."""
    places = sorted(range(frame.shape[1]), key=lambda i: frame.columns[i] in _FAR_RIGHT)
    many = len(frame) >= _FEW_ROWS
    same = [i for i in places if many and frame.iloc[:, i].astype(str).nunique() == 1]
    whole = page.table_of(frame.iloc[:, places], title)
    if not same or len(same) == len(places):
        return whole
    once = page.table_of(frame.iloc[:1, same].reset_index(drop=True), title)
    values = zip(once.columns, once.rows[0], strict=True)
    said = "; ".join(f"{name} {cell.text or page.NOTHING}" for name, cell in values)
    varied = frame.iloc[:, [i for i in places if i not in same]]
    return replace(page.table_of(varied, title, note=f"In every row: {said}."), frame=whole.frame)


def _leaves(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a record with their names, those of nested records after the names above them."""
    for name, value in sorted(record.items()):  # as a file keeps them
        if name == _CAUTIONS and not above:
            continue
        path = f"{above} {name}".strip()
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _fact(value: Any) -> str | None:
    """Return a parameter as text; None for other values: tables, long arrays."""
    if isinstance(value, pd.DataFrame):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, float, np.number)):
        return page.number(float(value))
    text = ", ".join(map(str, value.tolist())) if isinstance(value, np.ndarray) and value.ndim <= 1 else str(value)
    return text if isinstance(value, (str, np.ndarray)) and 0 < len(text) <= _MOST_LETTERS else None


def ferroptosis(material: Material) -> page.Section | None:
    """Return the summaries by state and the programs; None if they were not scored."""
    blocks: list[page.Block] = []
    here, samples = material.macrophages, material.samples
    if all(material.has(name) for name in _SUMMARIES) and here.any():
        table = pd.DataFrame({name: material.column(name).to_numpy(dtype=float) for name in _SUMMARIES})[here]
        table["state"] = material.labels("state").astype(str).to_numpy()[here]
        table["sample"] = 0 if samples is None else samples.codes[here]
        grouped = table[table["sample"] >= 0].groupby(["state", "sample"])
        means = grouped[list(_SUMMARIES)].mean().groupby("state").mean()
        sizes = grouped.size().groupby("state").agg(["size", "sum"]).to_numpy().reshape(-1, 2)
        means.insert(0, "n_cells", sizes[:, 1])
        means.insert(0, "n_samples", sizes[:, 0] if samples is not None else np.ones(len(means), int))
        means.index = pd.Index([pretty(str(i)) for i in means.index], name="state")
        note = "Mean of the samples' means of z against matched genes; every sample has the same weight."
        blocks += [page.table_of(means, "Summaries of macrophages by state", note=note), page.Text(_SIGN)]
    if material.run.has("ferroptosis"):
        programs = material.run.ferroptosis.copy()
        programs.index = pd.Index([pretty(str(i)) for i in programs.index], name="program")
        note = "share low signal: share of cells with fewer than three genes of the program expected to be detected."
        blocks.append(page.table_of(programs, "Programs", note=note))
    return page.Section("ferroptosis", "Ferroptosis programs", (page.Text(_MEANING), *blocks)) if blocks else None


def evidence(material: Material) -> page.Section | None:
    """Return the cards of typical cells; None if the matrix is missing or the run kept no evidence."""
    state = material.labels("state").astype(str).to_numpy()
    prob = material.column("state_prob").to_numpy(dtype=float) if material.has("state_prob") else np.zeros(state.size)
    typical: dict[str, int] = {}  # the row of a macrophage of each state, and of one without a state
    for name, n in pd.Series(state[material.macrophages]).value_counts().head(_MOST_CARDS).items():
        mine = np.flatnonzero(material.macrophages & (state == name))
        typical[str(name)] = int(mine[np.argsort(prob[mine], kind="stable")[n // 2]])
    if not typical:
        return None
    rows = sorted(typical.values())
    cells, blocks = material.take(np.array(rows), matrix=True), list[page.Block]()
    for name, row in typical.items():
        cell = str(cells.obs_names[rows.index(row)])
        title = f"{pretty(name).capitalize()}: cell {cell}"
        draw = partial(pl.evidence, cells, rows.index(row), key=material.key)
        try:
            files = page.drawn(draw, svg=material.svg)
            table = get.evidence(cells, rows.index(row), key=material.key)
        except (MatrixError, ResultNotFoundError):  # the matrix is another by now, or the run kept nothing of this
            continue
        if files is not None:
            alt = f"Bars: contributions of genes to the state of cell {cell} and to its strongest rival."
            blocks.append(page.Picture(title, alt, *files))
        why = [f"{axis.capitalize()}: {text}" for axis, text in table.attrs["why"].items() if axis in _AXES]
        why.append("genes: the genes with the highest expression; − marks genes that count against the signature.")
        shown = table.loc[table["axis"].isin(_AXES), _COLUMNS]
        blocks.append(page.table_of(shown, f"{title}, its signatures", note=pretty(" ".join(why))))
    return page.Section("evidence", "Evidence of typical cells", (page.Text(_HOW), *blocks)) if blocks else None
