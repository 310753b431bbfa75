"""Some of the values of a matrix on disk, from all over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.data._names import name_of, reading
from tamannot.data._open_matrix import vector

Array = NDArray[Any]

# Values looked at: enough to tell counts from logarithms, and read in a second.
MOST_VALUES = 1 << 21
_PIECES = 16
_VALUES_A_PIECE = 1 << 17


@dataclass(frozen=True)
class Sample:
    """Values of a matrix, a few at a time, always the same ones."""

    pieces: Iterator[Array]
    n_stored: int
    """How many values the matrix has on disk."""
    is_all: bool
    """Whether no value is left out."""


def sample_vector(stored: Any, *, whole: bool = False) -> Sample:
    """Take values from the start, the end and evenly in between of a vector; all of them if asked."""
    values = vector(stored)
    return _sample(values.read, values.size, 1, whole=whole)


def sample_dense(dataset: Any, *, whole: bool = False) -> Sample:
    """Take rows from the start, the end and evenly in between of a dense matrix; all of them if asked."""
    n_obs, n_vars = map(int, dataset.shape)

    def read(start: int, stop: int) -> Array:
        with reading(name_of(dataset), start, stop, "rows"):
            return np.asarray(dataset[start:stop])

    return _sample(read, n_obs, n_vars, whole=whole)


def _sample(read: Callable[[int, int], Array], n: int, width: int, *, whole: bool) -> Sample:
    step = max(1, _VALUES_A_PIECE // max(width, 1))
    whole = whole or n * width <= MOST_VALUES or n <= _PIECES * step
    starts = range(0, n, step) if whole else np.linspace(0, n - step, _PIECES).astype(int).tolist()
    return Sample((read(start, min(start + step, n)) for start in starts), n * width, whole)
