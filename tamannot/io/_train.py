"""Training on a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamannot._model_file import check_model_target
from tamannot._progress import Progress, silent
from tamannot.classify import STATES, AnchoredModel
from tamannot.io._read import open_file
from tamannot.tl._model import Model
from tamannot.tl._train import trained


@dataclass(frozen=True)
class TrainSummary:
    """What was learned."""

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
    """Train a model on an h5ad file or zarr folder and save it.

    Parameters
    ----------
    path
        The input; never changed.
    out
        The model, ``.npz``.
    labels
        A column of ``obs``; None keeps what an annotation fits.
    overwrite
        Replace a model that exists.
    report
        Told the name of each stage as it begins.
    **choices
        Other parameters of `tl.train`.

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
    with open_file(Path(path)) as adata:
        model, notes = trained(adata, labels, choices, report)
    report("writing")
    model.save(target, overwrite=overwrite)
    return TrainSummary(str(path), _about(model), tuple(notes), (str(target),))


def _about(model: Model | AnchoredModel) -> dict[str, Any]:
    of_both = ("kind", "scale", "species", "digest", "training", "metrics")
    if isinstance(model, Model):
        return {name: getattr(model, name) for name in ("classes", "labels", "threshold", *of_both)}
    known = zip(STATES, model.cohort.states.trained, strict=True)
    return {name: getattr(model, name) for name in ("axes", "n_cells", "n_macrophages", *of_both)} | {
        "states": [state for state, trained in known if trained],
        "n_genes": len(model.symbols),
        "tissue": model.cohort.tissue,
        "tissue_reason": model.cohort.tissue_reason,
    }
