"""Files that the tests of output share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tamannot.io._targets import write_targets
from tamannot.io._write import write_annotated


def _bytes_of(path: Path) -> dict[str, str]:
    """Digests of a file, or of all files in a folder."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _annotate_by_hand(adata: ad.AnnData, key: str = "tam") -> ad.AnnData:
    """Put the kinds of elements into an object that a run writes."""
    n = adata.n_obs
    adata.obs[f"{key}_state"] = pd.Categorical(["a", "b"] * (n // 2))
    adata.obs[f"{key}_state_prob"] = np.linspace(0, 1, n, dtype=np.float32)
    adata.obs[f"{key}_mixed_lineage"] = np.arange(n) % 3 == 0
    adata.obsm[f"{key}_scores"] = pd.DataFrame(
        np.full((n, 2), 0.5, np.float32), index=adata.obs_names, columns=["x", "y"]
    )
    adata.uns[f"{key}_state_colors"] = np.array(["#000000", "#ffffff"], dtype=object)
    runs = dict(adata.uns.get("tamannot", {}))
    runs[key] = {"method": {"name": "ucell"}, "n": n, "notes": np.array(["said"], dtype=object)}
    adata.uns["tamannot"] = runs
    return adata


def _without_matrices(adata: ad.AnnData) -> ad.AnnData:
    """The same object as a reader gives that leaves all matrices on disk."""
    return ad.AnnData(obs=adata.obs, var=adata.var, obsm=dict(adata.obsm), varm=dict(adata.varm), uns=dict(adata.uns))


def _assert_same(one: Any, other: Any) -> None:
    if isinstance(one, ad.AnnData):
        for name in ("obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns", "X"):
            _assert_same(getattr(one, name), getattr(other, name))
        _assert_same(one.raw and one.raw.to_adata(), other.raw and other.raw.to_adata())
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
    elif isinstance(one, Mapping):
        assert set(one) == set(other)
        for name in one:
            _assert_same(one[name], other[name])
    elif sp.issparse(one):
        assert (one.format, one.dtype, one.shape) == (other.format, other.dtype, other.shape)
        assert (one != other).nnz == 0
    elif one is None:
        assert other is None
    else:
        np.testing.assert_array_equal(one, other)
        kinds = [np.asarray(a).dtype for a in (one, other)]
        assert kinds[0] == kinds[1] or all(k.kind in "OTU" for k in kinds)  # containers read strings differently


@pytest.fixture
def bytes_of() -> Callable[[Path], dict[str, str]]:
    return _bytes_of


@pytest.fixture
def annotate_by_hand() -> Callable[..., ad.AnnData]:
    return _annotate_by_hand


@pytest.fixture
def without_matrices() -> Callable[[ad.AnnData], ad.AnnData]:
    return _without_matrices


@pytest.fixture
def assert_same() -> Callable[[Any, Any], None]:
    """Everything in two objects is equal, to the types."""
    return _assert_same


@pytest.fixture
def rich() -> ad.AnnData:
    """Forty cells with something in every slot."""
    rng = np.random.default_rng(11)
    counts = rng.poisson(0.5, (40, 30)).astype(np.float32)
    adata = ad.AnnData(
        sp.csr_matrix(counts),
        obs=pd.DataFrame(
            {"patient": pd.Categorical(["p", "q"] * 20), "depth": counts.sum(axis=1)},
            index=pd.Index([f"c{i}" for i in range(40)], name="cell"),
        ),
        var=pd.DataFrame({"mean": counts.mean(axis=0)}, index=[f"g{i}" for i in range(30)]),
    )
    adata.raw = adata.copy()
    adata.layers["columns"] = sp.csc_matrix(counts)
    adata.layers["dense"] = counts * 2
    adata.obsm["X_pca"] = rng.normal(size=(40, 3))
    adata.varm["loadings"] = rng.normal(size=(30, 3))
    adata.obsp["distances"] = sp.csr_matrix(counts @ counts.T)
    adata.varp["correlation"] = np.corrcoef(counts.T).astype(np.float32)
    adata.uns["log1p"] = {"base": 2.0, "nested": {"names": np.array(["a", "b"], dtype=object)}}
    return adata


@pytest.fixture
def put() -> Callable[..., None]:
    """Write an output as the commands do."""

    def write(source: Path, out: Path, adata: ad.AnnData, key: str = "tam") -> None:
        write_targets({out.suffix: out}, partial(write_annotated, source, adata=adata, keys=(key,)), lambda: adata.obs)

    return write
