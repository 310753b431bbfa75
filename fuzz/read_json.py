"""Signatures as JSON."""

from _exchange import exported, read
from _fuzz import main


def seeds() -> list[bytes]:
    plain = b'{"a": ["CD68", "CD3E-"], "b": ["FTL+", 7157]}'
    return [plain, exported("json", "m1"), exported("json", "immunoregulatory")]


def one(data: bytes) -> None:
    read(data, ".json")


if __name__ == "__main__":
    main(one, seeds())
