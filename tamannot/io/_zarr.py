"""Zarr folders as they are read: nothing in them is run, none of their chunks fills the memory."""

from __future__ import annotations

import bz2
import json
import lzma
import math
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from zarr.storage import LocalStore

from tamannot.errors import InputFileError
from tamannot.io._limits import most_unpacked

_METADATA = (".zarray", ".zmetadata", "zarr.json")
# All but those that make objects of what they read, as pickle does, and those whose chunks say themselves how large
# an array is to be made. Both formats, all from zarr and numcodecs.
_CODECS = frozenset(
    (
        *("adler32", "astype", "bitround", "blosc", "bytes", "bz2", "cast_value", "crc32", "crc32c", "delta", "endian"),
        *("fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma", "packbits", "quantize"),
        *("scale_offset", "sharding_indexed", "shuffle", "transpose", "vlen-array", "vlen-bytes", "vlen-utf8", "zlib"),
        *("zstd",),
    )
)
_ZSTD, _GZIP, _ZLIB, _BZ2, _XZ = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\x78", b"BZh", b"\xfd7zXZ"
_BLOSC_HEADER = 16
# Bytes of the number of texts, and of the length of each.
_COUNT = 4
_MOST_BY_DEFLATE = 1032


def open_zarr(path: Path) -> zarr.Group:
    """Open a zarr folder for reading. Its metadata are those beside each array, whatever is gathered at its root."""
    return zarr.open_group(GuardedStore(path), mode="r", use_consolidated=False)


class GuardedStore(LocalStore):
    """A folder whose metadata and chunks are looked at before zarr decodes them, whichever way it reads them."""

    def __init__(self, root: Path | str, *, read_only: bool = True) -> None:
        super().__init__(root, read_only=read_only)
        self._packings: dict[Path, Packing] = {}

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Return the bytes of a file of the folder, or some of them.

        Raises
        ------
        InputFileError
            They are packed in a way that is not known, or to be unpacked to far more.
        """
        return self._looked_at(key, await super().get(key, prototype, byte_range), whole=byte_range is None)

    def get_sync(self, key: str, *, prototype: Any = None, byte_range: Any = None) -> Any:
        """Return what `get` returns, without waiting; zarr before 3.2 does not ask for it.

        Raises
        ------
        InputFileError
            As `get`.
        """
        found = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        return self._looked_at(key, found, whole=byte_range is None)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        """Return some bytes of several files."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def get_ranges(
        self, key: str, byte_ranges: Sequence[Any], *, prototype: Any, **_: Any
    ) -> AsyncIterator[Sequence[tuple[int, Any]]]:
        """Give out several parts of a file, each read for itself: together they would be no chunk to look at."""
        for i, byte_range in enumerate(byte_ranges):
            yield [(i, await self.get(key, prototype, byte_range))]

    def get_ranges_sync(
        self, key: str, byte_ranges: Sequence[Any], *, prototype: Any, **_: Any
    ) -> Sequence[tuple[int, Any]]:
        """Return what `get_ranges` gives out."""
        return [(i, self.get_sync(key, prototype=prototype, byte_range=r)) for i, r in enumerate(byte_ranges)]

    def _looked_at(self, key: str, found: Any, *, whole: bool) -> Any:
        if found is None:
            return None
        name, where = key.rpartition("/")[2], f"{self.root}: {key}"
        if name in _METADATA:
            _check_codecs(found.to_bytes(), where)
        elif not name.startswith("."):
            content, packing = memoryview(found.as_numpy_array()).cast("B"), self._packing_of(key)
            for chunk in packing.chunks_in(content) if whole else [content]:
                _check_chunk(chunk, packing, where)
        return found

    def _packing_of(self, key: str) -> Packing:
        """Return how a chunk is packed, as the next metadata up say."""
        array = (self.root / key).parent
        while array not in self._packings:
            if array == self.root or any((array / name).exists() for name in _METADATA):
                self._packings[array] = packing_of(array)
            else:
                array = array.parent
        return self._packings[array]


def _check_codecs(content: bytes, where: str) -> None:
    try:
        metadata = json.loads(content)
    except ValueError:
        return  # zarr says so
    for name in _codecs_in(metadata):
        if name.removeprefix("numcodecs.") not in _CODECS:
            msg = (
                f"{where} asks for the codec {name[:50]!r}, which is not used: it may run what it reads. "
                "Write the folder anew with a codec of zarr's own."
            )
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


def _check_chunk(packed: memoryview, packing: Packing, where: str) -> None:
    around = packing.around_texts
    if around is None:
        _check_size(packed, packing.outermost, where)
        return
    content = packed
    for codec in around:
        _check_size(content, str(codec["id"]), where)
        inner = undone(codec, content)
        if inner is None:
            return  # damaged: zarr says so
        content = inner
    _check_texts(content, where)


