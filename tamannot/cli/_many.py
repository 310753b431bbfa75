"""``tamannot annotate`` of many files: one table over all of them, failures at the end."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import typer

from tamannot._printable import printable
from tamannot.cli._options import as_options
from tamannot.cli._show import in_options, print_table, stages
from tamannot.errors import ParameterError
from tamannot.io._annotate import FileSummary, fit_files
from tamannot.io._batch import FileResult, annotate_tasks, make_folders, tasks_of
from tamannot.io._log import logged, signature_digests, speed
from tamannot.signature import Signatures
from tamannot.tl._model import models_of


def annotate_many(
    sources: Sequence[Path],
    folder: Path | None,
    *,
    single: Mapping[str, Path | None],
    tables: str | None,
    jobs: int,
    log: Path | None,
    signatures: Signatures | None,
    overwrite: bool,
    in_place: bool,
    quiet: bool,
    as_json: bool,
    chunk_size: int | None,
    each_alone: bool,
    choices: Mapping[str, Any],
) -> None:
    """Annotate files into a folder, print a table over them, then what failed.

    Raises
    ------
    TamannotError
        The options do not go together, or the folder or the log cannot be written.
    typer.Exit
        A file failed: 2, or 1 if through a bug.
    """
    tasks = tasks_of(sources, _folder_for(folder, single, in_place=in_place), tables, in_place=in_place)
    asked = {"out_dir": folder, "tables": tables, "jobs": jobs, "overwrite": overwrite, "in_place": in_place}
    asked |= {"chunk_size": chunk_size, "each_alone": each_alone}
    options = asked | {"signatures": signature_digests(signatures), **choices}
    found, begun = dict[str, FileResult](), time.monotonic()
    entry = partial(_entry, found, begun)
    with logged(log, options, entry, overwrite=overwrite), stages(quiet=quiet) as report:
        of_cohort, of_labels = models_of(choices.get("model"))
        make_folders(tasks)
        if not each_alone and len(tasks) > 1 and of_cohort is None:
            of_cohort, note = fit_files([task.source for task in tasks], signatures, choices, report)
            if not quiet:
                print(f"tamannot: {note}", file=sys.stderr)
        choices = {**choices, "model": [m for m in (of_cohort, of_labels) if m is not None]}
        running = annotate_tasks(
            tasks,
            jobs=jobs,
            signatures=signatures,
            overwrite=overwrite,
            in_place=in_place,
            chunk_size=chunk_size,
            report=report,
            choices=choices,
        )
        for result in running:
            found[result.path] = result
    results = [found[str(task.source)] for task in tasks]
    _print(results, time.monotonic() - begun, as_json=as_json, quiet=quiet)
    _tell_failures(results)


def _folder_for(folder: Path | None, single: Mapping[str, Path | None], *, in_place: bool) -> Path | None:
    """Return the folder of the outputs, if they do not replace the inputs; refuse options that name one output."""
    if folder is None and not in_place:
        msg = (
            "Several inputs, and --tables, need --out-dir: each output has the name of its input in that folder. "
            "Or --in-place, to write into the inputs."
        )
        raise ParameterError(msg)
    given = [name for name, value in single.items() if value is not None]
    if given:
        instead = {
            "--out": "Leave it out.",
            "--table": "Give --tables csv or --tables parquet.",
            "--report": "Run tamannot report on each output.",
        }
        msg = f"{given[0]} names one file and cannot go with --out-dir, or several inputs. {instead[given[0]]}"
        raise ParameterError(msg)
    return folder


def _entry(found: Mapping[str, FileResult], begun: float) -> dict[str, Any]:
    """Return what a log says about a run over files."""
    entries, seconds = [result.entry for result in found.values()], time.monotonic() - begun
    n_obs = sum(entry["n_obs"] or 0 for entry in entries)
    return {
        "n_obs": n_obs,
        **speed(n_obs, seconds),
        "peak_memory_bytes": max((entry["peak_memory_bytes"] or 0 for entry in entries), default=None),
        "files": entries,
    }


def _print(results: Sequence[FileResult], seconds: float, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print(json.dumps([_as_json(result) for result in results], indent=2))
        return
    done = [(r.summary, r.entry["seconds"]) for r in results if r.summary is not None]
    if quiet or not done:
        return
    columns = ("file", "cells", "macrophages", "origins", "states", "tissue", "seconds")
    print_table(columns, (_row(summary, took) for summary, took in done))
    n_obs = sum(summary.n_obs for summary, _ in done)
    print(f"{len(done)} of {len(results)} files written, {n_obs:,} cells in {seconds:.0f} s")


def _row(summary: FileSummary, seconds: float) -> tuple[str, ...]:
    labels = (_labels(summary.origins), _labels(summary.states))
    return summary.path, f"{summary.n_obs:,}", f"{summary.n_macrophages:,}", *labels, summary.tissue, f"{seconds:.1f}"


def _labels(counts: Mapping[str, int]) -> str:
    last = {"unassigned": counts["unassigned"]} if counts.get("unassigned") else {}
    named = {name: n for name, n in counts.items() if name != "unassigned"}
    return ", ".join(f"{name} {n:,}" for name, n in (named | last).items()) or "none"


def _as_json(result: FileResult) -> dict[str, Any]:
    error = None if result.error is None else as_options(result.error)
    seconds = {"seconds": result.entry["seconds"], "error": error}
    if result.summary is None:
        return {"path": result.path} | seconds
    return dataclasses.asdict(in_options(result.summary)) | {"n_macrophages": result.summary.n_macrophages} | seconds


def _tell_failures(results: Sequence[FileResult]) -> None:
    failed = [result for result in results if result.error is not None]
    if not failed:
        return
    for result in failed:
        print(result.traceback or "", end="", file=sys.stderr)
        print(f"tamannot: {as_options(printable(result.error))}", file=sys.stderr)
    if len(results) > 1:
        rest = "; the others are written." if len(failed) < len(results) else "."
        print(f"tamannot: {len(failed)} of {len(results)} files failed{rest}", file=sys.stderr)
    raise typer.Exit(1 if any(result.traceback for result in failed) else 2)
