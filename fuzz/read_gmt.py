"""Signatures as GMT."""

from _exchange import exported, read
from _fuzz import main


def seeds() -> list[bytes]:
    pair = b"a_UP\tx\tCD68\tGPNMB\na_DN\t\tCD3E\nb\thttp://b\tFTL\n"
    return [pair, exported("gmt", "m1", "m2"), b"x\t\tA\r\n\r\ny\t\tB\n"]


def one(data: bytes) -> None:
    read(data, ".gmt")


if __name__ == "__main__":
    main(one, seeds())
