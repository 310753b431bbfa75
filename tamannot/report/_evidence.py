"""Evidence cards: for a typical cell of each state, what speaks for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from anndata import AnnData

from tamannot import get, pl
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.report._blocks import Block, Picture, Section, Text
from tamannot.report._material import Material
from tamannot.report._pictures import drawn
from tamannot.report._tables import pretty, table_of

_MOST_CARDS = 7
_COLUMNS = ["axis", "z", "baseline", "above_baseline", "p", "probability", "called", "n_detected", "genes"]
_AXES = ("origin", "state", "overlay")
_HOW = (
    "Of each state the cell whose probability is the median of all cells called so: an ordinary one, not the best. "
    "Bars to the right speak for a label, to the left against it; hatched is the strongest rival. Macrophages of these "
    "data have the baseline without being in the state; what counts is z above it."
)


def evidence(material: Material) -> Section | None:
    """Return the cards of typical cells; None where the matrix is gone or the run kept nothing."""
    typical = _typical(material)
    if not typical:
        return None
    cells = material.source.take(np.sort(np.fromiter(typical.values(), int)), matrix=True)
    places = dict(zip(sorted(typical.values()), range(cells.n_obs), strict=True))
    blocks = [b for state, row in typical.items() for b in _card(material, cells, places[row], state)]
    return Section("evidence", "Evidence of typical cells", (Text(_HOW), *blocks)) if blocks else None


def _typical(material: Material) -> dict[str, int]:
    """Return the row of a typical macrophage of each state; of those without a state too."""
    state = material.labels("state").astype(str).to_numpy()
    prob = material.column("state_prob").to_numpy(dtype=float) if material.has("state_prob") else np.zeros(state.size)
    rows = {}
    for name, n in pd.Series(state[material.macrophages]).value_counts().items():
        mine = np.flatnonzero(material.macrophages & (state == name))
        rows[str(name)] = int(mine[np.argsort(prob[mine], kind="stable")[n // 2]])
    return dict(list(rows.items())[:_MOST_CARDS])


def _card(material: Material, cells: AnnData, row: int, state: str) -> Iterator[Block]:
    name = f"{pretty(state).capitalize()}: cell {cells.obs_names[row]}"
    try:
        png = drawn(lambda: pl.evidence(cells, row, key=material.key))
        table = get.evidence(cells, row, key=material.key)
    except (MatrixError, ResultNotFoundError):  # the matrix is another by now, or the run kept nothing of this
        return
    if png is not None:
        alt = f"Bars: what single genes add to the state of cell {cells.obs_names[row]}, and to its strongest rival."
        yield Picture(name, alt, png)
    shown = table.loc[table["axis"].isin(_AXES), _COLUMNS]
    why = [f"{axis.capitalize()}: {text}" for axis, text in table.attrs["why"].items() if axis in _AXES]
    said = pretty(" ".join([*why, "genes: the highest expressed of its genes; − speaks against."]))
    yield table_of(shown, f"{name}, its signatures", note=said)
