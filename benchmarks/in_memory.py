"""Time and memory of scoring and annotating in memory, on one file.

usage: python benchmarks/in_memory.py FILE.h5ad [--json OUT]

Prints the machine, then medians of three runs after one that compiles: one read of the matrix, scoring
of all bundled signatures, the same with the null, and `tl.annotate`; and for `tl.annotate` how far the
peak of resident memory rises above the level after imports and loading, beside the size of the matrix.
"""

from __future__ import annotations

import sys
import time
import warnings

import anndata as ad
from _measure import Peak, machine, seconds

import tamannot as tam


def main(path: str) -> None:
    """Measure and print one line a figure."""
    warnings.simplefilter("ignore")
    adata = ad.read_h5ad(path)
    library = tam.load_signatures()
    matrix = adata.X
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    print(machine())
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
