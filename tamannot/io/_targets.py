"""The outputs: the annotated object, a table, or both."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from tamannot.errors import OutputError, ParameterError, printable
from tamannot.io._output import check_space, check_target, is_same, locked, replacing

OUT_SUFFIXES = (".h5ad", ".zarr")
_TABLE_SUFFIXES = (".csv", ".parquet")
# First characters of spreadsheet formulas, and numbers, which may begin with them.
_STARTS = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NO_OUTPUT = "No output: pass out= or table=."


@dataclass(frozen=True)
class Outputs:
    """What a run writes, and whether it may replace what is there."""

    out: str | os.PathLike[str] | None = None  # the input with the results in it
    table: str | os.PathLike[str] | None = None
    html: str | os.PathLike[str] | None = None
    overwrite: bool = False
    in_place: bool = False  # write the results into the input itself

    def targets(self, source: Path, tables: tuple[str, ...] = _TABLE_SUFFIXES) -> dict[str, Path]:
        """Return the files to write by suffix; ``tables`` are those that a table may have."""
        out = self.out
        if self.in_place:
            if out is not None and not is_same(Path(out), source):
                other = f"{source}, but {out} is another file"
                raise ParameterError(f"in_place=True writes into the input, {other}. Leave out one of the two.")
            out = out or source
        targets: dict[str, Path] = {}
        for given, suffixes in ((out, OUT_SUFFIXES), (self.table, tables), (self.html, (".html",))):
            if given is None:
                continue
            target = Path(given)
            if target.suffix not in suffixes:
                raise OutputError(f"{target}: the name must end in {' or '.join(suffixes)}.")
            targets[target.suffix] = target
        if self.html is not None and out is None:
            raise ParameterError("A report is made from the annotated file: pass out= as well.")
        if ".parquet" in targets and find_spec("pyarrow") is None:
            raise ParameterError("Parquet tables need pyarrow:  pip install 'tamannot[parquet]'  (or write a .csv).")
        return targets


@contextmanager
def reserved(
    source: Path, asked: Outputs, tables: tuple[str, ...] = _TABLE_SUFFIXES, *, needed: bool = True
) -> Iterator[dict[str, Path]]:
    """Yield the files to write by suffix, locked until the end; raise early if one cannot be written."""
    targets = asked.targets(source, tables)
    if needed and not targets:
        raise ParameterError(NO_OUTPUT)
    with ExitStack() as stack:
        for is_locked in (False, True):  # again when all are locked: another run may just have ended
            for kind, target in targets.items():
                if is_locked:
                    stack.enter_context(locked(target))
                whole = asked.in_place and kind in OUT_SUFFIXES  # a table never takes the place of the input
                check_target(target, source=source, overwrite=asked.overwrite, in_place=whole)
                if kind in OUT_SUFFIXES and not is_locked:
                    check_space(target, source=source)
        yield targets


def write_targets(
    targets: Mapping[str, Path],
    write: Callable[[Path], object],
    table: Callable[[], pd.DataFrame],
    page: Callable[[Path, Path], object] | None = None,
) -> None:
    """Write every target completely or not at all; none is moved into place before all are written.

    ``write`` writes the cells, ``table`` makes the table, ``page`` writes the report from the path of the cells.
    """
    with ExitStack() as stack:
        parts = {kind: stack.enter_context(replacing(target)) for kind, target in targets.items()}
        for kind, part in parts.items():
            if kind in OUT_SUFFIXES:
                write(part)
            elif kind != ".html":
                write_table(table(), part)
            elif page is not None:
                page(parts.get(".h5ad") or parts[".zarr"], part)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table by the ending of its name; an index is written where it has a name.

    In text files, text that a spreadsheet would run as a formula (it begins with ``=``, ``+``, ``-`` or ``@`` and is
    not a number) gets an apostrophe in front, including cell ids and column names; unprintable characters in it (tabs,
    line breaks, escapes) are escaped. All other text is unchanged.
    """
    named = table.index.name is not None
    if path.suffix == ".parquet":
        plain = table.copy()
        plain.attrs = {}  # Parquet stores them as JSON, which not all are
        plain.to_parquet(path, index=named)
        return
    rows = table if named else table.set_index(table.columns[0])
    safe = rows.set_axis(pd.Index([_harmless(n) for n in rows.index]), axis=0)
    safe = safe.set_axis([_harmless(n) for n in rows.columns], axis=1)
    for place, kind in enumerate(rows.dtypes):
        if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
            continue
        if not (isinstance(kind, pd.CategoricalDtype) and all(_harmless(c) is c for c in kind.categories)):
            safe.isetitem(place, [_harmless(value) for value in rows.iloc[:, place]])
    safe.to_csv(path, index_label=str(rows.index.name), sep="\t" if path.suffix == ".tsv" else ",")


def _harmless(value: object) -> object:
    if not isinstance(value, str) or (value.isprintable() and not value.startswith(_STARTS)):
        return value
    words = printable(value)
    return f"'{words}" if words.startswith(_STARTS) and not _NUMBER.fullmatch(words) else words
