"""What the values of a matrix can be."""

from __future__ import annotations

from typing import Literal

Kind = Literal["counts", "log", "linear", "signed"]
# The order of preference; signed values (scaled, or residuals) are for methods that can use them.
KINDS: tuple[Kind, ...] = ("counts", "log", "linear", "signed")
# log1p of a million is 13.8, log2 of it 20: no logarithm of an expression value goes beyond.
LARGEST_LOG = 30.0
