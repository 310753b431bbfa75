"""How the chunks of a zarr array are packed, as its metadata say: what comes after what, and which hold texts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np

# Whatever damaged metadata, or a codec that they do not fit, raise; who reads the array tells of it.
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
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
    with suppress(*_DAMAGED):
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
    with suppress(*_DAMAGED):
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
