"""Statistics on arrays of samples: the sample is the unit, never the cell."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
LEVEL = 0.95  # of all intervals
