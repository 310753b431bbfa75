"""One run of the annotation: check, unpack, call, write, tell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from anndata import AnnData

import tamannot._adata as slots
from tamannot._adata import Unpacked
from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.errors import ParameterError, TamannotWarning
from tamannot.pipeline import MACROPHAGE, PROGRAM_AXES, Annotation, Cells, Settings, Source, annotate_rows
from tamannot.signature import Signature, SignatureSet, load_signatures
from tamannot.tl._anchored import borrow, notes_on_model
from tamannot.tl._model import anchored_of
from tamannot.tl._write import STEPS, write_annotation

__all__ = ["DEFAULT_ACCURACY", "STEPS", "CompartmentKey", "run"]

CompartmentKey = str | tuple[str, Mapping[str, str]]
DEFAULT_ACCURACY = 0.95


def run(
    adata: AnnData,
    signatures: Mapping[str, Signature] | None,
    choices: Mapping[str, Any],
    *,
    steps: tuple[str, ...],
    key_added: str,
    copy: bool,
    report: Progress | None = None,
) -> AnnData | None:
    """Unpack, annotate, write the slots of the steps asked for.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    slots.check_key(key_added)
    model = anchored_of(choices.get("model"))
    check_choices(adata, choices)
    adata = adata.copy() if copy else adata
    own = report or Progress(show=settings.progress)
    own("reading")
    data, library, source, how = read_input(adata, signatures, choices)
    knowledge = None
    if model is not None:
        source, knowledge = borrow(model, source, data, how.tissue)
    result = annotate_rows(source, library, how, knowledge, threads=settings.n_threads(), report=own)
    said = _notes(data, result, choices)
    write_annotation(adata, key_added, data, result, steps=steps, choices=choices, notes=said)
    if report is None:
        own.close()
    for line in said:
        warnings.warn(line, TamannotWarning, stacklevel=3)
    return adata if copy else None


def read_input(
    adata: AnnData,
    signatures: Mapping[str, Signature] | None,
    choices: Mapping[str, Any],
    *,
    portable: bool = False,
) -> tuple[Unpacked, SignatureSet, Source, Settings]:
    """Return the data, the signatures, the data as the pipeline reads them, and how to annotate."""
    gene_symbols, given_species = choices.get("gene_symbols"), choices.get("species", "auto")
    species = slots.species_of(adata, gene_symbols=gene_symbols, species=given_species)
    library = _library(signatures, species)
    data = slots.unpack(adata, library, layer=choices.get("layer"), gene_symbols=gene_symbols, species=given_species)
    given, mapping = _given(adata, choices.get("compartment_key"))
    sample_key = choices.get("sample_key")
    cells = Cells(
        names=[str(n) for n in adata.obs_names],
        sample=None if sample_key is None else adata.obs[sample_key].astype(str).tolist(),
        given=given,
        mapping=mapping,
    )
    how = Settings(
        species=species,
        tissue=choices.get("tissue", "auto"),
        target_accuracy=choices.get("target_accuracy", DEFAULT_ACCURACY),
        rng=choices.get("rng", 0),
        portable=portable,
    )
    return data, library, Source(data.rows, data.kind, data.index, cells), how


def _library(signatures: Mapping[str, Signature] | None, species: Literal["human", "mouse"]) -> SignatureSet:
    library = load_signatures(PROGRAM_AXES, species=species)
    own = SignatureSet((signatures or {}).values())
    # A set of the user's that goes by a bundled id answers that question.
    placed = (s.model_copy(update={"axis": library[i].axis}) if i in library else s for i, s in own.items())
    return library | SignatureSet(placed)


def check_choices(adata: AnnData, choices: Mapping[str, Any]) -> None:
    if choices.get("tissue", "auto") not in ("auto", "brain", "other"):
        msg = f"tissue is 'auto', 'brain' or 'other', not {choices['tissue']!r}."
        raise ParameterError(msg)
    if not 0 < choices.get("target_accuracy", DEFAULT_ACCURACY) < 1:
        msg = f"target_accuracy is between 0 and 1, not {choices['target_accuracy']}."
        raise ParameterError(msg)
    sample_key = choices.get("sample_key")
    if sample_key is not None and sample_key not in adata.obs:
        raise ParameterError(_no_column(adata, sample_key))


def _given(adata: AnnData, key: CompartmentKey | None) -> tuple[list[str] | None, Mapping[str, str] | None]:
    if key is None:
        return None, None
    column, mapping = (key, None) if isinstance(key, str) else key
    if column not in adata.obs:
        raise ParameterError(_no_column(adata, column))
    return adata.obs[column].astype(str).tolist(), mapping


def _no_column(adata: AnnData, name: str) -> str:
    return f"No column '{name}' in obs. There are: {', '.join(map(str, adata.obs.columns)) or 'none'}."


def _notes(data: Unpacked, result: Annotation, choices: Mapping[str, Any]) -> list[str]:
    """What a user should hear once, in one line each; it is kept in ``uns``, too."""
    notes = [data.note] if data.note else []
    if choices.get("tissue", "auto") == "auto" and np.any(result.calls.compartment.label == MACROPHAGE):
        notes.append(f"Tissue taken as {result.knowledge.tissue}: {result.knowledge.tissue_reason}. tissue= overrides.")
    asked = choices.get("target_accuracy", DEFAULT_ACCURACY)
    notes += notes_on_model(result, choices, DEFAULT_ACCURACY)
    ruled = [axis for axis in ("origin", "state") if axis not in result.knowledge.questions]
    if asked != DEFAULT_ACCURACY and ruled and result.knowledge.lender is None:
        notes.append(f"target_accuracy is not used for {' and '.join(ruled)}: the fixed rule is not calibrated.")
    notes += [
        f"No threshold reaches an accuracy of {asked:g} for {axis} on simulated mixtures: nothing is called by it."
        for axis, learned in result.knowledge.questions.items()
        if learned.winner_at is None and learned.winner is not None
    ]
    if result.panels.too_large:
        notes.append(
            f"More genes than the data have ranks for, so without a score: {', '.join(result.panels.too_large)}."
        )
    return notes
