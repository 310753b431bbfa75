"""Our scores beside those of every peer that is installed, in one run on the same matrix.

usage: python benchmarks/peers.py FILE.h5ad [--peer-cells 2000] [--cells 1000,5000,20000,100000] [--picture OUT.png]

The signatures are 25 and 1,000 random sets of 10 to 50 genes, made up with a fixed seed. Ours are timed on the
whole matrix, medians of three runs after one that compiles; a peer once, on the first ``--peer-cells`` cells, and
its time is scaled to the matrix (each peer below is linear in cells; gseapy gets 200). Peers that are not
installed are named and skipped. Then our growth: cells repeated up to the greatest of ``--cells``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from _measure import Peak, machine, seconds

import tamannot as tam

Sets = dict[str, list[str]]
GSEAPY_CELLS = 200


def random_sets(genes: list[str], n: int) -> Sets:
    """Return ``n`` sets of 10 to 50 genes."""
    rng = np.random.default_rng(0)
    return {f"s{i}": rng.choice(genes, rng.integers(10, 51), replace=False).tolist() for i in range(n)}


def pyucell(adata: ad.AnnData, sets: Sets) -> None:
    """UCell in Python."""
    from pyucell import compute_ucell_scores

    compute_ucell_scores(adata, signatures=sets)


def decoupler_aucell(adata: ad.AnnData, sets: Sets) -> None:
    """AUCell of decoupler."""
    import decoupler as dc

    net = pd.DataFrame(
        [(s, g, 1.0) for s, genes in sets.items() for g in genes], columns=["source", "target", "weight"]
    )
    dc.mt.aucell(adata, net, tmin=1)


def scanpy_score_genes(adata: ad.AnnData, sets: Sets) -> None:
    """One call of scanpy's score_genes a set."""
    import scanpy as sc

    for name, genes in sets.items():
        sc.tl.score_genes(adata, genes, score_name=name, use_raw=False)


def gseapy_ssgsea(adata: ad.AnnData, sets: Sets) -> None:
    """ssGSEA of gseapy."""
    import gseapy

    table = pd.DataFrame(adata.X.toarray().T, index=adata.var_names, columns=adata.obs_names)
    gseapy.ssgsea(table, sets, outdir=None, min_size=1, max_size=1000, threads=2)


def r_ucell(adata: ad.AnnData, sets: Sets) -> None:
    """UCell in R."""
    import json

    from scipy.io import mmwrite

    with tempfile.TemporaryDirectory() as folder:
        mmwrite(f"{folder}/x.mtx", sp.csc_matrix(adata.X.T))
        Path(f"{folder}/genes.txt").write_text("\n".join(adata.var_names))
        Path(f"{folder}/sets.json").write_text(json.dumps(sets))
        code = (
            f"m <- as(Matrix::readMM('{folder}/x.mtx'), 'CsparseMatrix');"
            f"rownames(m) <- readLines('{folder}/genes.txt');"
            "colnames(m) <- paste0('c', seq_len(ncol(m)));"
            f"s <- jsonlite::fromJSON('{folder}/sets.json'); t <- system.time(UCell::ScoreSignatures_UCell(m, s));"
            "cat(t[['elapsed']])"
        )
        done = subprocess.run([shutil.which("Rscript") or "", "-e", code], capture_output=True, text=True, check=True)
        raise _TimedElsewhereError(float(done.stdout.split()[-1]))


class _TimedElsewhereError(Exception):
    """The seconds that another program measured itself."""


PEERS: dict[str, tuple[str, Callable[[ad.AnnData, Sets], None]]] = {
    "pyUCell": ("pyucell", pyucell),
    "R UCell": ("Rscript", r_ucell),
    "decoupler AUCell": ("decoupler", decoupler_aucell),
    "scanpy score_genes": ("scanpy", scanpy_score_genes),
    "gseapy ssGSEA": ("gseapy", gseapy_ssgsea),
}
OURS = {
    "UCell": ({"method": "ucell"}, ("pyUCell", "R UCell")),
    "UCell with null": ({"method": "ucell", "null": "matched"}, ()),
    "AUCell": ({"method": "aucell"}, ("decoupler AUCell",)),
    "UCell and AUCell": ({"method": {"a": "ucell", "b": "aucell"}}, ()),
    "ModuleScore": ({"method": "module"}, ("scanpy score_genes",)),
    "WeightedMean": ({"method": "mean"}, ()),
}


def installed(module: str) -> bool:
    """Say whether a peer is here."""
    return shutil.which("Rscript") is not None if module == "Rscript" else find_spec(module) is not None


def time_of_peer(name: str, adata: ad.AnnData, sets: Sets, cells: int) -> float:
    """Return seconds for all cells, scaled from a few."""
    few = adata[: min(cells, GSEAPY_CELLS) if name == "gseapy ssGSEA" else cells].copy()
    start = time.perf_counter()
    try:
        PEERS[name][1](few, sets)
        spent = time.perf_counter() - start
    except _TimedElsewhereError as told:
        spent = told.args[0]
    return spent * adata.n_obs / few.n_obs


