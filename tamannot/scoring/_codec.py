"""Undoing what HDF5 did to the bytes of a chunk: LZF and the shuffling of bytes.

Compressed bytes come from files, so nothing about them is trusted: every place that is read or written
is checked to lie inside its array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._njit import copy_eight, njit

Array = NDArray[Any]

_LITERALS = np.int64(32)  # control bytes below: a run of that many bytes, and one more, follows as it is
_LONG = np.int64(7)  # a copy of this length has more of it in the next byte


@njit
def unpack_lzf(packed: Array, out: Array) -> int:
    """Write the bytes that LZF packed to ``out``; return how many, or -1 if they are no LZF or do not fit."""
    i, o = np.int64(0), np.int64(0)
    while i < packed.size:
        control = np.int64(packed[i])
        i += 1
        if control < _LITERALS:
            n = control + 1
            if n > packed.size - i or n > out.size - o:
                return -1
            if packed.size - i >= _LITERALS and out.size - o >= _LITERALS:
                for k in range(0, _LITERALS, 8):  # what is copied too much is written over by what follows
                    copy_eight(out, o + k, packed, i + k)
            else:
                for k in range(n):
                    out[o + k] = packed[i + k]
            i += n
        else:
            n = control >> 5
            if packed.size - i < 1 + np.int64(n == _LONG):
                return -1
            if n == _LONG:
                n += np.int64(packed[i])
                i += 1
            n += 2
            back = ((control & 31) << 8) + np.int64(packed[i]) + 1
            i += 1
            if back > o or n > out.size - o:
                return -1
            if back >= 8 and out.size - o >= n + 8:
                for k in range(0, n, 8):
                    copy_eight(out, o + k, out, o - back + k)
            else:
                for k in range(n):  # byte by byte: a copy may overlap what it writes, and repeats it then
                    out[o + k] = out[o - back + k]
        o += n
    return int(o)


@njit
def unshuffle(shuffled: Array, out: Array) -> None:
    """Undo the shuffle of HDF5, which puts the first bytes of all numbers first, then all second ones.

    Parameters
    ----------
    shuffled
        uint8; its length is a multiple of ``out.itemsize``.
    out
        Unsigned integers of the width of the numbers, as little-endian machines hold them.
    """
    n = out.size
    for i in range(n):
        out[i] = shuffled[i]
    for b in range(1, shuffled.size // max(n, 1)):
        plane = shuffled[b * n : (b + 1) * n]
        shift = out.dtype.type(8 * b)
        for i in range(n):
            out[i] |= out.dtype.type(plane[i]) << shift
