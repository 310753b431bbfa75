"""The rows of a matrix are the same from any container, and no second matrix is made to read them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.data import MatrixInspection
from tamannot.data._matrix import candidates, inspect_values
from tamannot.data._rows import row_source
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows

N_CELLS, N_GENES = 50, 30


def look_at(matrix, *, signed=False):
    return inspect_values(MatrixInspection("X", matrix), signed=signed)


@pytest.fixture
def dense():
    return np.random.default_rng(0).poisson(0.7, (N_CELLS, N_GENES)).astype(np.float32)


def rows_of(matrix, start=0, stop=N_CELLS):
    """Read rows as a dense table."""
    block = row_source(matrix).block(start, stop)
    return sp.csr_array((block.values, block.indices, block.indptr), shape=(stop - start, matrix.shape[1])).toarray()


def data_of(x):
    names = pd.DataFrame(index=[f"c{i}" for i in range(len(x) if isinstance(x, np.ndarray) else x.shape[0])])
    return ad.AnnData(x, obs=names, var=pd.DataFrame(index=[f"g{i}" for i in range(N_GENES)]))


def backed(x, tmp_path):
    data_of(x).write_h5ad(tmp_path / "x.h5ad")
    return candidates(ad.read_h5ad(tmp_path / "x.h5ad", backed="r"), None)[0].matrix


def zarr_group(x, tmp_path):
    import zarr

    ad.io.write_elem(zarr.open_group(tmp_path / "x.zarr", mode="w"), "x", x)
    return zarr.open_group(tmp_path / "x.zarr", mode="r")["x"]


def dask_of(x, make, chunk=7):
    array = pytest.importorskip("dask.array")
    return array.from_array(x, chunks=(chunk, N_GENES)).map_blocks(make)


IN_MEMORY = {
    "csr matrix": lambda x, _: sp.csr_matrix(x),
    "csr array": lambda x, _: sp.csr_array(x),
    "csc matrix": lambda x, _: sp.csc_matrix(x),
    "csc array": lambda x, _: sp.csc_array(x),
    "coo": lambda x, _: sp.coo_matrix(x),
    "dense": lambda x, _: x,
    "dense, Fortran order": lambda x, _: np.asfortranarray(x),
    "view of csr": lambda x, _: data_of(sp.csr_matrix(np.repeat(x, 2, axis=0)))[::2].X,
    "view of csc": lambda x, _: data_of(sp.csc_matrix(np.repeat(x, 2, axis=0)))[::2].X,
    "view of dense": lambda x, _: data_of(np.repeat(x, 2, axis=0))[::2].X,
}
IN_FILES = {
    "h5ad of csr": lambda x, path: backed(sp.csr_matrix(x), path),
    "h5ad of csc": lambda x, path: backed(sp.csc_matrix(x), path),
    "h5ad of dense": backed,
    "zarr of csr": lambda x, path: ad.io.sparse_dataset(zarr_group(sp.csr_matrix(x), path)),
    "zarr of dense": zarr_group,
    "dask of dense": lambda x, _: dask_of(x, lambda part: part),
    "dask of csr": lambda x, _: dask_of(x, sp.csr_matrix),
    "dask of csr arrays": lambda x, _: dask_of(x, sp.csr_array),
    "dask of csc": lambda x, _: dask_of(x, sp.csc_matrix),
}
CONTAINERS = IN_MEMORY | IN_FILES


@pytest.mark.parametrize("container", CONTAINERS)
def test_rows_are_the_same_from_any_container(dense, tmp_path, container):
    matrix = CONTAINERS[container](dense, tmp_path)
    np.testing.assert_array_equal(rows_of(matrix), dense)
    np.testing.assert_array_equal(rows_of(matrix, 3, 19), dense[3:19])


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("change", "kind", "problem"),
    [
        pytest.param(lambda x: x, "counts", "", id="counts"),
        pytest.param(np.log1p, "log", "", id="log"),
        pytest.param(lambda x: x * 20.3, "linear", "", id="linear"),
        pytest.param(lambda x: x - 1, None, "negative", id="negative"),
        pytest.param(
            lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, np.nan, x), None, "NaN", id="NaN"
        ),
    ],
)
def test_a_look_finds_the_same_in_any_container(dense, tmp_path, container, change, kind, problem):
    found = look_at(CONTAINERS[container](change(dense), tmp_path))
    assert found.kind == kind
    assert problem in found.problem


@pytest.mark.parametrize("container", CONTAINERS)
def test_negative_values_are_signed_where_they_can_be_used(dense, tmp_path, container):
    matrix = CONTAINERS[container](dense - 1, tmp_path)
    assert look_at(matrix, signed=True).kind == "signed"
    np.testing.assert_array_equal(rows_of(matrix), dense - 1)


@pytest.mark.parametrize(
    ("values", "kind"), [([[0, 1.5]], "log"), ([[0, 2]], "counts"), ([[-1, 2]], "signed"), ([[-1, np.nan]], None)]
)
def test_what_can_be_signed_need_not_be(values, kind):
    assert look_at(np.array(values), signed=True).kind == kind


@pytest.mark.parametrize("dtype", ["S3", "O", "c8"])
def test_what_is_no_number_is_no_expression(dtype):
    assert "not numbers" in look_at(np.ones((2, 2)).astype(dtype)).problem


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint16, np.int64, ">f4", bool], ids=str)
def test_a_look_at_any_number_type(dense, dtype):
    assert look_at((dense > 0).astype(dtype)).kind == "counts"


def test_a_matrix_without_genes_is_empty():
    assert look_at(np.empty((3, 0))).problem == "it is empty"


@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (sp.csr_matrix, CsrRows),
        (sp.csr_array, CsrRows),
        (sp.csc_matrix, CscRows),
        (sp.csc_array, CscRows),
        (np.asarray, DenseRows),
    ],
)
def test_each_container_has_rows_of_its_own(dense, make, rows):
    assert type(row_source(make(dense))) is rows


@pytest.mark.parametrize("make", [sp.csc_matrix, sp.csc_array])
@pytest.mark.parametrize("method", [tam.UCell(), tam.ModuleScore(n_bins=4)], ids=["ucell", "module"])
def test_columns_are_never_turned_densified_or_copied_whole(dense, make, method, monkeypatch):
    adata = data_of(make(dense))
    matrix = adata.X
    for name in ("tocsr", "toarray", "todense", "copy", "tocoo", "tolil"):
        monkeypatch.setattr(type(matrix), name, None)
    sets = tam.read_signatures({"x": ["g1", "g5", "g9"]})
    tam.tl.score(adata, sets, method=method, layer="X", species="human")
    monkeypatch.undo()
    rows = data_of(sp.csr_matrix(dense))
    tam.tl.score(rows, sets, method=method, layer="X", species="human")
    pd.testing.assert_frame_equal(tam.get.scores(adata), tam.get.scores(rows))
    assert np.shares_memory(row_source(matrix)._data, matrix.data)


def test_a_dask_array_is_read_by_its_chunks(dense):
    assert row_source(dask_of(dense, sp.csr_matrix, chunk=11)).step == 11


@pytest.mark.parametrize("container", IN_FILES)
@pytest.mark.parametrize("threads", [1, 3])
def test_scores_from_files_are_the_bits_of_those_from_memory(dense, tmp_path, container, threads, monkeypatch):
    monkeypatch.setattr(tam.settings, "threads", threads)
    sets = tam.read_signatures({"x": ["g1", "g5", "g9", "g11-"], "y": ["g2", "g3"]})
    expected, layered = data_of(dense), data_of(dense)
    tam.tl.score(expected, sets, method="ucell", null="matched", species="human")
    layered.layers["file"] = CONTAINERS[container](dense, tmp_path)
    tam.tl.score(layered, sets, method="ucell", null="matched", layer="file", species="human")
    for table in ("scores", "z", "p"):
        one, other = (a.obsm[f"tam_{table}"].to_numpy() for a in (layered, expected))
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2)], ids=str)
def test_what_is_no_table_is_said_to_be_none(shape):
    assert look_at(np.ones(shape)).problem == f"it has {len(shape)} dimensions, not 2"


@pytest.mark.parametrize("value", [np.uint64(2**64 - 1), np.uint64(2**63 + 5), np.int64(2**63 - 1), np.float64(1e300)])
@pytest.mark.parametrize("container", CONTAINERS)
def test_values_that_no_expression_has_are_refused(dense, tmp_path, container, value):
    x = dense.astype(value.dtype)
    x[7, 3] = value
    assert "too large for expression" in look_at(CONTAINERS[container](x, tmp_path)).problem


@pytest.mark.parametrize("container", CONTAINERS)
def test_unsigned_counts_are_counts(dense, tmp_path, container):
    assert look_at(CONTAINERS[container](dense.astype(np.uint64), tmp_path)).kind == "counts"


def test_long_floats_are_read_by_columns(dense):
    matrix = sp.csc_matrix(dense.astype(np.longdouble))
    np.testing.assert_array_equal(rows_of(matrix), dense)
