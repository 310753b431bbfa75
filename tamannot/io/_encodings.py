"""Elements of AnnData files: converts old encodings and the other container to those of the current anndata."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from tamannot.errors import TamannotError
from tamannot.io._containers import Node
from tamannot.io._output import first_line

SECTIONS = ("layers", "obsm", "obsp", "uns", "varm", "varp")
_PARTS_OF_RAW = ("X", "var", "varm")
_MAPPINGS = ("", "dict", "raw", "anndata")
_SPARSE = ("csr_matrix", "csc_matrix")
# Scores hardly compress: a higher level takes longer and saves nothing.
_COMPRESSED = {"compression": "gzip", "compression_opts": 1}
# Values read at once, and in a chunk, where a matrix changes its container: 16 to 32 MiB.
_VALUES_A_READ, _VALUES_A_CHUNK = 1 << 22, 1 << 18


class UnwritableError(Exception):
    """A part of the input that cannot be written to an output."""


def write_value(parent: Node, name: str, value: Any) -> None:
    """Write a value from memory with anndata's writer; raise `UnwritableError` for one that it only reads."""
    options = _COMPRESSED if isinstance(parent, h5py.Group) else {}
    try:
        with ad.settings.override(allow_write_nullable_strings=True):
            ad.io.write_elem(parent, name, value, dataset_kwargs=options)
    except (OSError, RuntimeError, MemoryError, TamannotError):
        raise
    except Exception as error:  # whatever anndata's writers raise of what they do not know
        msg = f"'{name}' cannot be written by anndata ({first_line(error)}). Rename or remove it."
        raise UnwritableError(msg) from error


def bring_up_to_date(root: Node) -> None:
    """Convert a file of an older anndata to the current encoding, except ``obs`` and ``var``."""
    for name in (n for n in _PARTS_OF_RAW if f"raw.{n}" in root):
        root.require_group("raw")
        if isinstance(root, h5py.Group):
            root.move(f"raw.{name}", f"raw/{name}")
        else:
            folder = Path(root.store.root) / root.path
            (folder / f"raw.{name}").rename(folder / "raw" / name)
    for name in sorted(set(root) - {"obs", "var"}):
        convert(root[name], root, name)


def convert_all(old: Node, new: Node, skip: Collection[str]) -> None:
    """Write the content of a container into an empty one of the other kind, except the elements at some paths."""
    copy_attributes(old, new)
    for name in sorted(n for n in old if not n.startswith("raw.") and n not in skip):
        convert(old[name], new, name, skip)
    for name in (n for n in _PARTS_OF_RAW if f"raw.{n}" in old):
        raw = new.require_group("raw")
        mark(raw, "raw", "0.1.0")
        convert(old[f"raw.{name}"], raw, name)


def convert(old: Node, parent: Node, name: str, skip: Collection[str] = ()) -> None:
    """Write an element into a group of the other kind of container, or bring it up to date where it is.

    In the current encoding it has the same values. Matrices that change their container go through memory in parts.
    """
    stays = name in parent
    if is_array(old) and old.shape is None:  # HDF5's null: of no values
        if not stays:
            msg = f"'{name}' is empty. Remove it."
            raise UnwritableError(msg)
    elif stays and is_of_today(old) and _encoding(old) != "raw":
        pass
    elif form := _sparse_format(old):
        new = old if stays else parent.create_group(name)
        shape = old.attrs["shape"] if "shape" in old.attrs else old.attrs["h5sparse_shape"]
        new.attrs["shape"] = [int(n) for n in shape]
        mark(new, f"{form}_matrix", "0.1.0")
        if stays:
            for attribute in [a for a in ("h5sparse_format", "h5sparse_shape") if a in new.attrs]:
                del new.attrs[attribute]
        else:
            for part in ("data", "indices", "indptr"):
                _convert_array(old[part], new, part)
    elif _is_numbers(old):
        if not stays:
            _convert_array(old, parent, name)
        mark(parent[name], "array", "0.2.0")
    elif not is_array(old) and _encoding(old) in _MAPPINGS:
        new = old if stays else parent.create_group(name)
        if not stays:
            copy_attributes(old, new)
        mark(new, *(("raw", "0.1.0") if new.name == "/raw" else ("dict", "0.1.0")))
        for child in sorted(c for c in old if f"{old.name}/{c}".strip("/") not in skip):
            convert(old[child], new, child, skip)
    else:
        _write_again(old, parent, name)


