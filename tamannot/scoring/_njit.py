"""The only entry to numba: how every kernel is compiled, and the type of what kernels take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core import event
from numpy.typing import NDArray

from tamannot._progress import compiling

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[Any]


class _Compilations(event.Listener):
    """Passes on when numba compiles: not when it loads a kernel from its cache."""

    def on_start(self, event: event.Event) -> None:  # noqa: ARG002 - of the base class
        compiling(begins=True)

    def on_end(self, event: event.Event) -> None:  # noqa: ARG002 - of the base class
        compiling(begins=False)


event.register("numba:compile", _Compilations())


def njit(function: F) -> F:
    """Compile lazily to machine code that holds no lock and is cached on disk.

    Kernels are serial: `in_order` runs the threads, because numba's own pool must not be used from two threads at
    once. Without ``fastmath`` results are bit-identical to plain Python.
    """
    # No C entry point is needed; leaving it out saves some compile time.
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    try:
        compiled: F = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no writable cache folder: compile in every process
        compiled = numba.njit(**options)(function)
    return compiled
