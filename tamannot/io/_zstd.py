"""What a zstd frame may unpack to, read off its headers (RFC 8878)."""

from __future__ import annotations

# No block unpacks to more.
_LARGEST_BLOCK = 1 << 17
_RAW, _REPEATED = 0, 1


def most_in_zstd(packed: memoryview) -> int:
    """Return the content size of a frame, or, where it has none, what its blocks hold at most."""
    if len(packed) < 5:
        return 0
    flags = packed[4]
    single, width = flags >> 5 & 1, (0, 2, 4, 8)[flags >> 6]
    start = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3]
    if width:
        return int.from_bytes(packed[start : start + width], "little") + (256 if width == 2 else 0)
    return int.from_bytes(packed[start : start + 1], "little") if single else _most_in_blocks(packed, start)


def _most_in_blocks(packed: memoryview, at: int) -> int:
    most = 0
    while at + 3 <= len(packed):
        head = int.from_bytes(packed[at : at + 3], "little")
        is_last, kind, size = head & 1, head >> 1 & 3, head >> 3
        most += size if kind in (_RAW, _REPEATED) else _LARGEST_BLOCK
        if is_last:
            break
        at += 3 + (1 if kind == _REPEATED else size)
    return most
