"""Annotates a file into a new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from tamannot._progress import Progress, silent
from tamannot._settings import AnnotateSettings, settings
from tamannot.classify import FEW_GENES, NOT_MACROPHAGE, STATES, AnchoredModel
from tamannot.data import read_obs, read_record, runs_of, slot
from tamannot.errors import ParameterError, TamannotError
from tamannot.get import annotations as annotation_table
from tamannot.io._containers import copied_meanwhile, is_zarr_name
from tamannot.io._output import part_of, place_of
from tamannot.io._read import open_file
from tamannot.io._targets import Outputs, RunLog, logged, reserved, write_targets
from tamannot.io._write import SpooledTables, write_annotated
from tamannot.scoring import make_plan
from tamannot.scoring._features import taken
from tamannot.scoring._rows import MOST_CELLS, spread_rows
from tamannot.signature import GeneIndex, Signature, Signatures, SignatureSet, read_ids
from tamannot.signature._gene_index import names_of
from tamannot.tl._annotate import call_cells, read_input, start_run
from tamannot.tl._train import learn_model
from tamannot.tl._write import write_run

_FILE, _GIVEN = "file", "given"


@dataclass(frozen=True)
class FileOptions:
    """How files are annotated; the same for all files of a command."""

    settings: AnnotateSettings
    signatures: Signatures | None = None
    key_added: str = "tam"
    chunk_size: int | None = None


def annotate_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    table: str | os.PathLike[str] | None = None,
    html: str | os.PathLike[str] | None = None,
    signatures: Signatures | None = None,
    overwrite: bool = False,
    in_place: bool = False,
    key_added: str = "tam",
    chunk_size: int | None = None,
    log: str | os.PathLike[str] | None = None,
    report: Progress | None = None,
    **choices: Any,
) -> FileSummary:
    """Annotate an h5ad file or zarr folder into a new one, in bounded memory.

    States are fitted to up to 40,000 cells, in runs spread over the file; then all cells are called block by block. The
    results equal those of `tl.annotate` on the same cells.

    Parameters
    ----------
    path
        The input: ``.h5ad``, ``.zarr``, or an h5ad with another suffix such as ``.h5``. Only ``in_place`` changes it.
    out
        The annotated copy, ``.h5ad`` or ``.zarr``; None to write only a table.
    table
        One row per cell: ``.csv``, in which names that a spreadsheet would run as a formula get an apostrophe in front,
        or ``.parquet`` (extra ``tamannot[parquet]``).
    html
        A report, ``.html``, as from `write_report`. It needs ``out``.
    signatures
        Your own signatures, in addition to the bundled library. A bundled id replaces the bundled signature.
    overwrite
        Replace existing outputs; never ``path`` itself.
    in_place
        Replace ``path`` by the complete new file; leave out ``out``, or pass the same file.
    key_added
        Prefix of the results.
    chunk_size
        Number of cells per block; None chooses. It changes memory and speed, but not the results.
    log
        A log, ``.json``, also of a failed run: versions, options, seconds of each stage, cells per second, peak memory
        of the process (bytes), notes, error. The log of an earlier run is replaced.
    report
        Called with the name of each stage when it begins.
    **choices
        ``layer``, ``gene_symbols``, ``species``, ``tissue``, ``compartment_key``, ``sample_key``,
        ``target_accuracy``, ``rng``, ``model`` of `tl.annotate`.

    Returns
    -------
    A summary. Every output is written completely or not at all.

    Raises
    ------
    TamannotError
        The input cannot be read or used, or an output cannot be written.

    Examples
    --------
    >>> import tamannot as tam
    >>> tam.annotate_file("sample.h5ad", "annotated.h5ad", tissue="brain")  # doctest: +SKIP
    """
    outputs = Outputs(out, table, html, overwrite, in_place)
    how = FileOptions(AnnotateSettings(**choices, recorded=tuple(choices)), signatures, key_added, chunk_size)
    options = vars(outputs) | {"key_added": key_added, "chunk_size": chunk_size, "signatures": signatures} | choices
    record = RunLog(Path(path), report or silent())
    with logged(log, options, record.entry, overwrite=overwrite):
        return annotate_recorded(record, outputs, how)


def annotate_recorded(record: RunLog, outputs: Outputs, options: FileOptions) -> FileSummary:
    """Annotate a file as `annotate_file` does, and log the run."""
    source, report, key = record.source, record.report, options.key_added
    with record.running(), ExitStack() as stack:
        targets = stack.enter_context(reserved(source, outputs))
        report("reading file")
        adata = stack.enter_context(open_file(source))
        record.n_obs = adata.n_obs
        runs_of(adata)  # what is not ours is refused before the work
        run = start_run(adata, options.signatures, options.settings, key_added=key, report=report)
        tables = copied = None
        if annotated := targets.get(".h5ad") or targets.get(".zarr"):
            tables = stack.enter_context(closing(SpooledTables(run.columns, annotated)))
            if not is_zarr_name(source) and not is_zarr_name(annotated):
                copied = stack.enter_context(copied_meanwhile(source, part_of(place_of(annotated))))
        for rows, block in call_cells(run, report, block=options.chunk_size):
            if tables is not None:
                tables.add(rows, block)
        write_run(adata, run, None)
        report("writing")
        page = None
        if outputs.html is not None:
            from tamannot.io._report import write_page  # noqa: PLC0415 - brings matplotlib

            page = partial(write_page, key=key, name=source.name)
        write = partial(write_annotated, source, adata=adata, keys=(key, *run.also), tables=tables, copied=copied)
        write_targets(targets, write, lambda: annotation_table(adata, key).rename_axis("cell"), page)
        summary = _summary_of(adata, key, source, tuple(map(str, targets.values())))
        record.outputs, record.notes = summary.outputs, summary.notes
        return summary


def fit_files(
    sources: Sequence[Path], signatures: Signatures | None, given: AnnotateSettings, report: Progress
) -> tuple[AnchoredModel | None, str]:
    """Fit a cohort to cells of all files, at most 40,000; return it with a note for the user.

    Files that cannot be read are left out here and fail later. None: the files differ too much, share too few genes,
    or have too few macrophages, and each is annotated on its own.
    """
    parts = []
    for source in sources:
        report(f"fitting to {source.name}")
        with suppress(TamannotError):
            parts.append(_part(source, signatures, given, MOST_CELLS // len(sources)))
    if len(parts) < 2:
        return None, "Each file is annotated on its own: fewer than two can be read."
    if len({(part.uns["kind"], part.uns["species"]) for part in parts}) > 1:
        return None, "Each file is annotated on its own: they differ in species or in the kind of their matrices."
    together = ad.concat(parts, index_unique="-", keys=[str(i) for i in range(len(parts))])
    states = parts[0].uns["states"]
    if lost := {s for part in parts for s in _covered(states, part)} - _covered(states, together):
        fewest = min(parts, key=lambda part: part.n_vars).obs[_FILE].iloc[0]
        few = f"they share {together.n_vars:,} genes, too few for {', '.join(sorted(lost))} ({fewest} has fewest genes)"
        return None, f"Each file is annotated on its own: {few}."
    asked = AnnotateSettings(
        sample_key=_FILE,
        species=parts[0].uns["species"],
        tissue=given.tissue,
        target_accuracy=given.target_accuracy,
        compartment_key=None if given.compartment_key is None else _GIVEN,
    )
    try:
        model, _ = learn_model(together, signatures, asked, report)
    except ParameterError:
        return None, "Each file is annotated on its own: together they have too few macrophages to fit to."
    # All cells are of the cohort, so none is unfamiliar.
    model = replace(model, cohort=replace(model.cohort, novelty=None))
    fitted = f"fitted to {together.n_obs:,} cells from all files"
    return model, f"{len(parts)} files are one cohort: {fitted}. --each-alone fits each file."


def _covered(states: Sequence[Signature], cells: ad.AnnData) -> set[str]:
    """Return the states that can be called: at least half of their genes are there."""
    plan = make_plan(SignatureSet(states), GeneIndex(read_ids(cells.var_names.tolist()).ids).locate, cells.n_vars)
    return {name for name, genes in zip(plan.ids, plan.coverage, strict=True) if genes.share >= FEW_GENES}


def _part(source: Path, signatures: Signatures | None, asked: AnnotateSettings, most: int) -> ad.AnnData:
    """Read some cells spread over a file, with the genes that have a unique name."""
    with open_file(source) as adata:
        data, library, source_rows, resolved = read_input(adata, signatures, asked)
        runs = spread_rows(adata.n_obs, most)
        rows = taken(source_rows.rows, runs, threads=settings.n_threads(), tick=lambda _: None)
        block = rows.block(0, rows.shape[0])
        symbols, _ = names_of(data.index)
        named = np.flatnonzero([bool(s) for s in symbols])
        cells = [i for run in runs for i in run]
        x = sp.csr_matrix((block.values, block.indices, block.indptr), shape=rows.shape)[:, named]
        obs = pd.DataFrame({_FILE: str(source)}, index=[str(i) for i in cells])
        if source_rows.cells.given is not None:
            obs[_GIVEN] = [source_rows.cells.given[i] for i in cells]
        part = ad.AnnData(x, obs=obs, var=pd.DataFrame(index=[symbols[c] for c in named]))
        part.uns |= {"kind": data.kind, "species": resolved.species, "states": [library[s] for s in STATES]}
        return part


@dataclass(frozen=True)
class FileSummary:
    """Summary of an annotated file."""

    path: str
    n_obs: int
    n_vars: int
    matrix: str
    kind: str
    gene_ids: str
    species: str
    tissue: str
    compartments: dict[str, int]
    origins: dict[str, int]
    states: dict[str, int]
    origin_status: dict[str, int]  # number of macrophages by the status of their origin
    state_status: dict[str, int]
    low_coverage: dict[str, float]
    substitutions: dict[str, str]
    confidence: str  # how origin and state were called, and the calibration of the probabilities
    notes: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)  # cells with each label of the user's own model

    @property
    def n_macrophages(self) -> int:
        """Number of cells called macrophage."""
        return self.compartments.get("macrophage", 0)


def _summary_of(adata: AnnData, key: str, path: Path, outputs: tuple[str, ...]) -> FileSummary:
    record = read_record(adata, key)
    coverage, matrix = record.coverage["coverage"], record.matrix
    confidence = [f"{axis}: {record.model[axis]}" for axis in ("origin", "state") if axis in record.model]
    if record.calibration_source:
        confidence.append(f"probabilities of states: {record.calibration_source.removeprefix('states: ')}")

    def counts(column: str) -> dict[str, int]:
        labels = read_obs(adata, key, (column,))[slot(key, column)].astype(str).value_counts()
        return {str(k): int(n) for k, n in labels.items() if k != NOT_MACROPHAGE}

    return FileSummary(
        path=str(path),
        n_obs=adata.n_obs,
        n_vars=matrix.n_vars,
        matrix=matrix.name,
        kind=matrix.kind,
        gene_ids=matrix.gene_ids,
        species=matrix.species,
        tissue=record.tissue.used if record.tissue else "",
        low_coverage={str(k): round(float(v), 2) for k, v in coverage[coverage < FEW_GENES].items()},
        substitutions={str(k): str(v) for k, v in record.substitutions["found_as"].items()},
        confidence="; ".join(confidence),
        notes=tuple(record.warnings),
        outputs=outputs,
        compartments=counts("compartment"),
        origins=counts("origin"),
        states=counts("state"),
        origin_status=counts("origin_status"),
        state_status=counts("state_status"),
        labels=counts("model_label") if "labels" in record.model else {},
    )
