"""The installed version, the bundled files, and lazy imports of public names."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lazy_loader

_PACKAGE = Path(__file__).parent


def resource_path(name: str) -> Path:
    """Return the folder ``signatures`` or ``example_data``: in a wheel in ``_data``, otherwise beside the package."""
    inside = _PACKAGE / "_data" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


@cache
def package_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("tamannot")
    except PackageNotFoundError:  # a source tree that was never installed
        return "unknown"


def attach_stub(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package, from the ``.pyi`` beside its file."""
    lazy, names, public = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        with warnings.catch_warnings():  # numpy, scipy and anndata set filters; the user's stay
            return lazy(name)

    return get, names, public
