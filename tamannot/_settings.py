"""The two settings that are global."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tamannot.errors import ParameterError


@dataclass
class Settings:
    """How tamannot runs; nothing here changes a result.

    Parameters
    ----------
    threads
        Threads to use; None takes what the environment, the affinity and the container allow.
    progress
        Whether a run of more than five seconds tells on stderr how far it is: a line that is renewed in a
        terminal, elsewhere one every half minute. None is True; False is silent.
    """

    threads: int | None = None
    progress: bool | None = None

    def n_threads(self) -> int:
        """Return the number of threads to use.

        Raises
        ------
        ParameterError
            ``threads`` is set to less than one.
        """
        if self.threads is None:
            return available_threads()
        if self.threads < 1:
            msg = f"settings.threads must be at least 1, not {self.threads}."
            raise ParameterError(msg)
        return self.threads


settings = Settings()


T = TypeVar("T")

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


def in_order(work: Callable[[int, int], T], n_rows: int, *, threads: int, step: int) -> Iterator[T]:
    """Give out ``work(start, stop)`` of consecutive blocks of ``step`` rows, in their order.

    Only a few results are ahead of whoever takes them, so that memory stays bounded.
    """
    spans = [(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
    if threads == 1 or len(spans) < 2:
        for start, stop in spans:
            yield work(start, stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for start, stop in spans:
                waiting.append(pool.submit(work, start, stop))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
