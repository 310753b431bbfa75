"""Training on a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamannot._adata import SpeciesChoice
from tamannot._progress import Progress, silent
from tamannot.classify import STATES, Tissue, check_model_target
from tamannot.signature import Signatures
from tamannot.stream._input import read_file
from tamannot.tl._anchored import AnchoredModel
from tamannot.tl._run import CompartmentKey
from tamannot.tl._train import trained


@dataclass(frozen=True)
class AnchorSummary:
    """What was fitted without labels."""

    path: str
    axes: tuple[str, ...]
    """What has a classifier; other axes are called by z."""
    states: tuple[str, ...]
    """The states that the classifier knows."""
    n_genes: int
    """Genes of the classifier."""
    n_cells: int
    n_macrophages: int
    tissue: str
    tissue_reason: str
    scale: str
    species: str
    digest: str
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    notes: tuple[str, ...]
    outputs: tuple[str, ...]


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
    labels: str | None = None,
    signatures: Signatures | None = None,
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    sample_key: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    target_accuracy: float = 0.95,
    overwrite: bool = False,
    report: Progress | None = None,
) -> TrainSummary | AnchorSummary:
    """Train a model on an h5ad file or zarr folder and save it.

    Parameters
    ----------
    path
        The input; never changed.
    out
        The model, ``.npz``.
    labels, signatures, tissue, compartment_key, sample_key, layer, gene_symbols, species, target_accuracy
        As in `tl.train`; ``labels`` is a column of ``obs``, None keeps what an annotation fits.
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
    model, notes = trained(
        read_file(Path(path)),
        labels,
        signatures=signatures,
        sample_key=sample_key,
        layer=layer,
        gene_symbols=gene_symbols,
        species=species,
        tissue=tissue,
        compartment_key=compartment_key,
        target_accuracy=target_accuracy,
        report=report,
    )
    report("writing")
    model.save(target, overwrite=overwrite)
    if isinstance(model, AnchoredModel):
        return _of_anchored(model, str(path), str(target), notes)
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


def _of_anchored(model: AnchoredModel, path: str, target: str, notes: Sequence[str]) -> AnchorSummary:
    return AnchorSummary(
        path=path,
        axes=model.axes,
        states=tuple(s for s, known in zip(STATES, model.cohort.states.trained, strict=True) if known),
        n_genes=len(model.symbols),
        n_cells=model.n_cells,
        n_macrophages=model.n_macrophages,
        tissue="brain" if model.brain else "other",
        tissue_reason=model.cohort.tissue_reason,
        scale=model.scale,
        species=model.species,
        digest=model.digest,
        training=model.training,
        metrics=model.metrics,
        notes=tuple(notes),
        outputs=(target,),
    )
