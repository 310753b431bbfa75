"""What a file unpacks to: refused before it is, if it is out of proportion to the file."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tamannot.errors import InputFileError
from tamannot.io._output import size_of

# Whatever a library says of damaged metadata; who reads it tells of it.
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)
# Expression matrices pack to a tenth. Zeros alone pack by deflate to a thousandth, and no file is of zeros.
_FREE, _RATIO = 1 << 30, 200
_FREE_OF_CHUNK = 1 << 28
_MOST_BY_DEFLATE = 1032


def most_unpacked(n_bytes: int) -> int:
    """Return how many bytes may come of so many packed ones of a chunk."""
    return _FREE_OF_CHUNK + _RATIO * n_bytes


def check_sizes(source: Path) -> None:
    """Refuse a file that would fill the memory with what is not in it: shapes without values, chunks of zeros.

    Raises
    ------
    InputFileError
        What it unpacks to is more than 1 GiB and 200 times its size, or a chunk of it holds more than it says.
    """
    packed = size_of(source)
    total = 0
    for where, n_bytes in _zarr_arrays(source) if source.is_dir() else _datasets(source):
        total += n_bytes
        if total > _FREE + _RATIO * packed:
            msg = (
                f"{source}: unpacks to more than {total / 1e9:,.0f} GB, of {packed / 1e6:,.1f} MB; the last of it is "
                f"{where}. No data are as empty: the file is damaged, or made to fill the memory."
            )
            raise InputFileError(msg)


def _datasets(source: Path) -> Iterator[tuple[str, int]]:
    names: list[bytes] = []

    def look(name: bytes, about: Any) -> None:
        if about.type == h5py.h5o.TYPE_DATASET:
            names.append(name)

    with ExitStack() as stack:
        with suppress(*_DAMAGED):
            file = stack.enter_context(h5py.File(source, "r"))
            h5py.h5o.visit(file.id, look, info=True)
        for name in names:
            where, shape, size, problem = f"/{name.decode('utf-8', 'backslashreplace')}", None, 0, ""
            with suppress(*_DAMAGED):
                dataset = h5py.h5o.open(file.id, name)
                plan = dataset.get_create_plist()
                shape, size, problem = dataset.shape, _size_of(dataset, plan), _problem(dataset, plan)
            if problem:
                msg = f"{source}: {where} {problem}"
                raise InputFileError(msg)
            yield f"{where} of shape {shape}", size


def _problem(dataset: Any, plan: Any) -> str:
    """Say what is wrong with a data set; nothing if it can be read."""
    if plan.get_external_count() or plan.get_layout() == h5py.h5d.VIRTUAL:
        return (
            "has its values in another file, which is not in it. Make one whole file first, for example with anndata: "
            "read and write it."
        )
    if _is_bomb(dataset, plan):
        return "is damaged: a chunk of it unpacks to more than a chunk. The file may be made to fill the memory."
    return ""


def _size_of(dataset: Any, plan: Any) -> int:
    return int(max(math.prod(dataset.shape or ()), _values_of_chunk(plan)) * dataset.get_type().get_size())


def _values_of_chunk(plan: Any) -> int:
    return math.prod(plan.get_chunk()) if plan.get_layout() == h5py.h5d.CHUNKED else 0


def _is_bomb(dataset: Any, plan: Any) -> bool:
    """Say whether a chunk inflates to more than a chunk; HDF5 would unpack it all the same."""
    codes = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if h5py.h5z.FILTER_DEFLATE not in codes or not dataset.get_num_chunks():
        return False
    size = _values_of_chunk(plan) * dataset.get_type().get_size()
    large: list[tuple[int, ...]] = []

    def look(stored: Any) -> None:
        if stored.size * _MOST_BY_DEFLATE > _FREE_OF_CHUNK:
            large.append(stored.chunk_offset)

    dataset.chunk_iter(look)
    # What was packed again after it cannot be looked into; anndata does not pack twice.
    after = codes[codes.index(h5py.h5z.FILTER_DEFLATE) + 1 :]
    if any(code != h5py.h5z.FILTER_FLETCHER32 for code in after):
        return bool(large)
    packed = (dataset.read_direct_chunk(offset) for offset in large)
    return not all(skipped or _fits(content, size) for skipped, content in packed)


def _fits(packed: bytes, size: int) -> bool:
    unpacking = zlib.decompressobj()
    with suppress(zlib.error):
        return len(unpacking.decompress(packed, size + 1)) <= size
    return True  # damaged otherwise: who reads it says so


def _zarr_arrays(folder: Path) -> Iterator[tuple[str, int]]:
    for path in (*folder.rglob(".zarray"), *folder.rglob("zarr.json")):
        with suppress(*_DAMAGED):
            meta = json.loads(path.read_bytes())
            if "shape" not in meta:
                continue
            grid = meta.get("chunk_grid", {}).get("configuration", {}).get("chunk_shape") or meta.get("chunks") or []
            values = max(math.prod(map(int, meta["shape"])), math.prod(map(int, grid)))
            yield f"{path.parent.relative_to(folder)} of shape {meta['shape']}", values * _width(meta)


def _width(meta: dict[str, Any]) -> int:
    """Return the bytes of a value; of texts those of a reference."""
    kind = meta.get("dtype") or meta.get("data_type")
    with suppress(*_DAMAGED):
        return max(1, np.dtype(kind).itemsize)
    return 8
