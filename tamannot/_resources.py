"""What is installed: the version, and where the files that ship with it are."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGE = Path(__file__).parent


def resource_path(name: str) -> Path:
    """Return the folder ``signatures`` or ``example_data``.

    A wheel carries both under ``tamannot/_data``; an editable install finds them beside the package.
    """
    inside = _PACKAGE / "_data" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


@cache
def package_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("tamannot")
    except PackageNotFoundError:  # a source tree that was never installed
        return "unknown"
