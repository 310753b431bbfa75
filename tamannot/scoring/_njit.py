"""The only entry to numba: how every kernel is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def njit(function: F) -> F:
    """Compile lazily to machine code that holds no lock and is cached on disk.

    Kernels are serial: threads are ours (`over_rows`), because numba's own pool may not be entered
    from two threads at once. Without ``fastmath`` the bits are those of plain Python.
    """
    # No way in from C is needed, and to leave it out saves some of the time.
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    try:
        compiled: F = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep a cache in: compiled anew in every process
        compiled = numba.njit(**options)(function)
    return compiled
