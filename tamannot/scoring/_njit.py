"""The only entry to numba: how every kernel is compiled, and the one operation that Python has no word for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Bytes = NDArray[np.uint8]
Place = int | np.signedinteger[Any]


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


def copy_eight(out: Bytes, at: Place, source: Bytes, start: Place) -> None:
    """Copy eight bytes in one go; the caller sees to it that both arrays have them there."""
    out[at : at + 8] = source[start : start + 8]


def _eight_by_one_register(_: Any, out: Any, at: Any, source: Any, start: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        def pointer(which: int) -> Any:
            array = context.make_array(signature.args[which])(context, builder, values[which])
            return builder.bitcast(builder.gep(array.data, [values[which + 1]]), ir.IntType(64).as_pointer())

        builder.store(builder.load(pointer(2), align=1), pointer(0), align=1)
        return context.get_dummy_value()

    return types.void(out, at, source, start), generate


_move_eight = intrinsic(_eight_by_one_register)


def _compiled_copy_eight(_out: Any, _at: Any, _source: Any, _start: Any) -> Any:
    def copy(_out: Any, _at: Any, _source: Any, _start: Any) -> None:
        _move_eight(_out, _at, _source, _start)

    return copy


# In compiled code `copy_eight` is one load and one store, at any address.
overload(copy_eight)(_compiled_copy_eight)
