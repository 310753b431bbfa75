"""How many cells of each sample have which label: as called, as expected, and how deep they were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.data import RunMatrix
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError
from tamannot.tl._samples import Samples

Array = NDArray[Any]

Axis = Literal["state", "origin", "compartment"]
AXES = ("state", "origin", "compartment")
_MACROPHAGE, _NO_CODE = "macrophage", -2
_PROBABILITIES = {"state": "state_proba", "origin": "origin_proba"}


@dataclass(frozen=True)
class Counted:
    """Cells by sample and label."""

    called: pd.DataFrame
    """Samples × labels, ``unassigned`` the last: cells called so."""
    expected: pd.DataFrame | None
    """Samples × labels that have a probability: the sum of it over cells."""
    rest: Array
    """Expected cells of none of these labels: what is left of the greatest probability of each cell."""
    total: Array
    """The cells that these are of: macrophages, or all cells where the axis is the compartment."""
    unit: str
    """What these cells are: ``macrophages`` or ``cells``."""
    n_macrophages: Array
    """Of each sample."""
    log_depth: Array | None
    """Mean logarithm of the depth of these cells; NaN without a cell, None where it is not known."""
    depth: str
    """What depth is."""


def count(adata: AnnData, key: str, axis: Axis, samples: Samples, *, depth: bool) -> Counted:
    """Count the labels of an axis in each sample.

    Raises
    ------
    ParameterError
        There is no such axis.
    ResultNotFoundError
        The object is not annotated.
    """
    if axis not in AXES:
        msg = f"axis is one of {', '.join(AXES)}, not {axis!r}."
        raise ParameterError(msg)
    label = slots.read_obs(adata, key, (axis,)).iloc[:, 0]
    of = (label.notna() & (label != NOT_MACROPHAGE)).to_numpy()
    macrophage = (label == _MACROPHAGE).to_numpy() if axis == "compartment" else of
    expected, rest = _expected(adata, key, axis, samples, of)
    log_depth, what = _log_depth(adata, key, samples, of) if depth else (None, "not asked for")
    return Counted(
        called=_called(pd.Categorical(label), samples, of, offered=[] if expected is None else list(expected.columns)),
        expected=expected,
        rest=rest,
        unit="cells" if axis == "compartment" else "macrophages",
        total=samples.total(of.astype(float)),
        n_macrophages=samples.total(macrophage.astype(float)),
        log_depth=log_depth,
        depth=what,
    )


def _called(label: pd.Categorical, samples: Samples, of: Array, *, offered: Sequence[str]) -> pd.DataFrame:
    """Count cells as called: labels that have a probability, others that occur, those without a label."""
    # A part of an object has lost the categories without cells, so that these cannot say what was offered.
    code = {str(name): i for i, name in enumerate(label.categories)}
    occur = [name for name, i in code.items() if (label.codes == i).any()]
    names = dict.fromkeys([*offered, *(n for n in occur if n not in (NOT_MACROPHAGE, UNASSIGNED)), UNASSIGNED])
    columns = {n: samples.total((of & (label.codes == code.get(n, _NO_CODE))).astype(float)) for n in names}
    return pd.DataFrame(columns, index=pd.Index(samples.names, name="sample"))


def _expected(adata: AnnData, key: str, axis: Axis, samples: Samples, of: Array) -> tuple[pd.DataFrame | None, Array]:
    if axis not in _PROBABILITIES or slots.slot(key, _PROBABILITIES[axis]) not in adata.obsm:
        return None, np.zeros(len(samples.names))
    table = slots.read_obsm(adata, slots.slot(key, _PROBABILITIES[axis]))
    proba = np.where(of[:, None], table.to_numpy(np.float64), 0.0)
    rest = samples.total(np.where(of, 1 - proba.max(axis=1), 0.0))
    columns = [str(c) for c in table.columns]
    return pd.DataFrame(samples.total(proba), index=pd.Index(samples.names, name="sample"), columns=columns), rest


def _log_depth(adata: AnnData, key: str, samples: Samples, of: Array) -> tuple[Array | None, str]:
    try:
        matrix = slots.matrix_of_run(adata, slots.read_record(adata, key))
        depth = _depth_of_cells(matrix, of)
    except (ResultNotFoundError, MatrixError) as error:
        return None, f"not known: {error}"
    # A normalised matrix has the same total in every cell, but not the same genes.
    what = "counts" if matrix.kind == "counts" else "genes detected"
    return samples.mean(np.log(np.maximum(depth, 1)), of), what


def _depth_of_cells(matrix: RunMatrix, of: Array) -> Array:
    depth = np.zeros(len(of))
    for block, rows in matrix.blocks(of):
        amount = block.numbers if matrix.kind == "counts" else block.values > 0
        depth[rows] = block.totals(amount)
    return depth
