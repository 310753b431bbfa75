"""Rules that hold for every public name."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot
import tamannot as tam
from tamannot.errors import ParameterError, SignatureNotFoundError, TamannotDeprecationWarning, TamannotError

NAMESPACES = {"tl": tam.tl, "get": tam.get, "pl": tam.pl, "datasets": tam.datasets}


FUNCTIONS = [
    *(getattr(space, name) for space in NAMESPACES.values() for name in space.__all__),
    tam.annotate_file,
    tam.load_signature,
    tam.load_signatures,
    tam.read_signatures,
    tam.write_report,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_public_functions_are_documented(function):
    doc = inspect.getdoc(function) or ""
    assert "Returns\n-------" in doc
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    if parameters and "of `annotate`" not in doc:
        assert "Parameters\n----------" in doc
        for parameter in parameters:
            assert f"\n{parameter.name}\n" in doc, parameter.name
        assert "Raises\n------" in doc


@pytest.mark.parametrize("name", [n for n in tam.tl.__all__ if n != "train"])  # it returns a model, writes nothing
def test_tools_take_adata_first_and_at_most_two_positional(name):
    parameters = list(inspect.signature(getattr(tam.tl, name)).parameters.values())
    assert parameters[0].name == "adata"
    assert sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) <= 2
    names = {p.name for p in parameters}
    assert "copy" in names
    assert names & {"key_added", "key"}


def test_every_public_name_can_be_had():
    for name in tam.__all__:
        assert getattr(tam, name) is not None
    assert tam.__version__.count(".") == 2


def test_errors_refine_builtins():
    for name in tam.errors.__all__:
        error = getattr(tam.errors, name)
        assert issubclass(error, (tam.errors.TamannotError, tam.errors.TamannotWarning))


def test_import_is_light():
    script = (
        "import sys, tamannot\n"
        "heavy = {'anndata', 'numba', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_imports_leave_the_filters_of_warnings_alone():
    """numpy, scipy and anndata set filters of their own."""
    imports = [
        f"from tamannot{name} import *" for name in ("", *(f".{n}" for n in (*NAMESPACES, "errors", "signature", "io")))
    ]
    script = f"""
import warnings
before = list(warnings.filters)
for line in {imports}:
    exec(line)
    assert warnings.filters == before, line
"""
    subprocess.run([sys.executable, "-c", script], check=True)


ROOT = Path(__file__).parents[1]
SCRIPTS = [path for folder in ("benchmarks", "fuzz", "tools") for path in sorted((ROOT / folder).glob("*.py"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_scripts_import_what_there_is(script):
    """No other test runs most of them."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tamannot":
            exec(f"from {node.module} import {', '.join(a.name for a in node.names)}")  # noqa: S102


# What the package promises stays, or changes knowingly.


TOOL = ROOT / "tools" / "api_snapshot.py"


def test_names_signatures_slots_and_commands_are_those_promised(capsys):
    code = runpy.run_path(str(TOOL))["main"](["--check"])
    assert code == 0, f"{capsys.readouterr().out}\nIf this is meant:  python tools/api_snapshot.py"


# Words of scanpy.


def test_random_state_and_use_raw_are_other_names(tiny):
    tiny.raw = tiny
    for name, words in (
        ("a", {"layer": "raw"}),
        ("b", {"use_raw": True}),
        ("c", {"layer": "X"}),
        ("d", {"use_raw": False}),
    ):
        tam.tl.score(tiny, list(tiny.var_names[:3]), key_added=name, min_coverage=0, **words)
    told = {name: tiny.uns["tamannot"][name]["matrix"]["name"] for name in "abcd"}
    assert told == {"a": "raw", "b": "raw", "c": "X", "d": "X"}


@pytest.mark.parametrize("function", [tam.tl.annotate, tam.tl.train])
def test_a_seed_may_have_either_name(example, function, monkeypatch):
    with pytest.raises(ParameterError, match=r"random_state=1 and rng=2 say the same. Give only one."):
        function(example, rng=2, random_state=1)
    with pytest.raises(ParameterError, match=r"use_raw=True and layer='X' say the same"):
        function(example, layer="X", use_raw=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'random_sate'"):
        function(example, random_sate=1)


def test_the_seed_of_the_record_is_that_given(example):
    tam.tl.annotate(example, tissue="brain", random_state=7)
    assert example.uns["tamannot"]["tam"]["parameters"]["rng"] == 7


def test_a_warning_names_the_line_of_the_caller(example):
    with pytest.warns(tam.errors.TamannotWarning) as caught:
        tam.tl.annotate(example)
    assert {w.filename for w in caught if issubclass(w.category, tam.errors.TamannotWarning)} == {__file__}


def test_people_who_hide_nothing_see_it():
    assert issubclass(TamannotDeprecationWarning, FutureWarning)  # DeprecationWarning is hidden outside of __main__


# What is not installed is named with the line that installs it; that each says so is tested where it is used.


ROOT = Path(__file__).parents[1]


SOURCE = Path(tamannot.__file__).parent


# Data in dask exist only where dask does; regions need nothing; the others are for who works on tamannot.
NEVER_MISSED = {"all", "dask", "spatial", "browser", "docs", "lint", "test"}


def extras() -> dict[str, list[str]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_lines_that_install_name_extras_that_exist_and_none_is_forgotten():
    told = set()
    for path in SOURCE.rglob("*.py"):
        told |= set(re.findall(r"pip install 'tamannot\[(\w+)\]'", path.read_text(encoding="utf-8")))
    assert told == set(extras()) - NEVER_MISSED


def test_all_has_all_of_them():
    assert extras()["all"] == ["tamannot[crosstalk,dask,excel,parquet,spatial]"]


# Whatever is given instead of an AnnData, every public function says what to give.


# What a call needs besides, if it is to come as far as the object.
_MORE: dict[str, Any] = {
    "basis": "umap",
    "sample_key": "sample",
    "groupby": "state",
    "labels": "label",
    "malignant": "malignant",
    "cell": 0,
    "region": "region",
    "signature": "m1",
}


_GIVEN = {
    "path": ("x.h5ad", r"anndata\.read_h5ad\('x\.h5ad'\), or annotate the file with tamannot\.annotate_file"),
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
        with pytest.raises(ParameterError, match=f"This function needs an AnnData, not .*{said}|{said}"):
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
        (lambda a: tam.load_signature("m1@9.9.9"), r"No version '9\.9\.9' of signature 'm1'\..* Available: 1\.0\.0"),
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
