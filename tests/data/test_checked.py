"""A large matrix on disk is judged by a sample, and what the sample missed is found where it is read."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.data import MatrixInspection, _on_disk
from tamannot.data._matrix import inspect_values
from tamannot.data._rows import checked_rows
from tamannot.errors import MatrixError

N_CELLS, N_GENES = 400, 50
ODD_ROW = 107  # of which no sample is taken


def look_at(matrix, *, signed=False):
    return inspect_values(MatrixInspection("X", matrix), signed=signed)


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    monkeypatch.setattr(_on_disk, "_SAMPLED", 1000)
    monkeypatch.setattr(_on_disk, "_PIECES", 4)
    monkeypatch.setattr(_on_disk, "_VALUES_A_PIECE", 250)


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
        ("counts", lambda x: x, 0.5, "have values that are not whole"),
        ("counts", lambda x: x, np.nan, "have NaN values"),
        ("log", np.log1p, np.inf, "have infinite values"),
        ("log", np.log1p, 31.0, "have values of 31, beyond any logarithm"),
        ("linear", lambda x: x * 70.3, -2.0, "have negative values"),
    ],
)
def test_what_a_sample_missed_is_found_in_its_rows(counts, on_disk, kind, make, odd, message):
    values = make(counts).astype(np.float32)
    values[ODD_ROW, 7] = odd
    matrix = on_disk(values)
    assert look_at(matrix).kind == kind
    rows = checked_rows(matrix, "X", kind)
    rows.block(0, 100)
    with pytest.raises(MatrixError, match=f"Rows 100 to 200 of X {message}"):
        rows.block(100, 200)
    rows.block(200, N_CELLS)


def test_signed_values_may_be_negative(counts, on_disk):
    matrix = on_disk(counts - 1)
    assert look_at(matrix, signed=True).kind == "signed"
    assert checked_rows(matrix, "X", "signed").block(0, N_CELLS).values.min() == -1


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
    from tamannot.scoring._survey import seen_in

    return seen_in(values)


def test_where_a_sample_has_one_value_all_are_looked_at(on_disk):
    values = np.zeros((N_CELLS, N_GENES), np.float32)
    values[ODD_ROW] = 0.5
    assert look_at(on_disk(values)).kind == "log"
    assert "all its values are 0" in look_at(on_disk(values * 0)).problem
