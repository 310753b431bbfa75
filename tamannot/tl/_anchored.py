"""``AnchoredModel``: what an annotation learned, to keep in a file and to use on other data."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tamannot._adata import Unpacked
from tamannot.classify import (
    MACROPHAGE,
    MIN_COVERAGE,
    UNFAMILIAR,
    Cohort,
    CohortModel,
    Prepared,
    ScaledRows,
    Source,
    Tissue,
    digest_of,
    lend,
    write_cohort,
)
from tamannot.tl._collect import Columns
from tamannot.tl._predict import base_for, check_model_species

# A share of unfamiliar macrophages that asks for a word.
_MOSTLY_STRANGE = 0.5
_FEW = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class AnchoredModel(CohortModel):
    """What `tl.train` without labels learned; `tl.annotate` takes it as ``model``.

    ``axes``, ``n_cells``, ``n_macrophages``, ``brain``, ``species``, ``scale``, ``target_accuracy``,
    ``signatures``, ``training`` and ``metrics`` are there to be read; none of it can be changed, and none of it
    can run code.
    """

    @property
    def digest(self) -> str:
        """The sha256 of all that the model holds; it is in ``uns`` of what the model annotated."""
        return digest_of(self)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model to an ``.npz`` file of numbers and one JSON text; equal models give equal bytes.

        Parameters
        ----------
        path
            Must end in ``.npz``.
        overwrite
            Replace a file that exists.

        Returns
        -------
        None. The file appears whole or not at all.

        Raises
        ------
        OutputError
            The name has another ending, the file exists, or it cannot be written.
        """
        write_cohort(self, Path(path), overwrite=overwrite)


def as_anchored_model(model: CohortModel) -> AnchoredModel:
    """Return what was learned with the methods of a model."""
    return AnchoredModel(**{f.name: getattr(model, f.name) for f in fields(CohortModel)})


def borrow(model: CohortModel, source: Source, data: Unpacked, tissue: Tissue) -> tuple[Source, Cohort]:
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
    base = base_for(model, data)
    return on_scale(source, model.scale, base), lend(model, source.index, tissue)


def on_scale(source: Source, scale: Any, base: float | None) -> Source:
    """Return data whose logarithms are on the scale of a model; counts and linear values stay as they are."""
    if source.kind != "log":
        return source
    return replace(source, rows=ScaledRows(source.rows, scale, base), scale=scale, base=base)


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
        f"{MIN_COVERAGE:.0%} are needed: no label is given."
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