def _write_again(old: Node, parent: Node, name: str) -> None:
    """Read an element, and write it; bytes alone, as other languages store texts, as text."""
    value: Any
    if name == "var" and is_array(old) and parent.name == "/raw":
        table = pd.DataFrame(ad.io.read_elem(old))
        value = table.set_index(table.columns[0])
    elif name in SECTIONS and is_array(old) and old.dtype.names:  # one table with a field for each element
        value = {field: old[field] for field in old.dtype.names}
    else:
        value = ad.io.read_elem(old)
    if name in parent:
        del parent[name]
    write_value(parent, name, value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value)


def _convert_array(old: Node, parent: Node, name: str) -> None:
    rows = max(1, _VALUES_A_CHUNK // max(1, math.prod(old.shape[1:])))
    chunks = tuple(max(1, n) for n in (min(old.shape[0], rows), *old.shape[1:]))
    how = {"chunks": chunks, **(_COMPRESSED if isinstance(parent, h5py.Group) else {})} if 0 not in old.shape else {}
    create = parent.create_dataset if isinstance(parent, h5py.Group) else parent.create_array
    new = create(name, shape=old.shape, dtype=old.dtype.newbyteorder("="), **how)
    # Whole chunks at a time, so that none is packed twice.
    step = max(1, _VALUES_A_READ // max(1, math.prod(old.shape[1:])) // chunks[0]) * chunks[0]
    for start in range(0, old.shape[0], step):
        new[start : start + step] = old[start : start + step]


def is_array(node: Node) -> bool:
    """Whether a node is an array, and not a group."""
    return hasattr(node, "shape")


def text(value: object) -> str:
    """Return a text that another language may have stored as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _encoding(node: Node) -> str:
    """Return the type of an element as anndata wrote it, empty if it did not."""
    return text(node.attrs.get("encoding-type", ""))


def is_of_today(node: Node) -> bool:
    """Whether an element has the current encoding; older data frames refer to objects of their own file."""
    kind, version = _encoding(node), text(node.attrs.get("encoding-version", ""))
    return kind != "" and (kind, version) != ("dataframe", "0.1.0")


def n_cells(root: Node) -> int:
    """Return the number of cells of a file, from the index of its ``obs``."""
    index = root["obs"] if is_array(root["obs"]) else root["obs"][text(root["obs"].attrs["_index"])]
    return int((index if is_array(index) else index["values"]).shape[0])


def mark(node: Node, kind: str, version: str) -> None:
    """Name the encoding of an element."""
    node.attrs["encoding-type"] = kind
    node.attrs["encoding-version"] = version


def copy_attributes(old: Node, new: Node) -> None:
    """Copy what is noted at a group."""
    # All are read first: h5py keeps its lock between two items, and a thread of zarr's that frees an object of h5py's
    # would wait for it for ever.
    for name, value in list(old.attrs.items()):
        new.attrs[name] = value


def _sparse_format(node: Node) -> str:
    if is_array(node):
        return ""
    if _encoding(node) in _SPARSE:
        return _encoding(node).removesuffix("_matrix")
    return text(node.attrs.get("h5sparse_format", ""))


def _is_numbers(node: Node) -> bool:
    return (
        is_array(node)
        and _encoding(node) in ("", "array")
        and len(node.shape) > 0
        and np.dtype(node.dtype).kind in "fiub"
        and not (isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype))
    )
