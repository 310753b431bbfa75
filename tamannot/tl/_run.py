"""One run of the annotation: read, fit, call block by block, write, and tell the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot import classify
from tamannot._progress import Progress
from tamannot._settings import AnnotateSettings, settings
from tamannot.classify import MACROPHAGE, NOT_MACROPHAGE, SUMMARIES, UNASSIGNED, Source
from tamannot.data import Array, Unpacked
from tamannot.errors import logger, tell
from tamannot.signature import Signatures, SignatureSet, as_signatures, load_signatures
from tamannot.tl._model import Labelling, base_for, models_of
from tamannot.tl._write import ORIGIN_LABELS, STATE_LABELS, STATUSES, STEPS, AnnotationRun, write_run

_LOW_SIGNAL_EXPECTED = 3  # if fewer genes are expected to be detected, a program is uninformative in that cell


def annotate_in_memory(
    adata: AnnData,
    signatures: Signatures | None,
    asked: AnnotateSettings,
    *,
    key_added: str,
    copy: bool,
    steps: tuple[str, ...] = STEPS,
) -> AnnData | None:
    """Annotate an object, write the slots of the requested steps, and say what was found."""
    adata = slots.to_work_on(adata, copy=copy)
    report = Progress(show=settings.progress)
    run = start_run(adata, signatures, asked, key_added=key_added, report=report)
    tables = {name: np.empty((adata.n_obs, len(columns)), np.float32) for name, columns in run.columns.items()}
    for rows, block in call_cells(run, report):
        for name, values in block.items():
            tables[name][rows.start : rows.stop] = values
    notes = write_run(adata, run, tables, steps)
    report.close()
    tell(notes)
    if steps == ("ferroptosis",):
        found = "ferroptosis programs"
    else:
        n = run.counts["compartment"].get(MACROPHAGE, 0)
        origins, states = (
            ", ".join(f"{n:,} {label}" for label, n in run.counts[a].items() if label != NOT_MACROPHAGE and a in steps)
            for a in ("origin", "state")
        )
        found = f"{n:,} macrophage{'s' * (n != 1)}"
        found += f" ({origins.replace(UNASSIGNED, 'of unassigned origin')})" if origins else ""
        found += f"; states: {states}" if states else ""
    logger.info(f"Annotated {adata.n_obs:,} cells: {found}. Results in obs['{slots.slot(run.key, '*')}'].")
    return adata if copy else None


def start_run(
    adata: AnnData, signatures: Signatures | None, asked: AnnotateSettings, *, key_added: str, report: Progress
) -> AnnotationRun:
    """Check the settings, read the data, and fit to them or use a model."""
    slots.check_key(key_added)
    asked.check()
    model, of_labels = models_of(asked.model)
    report("reading")
    data, library, source, resolved = read_input(adata, signatures, asked)
    labelling = cohort = None
    if of_labels is not None:
        where = {"layer": asked.layer, "gene_symbols": asked.gene_symbols, "species": asked.species}
        labelling = Labelling(of_labels, adata, where)
    if model is not None:
        source = source.on_scale(model.scale, base_for(model, data))
        cohort = classify.lend(model, source.index, asked.tissue)
    ready = classify.prepare(source, library, resolved, cohort, threads=settings.n_threads(), report=report)
    also = () if labelling is None else (slots.slot(key_added, "model"),)
    ids, programs = list(ready.panels.public.ids), [i for i in ready.panels.ids("ferroptosis") if i not in SUMMARIES]
    columns = {"scores": ids, "z": ids, "p": ids, "ferroptosis": programs}
    columns |= {"origin_proba": list(classify.ORIGINS), "state_proba": list(classify.STATES)}
    return AnnotationRun(key_added, asked, data, ready, labelling, also, columns)


def call_cells(
    run: AnnotationRun, report: Progress, *, block: int | None = None
) -> Iterator[tuple[range, dict[str, Array]]]:
    """Call all cells: yield the tables of each block, cells by columns; after the last, the run has the calls."""
    labels = {
        "compartment": [*run.ready.panels.ids("compartment"), UNASSIGNED],
        "origin": list(ORIGIN_LABELS),
        "state": list(STATE_LABELS),
    }
    programs, blocks = run.columns["ferroptosis"], list[pd.DataFrame]()
    n_low_signal = dict.fromkeys([*programs, *SUMMARIES], 0)
    for rows, calls in run.ready.blocks(threads=settings.n_threads(), report=report, block=block):
        scores, columns = calls.scores, dict[str, Any]()
        for axis in slots.AXES:
            call: classify.Call = getattr(calls, axis)
            columns[axis] = pd.Categorical(call.label, categories=labels[axis])
            columns[f"{axis}_prob"] = call.prob.astype(np.float32)
            columns[f"{axis}_status"] = pd.Categorical(call.status, categories=list(STATUSES))
        columns |= {"programs": pd.Categorical(calls.programs), "mixed_lineage": calls.mixed_lineage.astype(np.float32)}
        columns |= {"dual_m1_m2": calls.dual_m1_m2} | {name: scores.column("z", name) for name in SUMMARIES}
        blocks.append(pd.DataFrame(columns))
        for name in n_low_signal:
            n_low_signal[name] += int((scores.column("expected", name) < _LOW_SIGNAL_EXPECTED).sum())
        yield (
            rows,
            {
                "scores": scores.score,
                "z": scores.z,
                "p": scores.p,
                "origin_proba": calls.origin.proba,
                "state_proba": calls.state.proba,
                "ferroptosis": scores.z[:, [scores.ids.index(i) for i in programs]],
            },
        )
    table = pd.concat(blocks, ignore_index=True)
    table["programs"] = pd.Categorical(table["programs"].astype(object))
    for column in table.select_dtypes("category"):  # scanpy fails on categories that do not occur
        table[column] = table[column].cat.remove_unused_categories()
    run.calls, run.low_signal = table, {name: n / len(table) for name, n in n_low_signal.items()}
    run.counts = {axis: {str(k): int(n) for k, n in table[axis].value_counts().items()} for axis in slots.AXES}
    if run.labelling is not None:
        run.labelling.predict(report)


def read_input(
    adata: AnnData, signatures: Signatures | None, asked: AnnotateSettings
) -> tuple[Unpacked, SignatureSet, Source, AnnotateSettings]:
    """Return the data, the signatures, the data as the classifiers read them, and the settings with the species."""
    sample = given = None
    if asked.sample_key is not None:
        sample = np.array(slots.texts_of(slots.obs_column(adata, asked.sample_key)), object)
    elif asked.sample is not None:
        sample = np.full(adata.n_obs, asked.sample, object)
    key = asked.compartment_key
    column, mapping = (key, None) if isinstance(key, str | None) else key
    if column is not None:
        given = np.array(slots.texts_of(slots.obs_column(adata, column)), object)
    layer, gene_symbols = asked.layer, asked.gene_symbols
    species = slots.species_of(adata, gene_symbols=gene_symbols, species=asked.species, layer=layer)
    library = load_signatures(classify.PROGRAM_AXES, species=species)
    own = as_signatures(signatures or {})
    # A user's set with a bundled id replaces the bundled one.
    placed = (s.model_copy(update={"axis": library[i].axis}) if i in library else s for i, s in own.items())
    library |= SignatureSet(placed)
    data = slots.unpack(adata, library, layer=layer, gene_symbols=gene_symbols, species=asked.species)
    cells = classify.Cells(sample=sample, given=given, mapping=mapping)
    return data, library, Source(data.rows, data.kind, data.index, cells), replace(asked, species=species)