def ours(adata: ad.AnnData, sets: tam.SignatureSet, options: dict[str, object]) -> Callable[[], object]:
    """Return a call of ours."""
    return lambda: tam.tl.score(adata, sets, layer="X", min_coverage=0, **options)


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("file")
    asked.add_argument("--peer-cells", type=int, default=2000)
    asked.add_argument("--cells", default="1000,5000,20000,100000")
    asked.add_argument("--picture")
    asked.add_argument("--only-memory", help=argparse.SUPPRESS)
    args = asked.parse_args()
    warnings.simplefilter("ignore")
    adata = ad.read_h5ad(args.file)
    adata = ad.AnnData(adata.X, obs=adata.obs[[]], var=adata.var[[]])
    x = adata.X
    if args.only_memory:
        print(memory_of(adata, args.only_memory))
        return
    print(machine())
    print(
        f"matrix: {x.shape[0]:,} cells x {x.shape[1]:,} genes, {x.nnz:,} non-zeros, "
        f"values {x.data.nbytes / 2**20:.0f} MiB"
    )
    read = seconds(lambda: (float(x.data.sum()), int(x.indices.max())), 9)
    print(f"one read of the matrix, values and indices: {read:.4f} s\n")
    few, many = (random_sets(adata.var_names.tolist(), n) for n in (25, 1000))
    sets, more = (tam.read_signatures(s) for s in (few, many))
    peers = {}
    for name, (module, _) in PEERS.items():
        if installed(module):
            peers[name] = time_of_peer(name, adata, few, args.peer_cells)
        else:
            print(f"{name}: not installed, skipped")
    print("25 signatures            seconds   x one read   peers")
    times = {}
    for name, (options, rivals) in OURS.items():
        call = ours(adata, sets, options)
        call()
        times[name] = seconds(call)
        beside = ", ".join(f"{r} {peers[r]:.1f} s = {peers[r] / times[name]:.0f} x" for r in rivals if r in peers)
        print(f"{name:<22} {times[name]:>9.3f} {times[name] / read:>12.1f}   {beside}")
    for name in ("gseapy ssGSEA",):
        if name in peers:
            print(f"{name:<22} {peers[name]:>9.1f}")
    call = ours(adata, more, OURS["UCell"][0])
    call()
    thousand = seconds(call)
    print(f"1,000 signatures, UCell: {thousand:.3f} s = {thousand / times['UCell']:.1f} x the time of 25")
    for name in ("UCell", "UCell with null", "AUCell", "ModuleScore"):
        # In a process of its own: memory that an earlier call has freed would hide the peak.
        done = subprocess.run(
            [sys.executable, __file__, args.file, "--only-memory", name], capture_output=True, text=True, check=True
        )
        print(f"peak above the level after loading, {name}: {done.stdout.strip()}")
    growth = growth_of(adata, sets, [int(n) for n in args.cells.split(",")])
    if args.picture:
        draw(growth, peers, adata.n_obs, args.picture)


def memory_of(adata: ad.AnnData, name: str) -> str:
    """Return the peak of a call after one on a few cells, beside the matrix's values."""
    sets = tam.read_signatures(random_sets(adata.var_names.tolist(), 25))
    ours(adata[:600].copy(), sets, OURS[name][0])()
    with Peak() as memory:
        ours(adata, sets, OURS[name][0])()
    return f"{memory.rise / 2**20:.0f} MiB = {memory.rise / adata.X.data.nbytes:.2f} x values"


def growth_of(adata: ad.AnnData, sets: tam.SignatureSet, sizes: list[int]) -> dict[int, float]:
    """Return our time by number of cells."""
    times = {}
    print("\ncells      UCell s   microseconds a cell   peak MiB")
    for n in sizes:
        repeats = -(-n // adata.n_obs)
        matrix = sp.vstack([adata.X] * repeats, format="csr")[:n] if n != adata.n_obs else adata.X
        cells = ad.AnnData(matrix, var=adata.var)
        call = ours(cells, sets, OURS["UCell"][0])
        call()
        with Peak() as memory:
            times[n] = seconds(call)
        print(f"{n:>7,} {times[n]:>10.3f} {times[n] / n * 1e6:>14.1f} {memory.rise / 2**20:>16.0f}")
    return times


def draw(growth: dict[int, float], peers: dict[str, float], n_obs: int, out: str) -> None:
    """Draw time by cells, peers as points."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
    ax.plot(list(growth), list(growth.values()), "o-", color="#0072b2", label="tamannot UCell")
    for (name, spent), mark in zip(peers.items(), "s^Dv*", strict=False):
        ax.plot([n_obs], [spent], mark, label=f"{name} (scaled)")
    ax.set(xscale="log", yscale="log", xlabel="cells", ylabel="seconds, 25 signatures")
    ax.legend(frameon=False, fontsize="small")
    figure.savefig(out, dpi=150)


if __name__ == "__main__":
    main()
