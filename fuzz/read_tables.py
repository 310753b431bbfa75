"""Signatures as tables: long, UCell's, scGate's."""

from _exchange import exported, read
from _fuzz import main


def seeds() -> list[bytes]:
    small = [
        b"source,target,weight\na,CD68,1\na,CD3E,-0.5\nb,FTL,\n",
        b"source\ttarget\tspecies\tensembl\na\tCD68\thuman\tENSG00000129226\n",
        b"a,b\nCD68+,FTL\nCD3E-,\n",
        b"levels\tuse_as\tname\tsignature\nlevel1\tpositive\ta\tCD68;CD3E-\n",
        b'\xef\xbb\xbfsource,target\r\n"a ""b""","CD\n68"\r\n',
    ]
    return [*small, *(exported(name, "m1", "m2") for name in ("network", "ucell", "scgate"))]


def one(data: bytes) -> None:
    read(data, ".csv")


if __name__ == "__main__":
    main(one, seeds())
