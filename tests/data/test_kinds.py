"""What the values of a matrix are: scaled by gene is refused, binary, bulk and imputed are named, the rest is used."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.data import MatrixInspection, _matrix, unpack
from tamannot.data._matrix import inspect_values
from tamannot.data._rows import Check, row_source
from tamannot.errors import MatrixError, TamannotWarning


def look_at(matrix, *, signed=False):
    return inspect_values(MatrixInspection("X", matrix), signed=signed)


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return tam.datasets.simulate(150, n_samples=2, n_genes=3000, rng=2)


def log_of(counts) -> np.ndarray:
    x = counts.toarray() if sp.issparse(counts) else np.asarray(counts)
    return np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e4).astype(np.float32)


def spread_of(x):
    return np.where(x.std(axis=0, ddof=1) > 0, x.std(axis=0, ddof=1), 1)


def z_of(x):
    return (x - x.mean(axis=0)) / spread_of(x)


def min_max(x):
    return (x - x.min(axis=0)) / np.where(np.ptp(x, axis=0) > 0, np.ptp(x, axis=0), 1)


def smoothed(x):
    """Each cell is the mean of its 15 nearest, three times over, as diffusion does."""
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    place = u[:, :10] * s[:10]
    distance = ((place[:, None] - place[None]) ** 2).sum(axis=2)
    near = (distance <= np.sort(distance, axis=1)[:, [14]]).astype(float)
    near /= near.sum(axis=1, keepdims=True)
    return np.linalg.matrix_power(near, 3) @ x


def tf_idf(x):
    idf = len(x) / np.maximum((x > 0).sum(axis=0), 1)
    return np.log1p(x / x.sum(axis=1, keepdims=True) * idf * 1e4)


REFUSED = {
    "scaled without centring": (lambda x: x / spread_of(x), "all genes have the same variance"),
    "scaled and clipped at 10": (lambda x: np.minimum(x / spread_of(x), 10), "all genes have the same variance"),
    "z-scores shifted": (lambda x: z_of(x) - z_of(x).min(), "all genes have the same mean"),
    "z-scores clipped and shifted": (lambda x: np.clip(z_of(x), -10, 10) + 10, "all genes have the same mean"),
    "z-scores, positive only": (lambda x: np.maximum(z_of(x), 0), "genes detected in few cells have the largest"),
    "ranks by gene": (lambda x: x.argsort(axis=0).argsort(axis=0) / len(x), "all genes have the same mean"),
    "min-max by gene": (min_max, "largest value is 1, and .* of the genes reach it|genes detected in few cells"),
    "TF-IDF": (tf_idf, "genes detected in few cells have the largest"),
    "share of each gene's total": (
        lambda x: x / np.maximum(x.sum(axis=0), 1e-9),
        "genes detected in few cells have the largest",
    ),
}


CONTAINERS = {
    "dense": np.asarray,
    "csr": sp.csr_matrix,
    "csc": sp.csc_array,
    "dask": lambda x: pytest.importorskip("dask.array").from_array(x, chunks=(70, 1000)),
}


@pytest.mark.parametrize("step", REFUSED)
@pytest.mark.parametrize("container", CONTAINERS)
def test_what_was_scaled_by_gene_is_refused(cohort, step, container):
    change, said = REFUSED[step]
    adata = cohort.copy()
    adata.X = CONTAINERS[container](change(log_of(cohort.X)).astype(np.float32))
    with pytest.raises(MatrixError, match=rf"X: not usable, .*({said}).*cannot be ranked.*Put counts"):
        unpack(adata, tam.load_signatures(axis="state"))


@pytest.mark.parametrize("container", ["csr", "csc", "dense"])
def test_a_file_that_was_scaled_by_gene_is_refused(cohort, container, tmp_path, run):
    scaled = cohort.copy()
    scaled.X = CONTAINERS[container](log_of(cohort.X) / spread_of(log_of(cohort.X)))
    scaled.write_h5ad(tmp_path / "x.h5ad")
    code, _, err = run("annotate", tmp_path / "x.h5ad", "-o", tmp_path / "out.h5ad")
    assert code == 2
    assert "all genes have the same variance" in err
    assert not (tmp_path / "out.h5ad").exists()


def test_large_columns_of_a_file_are_judged_when_they_are_used(cohort, tmp_path, monkeypatch):
    scaled = cohort.copy()
    scaled.X = sp.csc_matrix(log_of(cohort.X) / spread_of(log_of(cohort.X)))
    scaled.layers["counts"] = sp.csc_matrix(cohort.X)
    scaled.write_h5ad(tmp_path / "x.h5ad")
    monkeypatch.setattr("tamannot.data._matrix._SMALL", 0)
    on_disk = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    with pytest.raises(MatrixError, match="X: not usable, all genes have the same variance"):
        unpack(on_disk, tam.load_signatures(axis="state"), layer="X")


def test_min_max_is_found_in_more_cells_than_are_judged():
    rng = np.random.default_rng(0)
    x = min_max(rng.lognormal(rng.normal(0, 1, 200), 1.0, (3000, 200)) * (rng.random((3000, 200)) < 0.5))
    assert "100% of the genes reach it" in look_at(x).problem
    by_cell = x / x.max(axis=1, keepdims=True)
    assert "reach it" not in look_at(by_cell).problem


@pytest.mark.parametrize("step", ["scaled without centring", "z-scores shifted", "min-max by gene"])
@pytest.mark.parametrize("name", ["counts", "raw"])
def test_another_matrix_wins_over_one_that_was_scaled(cohort, step, name):
    adata = cohort.copy()
    if name == "raw":
        adata.raw = cohort
    else:
        adata.layers["counts"] = cohort.X.copy()
    adata.X = REFUSED[step][0](log_of(cohort.X))
    data = unpack(adata, tam.load_signatures(axis="state"))
    assert data.matrix == name
    assert "X: not usable" in next(iter(data.notes))


CAVEATS = {
    "binary": (lambda x: (x > 0).astype(np.float32), "counts", "binary"),
    "binary, to 10,000 a cell": (lambda x: log_of(x > 0), "log", "binary"),
    "smoothed": (lambda x: smoothed(log_of(x)), "log", r"imputed \(smoothed\)"),
    "averages": (lambda x: log_of(x).reshape(30, -1, x.shape[1]).mean(axis=1), "log", "averaged cells"),
}


@pytest.mark.parametrize("step", CAVEATS)
def test_what_can_be_ranked_but_is_not_single_cells_is_said(cohort, step):
    change, kind, said = CAVEATS[step]
    x = change(cohort.X.toarray())
    adata = ad.AnnData(x, obs=pd.DataFrame(index=[f"c{i}" for i in range(len(x))]), var=cohort.var[[]])
    with pytest.warns(TamannotWarning, match=rf"In X .*{said}"):
        tam.tl.score(adata, tam.load_signatures(axis="state"), min_coverage=0)
    assert adata.uns["tamannot"]["tam"]["matrix"]["kind"] == kind
    assert tam.get.scores(adata).notna().all(axis=None)


def test_bulk_samples_are_used_and_named():
    rng = np.random.default_rng(4)
    genes = tam.datasets.simulate(20, n_samples=1, n_genes=3000, rng=2).var_names
    depth = rng.lognormal(5, 2.5, genes.size)
    adata = ad.AnnData(rng.poisson(depth, (8, genes.size)).astype(np.float32), var=pd.DataFrame(index=genes))
    with pytest.warns(TamannotWarning, match=r"few values are 0 \(\d+%\), as in bulk samples"):
        tam.tl.score(adata, tam.load_signatures(axis="state"), min_coverage=0)


def test_a_matrix_of_single_cells_wins_over_a_binary_one(cohort):
    adata = cohort.copy()
    adata.layers["counts"] = (cohort.X > 0).astype(np.float32)
    assert unpack(adata, tam.load_signatures(axis="state")).matrix == "X"


def thinned(x, share):
    return np.random.default_rng(0).binomial(x.astype(int), share).astype(np.float32)


def variable(x, n):
    return x[:, np.argsort(-log_of(x).var(axis=0), kind="stable")[:n]]


def length_normalised(x):
    lengths = np.random.default_rng(1).lognormal(7.5, 0.8, x.shape[1])
    return x / lengths / (x / lengths).sum(axis=1, keepdims=True) * 1e6


GOOD = {
    "counts": lambda x: x,
    "per 10,000": lambda x: x / x.sum(axis=1, keepdims=True) * 1e4,
    "log1p": log_of,
    "log1p CPM": lambda x: np.log1p(np.expm1(log_of(x)) * 100),
    "TPM": length_normalised,
    "log2(TPM + 1)": lambda x: np.log2(length_normalised(x) + 1),
    "square root": np.sqrt,
    "rounded": lambda x: np.round(log_of(x), 1),
    "whole floats of ambient correction": lambda x: np.round(np.maximum(x - 0.1 * x.mean(axis=0), 0)),
    "fractions of ambient correction": lambda x: np.where(x > 0, np.maximum(x - 0.3 * x.mean(axis=0), 0), 0),
    "shallow": lambda x: thinned(x, 0.1),
    "shallow, log1p": lambda x: log_of(thinned(x, 0.1)),
    "1,000 variable genes": lambda x: variable(x, 1000),
    "1,000 variable genes, log1p": lambda x: log_of(variable(x, 1000)),
    "300 genes": lambda x: variable(x, 300),
    "300 genes, log1p": lambda x: log_of(variable(x, 300)),
    "unit length by cell": lambda x: x / np.sqrt((x**2).sum(axis=1, keepdims=True)),
    "divided by the largest of each cell": lambda x: log_of(x) / log_of(x).max(axis=1, keepdims=True),
    "20 cells": lambda x: log_of(x)[:20],
    "one cell": lambda x: log_of(x)[:1],
    "toy": lambda x: np.log1p(np.random.default_rng(0).poisson(1.0, (100, 2000))),
}


@pytest.mark.parametrize("step", GOOD)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])
def test_values_that_rank_genes_in_a_cell_are_used_without_a_word(cohort, step, container):
    found = look_at(container(GOOD[step](cohort.X.toarray())))
    assert found.kind is not None, found.problem
    assert found.caveat == ""


def test_an_outer_join_is_named(cohort):
    one, other = cohort[:150].copy(), cohort[150:, :2900].copy()
    for adata in (one, other):
        adata.X = log_of(adata.X)
    joined = ad.concat([one, other], join="outer", index_unique="-")
    with pytest.raises(MatrixError, match=r"NaN values, in 100 of 3,000 genes .*concat\(join='outer'\).*join='inner'"):
        unpack(joined, tam.load_signatures(axis="state"))


def test_nan_of_other_causes_are_not_called_a_join(cohort):
    x = log_of(cohort.X)
    x[:, 5] = np.nan
    assert "1 of 3,000 genes are NaN in all cells" in look_at(x).problem
    x = log_of(cohort.X)
    x[np.random.default_rng(0).random(x.shape) < 0.01] = np.nan
    assert look_at(x).problem == "it has NaN values"
    x = log_of(cohort.X)
    x[7, 5] = np.nan
    assert look_at(x).problem == "it has NaN values"


def test_methods_that_take_values_as_they_are_take_scaled_ones(cohort):
    scaled = cohort.copy()
    scaled.X = REFUSED["scaled without centring"][0](log_of(cohort.X))
    tam.tl.score(scaled, tam.load_signatures(axis="state"), method=tam.WeightedMean(scale="as_is"), min_coverage=0)
    assert tam.get.scores(scaled).notna().all(axis=None)


# A large matrix on disk is judged by a sample, and what the sample missed is found where it is read.


N_CELLS, N_GENES = 400, 50


ODD_ROW = 107  # of which no sample is taken


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    monkeypatch.setattr(_matrix, "_SAMPLED", 1000)
    monkeypatch.setattr(_matrix, "_PIECES", 4)
    monkeypatch.setattr(_matrix, "_VALUES_A_PIECE", 250)


@pytest.fixture
def counts():
    return np.random.default_rng(1).poisson(0.9, (N_CELLS, N_GENES)).astype(np.float32)


@pytest.fixture(params=["csr", "dense"])
def on_disk(request, tmp_path):
    def store(values):
        file = h5py.File(tmp_path / "x.h5ad", "w")
        ad.io.write_elem(file, "X", sp.csr_matrix(values) if request.param == "csr" else values)
        file.close()
        stored = h5py.File(tmp_path / "x.h5ad")["X"]
        return ad.io.sparse_dataset(stored) if request.param == "csr" else stored

    return store


@pytest.mark.parametrize(
    ("kind", "make", "odd", "message"),
    [
        ("counts", lambda x: x, -1.0, "have negative values .smallest -1"),
        ("counts", lambda x: x, 0.5, "have values that are not integers"),
        ("counts", lambda x: x, np.nan, "have NaN values"),
        ("log", np.log1p, np.inf, "have infinite values"),
        ("log", np.log1p, 31.0, "have values of 31, too large for log values"),
        ("linear", lambda x: x * 70.3, -2.0, "have negative values"),
    ],
)
def test_what_a_sample_missed_is_found_in_its_rows(counts, on_disk, kind, make, odd, message):
    values = make(counts).astype(np.float32)
    values[ODD_ROW, 7] = odd
    matrix = on_disk(values)
    assert look_at(matrix).kind == kind
    rows = row_source(matrix, check=Check("X", kind))
    rows.block(0, 100)
    with pytest.raises(MatrixError, match=f"Rows 100 to 200 of X {message}"):
        rows.block(100, 200)
    rows.block(200, N_CELLS)


def test_signed_values_may_be_negative(counts, on_disk):
    matrix = on_disk(counts - 1)
    assert look_at(matrix, signed=True).kind == "signed"
    assert row_source(matrix, check=Check("X", "signed")).block(0, N_CELLS).values.min() == -1


@pytest.mark.parametrize("row", [0, N_CELLS - 1])
def test_a_sample_has_the_start_and_the_end(counts, on_disk, row):
    counts[row] = -3
    assert "negative" in look_at(on_disk(counts)).problem


def test_a_sample_is_a_small_part(counts, on_disk, monkeypatch):
    matrix, looked = on_disk(counts + 1), []
    monkeypatch.setattr("tamannot.data._matrix.seen_in", lambda v: looked.append(v.size) or _seen(v))
    look_at(matrix)
    assert sum(looked) == 1000


def _seen(values):
    from tamannot.scoring._rows import seen_in

    return seen_in(values)


def test_where_a_sample_has_one_value_all_are_looked_at(on_disk):
    values = np.zeros((N_CELLS, N_GENES), np.float32)
    values[ODD_ROW] = 0.5
    assert look_at(on_disk(values)).kind == "log"
    assert "all its values are 0" in look_at(on_disk(values * 0)).problem
