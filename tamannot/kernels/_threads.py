"""Running a function over blocks of rows on a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_LIMITS = ("TAMANNOT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_threads() -> int:
    """Return how many threads to use: what the environment, the affinity and the container allow."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    limits += [int(v) for name in _LIMITS if (v := os.environ.get(name, "")).isdecimal() and int(v) > 0]
    with suppress(OSError, ValueError):
        quota, period = _QUOTA.read_text().split()
        limits.append(int(int(quota) / int(period)))
    return max(1, min(limits))


def over_rows(work: Callable[[int, int], None], n_rows: int, *, threads: int, step: int = 512) -> None:
    """Call ``work(start, stop)`` for consecutive blocks of ``step`` rows; each must write only its own rows."""
    starts = range(0, n_rows, step)
    stops = [min(s + step, n_rows) for s in starts]
    if threads == 1 or len(stops) < 2:
        for start, stop in zip(starts, stops, strict=True):
            work(start, stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, starts, stops))
