"""Writes an annotated file: a copy of the input, with the results of a run added by anndata's writer."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
from numpy.typing import NDArray

from tamannot.data import UNS, names_of_run, slot
from tamannot.errors import InputFileError
from tamannot.io import _encodings as elements
from tamannot.io._containers import Node, changing, copy_container, is_zarr_name, opened
from tamannot.io._output import place_of, reading_from, writing_to

Array = NDArray[Any]

_INDEX = "_index"
# HDF5 files of the format before 2008 have no room for longer attributes.
_LONG_ATTRIBUTE = 60_000


class SpooledTables:
    """Tables of float32 that grow by blocks of cells, in unnamed temporary files beside the target of a run."""

    def __init__(self, columns: Mapping[str, Sequence[str]], target: Path) -> None:
        self._target, folder = target, place_of(target).parent
        self.columns = {name: list(names) for name, names in columns.items()}
        self.n_obs = 0
        self._files = {
            name: tempfile.TemporaryFile(dir=folder, prefix=".tamannot-")  # noqa: SIM115 - closed by `close`
            for name in columns
        }

    def close(self) -> None:
        """Give the room back."""
        for file in self._files.values():
            with suppress(OSError):  # what could not be written to a full disk
                file.close()

    def add(self, rows: range, tables: Mapping[str, Array]) -> None:
        """Take some rows of every table, which follow those before."""
        with writing_to(self._target):
            for name, file in self._files.items():
                file.write(np.ascontiguousarray(tables[name], np.float32).data)
        self.n_obs = rows.stop

    def table(self, name: str) -> Array:
        """Return a table, cells by columns."""
        values = np.empty((self.n_obs, len(self.columns[name])), np.float32)
        with writing_to(self._target):
            self._files[name].seek(0)
            self._files[name].readinto(values.data)
        return values


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
            if (n := elements.n_cells(old)) != adata.n_obs:
                msg = f"{source}: changed while it was read: it had {adata.n_obs:,} cells and now has {n:,}. Run again."
                raise InputFileError(msg)
            if copied is not None:
                copied()
            elif is_copy:
                copy_container(source, path)
        new = stack.enter_context(changing(path, new=not is_copy))
        try:
            with reading_from(source, path):
                if is_copy:
                    _check_chunks(new)
                    elements.bring_up_to_date(new)
                else:
                    elements.convert_all(old, new, skip={"obs", "var", *results.replaced(old)})
            results.write(new)
        except elements.UnwritableError as error:
            msg = f"{source}: {error}"
            raise InputFileError(msg) from error
        if tables is not None:
            _write_tables(tables, new, keys[0])


class _Results:
    """The results of a run, which replace those of an earlier run under the same key in a file."""

    def __init__(self, adata: ad.AnnData, keys: tuple[str, ...]) -> None:
        self.keys, self._adata = keys, adata
        self._names = names_of_run(adata, keys[0], keys[1:])

    def replaced(self, old: Node) -> set[str]:
        """Return the paths in a file that are rewritten or removed."""
        obsm, uns = (list(old[s]) if s in old and not elements.is_array(old[s]) else [] for s in ("obsm", "uns"))
        gone = {f"obsm/{name}" for name in self._names.dropped(obsm, list(self._adata.obsm))}
        gone |= {f"uns/{name}" for name in self._names.dropped(uns, uns)} | {f"uns/{UNS}/{key}" for key in self.keys}
        if "obs" in old and elements.is_array(old["obs"]):  # before anndata 0.7 the categories of columns were apart
            gone |= {f"uns/{n}" for n in uns if n.endswith("_categories") and n not in self._adata.uns}
        return gone

    def write(self, root: Node) -> None:
        """Write everything into a file with current encodings, with or without ``obs`` and ``var``."""
        elements.mark(root, "anndata", "0.1.0")
        for name in elements.SECTIONS:
            if name not in root:
                elements.write_value(root, name, {})
        for path in sorted(self.replaced(root)):
            if path in root:
                del root[path]
        for name, table in (("var", self._adata.var), ("obs", self._adata.obs)):
            if name not in root or not elements.is_of_today(root[name]):
                whole = table.copy()
                self._adata.strings_to_categoricals(whole)  # as anndata does
                if name in root:
                    del root[name]
                elements.write_value(root, name, whole)
            elif name == "obs":
                self._write_columns(root)
        for section, values in (("obsm", self._adata.obsm), ("uns", self._adata.uns)):
            for name in self._names.fresh(list(root[section]), [n for n in values if n != UNS]):
                elements.write_value(root[section], name, values[name])
        if UNS not in root["uns"] or elements.is_array(root["uns"][UNS]):
            elements.write_value(root["uns"], UNS, {})
        records = self._adata.uns.get(UNS, {})
        for key in (k for k in self.keys if k in records):
            try:
                elements.write_value(root["uns"][UNS], key, records[key])
            except elements.UnwritableError as error:  # the record is ours, and no fault of the input
                raise (error.__cause__ or error) from None

    def _write_columns(self, root: Node) -> None:
        """Replace the columns of ``obs``; the others keep their bytes."""
        table, obs = root["obs"], self._adata.obs
        gone = self._names.dropped(table, obs.columns) - {elements.text(table.attrs[_INDEX])}
        fresh = self._names.fresh(table, obs.columns)
        columns = [c for c in map(elements.text, table.attrs["column-order"]) if c not in gone] + fresh
        for name in sorted(gone):
            del table[name]
        for name in fresh:
            elements.write_value(table, name, obs[name].values)
        if isinstance(table, h5py.Group) and sum(map(len, columns)) > _LONG_ATTRIBUTE:
            # The same members in a group of a format whose attributes can have any size.
            table = root.create_group("obs.tamannot")
            for name, member in root["obs"].items():
                table[name] = member
            elements.copy_attributes(root["obs"], table)
            del root["obs"]
            root.move("obs.tamannot", "obs")
        table.attrs["column-order"] = columns


def _write_tables(tables: SpooledTables, root: Node, key: str) -> None:
    """Write every table into ``obsm``, as a data frame whose index is that of ``obs``."""
    obs = root["obs"]
    cells = obs[elements.text(obs.attrs[_INDEX])]
    for name, columns in tables.columns.items():
        group = root["obsm"].create_group(slot(key, name))
        elements.mark(group, "dataframe", "0.2.0")
        group.attrs["column-order"], group.attrs[_INDEX] = columns, _INDEX
        if isinstance(group, h5py.Group):
            group[_INDEX] = cells  # a second name of the same
        else:
            copy_container(Path(cells.store.root) / cells.path, Path(group.store.root) / group.path / _INDEX)
        for column, values in zip(columns, tables.table(name).T, strict=True):
            ad.io.write_elem(group, column, np.ascontiguousarray(values))


def _check_chunks(root: Node) -> None:
    """Let HDF5 read the chunk index of every data set: a copy of a broken one would be useless."""

    def count(_: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset) and node.chunks:
            node.id.get_num_chunks()

    if isinstance(root, h5py.Group):
        root.visititems(count)
