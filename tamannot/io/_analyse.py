"""Analyses, figures and tables of annotated files; their matrices stay on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from tamannot._progress import Progress, silent
from tamannot.analysis._samples import Samples, samples_of
from tamannot.classify import MACROPHAGE, NOT_MACROPHAGE
from tamannot.data import LABELS, slot
from tamannot.errors import OutputError, collected_notes
from tamannot.io._output import check_target, locked, replacing
from tamannot.io._read import open_file, open_root
from tamannot.io._report import CellsOnDisk
from tamannot.io._targets import out_for, reserved, targets_of, write_csv
from tamannot.io._write import write_annotated
from tamannot.tl._collect import ORIGIN_LABELS, STATE_LABELS

_TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
# What a figure says of its making beside what is drawn; without a date the same figure is the same file.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}


@dataclass(frozen=True)
class Outputs:
    """Where an analysis is written to, and whether it may replace what is there."""

    out: Path | None = None
    """The annotated file with the result in it."""
    table: Path | None = None
    """The first table of the result: ``.csv``, ``.tsv`` or ``.parquet``."""
    overwrite: bool = False
    in_place: bool = False


@dataclass(frozen=True)
class Analysis:
    """What an analysis of a file found."""

    path: str
    n_obs: int
    tables: Mapping[str, pd.DataFrame]
    """By name; the first is the one that is written."""
    parameters: Mapping[str, Any]
    cautions: tuple[str, ...]
    """Sentences that a reader should see."""
    notes: tuple[str, ...]
    outputs: tuple[str, ...]


def analyse_file(
    path: str | os.PathLike[str],
    run: Callable[[AnnData], Mapping[str, pd.DataFrame]],
    asked: Outputs,
    *,
    key: str = "tam",
    report: Progress | None = None,
) -> Analysis:
    """Run an analysis on an annotated file.

    Parameters
    ----------
    path
        The input; changed only by ``in_place``.
    run
        Writes its result under the key into the object that it is given, and returns tables by name. ``attrs`` of
        the first has parameters and cautions.
    asked
        Where to write; without a file the tables are only returned.
    key
        Under which ``run`` writes; the tables of this run are in memory.
    report
        Told the name of each stage as it begins.

    Returns
    -------
    The tables. Every output appears completely or not at all.

    Raises
    ------
    TamannotError
        The input cannot be read or used, or an output cannot be written.
    """
    source, report = Path(path), report or silent()
    out = out_for(source, asked.out, in_place=asked.in_place)
    targets = {} if out is None and asked.table is None else targets_of(out, asked.table, tables=_TABLE_SUFFIXES)
    with ExitStack() as stack:
        stack.enter_context(reserved(targets, source=source, overwrite=asked.overwrite, in_place=asked.in_place))
        report("reading file")
        adata = stack.enter_context(open_file(source, key=key))
        report.close()  # what follows may have a progress line of its own
        with collected_notes() as notes:
            tables = run(adata)
        first = next(iter(tables.values()))
        report("writing")
        parts = {kind: stack.enter_context(replacing(target)) for kind, target in targets.items()}
        for kind, part in parts.items():
            if kind in _TABLE_SUFFIXES:
                write_table(first, part)
            else:
                write_annotated(source, part, adata, key)
    about = dict(first.attrs)
    cautions = tuple(map(str, about.pop("cautions", ())))
    parameters, outputs = about.get("parameters", about), tuple(map(str, targets.values()))
    return Analysis(str(source), adata.n_obs, tables, parameters, cautions, tuple(notes), outputs)


def plot_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    draw: Callable[[AnnData], Any],
    *,
    key: str = "tam",
    dpi: int = 150,
    overwrite: bool = False,
    report: Progress | None = None,
) -> None:
    """Draw a figure of an annotated file.

    Parameters
    ----------
    path
        The input; never changed.
    out
        The figure: ``.png``, ``.pdf`` or ``.svg``. It appears completely or not at all.
    draw
        Returns axes or a figure of the object that it is given.
    key
        The ``key_added`` of the run.
    dpi
        Resolution.
    overwrite
        Replace a figure that exists.
    report
        Told the name of each stage as it begins.

    Raises
    ------
    TamannotError
        The input cannot be read or has no such result, or the output cannot be written.
    """
    from tamannot.pl._style import figures_for_a_file  # noqa: PLC0415 - brings matplotlib

    source, target, report = Path(path), Path(out), report or silent()
    if target.suffix not in _METADATA:
        msg = f"{target}: the name must end in {' or '.join(_METADATA)}."
        raise OutputError(msg)
    check_target(target, source=source, overwrite=overwrite)
    with locked(target), open_file(source, key=key) as adata, figures_for_a_file():
        report("drawing")
        drawn = draw(adata)
        with replacing(target) as beside:
            figure = getattr(drawn, "figure", drawn)
            figure.savefig(beside, dpi=dpi, bbox_inches="tight", metadata=_METADATA[target.suffix])


def cohort_table(files: Mapping[str, Path], *, sample_key: str | None = None, key: str = "tam") -> pd.DataFrame:
    """Return one row per sample of annotated files.

    Parameters
    ----------
    files
        The annotated file of each input, by the name of the input.
    sample_key
        Column of ``obs`` with the sample; None takes each file as one sample.
    key
        The ``key_added`` of the annotation.

    Returns
    -------
    ``sample``, ``file``, ``n_cells``, ``n_macrophages``, ``share_macrophages``, and the share of macrophages with
    each origin and state (``origin_microglia``, ``state_unassigned``). Cells without a sample are not counted.

    Raises
    ------
    InputFileError
        A file cannot be read.
    ParameterError
        There is no such column.
    """
    rows = []
    for name, path in files.items():
        with open_root(path) as root:
            cells = CellsOnDisk(root, path, key, (sample_key,)).cells
        one = Samples((Path(name).stem,), np.zeros(cells.n_obs, np.int64))
        samples = one if sample_key is None else samples_of(cells, sample_key)
        rows.append(_rows_of_file(cells, samples, name, key))
    return pd.concat(rows, ignore_index=True)


def _rows_of_file(cells: AnnData, samples: Samples, file: str, key: str) -> pd.DataFrame:
    labels = {axis: cells.obs[slot(key, axis)].astype(str).to_numpy() for axis in LABELS[:3]}
    n_macrophages = samples.total((labels["compartment"] == MACROPHAGE).astype(np.int64))
    n_cells = samples.total(np.ones(cells.n_obs, np.int64))
    columns: dict[str, Any] = {"sample": samples.names, "file": file, "n_cells": n_cells.astype(int)}
    columns |= {"n_macrophages": n_macrophages.astype(int), "share_macrophages": n_macrophages / n_cells}
    for axis, names in (("origin", ORIGIN_LABELS), ("state", STATE_LABELS)):
        for name in (n for n in names if n != NOT_MACROPHAGE):
            n_called = samples.total((labels[axis] == name).astype(np.int64))
            with np.errstate(invalid="ignore"):
                columns[f"{axis}_{name}"] = n_called / n_macrophages
    return pd.DataFrame(columns)


def check_table(target: Path, sources: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse a table that cannot be written, or would replace an input, before any work is done.

    Raises
    ------
    OutputError
        As `check_target`, or its name has another ending.
    ParameterError
        A package is missing for it.
    """
    targets_of(None, target, tables=_TABLE_SUFFIXES)
    for source in sources:
        check_target(target, source=source, overwrite=overwrite)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table by the ending of its name; an index is written where it has a name."""
    named = table.index.name is not None
    if path.suffix == ".parquet":
        plain = table.copy()
        plain.attrs = {}  # Parquet stores them as JSON, which not all are
        plain.to_parquet(path, index=named)
        return
    rows = table if named else table.set_index(table.columns[0])
    write_csv(rows, path, index_label=str(rows.index.name), sep="\t" if path.suffix == ".tsv" else ",")
