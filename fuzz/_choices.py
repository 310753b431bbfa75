"""Bytes taken as decisions: how a fuzzer steers what is built."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
NUMBERS = (0, 1, -1, 2, 3, 7, 127, 255, 256, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"))


class Choices:
    """Gives out decisions until the bytes end; then always the first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def pick(self, options: Sequence[T]) -> T:
        return options[self.byte() % len(options)]

    def yes(self, one_in: int = 2) -> bool:
        return self.byte() % one_in == one_in - 1

    def number(self) -> int:
        if self.yes(4):
            return self.pick(NUMBERS)
        return self.byte() % 16

    def fraction(self) -> float:
        if self.yes(3):
            return self.pick(FLOATS)
        if self.yes(3):
            raw = bytes(self.byte() for _ in range(8))
            return float(struct.unpack("<d", raw)[0])
        return float(self.byte() % 12)

    def text(self, limit: int = 8) -> str:
        raw = bytes(self.byte() for _ in range(self.byte() % limit))
        return raw.decode("utf-8", self.pick(("replace", "surrogateescape", "ignore")))

    def done(self) -> bool:
        return self._at >= len(self._data)
