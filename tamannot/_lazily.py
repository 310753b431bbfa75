"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import lazy_loader


def attach_stub(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package, from the ``.pyi`` beside its file.

    An import leaves the user's filters of warnings as they were: numpy, scipy and anndata set some of their own.
    """
    lazy, names, public = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        with warnings.catch_warnings():
            return lazy(name)

    return get, names, public
