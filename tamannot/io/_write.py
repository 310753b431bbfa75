"""Writes an annotated file: a copy of the input in current encodings, with the results of a run added."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.data import UNS, names_of_run, slot
from tamannot.errors import InputFileError, TamannotError
from tamannot.io._containers import Node, changing, copy_container, is_zarr_name, opened
from tamannot.io._output import first_line, place_of, reading_from, writing_to

_INDEX = "_index"
# HDF5 files of the format before 2008 have no room for longer attributes.
_LONG_ATTRIBUTE = 60_000
# Rows of a table that are turned into columns at a time: few enough for the cache of the processor.
_ROWS_A_TURN = 4096


class SpooledTables:
    """Tables of float32 that grow by blocks of cells, in unnamed temporary files beside the target of a run."""

    def __init__(self, columns: Mapping[str, Sequence[str]], target: Path) -> None:
        self._target, folder = target, place_of(target).parent
        self._columns = {name: list(names) for name, names in columns.items()}
        self._n_obs = 0
        self._files = {
            name: tempfile.TemporaryFile(dir=folder, prefix=".tamannot-")  # noqa: SIM115 - closed by `close`
            for name in columns
        }

    def close(self) -> None:
        """Give the room back."""
        for file in self._files.values():
            with suppress(OSError):  # what could not be written to a full disk
                file.close()

    def add(self, rows: range, tables: Mapping[str, NDArray[Any]]) -> None:
        """Take some rows of every table; they must follow those before."""
        if rows.start != self._n_obs:
            raise ValueError(f"rows {rows.start} to {rows.stop} after {self._n_obs} rows")
        with writing_to(self._target):
            for name, file in self._files.items():
                file.write(np.ascontiguousarray(tables[name], np.float32).data)
        self._n_obs = rows.stop

    def write(self, root: Node, key: str) -> None:
        """Write every table into ``obsm``, as a data frame whose index is that of ``obs``."""
        obs = root["obs"]
        cells = obs[text(obs.attrs[_INDEX])]
        for name, columns in self._columns.items():
            if slot(key, name) in root["obsm"]:  # of a run whose record is gone, as other tools leave uns behind
                del root["obsm"][slot(key, name)]
            group = root["obsm"].create_group(slot(key, name))
            mark(group, "dataframe", "0.2.0")
            group.attrs["column-order"], group.attrs[_INDEX] = columns, _INDEX
            if isinstance(group, h5py.Group):
                group[_INDEX] = cells  # a second name of the same
            else:
                copy_container(Path(cells.store.root) / cells.path, Path(group.store.root) / group.path / _INDEX)
            values = np.empty((len(columns), self._n_obs), np.float32)
            with writing_to(self._target):
                self._files[name].seek(0)
                for start in range(0, self._n_obs, _ROWS_A_TURN):
                    rows = values[:, start : start + _ROWS_A_TURN]
                    rows[:] = np.fromfile(self._files[name], np.float32, rows.size).reshape(rows.shape[::-1]).T
            for column, numbers in zip(columns, values, strict=True):
                ad.io.write_elem(group, column, numbers)


def write_annotated(
    source: Path,
    path: Path,
    adata: ad.AnnData,
    keys: tuple[str, ...],
    tables: SpooledTables | None = None,
    copied: Callable[[], None] | None = None,
) -> None:
    """Write the source with the annotations of a run, of which ``tables`` have the first key.

    The source is copied or, if the output has the other format, its matrices are converted in small parts. A copy that
    has begun already is only waited for: ``copied`` returns when it is complete. No matrix of ``adata`` is read: they
    may be on disk, or missing. Errors of ``path`` are `OSError`.
    """
    results, is_copy = _Results(adata, keys), is_zarr_name(source) == is_zarr_name(path)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # about old encodings, and formats that anndata is to leave
        with reading_from(source, path):
            old = stack.enter_context(opened(source))
            if (n := n_cells(old)) != adata.n_obs:
                raise InputFileError(
                    f"{source}: changed while it was read: it had {adata.n_obs:,} cells and now has {n:,}. Run again."
                )
            if copied is not None:
                copied()
            elif is_copy:
                copy_container(source, path)
        new = stack.enter_context(changing(path, new=not is_copy))
        try:
            with reading_from(source, path):
                convert_all(new if is_copy else old, new, skip={"obs", "var", *results.replaced(old)})
            results.write(new)
        except UnwritableError as error:
            raise InputFileError(f"{source}: {error}") from error
        if tables is not None:
            tables.write(new, keys[0])


class _Results:
    """The results of a run, which replace those of an earlier run under the same key in a file."""

    def __init__(self, adata: ad.AnnData, keys: tuple[str, ...]) -> None:
        self.keys, self._adata = keys, adata
        self._names = names_of_run(adata, keys[0], keys[1:])

    def replaced(self, old: Node) -> set[str]:
        """Return the paths in a file that are rewritten or removed."""
        obsm, uns = (list(old[s]) if s in old and not is_array(old[s]) else [] for s in ("obsm", "uns"))
        gone = {f"obsm/{name}" for name in self._names.dropped(obsm, list(self._adata.obsm))}
        gone |= {f"uns/{name}" for name in self._names.dropped(uns, uns)} | {f"uns/{UNS}/{key}" for key in self.keys}
        if "obs" in old and is_array(old["obs"]):  # before anndata 0.7 the categories of columns were apart
            gone |= {f"uns/{n}" for n in uns if n.endswith("_categories") and n not in self._adata.uns}
        return gone

    def write(self, root: Node) -> None:
        """Write everything into a file with current encodings, with or without ``obs`` and ``var``."""
        mark(root, "anndata", "0.1.0")
        for name in SECTIONS:
            if name not in root:
                write_value(root, name, {})
        for path in sorted(self.replaced(root)):
            if path in root:
                del root[path]
        for name, table in (("var", self._adata.var), ("obs", self._adata.obs)):
            if name not in root or not is_of_today(root[name]):
                whole = table.copy()
                self._adata.strings_to_categoricals(whole)  # as anndata does
                if name in root:
                    del root[name]
                write_value(root, name, whole)
            elif name == "obs":
                self._write_columns(root)
        for section, values in (("obsm", self._adata.obsm), ("uns", self._adata.uns)):
            for name in self._names.fresh(list(root[section]), [n for n in values if n != UNS]):
                write_value(root[section], name, values[name])
        if UNS not in root["uns"] or is_array(root["uns"][UNS]):
            write_value(root["uns"], UNS, {})
        records = self._adata.uns.get(UNS, {})
        for key in (k for k in self.keys if k in records):
            try:
                write_value(root["uns"][UNS], key, records[key])
            except UnwritableError as error:  # the record is ours, and no fault of the input
                raise (error.__cause__ or error) from None

    def _write_columns(self, root: Node) -> None:
        """Replace the columns of ``obs``; the others keep their bytes."""
        table, obs = root["obs"], self._adata.obs
        gone = self._names.dropped(table, obs.columns) - {text(table.attrs[_INDEX])}
        fresh = self._names.fresh(table, obs.columns)
        columns = [c for c in map(text, table.attrs["column-order"]) if c not in gone] + fresh
        for name in sorted(gone):
            del table[name]
        for name in fresh:
            write_value(table, name, obs[name].values)
        if isinstance(table, h5py.Group) and sum(map(len, columns)) > _LONG_ATTRIBUTE:
            # The same members in a group of a format whose attributes can have any size.
            table = root.create_group("obs.tamannot")
            for name, member in root["obs"].items():
                table[name] = member
            copy_attributes(root["obs"], table)
            del root["obs"]
            root.move("obs.tamannot", "obs")
        table.attrs["column-order"] = columns


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
        raise UnwritableError(
            f"'{name}' cannot be written by anndata ({first_line(error)}). Rename or remove it."
        ) from error


def convert_all(old: Node, new: Node, skip: Collection[str]) -> None:
    """Write a container into an empty one of the other kind, or bring it up to date, except elements at some paths."""

    def count_chunks(_: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset) and node.chunks:
            node.id.get_num_chunks()

    if old is not new:
        copy_attributes(old, new)
    elif isinstance(old, h5py.Group):  # HDF5 reads every index of chunks: a copy of a broken one would be useless
        old.visititems(count_chunks)
    for name in (n for n in _PARTS_OF_RAW if f"raw.{n}" in old):
        raw = new.require_group("raw")
        mark(raw, "raw", "0.1.0")
        if old is not new:
            convert(old[f"raw.{name}"], raw, name)
        elif isinstance(old, h5py.Group):
            old.move(f"raw.{name}", f"raw/{name}")
        else:
            folder = Path(old.store.root) / old.path
            (folder / f"raw.{name}").rename(folder / "raw" / name)
    for name in sorted(n for n in old if not n.startswith("raw.") and n not in skip):
        convert(old[name], new, name, skip)


def convert(old: Node, parent: Node, name: str, skip: Collection[str] = ()) -> None:
    """Write an element in the current encoding into a group of the other kind of container, or update it in place."""
    stays = name in parent
    if is_array(old) and old.shape is None:  # HDF5's null: of no values
        if not stays:
            raise UnwritableError(f"'{name}' is empty. Remove it.")
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
