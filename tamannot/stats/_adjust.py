"""P-values of several tests at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[Any]


def benjamini_hochberg(p: Array) -> Array:
    """Return p-values adjusted by Benjamini and Hochberg; those that are not known (NaN) stay so and count for none."""
    p = np.asarray(p, np.float64)
    q = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = scipy.stats.false_discovery_control(p[known])
    return q
