"""Time to read a matrix of an h5ad file block by block: with anndata, and with our row sources.

usage: python benchmarks/reading.py FILE.h5ad [LAYER]

Each way reads all rows of X, or of a layer, and throws them away; printed are seconds, seconds of
processor time, million stored values a second, and how far the peak of resident memory rises.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _measure import Peak, machine

from tamannot._settings import in_order
from tamannot.data import MatrixInspection
from tamannot.data._matrix import inspect_values
from tamannot.data._rows import Check, row_source
from tamannot.io._read import open_file
from tamannot.scoring._rows import RowSource


def main(path: str, layer: str = "X") -> None:
    """Measure and print one line a way."""
    warnings.simplefilter("ignore")
    print(machine())
    with open_file(Path(path)) as adata:
        matrix = adata.X if layer == "X" else adata.layers[layer]
        rows = row_source(matrix)
        rows.block(0, min(rows.step, rows.shape[0]))  # compiles
        start = time.perf_counter()
        found = inspect_values(MatrixInspection("X", matrix))
        print(f"a look at a sample: {time.perf_counter() - start:.2f} s, {found.kind}")
        n_values = sum_of_blocks(rows, 1)
        print(
            f"{layer}: {rows.shape[0]:,} cells x {rows.shape[1]:,} genes, {n_values:,} stored values, step {rows.step}"
        )
        one_way(f"anndata, slices of {rows.step} rows", lambda: slices(matrix, rows.step), n_values)
        one_way("anndata, slices of 6,000 rows", lambda: slices(matrix, 6000), n_values)
        for threads in (1, 2):
            fresh = row_source(matrix, check=Check(layer, found.kind or "linear"))
            one_way(f"row source, {threads} thread(s)", lambda r=fresh, t=threads: sum_of_blocks(r, t), n_values)


def one_way(name: str, read: Callable[[], Any], n_values: int) -> None:
    """Print the time and memory of one reading."""
    with Peak() as memory:
        start, busy = time.perf_counter(), time.process_time()
        read()
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    speed = n_values / seconds / 1e6
    rise = f"peak +{memory.rise / 2**20:.0f} MiB"
    print(f"{name:<32} {seconds:7.2f} s, {busy:7.2f} s of CPU, {speed:7.1f} M values/s, {rise}")


def slices(matrix: Any, step: int) -> None:
    """Read all rows as anndata does."""
    for start in range(0, matrix.shape[0], step):
        matrix[start : start + step]


def sum_of_blocks(rows: RowSource, threads: int) -> int:
    """Read all rows, and return how many values are stored."""
    n_rows = rows.shape[0]
    return sum(in_order(lambda a, b: rows.block(a, b).values.size, n_rows, threads=threads, step=rows.step))


if __name__ == "__main__":
    main(*sys.argv[1:])
