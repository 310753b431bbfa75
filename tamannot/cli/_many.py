"""``tamannot annotate`` of many files: one table over all of them, failures at the end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import typer

from tamannot._settings import AnnotateSettings
from tamannot.cli._options import as_options
from tamannot.cli._show import counted, in_options, print_table, stages
from tamannot.errors import ParameterError, printable
from tamannot.io._annotate import FileOptions, fit_files
from tamannot.io._batch import FileResult, Task, annotate_tasks, make_folders, tasks_of
from tamannot.io._files import RESULT_SUFFIXES, cohort_table
from tamannot.io._output import check_target, place_of, replacing
from tamannot.io._targets import Outputs, logged, speed, write_table
from tamannot.signature import Signatures
from tamannot.tl._model import models_of


def annotate_many(
    sources: Sequence[Path],
    asked: Mapping[str, Any],
    single: Mapping[str, Path | None],
    signatures: Signatures | None,
    choices: Mapping[str, Any],
    how: tuple[Path | None, bool, bool],
) -> None:
    """Annotate files into a folder, print a table over them, then what failed: exit with 2, or 1 if through a bug.

    ``asked`` are options of the command as the log has them, ``how`` are --log, --quiet and --json.
    """
    log, quiet, as_json = how
    tasks = _checked_tasks(sources, asked, single)
    found, begun = dict[str, FileResult](), time.monotonic()
    options, entry = {**asked, "signatures": signatures, **choices}, partial(_entry, found, begun)
    with logged(log, options, entry, overwrite=asked["overwrite"]), stages(quiet=quiet) as report:
        settings = AnnotateSettings(**choices, recorded=tuple(choices))
        of_cohort, of_labels = models_of(settings.model)
        make_folders(tasks)
        if not asked["each_alone"] and len(tasks) > 1 and of_cohort is None:
            of_cohort, note = fit_files([task.source for task in tasks], signatures, settings, report)
            if not quiet:
                print(f"tamannot: {note}", file=sys.stderr)
        settings = replace(settings, model=[m for m in (of_cohort, of_labels) if m is not None])
        file_options = FileOptions(settings, signatures, chunk_size=asked["chunk_size"])
        for result in annotate_tasks(tasks, file_options, jobs=asked["jobs"], report=report):
            found[result.path] = result
    results = [found[str(task.source)] for task in tasks]
    done = {str(task.source): task.out for task in tasks if found[str(task.source)].summary is not None}
    if asked["cohort_table"] is not None and done:
        table = cohort_table(done, sample_key=choices["sample_key"])
        with replacing(asked["cohort_table"]) as beside:
            write_table(table, beside)
    if as_json:
        print(json.dumps([_as_json(result) for result in results], indent=2))
    elif not quiet and done:
        _print_results(results, time.monotonic() - begun)
    failed = [result for result in results if result.error is not None]
    for result in failed:
        print(result.traceback or "", end="", file=sys.stderr)
        print(f"tamannot: {as_options(printable(result.error))}", file=sys.stderr)
    if failed and len(results) > 1:
        rest = "; the others are written." if len(failed) < len(results) else "."
        print(f"tamannot: {len(failed)} of {len(results)} files failed{rest}", file=sys.stderr)
    if failed:
        raise typer.Exit(1 if any(result.traceback for result in failed) else 2)


def _checked_tasks(sources: Sequence[Path], asked: Mapping[str, Any], single: Mapping[str, Path | None]) -> list[Task]:
    """Return what is to be done, or raise before any work if options or outputs do not fit together."""
    out_dir, cohort = asked["out_dir"], asked["cohort_table"]
    if out_dir is None and not asked["in_place"]:
        raise ParameterError(
            "Several inputs, --tables and --cohort-table need --out-dir: each output has the name of its input in that "
            "folder. Or --in-place, to write into the inputs."
        )
    given = next((name for name, value in single.items() if value is not None), None)
    if given is not None:
        instead = {"--out": "Leave it out.", "--table": "Give --tables csv or --tables parquet."}
        what = instead.get(given, "Run tamannot report on each output.")
        raise ParameterError(f"{given} names one file and cannot go with --out-dir, or several inputs. {what}")
    tasks = tasks_of(sources, out_dir, asked["tables"], overwrite=asked["overwrite"], in_place=asked["in_place"])
    if cohort is not None:
        if place_of(cohort) in {place_of(Path(t.outputs.table)) for t in tasks if t.outputs.table is not None}:
            raise ParameterError(
                f"{cohort} is the table of one input, written by --tables. Give another name to --cohort-table."
            )
        make_folders(tasks)  # the table may stand among the outputs
        for task in tasks:
            Outputs(table=cohort).targets(task.source, RESULT_SUFFIXES)
            check_target(cohort, source=task.source, overwrite=asked["overwrite"])
    return tasks


def _entry(found: Mapping[str, FileResult], begun: float) -> dict[str, Any]:
    entries, seconds = [result.entry for result in found.values()], time.monotonic() - begun
    n_obs = sum(entry["n_obs"] or 0 for entry in entries)
    return {
        "n_obs": n_obs,
        **speed(n_obs, seconds),
        "peak_memory_bytes": max((entry["peak_memory_bytes"] or 0 for entry in entries), default=None),
        "files": entries,
    }


def _as_json(result: FileResult) -> dict[str, Any]:
    error = None if result.error is None else as_options(result.error)
    seconds = {"seconds": result.entry["seconds"], "error": error}
    if result.summary is None:
        return {"path": result.path} | seconds
    return asdict(in_options(result.summary)) | {"n_macrophages": result.summary.n_macrophages} | seconds


def _print_results(results: Sequence[FileResult], seconds: float) -> None:
    rows, n_obs = [], 0
    for result in results:
        if (s := result.summary) is not None:
            labels = (_unassigned_last(s.origins), _unassigned_last(s.states))
            took = f"{result.entry['seconds']:.1f}"
            rows.append((s.path, f"{s.n_obs:,}", f"{s.n_macrophages:,}", *labels, s.tissue, took))
            n_obs += s.n_obs
    print_table(("file", "cells", "macrophages", "origins", "states", "tissue", "seconds"), rows)
    print(f"{len(rows)} of {len(results)} files written, {n_obs:,} cells in {seconds:.0f} s")


def _unassigned_last(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: item[0] == "unassigned")
    return counted({name: n for name, n in ordered if n or name != "unassigned"})
