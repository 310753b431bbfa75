"""Checks of untrusted files: links to other files or in circles, memory exhaustion, code execution."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr

from tamannot.errors import InputFileError
from tamannot.io._output import size_of

# Whatever a library says of damaged content; who reads it tells of it.
DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)
_LINKS = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
# Objects that a reader comes by, groups within groups: far beyond any file that is meant.
_MOST_OBJECTS, _DEEPEST = 1_000_000, 50
# Expression matrices pack to a tenth. Zeros alone pack by deflate to a thousandth, and no file is of zeros.
_FREE, _RATIO = 1 << 30, 200
_FREE_OF_CHUNK, _MOST_BY_DEFLATE = 1 << 28, 1032
# The codecs of zarr and numcodecs, without those that make objects of what they read, as pickle does, and those whose
# chunks set the size of the array.
_CODECS = (
    *("adler32", "astype", "bitround", "blosc", "bytes", "bz2", "cast_value", "crc32", "crc32c", "delta", "endian"),
    *("fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma", "packbits", "quantize"),
    *("scale_offset", "sharding_indexed", "shuffle", "transpose", "vlen-array", "vlen-bytes", "vlen-utf8", "zlib"),
    *("zstd",),
)
_REWRITE = "Write it as a single file first, for example by reading and writing it with anndata."


def check_links(source: Path) -> None:
    """Raise if a part of the source is in another file, or if its links are circular.

    What is in another file was not given to be read, and an output would lack it. Links within an HDF5 file are
    followed. A file that is absent or damaged passes: who reads it tells so. Data sets with values in another file are
    refused by `check_sizes`.
    """
    found: str | None = None
    with suppress(*DAMAGED):
        if source.is_dir():
            link = next(filter(Path.is_symlink, source.rglob("*")), None)
            if link is not None:
                where = link.relative_to(source)
                found = f"{where} is a symbolic link to {link.readlink()}, outside the folder"
        else:
            with h5py.File(source, "r") as file:
                root = h5py.h5g.open(file.id, b"/")
                found = _problem_in(root, "", {}, frozenset([root]))
    if found is not None:
        raise InputFileError(f"{source}: {found}. {_REWRITE}")


def _problem_in(group: Any, path: str, sizes: dict[Any, int], above: frozenset[Any]) -> str | None:
    """Walk through a group like a reader, but visit each group once and skip groups that cannot be opened.

    Only groups are opened, and HDF5 is asked for the rest: a file may have many thousands of elements. ``sizes`` gets
    the number of objects that a reader comes by in each group; ``above`` are the groups that the walk is in.
    """
    size, names = 1, list[bytes]()
    with suppress(*DAMAGED):
        names = list(group)
    for name in names:
        where = f"{path}/{name.decode('utf-8', 'backslashreplace')}"
        kind = None
        with suppress(*DAMAGED):
            kind = group.links.get_info(name).type
            if kind == h5py.h5l.TYPE_EXTERNAL:
                return f"{where} is a link to {os.fsdecode(group.links.get_val(name)[0])}, outside the file"
        if kind not in _LINKS:
            return f"{where} is a link of an unknown type"
        with suppress(*DAMAGED):
            if h5py.h5o.get_info(group, name).type != h5py.h5o.TYPE_GROUP:
                size += 1
                continue
            below = h5py.h5o.open(group, name)
            if below in above or len(above) > _DEEPEST:
                return f"{where[:100]} is nested too deeply: the links of the file are circular"
            if below not in sizes and (problem := _problem_in(below, where, sizes, above | {below})):
                return problem
            size += sizes[below]
    sizes[group] = size
    if size > _MOST_OBJECTS:
        return f"{path} leads to more than {_MOST_OBJECTS:,} objects: its links repeat the same ones"
    return None


def check_sizes(source: Path) -> None:
    """Raise for a file that would exhaust memory, or whose codecs may run code.

    Refused is what unpacks to more than 1 GiB and 200 times its size, a chunk of an HDF5 file that holds more than a
    chunk, and a codec of zarr that is not known to be harmless.
    """
    packed, total = size_of(source), 0
    for where, n_bytes in _zarr_arrays(source) if source.is_dir() else _datasets(source):
        total += n_bytes
        if total > _FREE + _RATIO * packed:
            raise InputFileError(
                f"{source}: unpacks to more than {total / 1e9:,.0f} GB, from {packed / 1e6:,.1f} MB; the last part is "
                f"at {where}. Real data are not that sparse: the file is damaged, or was made to exhaust memory."
            )


def _datasets(source: Path) -> Iterator[tuple[str, int]]:
    names: list[bytes] = []

    def look(name: bytes, about: Any) -> None:
        if about.type == h5py.h5o.TYPE_DATASET:
            names.append(name)

    with ExitStack() as stack:
        with suppress(*DAMAGED):
            file = stack.enter_context(h5py.File(source, "r"))
            h5py.h5o.visit(file.id, look, info=True)
        for name in names:
            where, shape, size, problem = f"/{name.decode('utf-8', 'backslashreplace')}", None, 0, ""
            with suppress(*DAMAGED):
                dataset = h5py.h5o.open(file.id, name)
                plan, width = dataset.get_create_plist(), dataset.get_type().get_size()
                chunk = math.prod(plan.get_chunk()) if plan.get_layout() == h5py.h5d.CHUNKED else 0
                if plan.get_external_count() > 0 or plan.get_layout() == h5py.h5d.VIRTUAL:
                    problem = f"has its values in another file. {_REWRITE}"
                elif _is_bomb(dataset, plan, chunk * width):
                    problem = "is damaged: a chunk unpacks to more than a chunk. It may be made to exhaust memory."
                shape, size = dataset.shape, max(math.prod(dataset.shape or ()), chunk) * width
            if problem:
                raise InputFileError(f"{source}: {where} {problem}")
            yield f"{where} of shape {shape}", size


def _is_bomb(dataset: Any, plan: Any, size: int) -> bool:
    """Return whether a chunk inflates to more than its ``size`` in bytes; HDF5 would unpack it anyway."""
    codes = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if h5py.h5z.FILTER_DEFLATE not in codes or not dataset.get_num_chunks():
        return False
    large: list[tuple[int, ...]] = []

    def look(stored: Any) -> None:
        if stored.size * _MOST_BY_DEFLATE > _FREE_OF_CHUNK:
            large.append(stored.chunk_offset)

    dataset.chunk_iter(look)
    # What was packed again after it cannot be looked into; anndata does not pack twice.
    after = codes[codes.index(h5py.h5z.FILTER_DEFLATE) + 1 :]
    if any(code != h5py.h5z.FILTER_FLETCHER32 for code in after):
        return bool(large)
    for offset in large:
        is_plain, packed = dataset.read_direct_chunk(offset)
        with suppress(zlib.error):  # damaged otherwise: who reads it says so
            if not is_plain and len(zlib.decompressobj().decompress(packed, size + 1)) > size:
                return True
    return False


def _zarr_arrays(folder: Path) -> Iterator[tuple[str, int]]:
    codecs: list[str] = []

    def note_codecs(node: dict[str, Any]) -> dict[str, Any]:
        for key in ("compressor", "filters", "codecs", "index_codecs"):
            some = node.get(key)
            listed = some if isinstance(some, list) else [some]
            codecs.extend(str(c.get("id") or c.get("name")) for c in listed if isinstance(c, dict))
        return node

    for path in (*folder.rglob(".zarray"), *folder.rglob("zarr.json")):
        where, meta = path.parent.relative_to(folder), {}
        codecs.clear()
        with suppress(*DAMAGED):
            meta = json.loads(path.read_bytes(), object_hook=note_codecs)
        for name in codecs:
            if name.removeprefix("numcodecs.") not in _CODECS:
                raise InputFileError(
                    f"{folder}: {where} uses the codec {name[:50]!r}, which is refused because it may execute what it "
                    "reads. Rewrite the folder with one of zarr's own codecs."
                )
        with suppress(*DAMAGED):
            if "shape" not in meta:
                continue
            grid = meta.get("chunk_grid", {}).get("configuration", {}).get("chunk_shape") or meta.get("chunks") or []
            values, width = max(math.prod(map(int, meta["shape"])), math.prod(map(int, grid))), 8
            with suppress(*DAMAGED):  # of a text: that of a reference
                width = max(1, np.dtype(meta.get("dtype") or meta.get("data_type")).itemsize)
            yield f"{where} of shape {meta['shape']}", values * width


def open_zarr(path: Path) -> zarr.Group:
    """Open a zarr folder for reading. Its metadata are those beside each array, whatever is gathered at its root."""
    return zarr.open_group(path, mode="r", use_consolidated=False)
