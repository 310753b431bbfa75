"""How many counts macrophages have, and whether their labels go with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.report._material import Material

Array = NDArray[Any]

_FEWEST = 30


def depth_of_macrophages(material: Material) -> tuple[Array, Array] | None:
    """Return the depth of the measured macrophages, and whether each has a state; None if that cannot be told.

    Depth is the sum of counts, or, where the matrix holds none, the number of detected genes.
    """
    cells = material.measured
    labels = slots.read_obs(cells, material.key, ("compartment", "state")).astype(str).to_numpy()
    chosen = labels[:, 0] == "macrophage"
    if chosen.sum() < _FEWEST:
        return None
    depth = _depth(material, chosen)
    return None if depth is None else (depth, labels[chosen, 1] != "unassigned")


def _depth(material: Material, chosen: Array) -> Array | None:
    try:
        matrix = slots.matrix_of_run(material.measured, material.run)
        depth = np.zeros(chosen.size)
        for block, rows in matrix.blocks(chosen):
            values = block.values if matrix.kind == "counts" else (block.values > 0)
            depth[rows] = np.add.reduceat(np.append(values, 0), block.indptr[:-1]) * (np.diff(block.indptr) > 0)
    except (MatrixError, ResultNotFoundError):  # the matrix is gone or another: the labels stand without it
        return None
    return depth[chosen]


def rank_correlation(a: Array, b: Array) -> float:
    """Return Spearman's correlation; 0 where one does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(scipy.stats.spearmanr(a, b).statistic)
