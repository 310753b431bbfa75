"""Training a classifier on the user's own labels: `tl.train` with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.classify import HeldOut, check_classes, fit_labels
from tamannot.data import SpeciesChoice, Unpacked
from tamannot.errors import GeneIdError, ParameterError, SpeciesError
from tamannot.signature import OURS, GeneIndex, load_signatures, read_ids
from tamannot.signature._gene_index import names_of
from tamannot.stats._held_out import judge
from tamannot.tl._learn import RANKED, made_with
from tamannot.tl._model import Model
from tamannot.tl._predict import genes_as_signature

N_GENES, _FEW_CELLS = 3000, 20
NOT_LABELS = ("", "nan", "none", "unassigned", "unclear", "unknown")
"""Words, in any case, that stand for a cell without a label."""


def train_model(
    adata: AnnData, labels: str | Sequence[object] | pd.Series, choices: Mapping[str, Any], report: Progress
) -> tuple[Model, list[str]]:
    """Train a model; return it with what the user should hear. See `train` for the choices."""
    target_accuracy, n_genes = choices["target_accuracy"], choices["n_genes"]
    rng, sample_key = choices["rng"], choices["sample_key"]
    _check(target_accuracy, n_genes)
    words = _labels(adata, labels)
    classes, truth = check_classes(words)
    sample = None if sample_key is None else slots.texts_of(slots.obs_column(adata, sample_key))
    n_samples = None if sample is None else len({s for s, w in zip(sample, words, strict=True) if w is not None})
    report("reading")
    data = _unpack(adata, choices["layer"], choices["gene_symbols"], choices["species"])
    symbols, ensembl = names_of(data.index)
    report("training")
    found = Counter(w for w in words if w is not None)
    classifier, held = fit_labels(
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
            **made_with(),
        },
    )
    held_out = f"cells of other {sample_key}" if n_samples and n_samples > 1 else "other cells, of the same samples"
    metrics = judge(held.proba, held.truth, held.weight, held.sample, classes, target_accuracy)
    metrics = {"held_out": held_out, **metrics, **classifier.metrics}
    model = Model(**{**vars(classifier), "threshold": metrics["threshold"], "metrics": metrics})
    notes = [data.note] if data.note else []
    notes += _notes(model, held, sum(found.values()))
    if n_samples == 1:
        notes.append(f"'{sample_key}' has one value only: cells of the same sample were held out.")
    return model, [*notes, RANKED] if model.scale == "ranks" else notes


def _notes(model: Model, held: HeldOut, n_labelled: int) -> list[str]:
    """Return what the user should hear of the cells, and of the threshold."""
    notes = []
    if n_copies := n_labelled - int(held.size.sum()):
        notes.append(f"{n_copies:,} of the labelled cells are copies of others; each cell is learned from once.")
    if small := [f"'{c}' ({n})" for c, n in zip(model.classes, held.size, strict=True) if n < _FEW_CELLS]:
        notes.append(f"Fewer than {_FEW_CELLS} cells of {', '.join(small)}: what is learned of them is weak.")
    notes += [
        f"Cells of '{c}' are in one sample only, so none could be held out: its accuracy is not known."
        for c, found in model.metrics["per_class"].items()
        if not found["n"]
    ]
    if model.threshold is None:
        notes.append(
            f"No threshold reaches an accuracy of {model.metrics['target_accuracy']:g} on held-out cells (the best "
            f"lower bound is {model.metrics['best_lower']:.2f}): the model gives probabilities, but no label. Train "
            "with a lower target_accuracy, or on more samples."
        )
    return notes


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
