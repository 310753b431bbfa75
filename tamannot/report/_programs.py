"""Which programs stand out in which macrophages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tamannot.report._material import Material


def cells_with(material: Material, program: str) -> NDArray[np.bool_]:
    """Return which cells have a program (p < 0.01); none where that was not looked for."""
    if not material.has("programs"):
        return np.zeros(material.cells.n_obs, dtype=bool)
    column = material.labels("programs")
    having = np.array([program in str(c).split("+") for c in column.cat.categories] + [False])  # the last: missing
    return having[column.cat.codes.to_numpy()]


def share_with(material: Material, program: str, among: NDArray[np.bool_] | None = None) -> float:
    """Return the share of macrophages with a program, of all or of some; NaN where there is none of them."""
    chosen = material.macrophages if among is None else material.macrophages & among
    return float(cells_with(material, program)[chosen].mean()) if chosen.any() else float("nan")
