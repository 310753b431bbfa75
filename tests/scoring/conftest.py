"""Kernels as plain Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest


@pytest.fixture
def plain_python(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., object]]:
    """Turn a kernel, and from then on all that kernels call, into plain Python."""

    def of(kernel):
        for module in [m for name, m in sys.modules.items() if name.startswith("tamannot.scoring.")]:
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    monkeypatch.setattr(module, name, value.py_func)
        return kernel.py_func

    with np.errstate(over="ignore"):  # the hash wraps around
        yield of
