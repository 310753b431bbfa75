"""Annotating by the model of another cohort."""

from __future__ import annotations

import numpy as np

from tamannot.classify import (
    FEW_GENES,
    MACROPHAGE,
    UNFAMILIAR,
    AnchoredModel,
    Cohort,
    Prepared,
    Source,
    Tissue,
    lend,
)
from tamannot.data import Unpacked
from tamannot.tl._collect import Columns
from tamannot.tl._predict import base_for, check_model_species

# A share of unfamiliar macrophages that asks for a word.
_MOSTLY_STRANGE = 0.5
_FEW = 8


def borrow(model: AnchoredModel, source: Source, data: Unpacked, tissue: Tissue) -> tuple[Source, Cohort]:
    """Return the data on a model's scale, and what the model knows of their genes; nothing is learned from them.

    Raises
    ------
    SpeciesError
        Data of another species.
    MatrixError
        Data of another scale.
    GeneIdError
        The model knows less than half of the genes.
    """
    check_model_species(model, data.species)
    return source.on_scale(model.scale, base_for(model, data)), lend(model, source.index, tissue)


def notes_on_model(ready: Prepared, found: Columns) -> list[str]:
    """Return what a user should hear of the model that annotated."""
    lender = ready.cohort.lender
    if lender is None:
        return []
    notes = []
    ids = ready.panels.everything
    installed = dict(zip(ids.ids, ids.digests, strict=True))
    if other := sorted(i for i, digest in lender.digests.items() if installed.get(i) != digest):
        shown = ", ".join(other[:_FEW]) + (f" and {len(other) - _FEW} more" if len(other) > _FEW else "")
        notes.append(f"The model was learned with other versions of these signatures, or they are not here: {shown}.")
    notes += [
        f"Only {lender.coverage[axis]:.0%} of the model's genes for {axis}, by their weight, are in the data, and "
        f"{FEW_GENES:.0%} are needed: no label is given."
        for axis in sorted(lender.low_coverage)
    ]
    macrophages = np.asarray(found.labels["compartment"] == MACROPHAGE)
    status = np.asarray(found.statuses["state"])[macrophages]
    strange = float(np.mean(status == UNFAMILIAR)) if macrophages.any() else 0.0
    if strange > _MOSTLY_STRANGE:
        notes.append(
            f"{strange:.0%} of the macrophages are unlike those the model was learned from, so they get no origin and "
            "no state: other cells, another tissue, or very shallow ones. Annotate without a model to learn from them."
        )
    return notes
