"""What the values of a matrix can be."""

from __future__ import annotations

from typing import Literal

Kind = Literal["counts", "log", "linear", "signed"]
# The order of preference; signed values (scaled, or residuals) are for methods that can use them.
KINDS: tuple[Kind, ...] = ("counts", "log", "linear", "signed")
# log1p of a million is 13.8, log2 of it 20: no logarithm of an expression value goes beyond.
LARGEST_LOG = 30.0
# A cell has less than a billion molecules. Sums of larger values overflow 64 bits, and 2**64 - 1 is a -1 gone wrong.
LARGEST_VALUE = 2.0**40
