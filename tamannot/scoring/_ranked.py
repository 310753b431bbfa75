"""What a method on ranks tells the engine."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._plan import Arm, Part

Array = NDArray[Any]


class RankMethod(Protocol):
    """A score made of ``sum of w * max(K - rank, 0)`` over the genes of a signature."""

    @property
    def name(self) -> str:
        """Name of the method in provenance."""

    @property
    def ties(self) -> int:
        """What a tie is worth: one of the constants of `kernels._ranks`."""

    @property
    def down_weight(self) -> float:
        """Weight of the down genes."""

    def rank_cap(self, n_vars: int) -> int:
        """Return K: the rank from which on all ranks are one."""

    def arm_weights(self, arm: Arm) -> Array:
        """Return the weights of an arm's present genes as this method uses them."""

    def limits(self, arm: Arm, cap: int) -> tuple[float, float]:
        """Return what is added to an arm's sum where it is not zero, and what the result is divided by."""

    def check(self, part: Part, n_vars: int) -> None:
        """Refuse a signature that the method cannot score."""


def reachable(weights: Array, cap: int) -> float:
    """Return the greatest weighted sum of depths that genes of these weights can have."""
    if not weights.size:
        return 0.0
    depths = np.maximum(np.arange(cap - 1, cap - 1 - weights.size, -1), 0)
    return float(np.sort(weights)[::-1] @ depths)
