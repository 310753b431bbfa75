"""Taking over the elements of a file into a new one: whole blocks where possible, and never a whole matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import anndata as ad
import h5py
import numpy as np

from tamannot.errors import TamannotError
from tamannot.io._store import Node, Store, is_array

_MAPPINGS = ("", "dict", "raw", "anndata")
_SPARSE = ("csr_matrix", "csc_matrix")
_PARTS = ("data", "indices", "indptr")
# Groups within groups: far beyond any file that is meant.
_DEEPEST = 50
# Values read at once where they cannot be copied: 16 to 32 MiB.
_VALUES_A_READ = 1 << 22


class UnwritableError(ValueError):
    """A part of the input that has no place in an output."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class TakeOver:
    """Takes elements over from one container into another.

    Parameters
    ----------
    source, target
        The kinds of both.
    """

    def __init__(self, source: Store, target: Store) -> None:
        self._target = target
        self.same = type(source) is type(target)

    def element(self, old: Node, parent: Node, name: str) -> None:
        """Take over an element of any encoding, old ones as the same in the present one.

        Raises
        ------
        UnwritableError
            There is no place for it.
        """
        if is_array(old) and old.shape is None:  # HDF5's null: of no values
            if not self.same:
                msg = f"'{name}' holds nothing. Remove it."
                raise UnwritableError(name, msg)
            self._target.copy(old, parent, name)
        elif self.same and is_modern(old) and encoding(old) not in _MAPPINGS:
            self._target.copy(old, parent, name)
        elif _sparse_format(old):
            self._sparse(old, parent, name)
        elif _is_numbers(old):
            self._array(old, parent, name)
            mark(parent[name], "array", "0.2.0")
        elif not is_array(old) and encoding(old) in _MAPPINGS:
            self.mapping(old, parent, name)
        else:
            value = ad.io.read_elem(old)
            # Bytes alone, as other languages store texts, are written as text.
            self.write(parent, name, value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value)

    def mapping(self, old: Node, parent: Node, name: str, *, skip: frozenset[str] = frozenset()) -> Node:
        """Take over a group of elements, except some; of a table with a field each, as there were, all.

        Raises
        ------
        ValueError
            Groups lie in each other without end.
        """
        if is_array(old):
            self.write(parent, name, {field: old[field] for field in old.dtype.names})
            return parent[name]
        if old.name.count("/") > _DEEPEST:
            msg = f"{old.name[:40]}… lies too deep: do links of the file lead in a circle?"
            raise ValueError(msg)
        new = parent.create_group(name)
        copy_attributes(old, new)
        names = sorted(set(old) - skip)
        if self.same and encoding(old):  # by an anndata that names the encodings of all that is in it
            self._target.copy_some(old, new, names)
            return new
        mark(new, *(("raw", "0.1.0") if encoding(old) == "raw" else ("dict", "0.1.0")))
        for child in names:
            self.element(old[child], new, child)
        return new

    def copy(self, old: Node, parent: Node, name: str) -> None:
        """Copy a node as it is, in a container of the same kind."""
        self._target.copy(old, parent, name)

    def copy_some(self, old: Node, new: Node, names: Iterable[str]) -> None:
        """Copy members of a group as they are, in a container of the same kind."""
        self._target.copy_some(old, new, names)

    def write(self, parent: Node, name: str, value: Any) -> None:
        """Write a value from memory with anndata's writer.

        Raises
        ------
        UnwritableError
            anndata reads such a value, and does not write it.
        """
        try:
            with ad.settings.override(allow_write_nullable_strings=True):
                ad.io.write_elem(parent, name, value, dataset_kwargs=self._target.options)
        except (OSError, RuntimeError, MemoryError, TamannotError):
            raise
        except Exception as error:  # whatever anndata's writers raise of what they do not know
            reason = (str(error) or type(error).__name__).splitlines()[0]
            msg = f"'{name}' cannot be written by anndata ({reason}). Rename or remove it."
            raise UnwritableError(name, msg) from error

    def _sparse(self, old: Node, parent: Node, name: str) -> None:
        new = parent.create_group(name)
        shape = old.attrs["shape"] if "shape" in old.attrs else old.attrs["h5sparse_shape"]
        new.attrs["shape"] = [int(n) for n in shape]
        mark(new, f"{_sparse_format(old)}_matrix", "0.1.0")
        for part in _PARTS:
            self._array(old[part], new, part)

    def _array(self, old: Node, parent: Node, name: str) -> None:
        if self.same:
            self._target.copy(old, parent, name)
            return
        new = self._target.empty(parent, name, old.shape, old.dtype.newbyteorder("="))
        rows = _rows_a_read(old.shape, step=new.chunks[0] if new.chunks else 1)
        for start in range(0, old.shape[0], rows):
            new[start : start + rows] = old[start : start + rows]


def encoding(node: Node) -> str:
    """Return the type of an element as anndata wrote it, empty if it did not."""
    return text(node.attrs.get("encoding-type", ""))


def text(value: object) -> str:
    """Return a text that another language may have stored as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def is_modern(node: Node) -> bool:
    """Whether an element has the encoding of today; older data frames refer to objects of their own file."""
    kind, version = encoding(node), text(node.attrs.get("encoding-version", ""))
    return kind != "" and (kind, version) != ("dataframe", "0.1.0")


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
    if encoding(node) in _SPARSE:
        return encoding(node).removesuffix("_matrix")
    return text(node.attrs.get("h5sparse_format", ""))


def _is_numbers(node: Node) -> bool:
    return (
        is_array(node)
        and encoding(node) in ("", "array")
        and len(node.shape) > 0
        and np.dtype(node.dtype).kind in "fiub"
        and not (isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype))
    )


def _rows_a_read(shape: tuple[int, ...], *, step: int) -> int:
    """Return how many rows to read at once: whole chunks, so that none is packed twice."""
    return max(1, _VALUES_A_READ // max(1, math.prod(shape[1:])) // step) * step
