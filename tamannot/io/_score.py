"""Scores a file into a new one, and trains a model on a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from tamannot._model_file import check_model_target
from tamannot._progress import Progress, silent
from tamannot._settings import AnnotateSettings
from tamannot.classify import STATES
from tamannot.data import check_key, read_record, species_of
from tamannot.errors import collected_notes, tell
from tamannot.get import coverage, scores
from tamannot.io._read import open_file
from tamannot.io._targets import Outputs, reserved, write_targets
from tamannot.io._write import write_annotated
from tamannot.scoring import Method, method_of
from tamannot.signature import Signature, SignatureSet, signatures_named
from tamannot.tl._model import Model
from tamannot.tl._score import ScoreSettings, score_all
from tamannot.tl._train import train_and_tell


@dataclass(frozen=True)
class ScoreSummary:
    """Summary of a scored file."""

    path: str
    n_obs: int
    matrix: str
    kind: str
    method: str
    signatures: pd.DataFrame
    """One row per signature: ``n_genes``, ``n_present``, ``coverage``, ``mean``, ``max``."""
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
        outputs = Outputs(out, table, overwrite=overwrite, in_place=in_place)
        targets = stack.enter_context(reserved(source, outputs))
        report("reading file")
        adata = stack.enter_context(open_file(source, key=check_key(key_added)))
        if not isinstance(signatures, Mapping):
            where = {name: choices[name] for name in ("layer", "gene_symbols", "species") if name in choices}
            signatures = signatures_named(signatures, species_of(adata, **where))
        sets, methods = SignatureSet(signatures.values()), {key_added: method_of(method)}
        asked = ScoreSettings(signatures=sets, methods=methods, **choices)
        with collected_notes() as notes:
            tell(score_all(adata, asked, report)[0])
        report("writing")
        write = partial(write_annotated, source, adata=adata, keys=(key_added,))
        write_targets(targets, write, lambda: _table(adata, key_added, asked).rename_axis("cell"))
        record, values = read_record(adata, key_added), scores(adata, key_added)
        about = coverage(adata, key_added)[["n_genes", "n_present", "coverage"]]
        return ScoreSummary(
            path=str(source),
            n_obs=adata.n_obs,
            matrix=record.matrix.name,
            kind=record.matrix.kind,
            method=record.method["name"],
            signatures=about.assign(mean=values.mean(), max=values.max()),
            notes=tuple(notes),
            outputs=tuple(map(str, targets.values())),
        )


def _table(adata: AnnData, key: str, asked: ScoreSettings) -> pd.DataFrame:
    """Return the scores, with a null followed by z and p: ``macrophage``, ``macrophage_z`` and so on."""
    plain = scores(adata, key)
    if asked.null is None:
        return plain
    z, p = (scores(adata, key, kind=kind).add_suffix(f"_{kind}") for kind in ("z", "p"))
    together = pd.concat([plain, z, p], axis=1)
    return together[[c for name in plain for end in ("", "_z", "_p") if (c := f"{name}{end}") in together]]


@dataclass(frozen=True)
class TrainSummary:
    """Summary of a trained model."""

    path: str
    about: Mapping[str, Any]
    """The fields of the model that JSON can hold; only a model of labels has ``labels``."""
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
        known = zip(STATES, model.cohort.states.trained, strict=True)
        about |= {"states": [state for state, trained in known if trained], "n_genes": len(model.symbols)}
        about |= {"tissue": model.cohort.tissue, "tissue_reason": model.cohort.tissue_reason}
    return TrainSummary(str(path), about, tuple(notes), (str(target),))
