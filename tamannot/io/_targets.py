"""The outputs of a run: the annotated object, a table, or both; and its log: options, time, memory."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot._settings import settings
from tamannot.errors import OutputError, ParameterError, printable
from tamannot.io._output import check_space, check_target, is_same, locked, replacing
from tamannot.signature import as_signatures

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
            if out is not None and Path(out) != source and not is_same(Path(out), source):
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
    """Write every target completely or not at all; none is moved into place before all are written."""
    with ExitStack() as stack:
        parts = {kind: stack.enter_context(replacing(target)) for kind, target in targets.items()}
        for kind, part in parts.items():
            if kind in OUT_SUFFIXES:
                write(part)
            elif kind != ".html":
                write_table(table(), part)
            elif page is not None:
                page(parts.get(".h5ad") or parts[".zarr"], part)  # from the cells, which are written before it


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


_PACKAGES = ("anndata", "h5py", "numba", "numpy", "pandas", "scikit-learn", "scipy", "zarr")


class RunLog:
    """The events of a run over one file."""

    def __init__(self, source: Path, report: Progress) -> None:
        self.source, self.report = source, report
        self.n_obs: int | None = None
        self.outputs: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._seconds, self._stages = 0.0, dict[str, float]()
        self._error: dict[str, str] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time the block; keep the error that ends it."""
        begun, before = time.monotonic(), dict(self.report.seconds)
        try:
            yield
        except BaseException as error:
            self._error = error_entry(error)
            raise
        finally:
            self.report.close()
            self._seconds = time.monotonic() - begun
            spent = {stage: s - before.get(stage, 0.0) for stage, s in self.report.seconds.items()}
            self._stages = {stage: round(s, 3) for stage, s in spent.items() if s > 0}

    def entry(self) -> dict[str, Any]:
        """Return the entry of the file in the log."""
        return {
            "input": str(self.source),
            "outputs": list(self.outputs),
            "n_obs": self.n_obs,
            "stages": self._stages,
            **speed(self.n_obs, self._seconds),
            "peak_memory_bytes": peak_memory(),
            "notes": list(self.notes),
            "error": self._error,
        }


@contextmanager
def logged(
    log: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
    entry: Callable[[], dict[str, Any]],
    *,
    overwrite: bool = False,
) -> Iterator[None]:
    """Write a log, ``.json``, when the block ends, with or without an error; that of an earlier run is replaced."""
    if log is None:
        yield
        return
    target = Path(log)
    if target.suffix != ".json":
        raise OutputError(f"{target}: the name of a log must end in .json.")
    is_log = False
    with suppress(OSError, ValueError):
        found = json.loads(target.read_text())
        is_log = isinstance(found, dict) and "tamannot_log" in found
    check_target(target, overwrite=overwrite or is_log)
    versions = {"tamannot": package_version(), "python": platform.python_version()}
    versions |= {name: version(name) for name in _PACKAGES} | {"platform": platform.platform()}
    chosen = dict(options)
    if "signatures" in chosen:
        own = as_signatures(chosen["signatures"] or {})
        chosen["signatures"] = {name: signature.digest for name, signature in own.items()}
    content: dict[str, Any] = {
        "tamannot_log": 1,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions,
        "threads": settings.n_threads(),
        "options": chosen,
        "error": None,
    }
    with locked(target):
        try:
            yield
        except BaseException as error:
            content["error"] = error_entry(error)
            raise
        finally:  # an error of the run takes precedence over one of writing the log
            with nullcontext() if content["error"] is None else suppress(OutputError), replacing(target) as beside:
                beside.write_text(json.dumps(content | entry(), indent=2, default=str) + "\n")


def speed(n_obs: int | None, seconds: float) -> dict[str, float | None]:
    """Return seconds, and cells per second if the number of cells is known."""
    rate = round(n_obs / seconds, 1) if n_obs is not None and seconds > 0 else None
    return {"seconds": round(seconds, 3), "cells_per_second": rate}


def error_entry(error: BaseException) -> dict[str, str]:
    """Return kind and message of an error."""
    return {"type": type(error).__name__, "message": str(error)}


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes; None if the system does not report it."""
    # Linux hands the maximum of rusage on to a new program; that of the memory map is the program's own.
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
