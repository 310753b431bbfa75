"""A file with annotations: the input taken over as it is, and what a run wrote."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

from tamannot.data import UNS, names_of_run
from tamannot.errors import InputFileError
from tamannot.io._output import reading_from
from tamannot.io._pour import pour
from tamannot.io._spool import SpooledTables
from tamannot.io._store import Node, is_array, store_of
from tamannot.io._takeover import TakeOver, UnwritableError, copy_attributes, is_modern, mark, text

_SECTIONS = ("layers", "obsm", "obsp", "uns", "varm", "varp")
_RAW = {name: f"raw/{name}" for name in ("X", "var", "varm")}
_OLD_RAW = {name: f"raw.{name}" for name in ("X", "var", "varm")}


def write_annotated(
    source: Path,
    path: Path,
    adata: ad.AnnData,
    key: str,
    tables: SpooledTables | None = None,
    also: tuple[str, ...] = (),
) -> None:
    """Write the source with the annotations of a run.

    Compressed blocks are copied as they are where both are of one kind, and go through memory in small parts
    otherwise. Of ``adata`` no matrix is read: they may be on disk, or not there.

    Parameters
    ----------
    source
        An h5ad file or a zarr folder.
    path
        Made anew; ``.h5ad`` or ``.zarr``.
    adata
        What was read from the source, with the annotations.
    key
        The ``key_added`` of the run.
    tables
        Tables of the run that are not in ``adata``.
    also
        Keys of runs that were made with it, their names beginning with its key.

    Raises
    ------
    InputFileError
        The source is damaged, or another than was read.
    OSError
        ``path`` cannot be written.
    """
    kind, made = store_of(source), store_of(path)
    take = TakeOver(kind, made)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # about old encodings, and formats that anndata is to leave
        with reading_from(source, path):
            old = stack.enter_context(kind.reading(source))
            _check_same(source, old, adata)
        new = stack.enter_context(made.making(path, old if take.same else None))
        writer = _Writer(take, old, new, adata, (key, *also))
        with reading_from(source, path):
            writer.take_over()
        try:
            writer.write()
        except UnwritableError as error:
            # The record of the run is ours, and no fault of the input.
            if error.name in (key, *also) and error.__cause__ is not None:
                raise error.__cause__ from None
            msg = f"{source}: {error}"
            raise InputFileError(msg) from error
        if tables is not None:
            pour(tables, made, new, key)


class _Writer:
    """Takes the sections of a file over, and notes what is to be written from memory."""

    def __init__(self, take: TakeOver, old: Node, new: Node, adata: ad.AnnData, keys: tuple[str, ...]) -> None:
        self._take, self._old, self._new, self._adata, self._keys = take, old, new, adata, keys
        self._names = names_of_run(adata, keys[0], keys[1:])
        self._to_write: list[tuple[Node, str, Any]] = []

    def take_over(self) -> None:
        copy_attributes(self._old, self._new)
        mark(self._new, "anndata", "0.1.0")
        self._obs()
        self._var()
        self._raw()
        self._named("obsm", self._adata.obsm)
        self._uns()
        for name in sorted(set(self._old) - {"obs", "var", "raw", "obsm", "uns", *_OLD_RAW.values()}):
            (self._take.mapping if name in _SECTIONS else self._take.element)(self._old[name], self._new, name)
        for name in (n for n in _SECTIONS if n not in self._new):
            self._take.write(self._new, name, {})

    def write(self) -> None:
        for group, name, value in self._to_write:
            self._take.write(group, name, value)

    def _obs(self) -> None:
        old, obs = self._old["obs"], self._adata.obs
        if not (self._take.same and is_modern(old)):
            self._frame(self._new, "obs", obs)
            return
        new = self._new.create_group("obs")
        copy_attributes(old, new)
        gone = self._names.dropped(old, obs.columns) - {text(old.attrs["_index"])}
        self._take.copy_some(old, new, sorted(set(old) - gone))
        fresh = self._names.fresh(old, obs.columns)
        self._to_write += [(new, name, obs[name].values) for name in fresh]
        new.attrs["column-order"] = [c for c in map(text, old.attrs["column-order"]) if c not in gone] + fresh

    def _var(self) -> None:
        if self._take.same and is_modern(self._old["var"]):
            self._take.copy(self._old["var"], self._new, "var")
        else:
            self._frame(self._new, "var", self._adata.var)

    def _raw(self) -> None:
        places = _RAW if "raw" in self._old else _OLD_RAW
        old = {name: where for name, where in places.items() if where in self._old}
        if not old:
            return
        new = self._new.create_group("raw")
        mark(new, "raw", "0.1.0")
        for name, where in old.items():
            if name == "var" and is_array(self._old[where]):
                table = pd.DataFrame(ad.io.read_elem(self._old[where]))
                self._frame(new, name, table.set_index(table.columns[0]))
            else:
                (self._take.mapping if name == "varm" else self._take.element)(self._old[where], new, name)

    def _named(self, section: str, values: Mapping[str, Any]) -> Node:
        """Take over a section whose elements have names, without those of the run, which are written anew.

        Of ``uns`` only what runs write is in memory.
        """
        had: list[str] = []
        if section not in self._old:
            self._take.write(self._new, section, {})
        else:
            old = self._old[section]
            had = list(old.dtype.names if is_array(old) else old)
            have = had if section == "uns" else list(values)
            gone = self._names.dropped(had, have) | self._left_out(section)
            self._take.mapping(old, self._new, section, skip=frozenset(gone))
        new = self._new[section]
        self._to_write += [(new, name, values[name]) for name in self._names.fresh(had, list(values))]
        return new

    def _left_out(self, section: str) -> set[str]:
        """Return what is written otherwise, and categories that old files kept apart from their columns."""
        if section != "uns":
            return set()
        had = set(self._old.get("uns", {}))
        apart = {n for n in had if n.endswith("_categories") and n not in self._adata.uns}
        return {UNS} | (apart if is_array(self._old["obs"]) else set())

    def _uns(self) -> None:
        new = self._named("uns", {k: v for k, v in self._adata.uns.items() if k != UNS})
        runs = self._old["uns"].get(UNS) if "uns" in self._old else None
        if runs is not None and not is_array(runs):
            group = self._take.mapping(runs, new, UNS, skip=frozenset(self._keys))
        else:
            self._take.write(new, UNS, {})
            group = new[UNS]
        records = self._adata.uns.get(UNS, {})
        self._to_write += [(group, key, records[key]) for key in self._keys if key in records]

    def _frame(self, parent: Node, name: str, table: pd.DataFrame) -> None:
        """Note a table to be written as anndata does: columns of strings as categories."""
        table = table.copy()
        self._adata.strings_to_categoricals(table)
        self._to_write.append((parent, name, table))


def _check_same(source: Path, old: Node, adata: ad.AnnData) -> None:
    obs = old["obs"]
    index = obs if is_array(obs) else obs[text(obs.attrs["_index"])]
    n_obs = (index if is_array(index) else index["values"]).shape[0]
    if n_obs != adata.n_obs:
        msg = f"{source}: changed since it was read: {adata.n_obs:,} cells then, {n_obs:,} now."
        raise InputFileError(msg)
