"""``tl.train``: trains a classifier on the user's labels or, without labels, a cohort model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Unpack, overload

import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot._settings import (
    AnnotateSettings,
    CompartmentKey,
    ScanpyWords,
    SpeciesChoice,
    Tissue,
    settings,
    takes_scanpy_words,
)
from tamannot.classify import AnchoredModel, Array, LabelledCells, check_classes, fit_labels, keep_cohort, prepare
from tamannot.data import Unpacked
from tamannot.errors import GeneIdError, Notes, ParameterError, SpeciesError, TamannotWarning, tell
from tamannot.signature import OURS, GeneIndex, Signatures, load_signatures, read_ids
from tamannot.signature._gene_index import names_of
from tamannot.tl._annotate import read_input
from tamannot.tl._model import Model, genes_as_signature

_N_GENES, _FEW_CELLS = 3000, 20
_NOT_LABELS = ("", "nan", "none", "unassigned", "unclear", "unknown")  # in any case
_FEWEST_MACROPHAGES = 30  # with fewer, the novelty limit of a model would be arbitrary
_RANKED = (
    "The base of the logarithm is not recognised, so the model uses ranks within the cell and works only on such "
    "data. If you have counts, train on them (layer=)."
)


@overload
def train(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series,
    *,
    sample_key: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    target_accuracy: float = 0.95,
    n_genes: int = _N_GENES,
    rng: int = 0,
    **_words: Unpack[ScanpyWords],
) -> Model: ...
@overload
def train(
    adata: AnnData,
    labels: None = None,
    *,
    signatures: Signatures | None = None,
    sample_key: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    target_accuracy: float = 0.95,
    rng: int = 0,
    **_words: Unpack[ScanpyWords],
) -> AnchoredModel: ...
@takes_scanpy_words(ScanpyWords)
def train(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series | None = None,
    *,
    signatures: Signatures | None = None,
    sample_key: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    target_accuracy: float = 0.95,
    n_genes: int = _N_GENES,
    rng: int = 0,
    **_words: Unpack[ScanpyWords],
) -> Model | AnchoredModel:
    """Train a classifier on your own labels or, without labels, a cohort model on these cells.

    With labels: multinomial logistic regression on variable genes, calibrated and evaluated on held-out cells (whole
    samples at a time with ``sample_key``). Without labels: a cohort model with the tissue, baselines and state
    classifier that `annotate` would fit, for ``tl.annotate(other, model=…)``. ``adata`` is not changed.

    Parameters
    ----------
    adata
        Cells by genes, non-negative: counts, linear values or log values. Counts, linear values and log values
        with a recognised base become ``log1p`` of 10,000 per cell; other log values become ranks within
        the cell. At most 20,000 labelled cells are used, including all cells of rare classes; without labels 40,000.
    labels
        A column of ``obs``, or one label per cell. Cells with NaN, None, an empty label, ``unassigned``, ``unclear``
        or ``unknown`` are not used. None trains a cohort model.
    signatures
        Added to the bundled library, as in `annotate`. Only without labels.
    sample_key
        Column of ``obs`` with the sample. Without it, metrics are too optimistic: held-out cells share samples.
    layer
        ``"X"``, ``"raw"`` or a layer; None uses the usable matrix with most known genes.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None detects it.
    species
        Species of the data; ``"auto"`` detects it from the gene ids.
    tissue
        ``"brain"``, ``"other"`` or ``"auto"``, as in `annotate`. Only without labels.
    compartment_key
        Your own cell types instead of the compartment classifier, as in `annotate`; they are not part of the model.
        Only without labels.
    target_accuracy
        Accuracy, between 0 and 1, that assigned labels should reach: the lower 95 % bound on held-out cells, with the
        sample as the unit. If no threshold reaches it, the model gives probabilities, but assigns no labels, and a
        warning is issued. Only with labels.
    n_genes
        Number of most variable genes to use. Only with labels.
    rng
        Seed.

    Returns
    -------
    With labels, a `Model` whose ``metrics`` are from held-out cells. Without labels, an `AnchoredModel`, which has no
    metrics.

    Raises
    ------
    ParameterError
        A column is missing, the number of labels is wrong, there are fewer than two classes, a class has fewer than
        five cells, there are too few confidently assigned macrophages for a state classifier, or a parameter is out of
        range or belongs to the other kind of model.
    TamannotError
        There is no usable matrix, or there are no known genes.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> model = tam.tl.train(adata, "author_label")  # doctest: +SKIP
    >>> model.metrics["balanced_accuracy"]  # doctest: +SKIP
    >>> tam.tl.annotate(other, model=tam.tl.train(tumour, sample_key="donor"))  # doctest: +SKIP
    """
    with closing(Progress(show=settings.progress)) as progress:
        model, notes = train_and_tell(
            adata,
            labels,
            progress,
            signatures=signatures,
            n_genes=n_genes,
            asked=AnnotateSettings(
                sample_key=sample_key,
                layer=layer,
                gene_symbols=gene_symbols,
                species=species,
                tissue=tissue,
                compartment_key=compartment_key,
                target_accuracy=target_accuracy,
                rng=rng,
            ),
        )
    tell(notes)
    return model


def train_and_tell(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series | None,
    report: Progress,
    *,
    asked: AnnotateSettings,
    signatures: Signatures | None = None,
    n_genes: int = _N_GENES,
) -> tuple[Model | AnchoredModel, Notes]:
    """Train a model of either kind; return it with the notes for the user."""
    if labels is None:
        if n_genes != _N_GENES:
            raise ParameterError("n_genes= applies to models of your own labels only. Give labels=, or leave it out.")
        model, notes = learn_model(adata, signatures, asked, report)
        # The ambient RNA of these samples is not useful for other samples.
        return replace(model, cohort=replace(model.cohort, doublet={})), notes
    if asked.tissue != "auto" or asked.compartment_key is not None or signatures is not None:
        raise ParameterError(
            "tissue=, compartment_key= and signatures= apply to models without labels only. Leave out these, or "
            "labels=."
        )
    return train_model(adata, labels, asked, report, n_genes=n_genes)


def learn_model(
    adata: AnnData, signatures: Signatures | None, asked: AnnotateSettings, report: Progress
) -> tuple[AnchoredModel, Notes]:
    """Train a cohort model; return it with the notes for the user."""
    asked.check()
    report("reading")
    data, library, source, resolved = read_input(adata, signatures, replace(asked, portable=True))
    ready = prepare(source, library, resolved, threads=settings.n_threads(), report=report)
    cohort = ready.cohort
    if cohort.states.regression is None or cohort.n_macrophages < _FEWEST_MACROPHAGES:
        raise ParameterError(
            f"No state classifier can be trained: of {cohort.n_macrophages:,} macrophages, too few are confidently "
            "assigned. Train on more cells, or run tl.annotate on these without a model."
        )
    sample, given = source.cells.sample, asked.compartment_key
    model = keep_cohort(
        cohort,
        data.index,
        scale=ready.source.scale,
        species=ready.panels.species,
        signatures={s.id: (s.version, s.digest) for s in ready.panels.everything.outputs if ":" not in s.id},
        target_accuracy=asked.target_accuracy,
        rng=asked.rng,
        training={
            "matrix": data.matrix,
            "kind": data.kind,
            "n_obs": data.rows.shape[0],
            "n_vars": data.rows.shape[1],
            "sample_key": asked.sample_key,
            "n_samples": None if sample is None else len(set(sample)),
            "compartment_key": given if isinstance(given, str | None) else given[0],
            **made_with(),
        },
        metrics={},
    )
    notes = data.notes
    if asked.tissue == "auto":
        notes[f"Tissue set to {cohort.tissue}: {cohort.tissue_reason}. Override with tissue=."] = None
    if cohort.novelty is None:
        few = "Too few macrophages to learn which cells are unlike them"
        notes[f"{few}: the model will treat no cell as unfamiliar."] = TamannotWarning
    if model.scale == "ranks":
        notes[_RANKED] = TamannotWarning
    return model, notes


def made_with() -> dict[str, str]:
    """Return the versions that a model was made with."""
    return {"tamannot": package_version()} | {name: version(name) for name in ("numpy", "scikit-learn")}


def train_model(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series,
    asked: AnnotateSettings,
    report: Progress,
    *,
    n_genes: int,
) -> tuple[Model, Notes]:
    """Train a label model; return it with the notes for the user. See `train`."""
    target_accuracy, rng, sample_key = asked.target_accuracy, asked.rng, asked.sample_key
    asked.check()
    if n_genes < 1:
        raise ParameterError(f"n_genes must be at least 1, not {n_genes}.")
    words = _labels(adata, labels)
    classes, truth = check_classes(words)
    sample = None if sample_key is None else slots.texts_of(slots.obs_column(adata, sample_key))
    n_samples = None if sample is None else len({s for s, w in zip(sample, words, strict=True) if w is not None})
    report("reading")
    data = _unpack(adata, asked)
    symbols, ensembl = names_of(data.index)
    report("training")
    found = Counter(w for w in words if w is not None)
    classifier, size = fit_labels(
        LabelledCells(data.rows, data.kind, symbols, ensembl, classes, truth, sample),
        species=next((s for s in OURS if s == data.species), "unknown"),
        labels=labels if isinstance(labels, str) else str(getattr(labels, "name", None) or "labels"),
        n_genes=n_genes,
        rng=rng,
        threads=settings.n_threads(),
        target=target_accuracy,
        training={
            "n_cells": {c: found[c] for c in classes},
            "n_without_label": len(words) - sum(found.values()),
            "sample_key": sample_key,
            "n_samples": n_samples,
            "matrix": data.matrix,
            "kind": data.kind,
            "rng": rng,
            **made_with(),
        },
    )
    held_out = f"cells of other {sample_key}" if n_samples and n_samples > 1 else "other cells, of the same samples"
    model = Model(**{**vars(classifier), "metrics": {"held_out": held_out, **classifier.metrics}})
    notes = data.notes
    if n_copies := sum(found.values()) - int(size.sum()):
        notes[f"{n_copies:,} labelled cells are duplicates of others; each cell was used once."] = None
    lines = _limits_of_labels(model, size)
    if n_samples == 1:
        lines.append(f"'{sample_key}' has only one value, so the held-out cells are of the same sample.")
    if model.scale == "ranks":
        lines.append(_RANKED)
    return model, notes | dict.fromkeys(lines, TamannotWarning)


def _limits_of_labels(model: Model, size: Array) -> list[str]:
    """Return what limits the labels: few cells, what could not be held out, no threshold."""
    notes = []
    if small := [f"'{c}' ({n})" for c, n in zip(model.classes, size, strict=True) if n < _FEW_CELLS]:
        notes.append(
            f"Fewer than {_FEW_CELLS} cells of {', '.join(small)}: the classifier will be weak for these labels."
        )
    notes += [
        f"All cells of '{c}' are in one sample, so none could be held out: its accuracy is not known."
        for c, found in model.metrics["per_class"].items()
        if not found["n"]
    ]
    if model.threshold is None:
        notes.append(
            f"No threshold reaches an accuracy of {model.metrics['target_accuracy']:g} on held-out cells (the best "
            f"lower bound is {model.metrics['best_lower']:.2f}), so the model gives probabilities, but assigns no "
            "labels. Train with a lower target_accuracy, or on more samples."
        )
    return notes


def _labels(adata: AnnData, labels: str | Sequence[object] | pd.Series) -> list[str | None]:
    """Return the label of each cell, None for those without."""
    if isinstance(labels, str):
        given = slots.obs_column(adata, labels)
    elif isinstance(labels, pd.Series) and labels.index.is_unique and set(adata.obs_names) <= set(labels.index):
        given = labels.reindex(adata.obs_names)
    else:
        given = pd.Series(list(labels), dtype=object)
    if len(given) != adata.n_obs:
        raise ParameterError(
            f"There are {len(given):,} labels for {adata.n_obs:,} cells. Give one label per cell, or a column name."
        )
    missing = given.isna().to_numpy()
    words = [str(v).strip() for v in given.tolist()]
    found = [None if m or w.lower() in _NOT_LABELS else w for w, m in zip(words, missing, strict=True)]
    if odd := next((w for w in found if w and not (w.isprintable() and len(w) <= 200)), None):
        raise ParameterError(f"The label {odd[:50]!r} is not valid: a label is one line of at most 200 characters.")
    return found


def _unpack(adata: AnnData, asked: AnnotateSettings) -> Unpacked:
    """Choose the matrix by the genes of the library; of ids that it does not know, by those in ``var``."""
    where: dict[str, Any] = {"layer": asked.layer, "gene_symbols": asked.gene_symbols, "species": asked.species}
    seen = slots.data_species(adata, **where)
    library = load_signatures(species="mouse" if seen == "mouse" else "human")
    try:
        return slots.unpack(adata, library, **where)
    except (GeneIdError, SpeciesError):
        column = adata.var_names if asked.gene_symbols is None else adata.var[asked.gene_symbols]
        symbols, _ = names_of(GeneIndex(read_ids(slots.texts_of(column)).ids))
        own = [s for s in symbols if s]
        if not own:
            raise
        return slots.unpack(adata, {"own": genes_as_signature(own, [""] * len(own))}, **where)
