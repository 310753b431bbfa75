"""Our scores beside those of every peer that is installed, all on the whole of one matrix.

usage: python benchmarks/peers.py FILE.h5ad [--runs 9] [--peer-runs 3] [--only "UCell;pyUCell, 2 processes"]
       python benchmarks/peers.py FILE.h5ad --cells 1000,5000,20000,100000

The signatures are 25 random sets of 10 to 50 genes, made up with a fixed seed. Each row of the table is measured in
a process of its own: a first call on the whole matrix, then some warm ones, of which the fastest counts, since whatever
else the machine does only makes a call slower. Start-up is the first call less the fastest: imports, starting
processes, reading compiled code. Compiling, of which the results are kept on disk, is what the first call in a process
before that took more. Peers that are not installed are named and left out. With ``--cells`` our time by the number of
cells, repeated beyond those of the file, and by the number of signatures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from _measure import Peak, machine

import tamannot as tam

Sets = dict[str, list[str]]
Call = Callable[[], object]


def random_sets(genes: list[str], n: int) -> Sets:
    """Return ``n`` sets of 10 to 50 genes."""
    rng = np.random.default_rng(0)
    return {f"s{i}": rng.choice(genes, rng.integers(10, 51), replace=False).tolist() for i in range(n)}


def pyucell(adata: ad.AnnData, sets: Sets, n_jobs: int, chunk_size: int = 500) -> Call:
    """UCell in Python; blocks of 500 cells are its default."""

    def call() -> None:
        from pyucell import compute_ucell_scores

        compute_ucell_scores(adata, signatures=sets, n_jobs=n_jobs, chunk_size=chunk_size)

    return call


def decoupler_aucell(adata: ad.AnnData, sets: Sets) -> Call:
    """AUCell of decoupler."""
    pairs = [(name, gene, 1.0) for name, genes in sets.items() for gene in genes]
    net = pd.DataFrame(pairs, columns=["source", "target", "weight"])

    def call() -> None:
        import decoupler as dc

        dc.mt.aucell(adata, net, tmin=1)

    return call


def scanpy_score_genes(adata: ad.AnnData, sets: Sets) -> Call:
    """One call of scanpy's score_genes a set."""

    def call() -> None:
        import scanpy as sc

        for name, genes in sets.items():
            sc.tl.score_genes(adata, genes, score_name=name, use_raw=False)

    return call


def gseapy_ssgsea(adata: ad.AnnData, sets: Sets) -> Call:
    """ssGSEA of gseapy with two threads, the matrix as the table that it takes."""
    table = pd.DataFrame(adata.X.toarray().T, index=adata.var_names, columns=adata.obs_names)

    def call() -> None:
        import gseapy

        gseapy.ssgsea(table, sets, outdir=None, min_size=1, max_size=1000, threads=2)

    return call


def ours(adata: ad.AnnData, sets: Sets, **options: Any) -> Call:
    """``tl.score``."""
    signatures = tam.read_signatures(sets)
    return lambda: tam.tl.score(adata, signatures, layer="X", min_coverage=0, **options)


OURS: dict[str, dict[str, Any]] = {
    "UCell": {"method": "ucell"},
    "UCell with the null (z and p)": {"method": "ucell", "null": "matched"},
    "AUCell": {"method": "aucell"},
    "UCell and AUCell from the same ranks": {"method": {"a": "ucell", "b": "aucell"}},
    "ModuleScore": {"method": "module"},
    "WeightedMean": {"method": "mean"},
}
# The module, which of ours does the same, and what makes the call.
PEERS: dict[str, tuple[str, str, Callable[[ad.AnnData, Sets], Call]]] = {
    "pyUCell, 1 process": ("pyucell", "UCell", lambda adata, sets: pyucell(adata, sets, 1)),
    "pyUCell, 2 processes": ("pyucell", "UCell", lambda adata, sets: pyucell(adata, sets, 2)),
    "pyUCell, 2 processes, blocks of 5,000": ("pyucell", "UCell", lambda adata, sets: pyucell(adata, sets, 2, 5000)),
    "decoupler AUCell": ("decoupler", "AUCell", decoupler_aucell),
    "scanpy score_genes": ("scanpy", "ModuleScore", scanpy_score_genes),
    "gseapy ssGSEA": ("gseapy", "", gseapy_ssgsea),
}
COMPILED = ("tamannot", "decoupler")
MOST_SECONDS = 300


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("file")
    asked.add_argument("--runs", type=int, default=9, help="warm calls of ours")
    asked.add_argument("--peer-runs", type=int, default=3, help="warm calls of a peer")
    asked.add_argument("--only", help="names of rows, separated by semicolons")
    asked.add_argument("--cells", help="numbers of cells to time ours at, separated by commas")
    asked.add_argument("--row", help=argparse.SUPPRESS)
    args = asked.parse_args()
    warnings.simplefilter("ignore")
    tam.settings.progress = False
    if args.row:
        print(json.dumps(measured(loaded(args.file), args.row, args.runs)))
        return
    adata = loaded(args.file)
    print(f"{machine()}\nmatrix: {adata.n_obs:,} cells x {adata.n_vars:,} genes, {adata.X.nnz:,} non-zeros")
    read = fastest(lambda: (float(adata.X.data.sum()), int(adata.X.indices.max())), 20)
    print(f"one read of the matrix, values and indices: {read:.4f} s\n")
    if args.cells:
        print_growth(adata, [int(n) for n in args.cells.split(",")], args.runs)
        return
    print_table(args, read, args.only.split(";") if args.only else [*OURS, *PEERS])


