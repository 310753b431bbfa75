"""Many small files in a row in one process: does memory or the number of open files grow?

``python benchmarks/load.py [--files 1000] [--cells 40]`` prints both every tenth of the way.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
import warnings
from pathlib import Path

import psutil
from _measure import machine

import tamannot as tam


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=40)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    process, began = psutil.Process(), time.perf_counter()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "in.h5ad", Path(name) / "out.h5ad"
        tam.datasets.oligodendroglioma()[: asked.cells].copy().write_h5ad(source, compression="gzip")
        for done in range(1, asked.files + 1):
            tam.annotate_file(source, out, table=Path(name) / "out.csv", overwrite=True)
            if done in (1, 10) or done % max(1, asked.files // 10) == 0:
                gc.collect()
                held, threads = process.memory_info().rss / 1e6, process.num_threads()
                seconds = time.perf_counter() - began
                print(f"{done:>6} files {seconds:7.0f} s  {held:6.0f} MB  {process.num_fds()} open  {threads} threads")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
