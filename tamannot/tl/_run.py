"""One run of the annotation: check, unpack, call, write, tell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.classify import (
    ASSIGNED,
    FEW_GENES,
    MACROPHAGE,
    PROGRAM_AXES,
    UNFAMILIAR,
    AnchoredModel,
    Cells,
    Cohort,
    Prepared,
    Settings,
    Source,
    Tissue,
    lend,
    prepare,
)
from tamannot.data import Unpacked
from tamannot.data._provenance import missing_genes
from tamannot.errors import CoverageWarning, ParameterError, TamannotWarning
from tamannot.signature import Signatures, SignatureSet, as_signatures, load_signatures
from tamannot.tl._collect import Collector, Columns, TableSink, TablesInMemory, table_columns
from tamannot.tl._model import Labelling, base_for, check_model_species, models_of
from tamannot.tl._write import STEPS, write_annotation

__all__ = ["DEFAULT_ACCURACY", "STEPS", "CompartmentKey", "run"]

CompartmentKey = str | tuple[str, Mapping[str, str]]
DEFAULT_ACCURACY = 0.95


def run(
    adata: AnnData,
    signatures: Signatures | None,
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
    adata = slots.to_work_on(adata, copy=copy)
    own = report or Progress(show=settings.progress)
    job = Job.of(adata, signatures, choices, key_added=key_added, report=own)
    tables = TablesInMemory(adata.n_obs, job.table_columns)
    job.gather(tables, own)
    said = job.write(adata, tables, steps=steps)
    if report is None:
        own.close()
    for line in said:
        warnings.warn(line, CoverageWarning if line == job.on_missing_genes else TamannotWarning, stacklevel=3)
    return adata if copy else None


class Job:
    """An annotation on its way: prepared, then gathered block by block, then written.

    Parameters
    ----------
    data
        What was unpacked.
    ready
        The same with what was learned.
    choices
        The parameters of `annotate`.
    key
        Prefix of what is written.
    labelling
        The user's model of labels, laid over the data.
    """

    def __init__(
        self, data: Unpacked, ready: Prepared, choices: Mapping[str, Any], key: str, labelling: Labelling | None = None
    ) -> None:
        self._data, self._ready, self._choices, self._key, self._labelling = data, ready, choices, key, labelling
        self._columns: Columns | None = None
        self.on_missing_genes = ""
        """What `write` says of genes that are not in the data."""

    @classmethod
    def of(
        cls,
        adata: AnnData,
        signatures: Signatures | None,
        choices: Mapping[str, Any],
        *,
        key_added: str,
        report: Progress,
    ) -> Job:
        """Check, unpack and learn."""
        slots.check_key(key_added)
        model, of_labels = models_of(choices.get("model"))
        check_choices(adata, choices)
        report("reading")
        data, library, source, how = read_input(adata, signatures, choices)
        labelling = cohort = None
        if of_labels is not None:
            where = {name: choices.get(name) for name in ("layer", "gene_symbols")}
            labelling = Labelling(of_labels, adata, **where, species=choices.get("species", "auto"))
        if model is not None:
            source, cohort = borrow(model, source, data, how.tissue)
        ready = prepare(source, library, how, cohort, threads=settings.n_threads(), report=report)
        return cls(data, ready, choices, key_added, labelling)

    @property
    def also(self) -> tuple[str, ...]:
        """The key of the user's own labels, if a model of such is applied."""
        return () if self._labelling is None else (slots.slot(self._key, "model"),)

    @property
    def table_columns(self) -> dict[str, list[str]]:
        """Columns of each table that will be gathered."""
        return table_columns(self._ready.panels)

    def gather(self, sink: TableSink, report: Progress, *, block: int | None = None) -> None:
        """Call all cells, block by block; their tables go into the sink as they come."""
        collector = Collector(self._ready.panels, self._ready.source.rows.shape[0], sink)
        for rows, calls in self._ready.blocks(threads=settings.n_threads(), report=report, block=block):
            collector.add(rows, calls)
        self._columns = collector.columns()
        if self._labelling is not None:
            self._labelling.predict(report)

    def write(self, adata: AnnData, tables: TablesInMemory | None, *, steps: tuple[str, ...]) -> list[str]:
        """Write the slots of some steps; return what a user should hear, one line each."""
        if self._columns is None:
            msg = "nothing was gathered"
            raise RuntimeError(msg)
        said = _notes(self._data, self._ready, self._columns, self._choices)
        if missing := _missing(self._data, self._ready, steps):
            said.append(missing)
            self.on_missing_genes = missing
        if self._labelling is not None:
            said += [line for line in self._labelling.write(adata, *self.also) if line not in said]
        found = (self._data, self._ready, self._columns, tables)
        write_annotation(adata, self._key, *found, steps=steps, choices=self._choices, notes=said, also=self.also)
        return said


