"""Training on a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamannot._adata import SpeciesChoice
from tamannot._progress import Progress, silent
from tamannot.models import check_model_target
from tamannot.stream._input import read_file
from tamannot.tl._train import train_model


@dataclass(frozen=True)
class TrainSummary:
    """What was learned."""

    path: str
    classes: tuple[str, ...]
    labels: str
    scale: str
    species: str
    threshold: float | None
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    notes: tuple[str, ...]
    outputs: tuple[str, ...]


def train_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    labels: str,
    sample_key: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    target_accuracy: float = 0.95,
    overwrite: bool = False,
    report: Progress | None = None,
) -> TrainSummary:
    """Train a model on an h5ad file or zarr folder and save it.

    Parameters
    ----------
    path
        The input; never changed.
    out
        The model, ``.npz``.
    labels, sample_key, layer, gene_symbols, species, target_accuracy
        As in `tl.train`; ``labels`` is a column of ``obs``.
    overwrite
        Replace a model that exists.
    report
        Told the name of each stage as it begins.

    Returns
    -------
    What was learned. The model appears whole or not at all.

    Raises
    ------
    TamannotError
        The input cannot be read or used, or the model cannot be written.
    """
    target = Path(out)
    check_model_target(target, overwrite=overwrite)
    report = report or silent()
    report("reading file")
    model, notes = train_model(
        read_file(Path(path)),
        labels,
        sample_key=sample_key,
        layer=layer,
        gene_symbols=gene_symbols,
        species=species,
        target_accuracy=target_accuracy,
        n_genes=3000,
        rng=0,
        report=report,
    )
    report("writing")
    model.save(target, overwrite=overwrite)
    return TrainSummary(
        path=str(path),
        classes=model.classes,
        labels=model.labels,
        scale=model.scale,
        species=model.species,
        threshold=model.threshold,
        training=model.training,
        metrics=model.metrics,
        notes=tuple(notes),
        outputs=(str(target),),
    )