def _check_size(packed: memoryview, codec: str, where: str) -> None:
    limit = most_unpacked(len(packed))
    if _claims(packed, codec) > limit or (_may_unpack_to(packed) > limit and _unpacks_to_more(packed, limit)):
        msg = f"{where}: unpacks to more than {limit / 1e6:,.0f} MB, of {len(packed):,} bytes: no data are as empty."
        raise InputFileError(msg)


def _check_texts(content: memoryview, where: str) -> None:
    """Refuse more texts than there is room for: a place is made for each before one is read."""
    n = int.from_bytes(content[:_COUNT], "little")
    if len(content) >= _COUNT and n > (len(content) - _COUNT) // _COUNT:
        msg = f"{where} is damaged: it says to hold {n:,} texts in {len(content):,} bytes."
        raise InputFileError(msg)


def _claims(packed: memoryview, codec: str) -> int:
    """Return how many bytes a chunk says to hold, 0 if it does not say."""
    head = bytes(packed[:_BLOSC_HEADER])
    is_blosc = codec == "blosc" or int.from_bytes(head[12:16], "little") == len(packed)
    if len(head) == _BLOSC_HEADER and is_blosc:
        return int.from_bytes(head[4:8], "little")
    if head.startswith(_ZSTD):
        return most_in_zstd(packed)
    return 0


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


# Whatever damaged metadata, or a codec that they do not fit, raise; who reads the array tells of it.
_DAMAGED_METADATA = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
_TEXTS = "vlen-"
_NO_CHUNK = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class Shards:
    """Chunks that lie together in a file, with an index of 16 bytes each."""

    n_chunks: int
    index_size: int
    index_first: bool


@dataclass(frozen=True)
class Packing:
    """What is done to values, in this order, before they are a chunk of bytes."""

    codecs: tuple[Mapping[str, Any], ...] = ()
    shards: Shards | None = None

    @property
    def outermost(self) -> str:
        """Name of the codec that made the bytes of a chunk; empty if there is none."""
        return str(self.codecs[-1]["id"]) if self.codecs else ""

    @property
    def around_texts(self) -> list[Mapping[str, Any]] | None:
        """The codecs to undo, in this order, to come to texts with their number before them; None: no texts."""
        at = [i for i, codec in enumerate(self.codecs) if str(codec["id"]).startswith(_TEXTS)]
        return list(self.codecs[: at[-1] : -1]) if at else None

    def chunks_in(self, content: memoryview) -> Iterator[memoryview]:
        """Give out the chunks of a file: itself, or those that lie in it."""
        if self.shards is None:
            yield content
            return
        size = self.shards.index_size
        index = content[:size] if self.shards.index_first else content[len(content) - size :]
        if len(content) >= size:
            for offset, length in np.frombuffer(index[: 16 * self.shards.n_chunks], "<u8").reshape(-1, 2):
                if offset != _NO_CHUNK:
                    yield content[int(offset) : int(offset) + int(length)]


def packing_of(array: Path) -> Packing:
    """Return how the chunks of an array are packed; no codecs where its metadata are absent or damaged."""
    with suppress(*_DAMAGED_METADATA):
        if (array / ".zarray").exists():
            metadata = json.loads((array / ".zarray").read_bytes())
            steps = [*(metadata.get("filters") or []), metadata.get("compressor")]
            return Packing(tuple(dict(step) for step in steps if step))
        metadata = json.loads((array / "zarr.json").read_bytes())
        codecs = metadata["codecs"]
        if codecs[0]["name"] != "sharding_indexed":
            return Packing(_steps(codecs))
        how = codecs[0]["configuration"]
        return Packing(_steps(how["codecs"]), _shards(metadata, how))
    return Packing()


def undone(codec: Mapping[str, Any], content: memoryview) -> memoryview | None:
    """Return what a codec made its bytes from; None if it cannot be undone."""
    with suppress(*_DAMAGED_METADATA):
        return memoryview(numcodecs.get_codec(dict(codec)).decode(bytes(content))).cast("B")
    return None


def _steps(codecs: list[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return codecs of the third format as numcodecs knows them; to be undone they need no settings but this one."""
    names = [str(codec["name"]).removeprefix("numcodecs.") for codec in codecs]
    return tuple({"id": name, **({"location": "end"} if name == "crc32c" else {})} for name in names)


def _shards(metadata: Mapping[str, Any], how: Mapping[str, Any]) -> Shards:
    shard, chunk = metadata["chunk_grid"]["configuration"]["chunk_shape"], how["chunk_shape"]
    n = math.prod(-(-int(s) // int(c)) for s, c in zip(shard, chunk, strict=True))
    checked = any(codec["name"] == "crc32c" for codec in how["index_codecs"])
    return Shards(n, 16 * n + 4 * checked, how.get("index_location") == "start")


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