def read_input(
    adata: AnnData,
    signatures: Signatures | None,
    choices: Mapping[str, Any],
    *,
    portable: bool = False,
) -> tuple[Unpacked, SignatureSet, Source, Settings]:
    """Return the data, the signatures, the data as the pipeline reads them, and how to annotate."""
    gene_symbols, asked = choices.get("gene_symbols"), choices.get("species", "auto")
    species = slots.species_of(adata, gene_symbols=gene_symbols, species=asked, layer=choices.get("layer"))
    library = _library(signatures, species)
    data = slots.unpack(adata, library, layer=choices.get("layer"), gene_symbols=gene_symbols, species=asked)
    how = Settings(
        species=species,
        tissue=choices.get("tissue", "auto"),
        target_accuracy=choices.get("target_accuracy", DEFAULT_ACCURACY),
        rng=choices.get("rng", 0),
        portable=portable,
    )
    return data, library, Source(data.rows, data.kind, data.index, _cells(adata, choices)), how


def _cells(adata: AnnData, choices: Mapping[str, Any]) -> Cells:
    given, mapping = _given(adata, choices.get("compartment_key"))
    sample_key, sample = choices.get("sample_key"), None
    if sample_key is not None:
        sample = slots.texts_of(slots.obs_column(adata, sample_key))
    elif choices.get("sample") is not None:  # the file is one
        sample = [str(choices["sample"])] * adata.n_obs
    return Cells(
        names=[str(n) for n in adata.obs_names],
        sample=sample,
        given=given,
        mapping=mapping,
    )


def _library(signatures: Signatures | None, species: Literal["human", "mouse"]) -> SignatureSet:
    library = load_signatures(PROGRAM_AXES, species=species)
    own = as_signatures(signatures or {})
    # A set of the user's that goes by a bundled id takes its place.
    placed = (s.model_copy(update={"axis": library[i].axis}) if i in library else s for i, s in own.items())
    return library | SignatureSet(placed)


def check_choices(adata: AnnData, choices: Mapping[str, Any]) -> None:
    if choices.get("tissue", "auto") not in ("auto", "brain", "other"):
        msg = f"tissue is 'auto', 'brain' or 'other', not {choices['tissue']!r}."
        raise ParameterError(msg)
    if not 0 < choices.get("target_accuracy", DEFAULT_ACCURACY) < 1:
        msg = f"target_accuracy={choices['target_accuracy']} is not between 0 and 1."
        raise ParameterError(msg)
    sample_key = choices.get("sample_key")
    if sample_key is not None:
        slots.obs_column(adata, sample_key)


def _given(adata: AnnData, key: CompartmentKey | None) -> tuple[list[str] | None, Mapping[str, str] | None]:
    if key is None:
        return None, None
    column, mapping = (key, None) if isinstance(key, str) else key
    return slots.texts_of(slots.obs_column(adata, column)), mapping


def _notes(data: Unpacked, ready: Prepared, found: Columns, choices: Mapping[str, Any]) -> list[str]:
    """What a user should hear once, in one line each; it is kept in ``uns``, too."""
    notes, cohort = [data.note] if data.note else [], ready.cohort
    if choices.get("tissue", "auto") == "auto" and (found.labels["compartment"] == MACROPHAGE).any():
        notes.append(f"Tissue taken as {cohort.tissue}: {cohort.tissue_reason}. tissue= overrides.")
    if cohort.lender is None and cohort.n_cells < data.rows.shape[0]:
        notes.append(f"Learned from {cohort.n_cells:,} of {data.rows.shape[0]:,} cells, spread over the data.")
    target = choices.get("target_accuracy", DEFAULT_ACCURACY)
    if target != DEFAULT_ACCURACY and (said := _note_on_accuracy(found, target)):  # who gives one wants to hear
        notes.append(said)
    notes += notes_on_model(ready, found)
    if too_large := ready.panels.too_large:
        notes.append(f"More genes than the data have ranks for, so without a score: {', '.join(too_large)}.")
    return notes


def _note_on_accuracy(found: Columns, target: float) -> str:
    called = np.asarray(found.statuses["state"] == ASSIGNED)
    expected = float(np.mean(found.probs["state"][called])) if called.any() else 1.0
    if expected >= target:
        return ""
    return (
        f"By their probabilities {expected:.0%} of the states called are right; target_accuracy is {target:g}. "
        "Keep the cells with a high state probability to be stricter."
    )


# What of the library is the result of a step; the other compartments are rivals of the macrophages.
_AXES_OF = {"origin": ("origin",), "state": ("state", "overlay", "polarization"), "ferroptosis": ("ferroptosis",)}


def _missing(data: Unpacked, ready: Prepared, steps: tuple[str, ...]) -> str:
    """Name the genes that the results want, and say if so many are missing that few cells are called."""
    panels, states = ready.panels, ready.panels.ids("state")
    offered = panels.ids("origin") if ready.cohort.brain else ["monocyte_derived"]
    ids = [i for step in steps for axis in _AXES_OF.get(step, ()) for i in panels.ids(axis)]
    asked = {i for i in ids if i in offered or i not in panels.ids("origin")} | set(panels.ids("custom"))
    named = missing_genes(panels.public, data.index, asked if steps == ("ferroptosis",) else asked | {MACROPHAGE})
    few = [i for i in states if panels.coverage[i] < FEW_GENES]
    if not named or 2 * len(few) <= len(states):
        return named
    return f"{named} That is more than half of {', '.join(few)}, so few cells get a state."


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
