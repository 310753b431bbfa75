"""The peak of memory of annotating a file, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam

ALL_MACROPHAGES = {"macrophage": 0.95, "t_nk": 0.05}
# Of 24 million entries, and of 300 million; Python and the libraries are 300 MB of it.
LIMIT_OF_FEW, LIMIT = 1.2 * 2**30, 1.7 * 2**30


def write_many(path, n_cells):
    """Write cells of 2,000 genes each, nearly all of them macrophages, so that as much is learned as can be."""
    few = tam.datasets.simulate(250, composition=ALL_MACROPHAGES, depth=3700, n_genes=19_000)
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(few.n_obs) for _ in range(-(-n_cells // few.n_obs))])[:n_cells]
    obs = pd.DataFrame(index=[f"AAACCTGAGAAAGTGG-{i}" for i in range(n_cells)])
    x = sp.csr_matrix(few.X, dtype=np.float32)
    sizes = np.diff(x.indptr)[order]
    assert sizes.mean() > 1900
    with h5py.File(path, "w") as file:
        ad.io.write_elem(file, "/", ad.AnnData(sp.csr_matrix((n_cells, few.n_vars), dtype=np.float32), obs, few.var))
        del file["X/data"], file["X/indices"], file["X/indptr"]
        file["X/indptr"] = np.concatenate([[0], np.cumsum(sizes)])
        for name in ("data", "indices"):
            file["X"].create_dataset(name, (int(sizes.sum()),), getattr(x, name).dtype)
        for start in range(0, n_cells, few.n_obs):
            part = x[order[start : start + few.n_obs]]
            first = int(sizes[:start].sum())
            for name in ("data", "indices"):
                file["X"][name][first : first + part.nnz] = getattr(part, name)


def peak_of(path, tmp_path, *options):
    """Annotate, and return the most memory that the process held, its libraries included."""
    log = tmp_path / "log.json"
    command = ["annotate", path, "-o", tmp_path / "out.h5ad", "--overwrite", "--quiet", "--log", log, *options]
    environment = os.environ | {"TAMANNOT_NUM_THREADS": "2"}
    code = "from tamannot.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *map(str, command)], check=True, env=environment)
    return json.loads(log.read_text())["peak_memory_bytes"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_what_is_learned_from_is_in_memory_but_once(tmp_path):
    write_many(tmp_path / "in.h5ad", 12_000)
    assert peak_of(tmp_path / "in.h5ad", tmp_path) < LIMIT_OF_FEW


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("options", [(), ("--chunk-size", "3700")], ids=["", "larger blocks"])
def test_memory_does_not_grow_with_cells(tmp_path, options):
    write_many(tmp_path / "in.h5ad", 150_000)
    assert peak_of(tmp_path / "in.h5ad", tmp_path, *options) < LIMIT
