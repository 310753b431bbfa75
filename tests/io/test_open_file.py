"""A file that is opened is the file that is read, less what stays on disk."""

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
from tamannot.data import unpack
from tamannot.errors import InputFileError
from tamannot.io._read import open_file, reading

X = np.random.default_rng(0).poisson(0.7, (50, 30)).astype(np.float32)


def read_file(path):
    with open_file(path) as adata, reading(path):
        return adata.to_memory()


ON_DISK = (h5py.Dataset, ad.abc.CSRDataset, ad.abc.CSCDataset)


@pytest.fixture
def adata():
    obs = pd.DataFrame({"s": pd.Categorical(list("ab") * 25), "n": range(50)}, index=[f"c{i}" for i in range(50)])
    adata = ad.AnnData(sp.csr_matrix(X), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(30)]))
    adata.raw = adata.copy()
    adata.layers["columns"], adata.layers["dense"] = sp.csc_matrix(X), X
    adata.obsm["pca"], adata.obsp["near"] = X[:, :3], sp.eye_array(50).tocsr()
    adata.obsm["table"] = pd.DataFrame(X[:, :2], index=obs.index, columns=["x", "y"])
    adata.uns["about"] = {"near": sp.eye_array(3).tocsr(), "numbers": np.arange(4), "text": "a"}
    adata.uns["s_colors"] = np.array(["#000000", "#ffffff"], dtype=object)
    return adata


def old_file(path):
    """Write a file as anndata did before 0.7."""

    def frame(prefix, size, /, **columns):
        return np.rec.fromarrays(
            [np.array([f"{prefix}{i}" for i in range(size)], "S8"), *columns.values()], names=["index", *columns]
        )

    matrix = sp.csr_matrix(X)
    with h5py.File(path, "w") as file:
        file["obs"] = frame("c", 50, s=np.array([0, 1] * 25, "i1"), n=np.arange(50))
        file["var"], file["raw.var"], file["raw.X"] = frame("g", 30), frame("g", 30), X
        file["uns/s_categories"] = np.array(["a", "b"], "S1")
        group = file.create_group("X")
        for key in ("data", "indices", "indptr"):
            group[key] = getattr(matrix, key)
        group.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": matrix.shape})


def written(adata, path, kind):
    if kind == "before 0.7":
        old_file(path / "x.h5ad")
        return path / "x.h5ad"
    if kind == "h5ad":
        adata.write_h5ad(path / "x.h5ad", compression="gzip")
        return path / "x.h5ad"
    with ad.settings.override(zarr_write_format=int(kind[-1])):
        adata.write_zarr(path / "x.zarr")
    return path / "x.zarr"


KINDS = ["h5ad", "before 0.7", "zarr 2", "zarr 3"]


@pytest.mark.filterwarnings("ignore:.*zarr:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_an_open_file_is_the_file_that_is_read(adata, tmp_path, kind):
    path = written(adata, tmp_path, kind)
    whole = read_file(path)
    with open_file(path) as found:
        for name in ("obs", "var"):
            pd.testing.assert_frame_equal(getattr(found, name), getattr(whole, name))
        pd.testing.assert_frame_equal(found.raw.var, whole.raw.var)
        assert found.uns.keys() == whole.uns.keys()
        assert set(found.obsm) == set(whole.obsm)
        assert not found.obsp
        for matrix in ("X", "raw", *(name for name in whole.layers if name)):
            data = unpack(found, tam.read_signatures({"s": ["g1", "g2"]}), layer=matrix, species="human")
            block = data.rows.block(3, 44)
            rows = sp.csr_array((block.values, block.indices, block.indptr), shape=(41, 30)).toarray()
            np.testing.assert_array_equal(rows, X[3:44])
            assert data.kind == "counts"


@pytest.mark.parametrize("kind", ["h5ad", "before 0.7"])
def test_no_matrix_is_loaded(adata, tmp_path, kind):
    with open_file(written(adata, tmp_path, kind)) as found:
        matrices = [found.X, found.raw.X, *found.layers.values()]
        matrices += [] if kind == "before 0.7" else [found.obsm["pca"]]
        assert all(isinstance(matrix, ON_DISK) for matrix in matrices)
        if kind == "h5ad":  # of a table its place alone: an annotated file has 2 KB of them for each cell
            assert found.obsm["table"].shape == (50, 0)


def test_the_file_is_closed_afterwards(adata, tmp_path):
    path = written(adata, tmp_path, "h5ad")
    with pytest.raises(ZeroDivisionError), open_file(path):
        raise ZeroDivisionError
    with h5py.File(path, "r+"):  # HDF5 opens no file for writing that is open for reading
        pass


@pytest.mark.parametrize("read", [read_file, lambda path: open_file(path).__enter__()], ids=["read", "open"])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.h5ad", None, "no such file"),
        ("x.loom", b"text", "not an HDF5 file"),
        ("x.h5ad", b"text", "not an HDF5 file"),
        ("x.h5ad", {}, "cannot be read as h5ad"),
        ("x.zarr", {}, "cannot be read as zarr"),
    ],
)
def test_what_cannot_be_used_is_said_alike(tmp_path, read, name, content, message):
    path = tmp_path / name
    if content == {}:
        path.mkdir() if name.endswith("zarr") else h5py.File(path, "w").close()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputFileError, match=message):
        read(path)


def test_a_truncated_file_is_said(adata, tmp_path):
    path = written(adata, tmp_path, "h5ad")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(InputFileError, match=r"x\.h5ad: cannot be read as h5ad; it is damaged"), open_file(path):
        pass


# The peak of memory of annotating a file, in a process of its own.


ALL_MACROPHAGES = {"macrophage": 0.95, "t_nk": 0.05}


# Of 12 and 24 million entries, and of 300 million; what is there without any is 600 MB of it.
LIMITS_OF_FEW, LIMIT = {6_000: 0.9 * 2**30, 12_000: 1.2 * 2**30}, 1.7 * 2**30


def write_many(path, n_cells):
    """Write cells of 2,000 genes each, nearly all of them macrophages, so that as much is learned as can be."""
    few = tam.datasets.simulate(250, composition=ALL_MACROPHAGES, depth=3700, n_genes=19_000)
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(few.n_obs) for _ in range(-(-n_cells // few.n_obs))])[:n_cells]
    obs = pd.DataFrame({"kind": "macrophage"}, index=[f"AAACCTGAGAAAGTGG-{i}" for i in range(n_cells)])
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
@pytest.mark.parametrize("n_cells", [6_000, pytest.param(12_000, marks=pytest.mark.nightly)])
def test_what_is_learned_from_is_in_memory_but_once(tmp_path, n_cells):
    write_many(tmp_path / "in.h5ad", n_cells)
    # States are learned from as many cells without a classifier of compartments, which takes seconds to train.
    assert peak_of(tmp_path / "in.h5ad", tmp_path, "--compartment-key", "kind") < LIMITS_OF_FEW[n_cells]


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("options", [(), ("--chunk-size", "3700")], ids=["", "larger blocks"])
def test_memory_does_not_grow_with_cells(tmp_path, options):
    write_many(tmp_path / "in.h5ad", 150_000)
    assert peak_of(tmp_path / "in.h5ad", tmp_path, *options) < LIMIT
