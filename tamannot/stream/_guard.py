"""Zarr folders as they are read: nothing in them is run, none of their chunks fills the memory."""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import LocalStore, WrapperStore

from tamannot.errors import InputFileError
from tamannot.stream._sizes import most_unpacked

_METADATA = (".zarray", ".zmetadata", "zarr.json")
# All but those that make objects of what they read, as pickle does. Both formats, all from zarr and numcodecs.
_CODECS = frozenset(
    (
        *("adler32", "astype", "bitround", "blosc", "bytes", "bz2", "cast_value", "crc32", "crc32c", "delta", "endian"),
        *("fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "json2", "lz4", "lzma", "msgpack2", "packbits"),
        *("pcodec", "quantize", "scale_offset", "sharding_indexed", "shuffle", "transpose", "vlen-array", "vlen-bytes"),
        *("vlen-utf8", "zfpy", "zlib", "zstd"),
    )
)
_ZSTD, _GZIP, _ZLIB, _BZ2, _XZ = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\x78", b"BZh", b"\xfd7zXZ"
_BLOSC_HEADER = 16
_MOST_BY_DEFLATE = 1032


def open_zarr(path: Path) -> zarr.Group:
    """Open a zarr folder for reading. Its metadata are those beside each array, whatever is gathered at its root."""
    return zarr.open_group(GuardedStore(LocalStore(path, read_only=True)), mode="r", use_consolidated=False)


class GuardedStore(WrapperStore):
    """A folder whose metadata and chunks are looked at before zarr decodes them."""

    @property
    def root(self) -> Path:
        """The folder."""
        return Path(self._store.root)

    def __str__(self) -> str:
        """Return the address of the folder."""
        return str(self._store)

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        """Return the bytes of a file of the folder.

        Raises
        ------
        InputFileError
            They are packed in a way that is not known, or to be unpacked to far more.
        """
        found = await self._store.get(key, *args, **kwargs)
        if found is None:
            return None
        name = key.rpartition("/")[2]
        if name in _METADATA:
            _check_codecs(found.to_bytes(), f"{self.root}: {key}")
        elif not name.startswith("."):
            _check_chunk(memoryview(found.as_numpy_array()).cast("B"), f"{self.root}: {key}")
        return found


def _check_codecs(content: bytes, where: str) -> None:
    try:
        metadata = json.loads(content)
    except ValueError:
        return  # zarr says so
    for name in _codecs_in(metadata):
        if name.removeprefix("numcodecs.") not in _CODECS:
            msg = f"{where} asks for the codec {name[:50]!r}, which is not used: it may run what it reads."
            raise InputFileError(msg)


def _codecs_in(node: object) -> Iterator[str]:
    """Give out the codecs that metadata name, however deep."""
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            for key in ("compressor", "filters", "codecs", "index_codecs"):
                some = node.get(key) or []
                yield from (str(c.get("id") or c.get("name")) for c in [some, *some] if isinstance(c, dict))
            stack += node.values()


def _check_chunk(packed: memoryview, where: str) -> None:
    limit = most_unpacked(len(packed))
    if _claims(packed) > limit or (_may_unpack_to(packed) > limit and _unpacks_to_more(packed, limit)):
        msg = f"{where}: unpacks to more than {limit / 1e6:,.0f} MB, of {len(packed):,} bytes: no data are as empty."
        raise InputFileError(msg)


def _claims(packed: memoryview) -> int:
    """Return how many bytes a chunk says to hold, 0 if it does not say."""
    head = bytes(packed[:_BLOSC_HEADER])
    if len(head) == _BLOSC_HEADER and int.from_bytes(head[12:16], "little") == len(packed):
        return int.from_bytes(head[4:8], "little")
    if head.startswith(_ZSTD):
        return _zstd_claims(head)
    return 0


def _zstd_claims(head: bytes) -> int:
    """Return the content size of the header of a frame."""
    flags = head[4]
    single, width = flags >> 5 & 1, (0, 2, 4, 8)[flags >> 6]
    start = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3]
    if not width:
        return head[start] if single else 0
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)


def _may_unpack_to(packed: memoryview) -> int:
    head = bytes(packed[:5])
    if head.startswith((_BZ2, _XZ)):
        return 1 << 62
    return len(packed) * _MOST_BY_DEFLATE if head.startswith((_GZIP, _ZLIB)) else 0


def _unpacks_to_more(packed: memoryview, limit: int) -> bool:
    head = bytes(packed[:5])
    kinds: dict[bytes, Callable[[], Any]] = {_BZ2: bz2.BZ2Decompressor, _XZ: lzma.LZMADecompressor}
    kinds |= {_GZIP: lambda: zlib.decompressobj(31), _ZLIB: zlib.decompressobj}
    make = next(make for magic, make in kinds.items() if head.startswith(magic))
    unpacking, size, piece, rest = make(), 0, 1 << 24, bytes(packed)
    try:
        while size <= limit:
            out = unpacking.decompress(rest, piece)
            size += len(out)
            rest = getattr(unpacking, "unconsumed_tail", b"")
            if unpacking.eof or not out:
                return False
    except (OSError, zlib.error, lzma.LZMAError):
        return False  # damaged: zarr says so
    return True
