"""The outputs: the annotated object, a table, or both."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from tamannot.errors import OutputError, ParameterError, printable
from tamannot.io._output import check_space, check_target, is_same, locked, replacing

_OUT_SUFFIXES = (".h5ad", ".zarr")
_TABLE_SUFFIXES = (".csv", ".parquet")
_PAGE_SUFFIX = ".html"
NO_OUTPUT = "No output: pass out= or table=."


def targets_of(
    out: str | os.PathLike[str] | None,
    table: str | os.PathLike[str] | None,
    html: str | os.PathLike[str] | None = None,
    tables: tuple[str, ...] = _TABLE_SUFFIXES,
) -> dict[str, Path]:
    """Return the files to write by suffix; ``tables`` are those that a table may have.

    Raises
    ------
    OutputError
        A name has the wrong suffix.
    ParameterError
        No output is given, or a package for it is missing.
    """
    targets: dict[str, Path] = {}
    for given, suffixes in ((out, _OUT_SUFFIXES), (table, tables), (html, (_PAGE_SUFFIX,))):
        if given is None:
            continue
        target = Path(given)
        if target.suffix not in suffixes:
            msg = f"{target}: the name must end in {' or '.join(suffixes)}."
            raise OutputError(msg)
        targets[target.suffix] = target
    if html is not None and out is None:
        msg = "A report is made from the annotated file: pass out= as well."
        raise ParameterError(msg)
    if not targets:
        raise ParameterError(NO_OUTPUT)
    if ".parquet" in targets and find_spec("pyarrow") is None:
        msg = "Parquet tables need pyarrow:  pip install 'tamannot[parquet]'  (or write a .csv)."
        raise ParameterError(msg)
    return targets


def out_for(source: Path, out: str | os.PathLike[str] | None, *, in_place: bool) -> str | os.PathLike[str] | None:
    """Return the main output: the source itself if the results are written in place.

    Raises
    ------
    ParameterError
        Another output is given as well.
    """
    if not in_place or (out is not None and is_same(Path(out), source)):
        return out
    if out is not None:
        msg = f"in_place=True writes into the input, {source}, but {out} is another file. Leave out one of the two."
        raise ParameterError(msg)
    return source


@contextmanager
def reserved(targets: Mapping[str, Path], *, source: Path, overwrite: bool, in_place: bool = False) -> Iterator[None]:
    """Raise early for targets that cannot be written; lock them until the end.

    Raises
    ------
    OutputError
        A target exists or is the source, cannot be written, lacks disk space, or another run is writing it.
    """

    def check(kind: str) -> None:
        whole = in_place and kind in _OUT_SUFFIXES  # a table never takes the place of the input
        check_target(targets[kind], source=source, overwrite=overwrite, in_place=whole)

    for kind, target in targets.items():
        check(kind)
        if kind in _OUT_SUFFIXES:
            check_space(target, source=source)
    with ExitStack() as stack:
        for kind, target in targets.items():
            stack.enter_context(locked(target))
            check(kind)  # a run may just have ended
        yield


def write_targets(
    targets: Mapping[str, Path],
    write: Callable[[Path], object],
    table: Callable[[], pd.DataFrame],
    page: Callable[[Path, Path], object] | None = None,
) -> None:
    """Write every target completely or not at all; none is moved into place before all are written.

    Parameters
    ----------
    targets
        By suffix, as `targets_of` returns them.
    write
        Writes the cells, to an h5ad file or a zarr folder.
    table
        Makes the table.
    page
        Writes the report, from the path of the written cells.

    Raises
    ------
    OutputError
        A target cannot be written.
    InputFileError
        The source is damaged.
    """
    writers: dict[str, Callable[[Path], object]] = {
        **dict.fromkeys(_OUT_SUFFIXES, write),
        ".csv": lambda path: write_csv(table(), path),
        ".parquet": lambda path: table().rename_axis("cell").to_parquet(path),
    }
    with ExitStack() as stack:
        parts = {kind: stack.enter_context(replacing(target)) for kind, target in targets.items()}
        if page is not None:
            annotated = next(part for kind, part in parts.items() if kind in _OUT_SUFFIXES)
            writers[_PAGE_SUFFIX] = lambda path: page(annotated, path)
        for kind, part in parts.items():
            writers[kind](part)


# First characters of spreadsheet formulas, and of numbers.
_STARTS = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def write_csv(table: pd.DataFrame, path: Path, *, index_label: str = "cell", sep: str = ",") -> None:
    """Write a table, with its index (the cell ids) as the first column.

    Text that a spreadsheet would run as a formula (it begins with ``=``, ``+``, ``-`` or ``@`` and is not a number)
    gets an apostrophe in front, including cell ids and column names; unprintable characters in it (tabs, line breaks,
    escapes) are escaped. All other text is unchanged.
    """
    safe = table.set_axis(pd.Index(_harmless(table.index)), axis=0).set_axis(_harmless(table.columns), axis=1)
    for place, kind in enumerate(table.dtypes):
        values = table.iloc[:, place]
        if isinstance(kind, pd.CategoricalDtype):
            if any(map(_is_harmful, kind.categories)):
                safe.isetitem(place, _harmless(values))
        elif not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
            safe.isetitem(place, _harmless(values))
    safe.to_csv(path, index_label=index_label, sep=sep)


def _harmless(names: Iterable[object]) -> list[object]:
    return [_mended(name) if _is_harmful(name) else name for name in names]


def _is_harmful(name: object) -> bool:
    return isinstance(name, str) and not (name.isprintable() and (not name.startswith(_STARTS) or _is_number(name)))


def _is_number(name: str) -> bool:
    return _NUMBER.fullmatch(name) is not None


def _mended(name: object) -> str:
    words = printable(name)
    return f"'{words}" if words.startswith(_STARTS) and not _is_number(words) else words
