"""Training a classifier on the user's own labels: `tl.train` with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot._adata import SpeciesChoice, Unpacked
from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot._settings import settings
from tamannot.classify import check_classes, fit_labels
from tamannot.errors import GeneIdError, ParameterError, SpeciesError
from tamannot.genes import OURS, GeneIndex, read_ids
from tamannot.genes._names import names_of
from tamannot.signature import load_signatures
from tamannot.tl._learn import RANKED
from tamannot.tl._model import Model, as_model
from tamannot.tl._predict import genes_as_signature

NOT_LABELS = ("", "nan", "none", "unassigned", "unclear", "unknown")
"""Words, in any case, that stand for a cell without a label."""


def train_model(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series,
    *,
    sample_key: str | None,
    layer: str | None,
    gene_symbols: str | None,
    species: SpeciesChoice,
    target_accuracy: float,
    n_genes: int,
    rng: int,
    report: Progress,
) -> tuple[Model, list[str]]:
    """Train a model; return it with what the user should hear. See `train`."""
    _check(target_accuracy, n_genes)
    words = _labels(adata, labels)
    classes, truth = check_classes(words)
    sample = None if sample_key is None else slots.texts_of(slots.obs_column(adata, sample_key))
    n_samples = None if sample is None else len({s for s, w in zip(sample, words, strict=True) if w is not None})
    report("reading")
    data = _unpack(adata, layer, gene_symbols, species)
    symbols, ensembl = names_of(data.index)
    report("training")
    found = Counter(w for w in words if w is not None)
    classifier, notes = fit_labels(
        data.rows,
        data.kind,
        symbols=symbols,
        ensembl=ensembl,
        species=next((s for s in OURS if s == data.species), "unknown"),
        classes=classes,
        truth=truth,
        sample=sample,
        labels=labels if isinstance(labels, str) else str(getattr(labels, "name", None) or "labels"),
        n_genes=n_genes,
        target_accuracy=target_accuracy,
        rng=rng,
        threads=settings.n_threads(),
        training={
            "n_cells": {c: found[c] for c in classes},
            "n_without_label": len(words) - sum(found.values()),
            "sample_key": sample_key,
            "n_samples": n_samples,
            "matrix": data.matrix,
            "kind": data.kind,
            "rng": rng,
            "tamannot": package_version(),
            "numpy": version("numpy"),
            "scikit-learn": version("scikit-learn"),
        },
    )
    held_out = f"cells of other {sample_key}" if n_samples and n_samples > 1 else "other cells, of the same samples"
    model = as_model(replace(classifier, metrics={"held_out": held_out, **classifier.metrics}))
    if data.note:
        notes.insert(0, data.note)
    if n_samples == 1:
        notes.append(f"'{sample_key}' has one value only: cells of the same sample were held out.")
    return model, [*notes, RANKED] if model.scale == "ranks" else notes


def _check(target_accuracy: float, n_genes: int) -> None:
    if not 0 < target_accuracy < 1:
        msg = f"target_accuracy={target_accuracy} is not between 0 and 1."
        raise ParameterError(msg)
    if n_genes < 1:
        msg = f"n_genes is at least 1, not {n_genes}."
        raise ParameterError(msg)


def _labels(adata: AnnData, labels: str | Sequence[object] | pd.Series) -> list[str | None]:
    """Return the label of each cell, None for those without."""
    if isinstance(labels, str):
        given = slots.obs_column(adata, labels)
    elif isinstance(labels, pd.Series) and labels.index.equals(adata.obs_names):
        given = labels
    elif isinstance(labels, pd.Series) and labels.index.is_unique and set(adata.obs_names) <= set(labels.index):
        given = labels.reindex(adata.obs_names)
    else:
        given = pd.Series(list(labels), dtype=object)
    if len(given) != adata.n_obs:
        msg = f"There are {len(given):,} labels for {adata.n_obs:,} cells. Give one a cell, or the name of a column."
        raise ParameterError(msg)
    missing = given.isna().to_numpy()
    words = [str(v).strip() for v in given.tolist()]
    found = [None if m or w.lower() in NOT_LABELS else w for w, m in zip(words, missing, strict=True)]
    if odd := next((w for w in found if w and not (w.isprintable() and len(w) <= 200)), None):
        msg = f"The label {odd[:50]!r} is no name: labels are one line of at most 200 characters."
        raise ParameterError(msg)
    return found


def _unpack(adata: AnnData, layer: str | None, gene_symbols: str | None, species: SpeciesChoice) -> Unpacked:
    """Choose the matrix by the genes of the library; of ids that it does not know, by those in ``var``."""
    seen = slots.data_species(adata, gene_symbols=gene_symbols, species=species, layer=layer)
    library = load_signatures(species="mouse" if seen == "mouse" else "human")
    try:
        return slots.unpack(adata, library, layer=layer, gene_symbols=gene_symbols, species=species)
    except (GeneIdError, SpeciesError):
        column = adata.var_names if gene_symbols is None else adata.var[gene_symbols]
        symbols, _ = names_of(GeneIndex(read_ids(slots.texts_of(column)).ids))
        own = [s for s in symbols if s]
        if not own:
            raise
        wanted = {"own": genes_as_signature(own, [""] * len(own))}
        return slots.unpack(adata, wanted, layer=layer, gene_symbols=gene_symbols, species=species)
