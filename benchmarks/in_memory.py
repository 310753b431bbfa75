"""Time and memory of scoring and annotating in memory, on one file.

usage: python benchmarks/in_memory.py FILE.h5ad [--json OUT]

Prints the machine, then medians of three runs after one that compiles: one read of the matrix, scoring
of all bundled signatures, the same with the null, and `tl.annotate`; and for `tl.annotate` how far the
peak of resident memory rises above the level after imports and loading, beside the size of the matrix.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import threading
import time
import warnings
from collections.abc import Callable

import anndata as ad
import numpy as np
import psutil

import tamannot as tam
from tamannot.kernels._threads import available_threads


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


def seconds(work: Callable[[], object]) -> float:
    """Return the median time of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(path: str) -> None:
    """Measure and print one line a figure."""
    warnings.simplefilter("ignore")
    adata = ad.read_h5ad(path)
    library = tam.load_signatures()
    matrix = adata.X
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, {available_threads()} threads used")
    print(f"versions: tamannot {tam.__version__}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"matrix: {adata.n_obs:,} cells x {adata.n_vars:,} genes, {matrix.nnz:,} non-zeros, {size / 2**20:.0f} MiB")
    warm = adata[:600].copy()
    start = time.perf_counter()
    tam.tl.annotate(warm)
    print(f"first call on 600 cells, with compilation or its cache: {time.perf_counter() - start:.2f} s")
    print(f"one read of the values: {seconds(lambda: float(matrix.data.sum())):.3f} s")
    n = len(library)
    score = seconds(lambda: tam.tl.score(adata, library, layer="X", min_coverage=0, key_added="bench"))
    print(f"tl.score, {n} signatures, layer='X': {score:.2f} s")
    with_null = seconds(
        lambda: tam.tl.score(adata, library, layer="X", null="matched", min_coverage=0, key_added="bench")
    )
    print(f"tl.score, {n} signatures, with the null: {with_null:.2f} s")
    with Peak() as memory:
        annotate = seconds(lambda: tam.tl.annotate(adata))
    print(f"tl.annotate: {annotate:.2f} s")
    print(
        f"tl.annotate, peak above the level after loading: {memory.rise / 2**20:.0f} MiB = {memory.rise / size:.2f} x X"
    )


if __name__ == "__main__":
    main(sys.argv[1])
