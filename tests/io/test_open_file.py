"""A file that is opened is the file that is read, less what stays on disk."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.data import unpack
from tamannot.errors import InputFileError
from tamannot.io._read import open_file, read_file

X = np.random.default_rng(0).poisson(0.7, (50, 30)).astype(np.float32)
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
