"""Rules that hold for every public name."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import tamannot as tam

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


@pytest.mark.parametrize("name", ["", *NAMESPACES, "errors", "signature", "io"])
def test_imports_leave_the_filters_of_warnings_alone(name):
    """numpy, scipy and anndata set filters of their own."""
    script = f"""
import warnings
before = list(warnings.filters)
from tamannot{"." if name else ""}{name} import *
assert warnings.filters == before, warnings.filters
"""
    subprocess.run([sys.executable, "-c", script], check=True)
