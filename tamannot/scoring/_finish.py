"""From sums of rank depths to scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._njit import njit

Array = NDArray[Any]


def finish_scores(
    sums: Array, arm: Array, offset: Array, most: Array, w_neg: float, out_ptr: Array, out_part: Array, out: Array
) -> None:
    """Write ``max(u(up) - w_neg u(down), 0)`` of each part, and of each output the greatest of its parts.

    Parameters
    ----------
    sums
        Sums of one method, whole steps, shape ``(n_cells, n_arms)``.
    arm
        Arms of each part, up and down, shape ``(n_parts, 2)``; -1 where there is none.
    offset, most
        ``u = (sum + offset) / most`` where the sum is not zero, else 0; shape ``(n_parts, 2)``, in steps.
    w_neg
        Weight of the down arm.
    out_ptr, out_part
        The parts of output ``o``: entries ``out_ptr[o]`` to ``out_ptr[o + 1]``.
    out
        Output, shape ``(n_cells, n_outputs)``.
    """
    # Most sets are one part with up genes alone, and take a shorter way.
    one_each = np.array_equal(out_ptr, np.arange(arm.shape[0] + 1))
    if one_each and (arm[:, 0] >= 0).all() and (arm[:, 1] < 0).all() and (most[:, 0] > 0).all():
        finish_plain(sums, arm[out_part, 0], offset[out_part, 0], most[out_part, 0], out)
    else:
        finish_any(sums, arm, offset, most, w_neg, out_ptr, out_part, out)


@njit
def finish_any(
    sums: Array, arm: Array, offset: Array, most: Array, w_neg: float, out_ptr: Array, out_part: Array, out: Array
) -> None:
    """Write scores of parts with up and down genes, and of outputs of several parts."""
    for i in range(sums.shape[0]):
        for o in range(out_ptr.size - 1):
            best = 0.0
            for k in range(out_ptr[o], out_ptr[o + 1]):
                p = out_part[k]
                score = 0.0
                for side in range(2):
                    a = arm[p, side]
                    if a >= 0 and sums[i, a] > 0 and most[p, side] > 0.0:
                        u = (sums[i, a] + offset[p, side]) / most[p, side]
                        score += u if side == 0 else -w_neg * u
                best = max(best, score)
            out[i, o] = best


@njit
def finish_plain(sums: Array, arm: Array, offset: Array, most: Array, out: Array) -> None:
    """Write scores of outputs that are one part with up genes each."""
    for i in range(sums.shape[0]):
        for o in range(arm.size):
            found = sums[i, np.uint64(arm[o])]
            out[i, o] = max((found + offset[o]) / most[o], 0.0) if found > 0 else 0.0
