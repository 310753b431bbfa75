"""From file to file at growing sizes: seconds, stages and peak memory, beside reading with anndata and copying X.

usage: python benchmarks/scale.py FILE.h5ad [FILE.h5ad …] [--block 6000] [--scratch DIR]

Each file is read once beforehand, so that all ways find it in the system's cache. Then, each in a process of its
own: the rows of X read block by block with anndata (backed) and thrown away, X copied by HDF5 into a new file, and
``tamannot annotate`` from file to file. Printed for each file are the seconds of the three, their ratio, what each
stage took and the peak of resident memory; for two files and more, what a further cell costs in time and memory.
The files should be of one kind (same genes, same compression, same kind of cells) and of different length.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
from _measure import machine

READ = """
import sys, warnings; warnings.simplefilter("ignore")
import anndata as ad
rows, step = ad.read_h5ad(sys.argv[1], backed="r").X, int(sys.argv[2])
for start in range(0, rows.shape[0], step): rows[start:start + step]
"""
COPY = """
import sys, h5py
with h5py.File(sys.argv[1]) as old, h5py.File(sys.argv[2], "w") as new: old.copy("X", new)
"""
ANNOTATE = "from tamannot.cli import main; main()"


@dataclass(frozen=True)
class Run:
    """What was measured on one file."""

    n_obs: int
    n_values: int
    read: float
    copy: float
    annotate: float
    log: dict[str, Any]

    @property
    def ratio(self) -> float:
        """Seconds of annotating over seconds of reading and copying."""
        return self.annotate / (self.read + self.copy)

    @property
    def peak(self) -> int:
        """Peak of resident memory in bytes, of the whole process."""
        return int(self.log["peak_memory_bytes"])


def main() -> None:
    """Measure every file, and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", nargs="+", type=Path)
    options.add_argument("--block", type=int, default=6000, help="cells that anndata reads at once")
    options.add_argument("--scratch", type=Path, help="where outputs go and are deleted from")
    given = options.parse_args()
    print(machine(), flush=True)
    runs = []
    for path in given.files:
        with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
            runs.append(measured(path, Path(folder), given.block))
        show(runs[-1])
    runs.sort(key=lambda run: run.n_obs)
    for smaller, larger in pairwise(runs):
        show_growth(smaller, larger)


def measured(path: Path, folder: Path, block: int) -> Run:
    """Return what one file takes."""
    with h5py.File(path) as file:
        n_obs, n_values = int(file["X"].attrs["shape"][0]), int(file["X/data"].shape[0])
    warm(path)
    read = timed(READ, str(path), str(block))
    warm(path)
    copy = timed(COPY, str(path), str(folder / "copy.h5"))
    (folder / "copy.h5").unlink()
    warm(path)
    log = folder / "log.json"
    annotate = timed(
        ANNOTATE, "annotate", str(path), "-o", str(folder / "out.h5ad"), "--log", str(log), "--quiet", "--tissue=brain"
    )
    entry = json.loads(log.read_text())
    return Run(n_obs, n_values, read, copy, annotate, entry["files"][0] if "files" in entry else entry)


def warm(path: Path) -> None:
    """Read the file into the system's cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def timed(code: str, *arguments: str) -> float:
    """Return the seconds of a process of its own, from start to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    return time.perf_counter() - start


def show(run: Run) -> None:
    """Print one file's figures."""
    print(
        f"\n{run.n_obs:,} cells, {run.n_values:,} stored values\n"
        f"  anndata reads X {run.read:8.1f} s\n"
        f"  HDF5 copies X   {run.copy:8.1f} s\n"
        f"  annotate        {run.annotate:8.1f} s = {run.ratio:.2f} x both, "
        f"{run.n_obs / run.annotate:,.0f} cells a second\n"
        f"  peak memory     {run.peak / 2**30:8.2f} GiB"
    )
    for stage, seconds in run.log["stages"].items():
        print(f"    {stage:<40} {seconds:8.1f} s")
    sys.stdout.flush()


def show_growth(smaller: Run, larger: Run) -> None:
    """Print what a further cell costs."""
    more = larger.n_obs - smaller.n_obs
    microseconds = (larger.annotate - smaller.annotate) / more * 1e6
    print(
        f"\nfrom {smaller.n_obs:,} to {larger.n_obs:,} cells: {microseconds:.0f} microseconds "
        f"and {(larger.peak - smaller.peak) / more:.0f} bytes of peak memory a further cell"
    )


if __name__ == "__main__":
    main()
