"""Whatever is given instead of an AnnData, every public function says what to give."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import ParameterError, SignatureNotFoundError, TamannotError

# What a call needs besides, if it is to come as far as the object.
_MORE: dict[str, Any] = {
    "sample_key": "sample",
    "groupby": "state",
    "labels": "label",
    "malignant": "malignant",
    "cell": 0,
    "region": "region",
    "signature": "m1",
}
_GIVEN = {
    "path": ("x.h5ad", r"anndata\.read_h5ad\('x\.h5ad'\), or annotate the file itself with tamannot\.annotate_file"),
    "zarr": (Path("x.zarr"), r"anndata\.read_zarr\('x\.zarr'\)"),
    "table": (pd.DataFrame(np.ones((2, 2))), r"not a DataFrame.*anndata\.AnnData\(table\)"),
    "matrix": (sp.csr_matrix(np.ones((2, 2))), "not a csr_matrix"),
    "mudata": (SimpleNamespace(mod={"rna": 1}, obs=pd.DataFrame(), uns={}, obsm={}, n_obs=0), r"mdata\.mod\['rna'\]"),
    "spatial": (SimpleNamespace(tables={"table": 1}), r"sdata\.tables\['table'\]"),
    "list": ([1, 2], "one object at a time"),
    "nothing": (None, "not None"),
}


def _functions() -> dict[str, Callable[..., object]]:
    found = {
        f"{part}.{name}": getattr(getattr(tam, part), name)
        for part in ("tl", "get", "pl")
        for name in sorted(getattr(tam, part).__all__)
    } | {"write_report": tam.write_report}
    return {n: f for n, f in found.items() if next(iter(inspect.signature(f).parameters)) == "adata"}


def test_there_are_as_many_as_are_meant():
    assert len(_functions()) >= 40


@pytest.mark.parametrize("given", list(_GIVEN))
def test_what_is_no_anndata_gets_a_sentence(given, tmp_path):
    thing, said = _GIVEN[given]
    for name, function in _functions().items():
        choices = _needed_by(name, function, tmp_path)
        with pytest.raises(ParameterError, match=f"An AnnData is needed here, not .*{said}|{said}"):
            pytest.fail(f"{name} gave {function(thing, **choices)!r}")
    assert not list(tmp_path.iterdir())


def _needed_by(name: str, function: Callable[..., object], tmp_path: Path) -> dict[str, Any]:
    """Return what a function has to be given beside the object."""
    more = _MORE | {"path": tmp_path / "r.html"}
    if name == "tl.score":
        more["signatures"] = tam.load_signatures("state")
    needed = [p for p in list(inspect.signature(function).parameters.values())[1:] if p.kind is not p.VAR_KEYWORD]
    return {p.name: more[p.name] for p in needed if p.default is p.empty or p.name in ("region", "cell")}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a: tam.load_signature("lipid_asociated"), "Did you mean 'lipid_associated', '.*' or '.*'"),
        (lambda a: tam.load_signature("M1"), "Did you mean 'm1'"),
        (lambda a: tam.load_signature("m3"), "Did you mean 'm.'"),
        (lambda a: tam.load_signature("m1@9.9.9"), r"No version '9\.9\.9' of signature 'm1'\..* There are: 1\.0\.0"),
        (lambda a: tam.load_signatures("states"), "Did you mean 'state'"),
        (lambda a: tam.tl.score(a, tam.load_signatures("state"), method="ucel"), "Did you mean 'ucell'"),
        (lambda a: tam.tl.score(a, tam.load_signatures("state"), layer="Counts"), "Did you mean 'counts'"),
        (lambda a: tam.tl.annotate(a, sample_key="Patient"), "Did you mean 'patient'"),
        (lambda a: tam.tl.annotate(a, compartment_key="cel_type"), "Did you mean 'cell_type'"),
        (lambda a: tam.tl.annotate(a, gene_symbols="symbols"), "Did you mean 'symbol'"),
    ],
)
def test_a_name_that_is_nearly_right_is_suggested(example, call, said):
    example.layers["counts"] = example.X.copy()
    example.obs["cell_type"] = "macrophage"
    example.var["symbol"] = example.var_names
    with pytest.raises(TamannotError, match=said):
        call(example)


def test_no_name_is_suggested_where_none_is_near():
    with pytest.raises(SignatureNotFoundError) as refused:
        tam.load_signature("zzzz")
    assert "Did you mean" not in str(refused.value)


def test_many_columns_are_not_all_listed(example):
    for i in range(500):
        example.obs[f"c{i}"] = 0
    with pytest.raises(ParameterError) as refused:
        tam.tl.annotate(example, sample_key="unheard_of")
    assert len(str(refused.value)) < 400
