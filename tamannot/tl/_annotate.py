"""``tl.annotate`` and its steps: read, fit, call block by block, write, and tell the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot import classify
from tamannot._progress import Progress
from tamannot._settings import (
    DEFAULT_ACCURACY,
    AnnotateSettings,
    CompartmentKey,
    ScanpyWords,
    SpeciesChoice,
    Tissue,
    UseRaw,
    settings,
    takes_scanpy_words,
)
from tamannot.classify import MACROPHAGE, NOT_MACROPHAGE, SUMMARIES, UNASSIGNED, Source
from tamannot.data import Array, Unpacked
from tamannot.errors import logger, tell
from tamannot.signature import Signatures, SignatureSet, as_signatures, load_signatures
from tamannot.tl._model import GivenModel, Labelling, base_for, models_of
from tamannot.tl._write import ORIGIN_LABELS, STATE_LABELS, STATUSES, STEPS, AnnotationRun, write_run

_LOW_SIGNAL_EXPECTED = 3  # if fewer genes are expected to be detected, a program is uninformative in that cell


@takes_scanpy_words(ScanpyWords)
def annotate(
    adata: AnnData,
    *,
    signatures: Signatures | None = None,
    model: GivenModel | Sequence[GivenModel] | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    sample_key: str | None = None,
    target_accuracy: float = DEFAULT_ACCURACY,
    rng: int = 0,
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[ScanpyWords],
) -> AnnData | None:
    """Annotate tumour-associated macrophages: compartment, origin, state and ferroptosis programs.

    Cells are compared with a reference of many tissues, so a call depends little on the other cells. Compartments are
    called by a classifier trained on reference profiles together with the z of each panel, and origins by the
    difference of their z. A state is called if its signature exceeds the baseline of these macrophages. If enough cells
    are confidently assigned, a classifier is trained on them and uses the whole expression; a label still needs the
    support of the cell's own signature. ``uns`` records what was fitted. A label means that a program is active in a
    cell's transcripts. Origin is similarity, not lineage; the ferroptosis programs describe the handling of iron and
    lipid peroxides, not death.

    Parameters
    ----------
    adata
        Cells by genes, non-negative: counts or log-normalised values of all genes, not only variable ones. A dask array
        is processed by the active dask scheduler; lazy ``obs`` and ``var`` are loaded.
    signatures
        Your own signatures, in addition to the bundled library. A bundled id replaces the bundled signature.
    model
        A model from `train`, or the path of its file; a list to use one model of each kind. A cohort model (trained
        without labels): nothing is fitted here, and each call depends only on the cell and the model. Macrophages
        unlike the training cells are ``unfamiliar``. The model provides baselines, classifier and, unless given, the
        tissue. A model of your own labels does not change the annotation. The results of `Model.predict` are added for
        all cells under the key ``tam_model``.
    layer
        ``"X"``, ``"raw"`` or a layer; None uses the usable matrix with most genes of the signatures.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None detects it.
    species
        Species of the data, human or mouse; ``"auto"`` detects it from the gene ids, and from the cells if the ids are
        of both.
    tissue
        ``"brain"``, ``"other"``, or ``"auto"``: brain if there are neural or glial cells or convincing microglia.
        Outside the brain, microglia and border-associated macrophages are not called.
    compartment_key
        Your own cell types instead of the compartment classifier: a column of ``obs`` with the ids of tamannot, or
        ``(column, {your name: id})``.
    sample_key
        Column of ``obs`` with the sample. Doublets are separated from the ambient RNA of their own sample.
    target_accuracy
        Share of called states that should be right. It does not change calls: if the mean probability of the called
        states is lower, a note gives the expected share.
    rng
        Seed for choosing the training cells if there are more than 4,000 macrophages.
    key_added
        Prefix of the results.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. With ``tam`` as ``key_added``, the results are: ``obs`` columns ``tam_compartment``,
    ``tam_origin``, ``tam_state``, each with ``…_prob`` in [0, 1] and ``…_status``, ``tam_programs``,
    ``tam_mixed_lineage``, ``tam_dual_m1_m2`` and ``tam_ferroptosis_drive``, ``…_defence``, ``…_balance`` (z); ``obsm``
    tables ``tam_scores`` in [0, 1], ``tam_z``, ``tam_p``, ``tam_origin_proba``, ``tam_state_proba``,
    ``tam_ferroptosis`` (z); and provenance in ``uns["tamannot"]["tam"]``. With a model of labels also
    ``tam_model_label``, ``tam_model_prob``, ``tam_model_status``, ``obsm["tam_model_proba"]`` and
    ``uns["tamannot"]["tam_model"]``.

    Raises
    ------
    TamannotError
        There is no usable matrix or no known gene, the data are of another species or of two, a parameter is out of
        range, or the model does not fit the data.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> int((adata.obs["tam_compartment"] == "macrophage").sum())
    19
    """
    asked = AnnotateSettings(
        model=model,
        layer=layer,
        gene_symbols=gene_symbols,
        species=species,
        tissue=tissue,
        compartment_key=compartment_key,
        sample_key=sample_key,
        target_accuracy=target_accuracy,
        rng=rng,
    )
    return annotate_in_memory(adata, signatures, asked, key_added=key_added, copy=copy)


@takes_scanpy_words(UseRaw)
def gate(
    adata: AnnData,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Call the compartment of every cell: the first step of `annotate`, with its parameters.

    Returns
    -------
    None, or the copy. The results are ``obs["{key}_compartment"]``, ``…_prob``, ``…_status``, the tables of
    scores, and provenance.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    return _step(adata, "compartment", key_added, copy, layer=layer, gene_symbols=gene_symbols, species=species)


@takes_scanpy_words(UseRaw)
def classify_origin(
    adata: AnnData,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Call the origin of macrophages: a step of `annotate`, with its parameters.

    Returns
    -------
    None, or the copy. The results are ``obs["{key}_origin"]``, ``…_prob``, ``…_status``,
    ``obsm["{key}_origin_proba"]``, the tables of scores, and provenance.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    where = {"layer": layer, "gene_symbols": gene_symbols, "species": species}
    return _step(adata, "origin", key_added, copy, **where, tissue=tissue, compartment_key=compartment_key)


@takes_scanpy_words(UseRaw)
def classify_state(
    adata: AnnData,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    compartment_key: CompartmentKey | None = None,
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Call the state of macrophages: a step of `annotate`, with its parameters.

    Returns
    -------
    None, or the copy. The results are ``obs["{key}_state"]``, ``…_prob``, ``…_status``, ``{key}_programs``,
    ``{key}_mixed_lineage``, ``{key}_dual_m1_m2``, ``obsm["{key}_state_proba"]``, the tables of scores, and provenance.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    where = {"layer": layer, "gene_symbols": gene_symbols, "species": species}
    return _step(adata, "state", key_added, copy, **where, compartment_key=compartment_key)


@takes_scanpy_words(UseRaw)
def ferroptosis(
    adata: AnnData,
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Score the sixteen ferroptosis programs and their summaries: a step of `annotate`.

    They measure how a cell handles iron, glutathione and lipid peroxides, not whether it dies. Most rely on few
    detected genes: interpret them as summaries of samples and labels; ``uns["tamannot"]["{key}"]["ferroptosis"]`` has
    the share of cells in which a program has too little signal.

    Drive, defence and balance describe capacity. In 19 experiments in which cells did undergo ferroptosis, drive rose
    in 13, defence rose in 15 and balance fell in 15, so a negative balance may mark a cell that undergoes ferroptosis.
    The set that rises in such cells is ``ferroptosis_response``; score it with `score`.

    Returns
    -------
    None, or the copy. The results are ``obsm["{key}_ferroptosis"]`` (z), ``obs["{key}_ferroptosis_drive"]``,
    ``…_defence``, ``…_balance`` (z), the tables of scores, and provenance.

    Raises
    ------
    TamannotError
        As `annotate`.
    """
    return _step(adata, "ferroptosis", key_added, copy, layer=layer, gene_symbols=gene_symbols, species=species)


def _step(adata: AnnData, step: str, key_added: str, copy: bool, **given: Any) -> AnnData | None:
    """Run one step of the annotation; the record keeps the parameters that it takes."""
    asked = AnnotateSettings(**given, recorded=tuple(given))
    return annotate_in_memory(adata, None, asked, steps=(step,), key_added=key_added, copy=copy)


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
    with closing(Progress(show=settings.progress)) as report:
        run = start_run(adata, signatures, asked, key_added=key_added, report=report)
        tables = {name: np.empty((adata.n_obs, len(columns)), np.float32) for name, columns in run.columns.items()}
        for rows, block in call_cells(run, report):
            for name, values in block.items():
                tables[name][rows.start : rows.stop] = values
        notes = write_run(adata, run, tables, steps)
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
        tables = {"scores": scores.score, "z": scores.z, "p": scores.p}
        tables |= {"origin_proba": calls.origin.proba, "state_proba": calls.state.proba}
        yield rows, tables | {"ferroptosis": scores.z[:, [scores.ids.index(i) for i in programs]]}
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