def loaded(path: str) -> ad.AnnData:
    """Return X of a file with its names alone."""
    adata = ad.read_h5ad(path)
    return ad.AnnData(adata.X, obs=adata.obs[[]], var=adata.var[[]])


def print_table(args: argparse.Namespace, read: float, names: list[str]) -> None:
    """Print a row for each of ours and each peer, in the form of the documentation."""
    print("| 25 signatures | warm call | reads of the matrix | start-up | compiling, once | ours is faster | memory |")
    print("|---|---|---|---|---|---|---|")
    warm: dict[str, float] = {}
    for name in names:
        module, same, _ = PEERS.get(name, ("tamannot", "", None))
        if find_spec(module) is None:
            print(f"{name}: not installed, left out", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as cache:
            compiling = row(args.file, name, 0, cache)["first"] if module in COMPILED else 0.0
            found = row(args.file, name, args.peer_runs if name in PEERS else args.runs, cache)
        warm[name] = found["warm"]
        cells = [
            f"{found['warm']:.3g} s",
            f"{found['warm'] / read:.3g}",
            f"{max(found['first'] - found['warm'], 0):.1f} s",
            f"{compiling - found['first']:.1f} s" if compiling else "–",
            f"{found['warm'] / warm[same]:.0f} ×" if same in warm else "–",
            f"{found['memory'] / 2**20:.0f} MiB" if name in OURS else "–",
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def row(path: str, name: str, runs: int, cache: str) -> dict[str, float]:
    """Measure in a process of its own, which keeps compiled code in a folder."""
    command = [sys.executable, __file__, path, "--row", name, "--runs", str(runs)]
    environment = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(adata: ad.AnnData, name: str, runs: int) -> dict[str, float]:
    """Return the seconds of the first call and of the fastest warm one, and how far memory rises in another."""
    sets = random_sets(adata.var_names.tolist(), 25)
    call = PEERS[name][2](adata, sets) if name in PEERS else ours(adata, sets, **OURS[name])
    first = fastest(call, 1)
    warm = fastest(call, runs)
    with Peak() as memory:
        if name in OURS:
            call()
    return {"first": first, "warm": warm, "memory": memory.rise}


def fastest(work: Call, runs: int) -> float:
    """Return the shortest time of some runs; none is begun when five minutes are over."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
        if sum(times) > MOST_SECONDS:
            break
    return min(times, default=0.0)


def print_growth(adata: ad.AnnData, sizes: list[int], runs: int) -> None:
    """Print our time by number of cells, and by number of signatures."""
    genes = adata.var_names.tolist()
    print("| cells | UCell | a cell | memory |\n|---|---|---|---|")
    for n in sizes:
        matrix = sp.vstack([adata.X] * -(-n // adata.n_obs), format="csr")[:n] if n != adata.n_obs else adata.X
        found = measured(ad.AnnData(matrix, var=adata.var), "UCell", runs)
        print(
            f"| {n:,} | {found['warm']:.3g} s | {found['warm'] / n * 1e6:.1f} µs | {found['memory'] / 2**20:.0f} MiB |"
        )
    few, many = (ours(adata, random_sets(genes, n)) for n in (25, 1000))
    few(), many()
    times = fastest(few, runs), fastest(many, runs)
    print(f"\n1,000 signatures: {times[1]:.3g} s = {times[1] / times[0]:.1f} x the time of 25")


if __name__ == "__main__":
    main()
