"""What commands do with one file besides annotating it: check, score, train, analyse, draw."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from tamannot import classify
from tamannot._model_file import check_model_target
from tamannot._progress import Progress, silent
from tamannot._settings import AnnotateSettings
from tamannot.analysis._samples import Samples, samples_of
from tamannot.data import LABELS, Unpacked, check_key, slot, species_of, unpack
from tamannot.data._runs import coverage_table
from tamannot.errors import GeneIdError, OutputError, collected_notes, tell
from tamannot.get import scores
from tamannot.io._output import check_target, locked, replacing
from tamannot.io._read import open_file
from tamannot.io._targets import Outputs, reserved, write_targets
from tamannot.io._write import write_annotated
from tamannot.scoring import Method, make_plan, method_of
from tamannot.scoring._rows import spread_rows
from tamannot.signature import Signature, SignatureSet, load_signatures, signatures_named
from tamannot.tl._model import Model
from tamannot.tl._score import ScoreSettings, score_all
from tamannot.tl._train import train_and_tell
from tamannot.tl._write import ORIGIN_LABELS, STATE_LABELS

# One stray count of a rare gene tells no macrophage; with fewer cells than that the baselines are weak.
_MIN_DETECTED, _FEW_CELLS = 3, 50
# Cells looked at, all over the file.
_INSPECTED = 5_000
# Which matrix and genes are used, where the caller does not say.
_WHERE: dict[str, Any] = {"layer": None, "gene_symbols": None, "species": "auto"}


@dataclass(frozen=True)
class FileCheck:
    """Check of a file: its content, what an annotation would use, and its limitations."""

    path: str
    n_obs: int
    candidates: tuple[str, ...]
    matrix: str
    kind: str
    gene_ids: str
    species: str
    substitutions: dict[str, str]
    coverage: pd.DataFrame
    notes: tuple[str, ...] = ()  # limitations of an annotation


def check_file(path: str | os.PathLike[str], *, report: Progress | None = None, **where: Any) -> FileCheck:
    """Report the content of a file, what an annotation would use, and its limitations, without annotating.

    ``where`` are ``layer``, ``gene_symbols`` and ``species`` of `tl.annotate`.
    """
    report = report or silent()
    report("reading file")
    with open_file(Path(path)) as adata:
        report("checking")
        where = _WHERE | where
        library = load_signatures(classify.PROGRAM_AXES, species=species_of(adata, **where))
        data = unpack(adata, library, **where)
        coverage = coverage_table(make_plan(library, data.index.locate, data.rows.shape[1]))
        n = classify.reference_columns(data.index, "mouse" if data.species == "mouse" else "human")[1].size
        fewest = classify.FEWEST_REFERENCE_GENES
        if n < fewest:  # no cell could be called a macrophage, whatever its expression
            raise GeneIdError(
                f"{path}: macrophages cannot be called: the {data.rows.shape[1]:,} genes of {data.matrix} include {n} "
                f"of the genes that separate compartments, and a call needs {fewest}. Use the matrix with all genes, "
                "from before gene selection; if it is stored under another name, pass layer= or gene_symbols=."
            )
        return FileCheck(
            path=str(path),
            n_obs=adata.n_obs,
            candidates=data.looks,
            matrix=data.matrix,
            kind=data.kind,
            gene_ids=data.ids_from,
            species=data.species,
            substitutions=data.index.substitutions,
            coverage=coverage,
            notes=tuple(_notes(coverage, data, library)),
        )


def _notes(coverage: pd.DataFrame, data: Unpacked, library: SignatureSet) -> Iterator[str]:
    """Yield the limitations of an annotation."""
    share = coverage["coverage"]
    panel = coverage.loc[classify.MACROPHAGE].to_dict()
    if (n := int(panel["n_present"])) < _MIN_DETECTED:
        yield (
            f"{n} of the {int(panel['n_genes'])} genes of the macrophage panel are in the data: macrophages are "
            "called from other genes only, and some will be missed. If you know the cell types, pass their column as "
            "compartment_key=."
        )
    for axis in ("state", "origin"):
        if few := [name for name in library.select(axis=axis) if share[name] < classify.FEW_GENES]:
            names = " or ".join(filter(None, (", ".join(few[:-1]), few[-1])))
            who = "No cell" if axis == "state" else "Few cells"  # an origin needs three of its genes only
            yield f"{who} will get the {axis} {names}: fewer than half of the genes are in the data."
    n_obs, n_vars = data.rows.shape
    if n_obs < _FEW_CELLS:
        yield f"{n_obs:,} cells are few for fitting the baselines of states: they will be close to the reference's."
    of_panel = np.zeros(n_vars, bool)
    columns = np.array([data.index.locate(g.symbol, g.ensembl) for g in library[classify.MACROPHAGE].all_genes])
    of_panel[columns[columns >= 0]] = True
    n_seen = n_with = 0
    for run in spread_rows(n_obs, _INSPECTED):
        block = data.rows.block(run.start, run.stop)
        detected = block.totals((block.values > 0) & of_panel[block.indices])
        n_seen, n_with = n_seen + detected.size, n_with + int((detected >= _MIN_DETECTED).sum())
    if n_with == 0 and n >= _MIN_DETECTED:
        none = f"None of {n_seen:,} inspected cells expresses {_MIN_DETECTED} macrophage genes"
        yield f"{none}: the data have few or no macrophages."


@dataclass(frozen=True)
class ScoreSummary:
    """Summary of a scored file."""

    path: str
    n_obs: int
    matrix: str
    kind: str
    method: str
    signatures: pd.DataFrame  # one row per signature: n_genes, n_present, coverage, mean, max
    notes: tuple[str, ...]
    outputs: tuple[str, ...]


def score_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None,
    *,
    signatures: Sequence[str | os.PathLike[str]] | Mapping[str, Signature],
    table: str | os.PathLike[str] | None = None,
    method: Method | str = "ucell",
    key_added: str = "tam",
    overwrite: bool = False,
    in_place: bool = False,
    report: Progress | None = None,
    **choices: Any,
) -> ScoreSummary:
    """Score a file as `tl.score` does, and write a copy with the scores, or a table with one row per cell, or both.

    ``signatures`` may be names: of files and folders, of axes of the library (``"state"``), or ids. ``choices`` are
    ``null``, ``min_coverage``, ``layer``, ``gene_symbols`` and ``species`` of `tl.score`. With a null the table also
    has ``{id}_z`` and ``{id}_p``.
    """
    source, report = Path(path), report or silent()
    with ExitStack() as stack:
        targets = stack.enter_context(reserved(source, Outputs(out, table, overwrite=overwrite, in_place=in_place)))
        report("reading file")
        adata = stack.enter_context(open_file(source, key=check_key(key_added)))
        if not isinstance(signatures, Mapping):
            where = {name: choices.get(name, default) for name, default in _WHERE.items()}
            signatures = signatures_named(signatures, species_of(adata, **where))
        sets, methods = SignatureSet(signatures.values()), {key_added: method_of(method)}
        asked = ScoreSettings(signatures=sets, methods=methods, **choices)
        with collected_notes() as notes:
            said, _, records = score_all(adata, asked, report)
            tell(said)
        report("writing")
        # An annotated file has scores of other signatures under the key, maybe by another method.
        record, write = records[key_added], partial(write_annotated, source, adata=adata, keys=(key_added,))
        about = record["coverage"][["n_genes", "n_present", "coverage"]]
        write_targets(targets, write, lambda: _table(adata, key_added, about.index, asked).rename_axis("cell"))
        values = scores(adata, key_added)[about.index]
        return ScoreSummary(
            path=str(source),
            n_obs=adata.n_obs,
            matrix=record["matrix"]["name"],
            kind=record["matrix"]["kind"],
            method=record["method"]["name"],
            signatures=about.assign(mean=values.mean(), max=values.max()),
            notes=tuple(notes),
            outputs=tuple(map(str, targets.values())),
        )


def _table(adata: AnnData, key: str, ids: pd.Index, asked: ScoreSettings) -> pd.DataFrame:
    """Return the scores of a run, with a null followed by z and p: ``macrophage``, ``macrophage_z`` and so on."""
    plain = scores(adata, key)[ids]
    if asked.null is None:
        return plain
    z, p = (scores(adata, key, kind=kind).add_suffix(f"_{kind}") for kind in ("z", "p"))
    together = pd.concat([plain, z, p], axis=1)
    return together[[c for name in plain for end in ("", "_z", "_p") if (c := f"{name}{end}") in together]]


@dataclass(frozen=True)
class TrainSummary:
    """Summary of a trained model."""

    path: str
    about: Mapping[str, Any]  # the fields of the model that JSON can hold; only a model of labels has ``labels``
    notes: tuple[str, ...]
    outputs: tuple[str, ...]


def train_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    labels: str | None = None,
    overwrite: bool = False,
    report: Progress | None = None,
    **choices: Any,
) -> TrainSummary:
    """Train a model on a file as `tl.train` does, and save it as ``.npz``.

    ``labels`` is a column of ``obs``; None trains a cohort model. ``choices`` are the other parameters of `tl.train`.
    """
    target = Path(out)
    check_model_target(target, overwrite=overwrite)
    report = report or silent()
    report("reading file")
    with open_file(Path(path)) as adata:
        beside = {name: choices.pop(name) for name in ("signatures", "n_genes") if name in choices}
        model, notes = train_and_tell(adata, labels, report, asked=AnnotateSettings(**choices), **beside)
    report("writing")
    model.save(target, overwrite=overwrite)
    of_kind = ("classes", "labels", "threshold") if isinstance(model, Model) else ("axes", "n_cells", "n_macrophages")
    names = (*of_kind, "kind", "scale", "species", "digest", "training", "metrics")
    about = {name: getattr(model, name) for name in names}
    if not isinstance(model, Model):
        known = zip(classify.STATES, model.cohort.states.trained, strict=True)
        about |= {"states": [state for state, trained in known if trained], "n_genes": len(model.symbols)}
        about |= {"tissue": model.cohort.tissue, "tissue_reason": model.cohort.tissue_reason}
    return TrainSummary(str(path), about, tuple(notes), (str(target),))


RESULT_SUFFIXES = (".csv", ".tsv", ".parquet")
# What a figure says of its making beside what is drawn; without a date the same figure is the same file.
_METADATA: dict[str, Any] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


@dataclass(frozen=True)
class Analysis:
    """What an analysis of a file found."""

    path: str
    n_obs: int
    tables: Mapping[str, pd.DataFrame]  # by name; the first is the one that is written
    parameters: Mapping[str, Any]
    cautions: tuple[str, ...]  # sentences that a reader should see
    notes: tuple[str, ...]
    outputs: tuple[str, ...]


def analyse_file(
    source: Path, run: Callable[[AnnData], Mapping[str, pd.DataFrame]], asked: Outputs, *, key: str, report: Progress
) -> Analysis:
    """Run an analysis on an annotated file; without outputs its tables are only returned.

    ``run`` writes its result under the key into the object that it is given, and returns tables by name. The first is
    written to a file, and its ``attrs`` have parameters and cautions.
    """
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
    source: Path, target: Path, draw: Callable[[AnnData], Any], *, key: str, dpi: int, overwrite: bool, report: Progress
) -> None:
    """Write what ``draw`` makes of an annotated file, axes or a figure, as ``.png``, ``.pdf`` or ``.svg``."""
    from tamannot.pl._style import figures_for_a_file  # noqa: PLC0415 - brings matplotlib

    if target.suffix not in _METADATA:
        raise OutputError(f"{target}: the name must end in {' or '.join(_METADATA)}.")
    check_target(target, source=source, overwrite=overwrite)
    with locked(target), open_file(source, key=key) as adata, figures_for_a_file():
        report("drawing")
        drawn = draw(adata)
        with replacing(target) as beside:
            figure = getattr(drawn, "figure", drawn)
            figure.savefig(beside, dpi=dpi, bbox_inches="tight", metadata=_METADATA[target.suffix])


def cohort_table(files: Mapping[str, Path], *, sample_key: str | None) -> pd.DataFrame:
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
            labels = {axis: cells.obs[slot("tam", axis)].astype(str).to_numpy() for axis in LABELS[:3]}
            n_macrophages = samples.total((labels["compartment"] == classify.MACROPHAGE).astype(np.int64))
            n_cells = samples.total(np.ones(cells.n_obs, np.int64))
            columns: dict[str, Any] = {"sample": samples.names, "file": name, "n_cells": n_cells.astype(int)}
            columns |= {"n_macrophages": n_macrophages.astype(int), "share_macrophages": n_macrophages / n_cells}
            for axis, known in (("origin", ORIGIN_LABELS), ("state", STATE_LABELS)):
                for label in (n for n in known if n != classify.NOT_MACROPHAGE):
                    n_called = samples.total((labels[axis] == label).astype(np.int64))
                    with np.errstate(invalid="ignore"):
                        columns[f"{axis}_{label}"] = n_called / n_macrophages
            rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)
