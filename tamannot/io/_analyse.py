"""Analyses, figures and tables of annotated files; their matrices stay on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
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
from tamannot.io._read import open_file
from tamannot.io._targets import Outputs, reserved, write_targets
from tamannot.io._write import write_annotated
from tamannot.tl._collect import ORIGIN_LABELS, STATE_LABELS

RESULT_SUFFIXES = (".csv", ".tsv", ".parquet")
# What a figure says of its making beside what is drawn; without a date the same figure is the same file.
_METADATA: dict[str, Any] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


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
    """Run an analysis on an annotated file; without outputs its tables are only returned.

    ``run`` writes its result under the key into the object that it is given, and returns tables by name. The first is
    written to a file, and its ``attrs`` have parameters and cautions.
    """
    source, report = Path(path), report or silent()
    with reserved(source, asked, RESULT_SUFFIXES, needed=False) as targets:
        report("reading file")
        with open_file(source, key=key) as adata:
            report.close()  # what follows may have a progress line of its own
            with collected_notes() as notes:
                tables = run(adata)
            first = next(iter(tables.values()))
            report("writing")
            write_targets(targets, partial(write_annotated, source, adata=adata, keys=(key,)), lambda: first)
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
    """Write what ``draw`` makes of an annotated file, axes or a figure, as ``.png``, ``.pdf`` or ``.svg``."""
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
    """Return one row per sample of annotated files, given by the name of their inputs.

    Without ``sample_key`` each file is one sample. Columns: ``sample``, ``file``, ``n_cells``, ``n_macrophages``,
    ``share_macrophages``, and the share of macrophages with each origin and state (``origin_microglia``,
    ``state_unassigned``). Cells without a sample are not counted.
    """
    rows = []
    for name, path in files.items():
        with open_file(path) as cells:
            one = Samples((Path(name).stem,), np.zeros(cells.n_obs, np.int64))
            samples = one if sample_key is None else samples_of(cells, sample_key)
            labels = {axis: cells.obs[slot(key, axis)].astype(str).to_numpy() for axis in LABELS[:3]}
            n_macrophages = samples.total((labels["compartment"] == MACROPHAGE).astype(np.int64))
            n_cells = samples.total(np.ones(cells.n_obs, np.int64))
            columns: dict[str, Any] = {"sample": samples.names, "file": name, "n_cells": n_cells.astype(int)}
            columns |= {"n_macrophages": n_macrophages.astype(int), "share_macrophages": n_macrophages / n_cells}
            for axis, known in (("origin", ORIGIN_LABELS), ("state", STATE_LABELS)):
                for label in (n for n in known if n != NOT_MACROPHAGE):
                    n_called = samples.total((labels[axis] == label).astype(np.int64))
                    with np.errstate(invalid="ignore"):
                        columns[f"{axis}_{label}"] = n_called / n_macrophages
            rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)
