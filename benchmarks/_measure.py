"""Time and peak memory of a call."""

from __future__ import annotations

import os
import platform
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np
import psutil

import tamannot as tam
from tamannot._settings import available_threads


class Peak:
    """Peak of resident memory above the level at entry, in bytes, looked at every 5 ms."""

    def __enter__(self) -> Peak:
        self._process, self._stop = psutil.Process(), threading.Event()
        self.start = self.peak = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.peak = max(self.peak, self._process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def rise(self) -> int:
        """Bytes above the start."""
        return self.peak - self.start


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the median time of a few runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine() -> str:
    """Return what the figures were measured with."""
    return (
        f"machine: {platform.machine()}, {os.cpu_count()} cores, {available_threads()} threads used\n"
        f"versions: tamannot {tam.__version__}, Python {platform.python_version()}, numpy {np.__version__}"
    )
