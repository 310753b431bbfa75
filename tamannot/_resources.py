"""Where the files that ship with tamannot are, installed from a wheel or from a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def resource_path(name: str) -> Path:
    """Return the folder ``signatures`` or ``example_data``.

    A wheel carries both under ``tamannot/_data``; an editable install finds them beside the package.
    """
    inside = _PACKAGE / "_data" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
