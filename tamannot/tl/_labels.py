"""Training a classifier on the user's own labels: `tl.train` with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot._adata import SpeciesChoice, Unpacked
from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot.errors import GeneIdError, ParameterError, SpeciesError
from tamannot.genes import OURS, GeneIndex, read_ids
from tamannot.genes._names import names_of
from tamannot.models import Classifier, Learned, Scale, check_classes, find_scale, learn_labels
from tamannot.models._call import Array
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
    given = _given(adata, labels, sample_key)
    report("reading")
    data = _unpack(adata, layer, gene_symbols, species)
    names = [str(n) for n in adata.obs_names]
    scale, base = find_scale(data.rows, data.kind, names)
    genes = names_of(data.index)
    report("training")
    learned = learn_labels(
        data.rows,
        data.kind,
        scale,
        base,
        names=names,
        gene_ids=genes[0],
        classes=given.classes,
        truth=given.truth,
        sample=given.sample,
        n_genes=n_genes,
        target_accuracy=target_accuracy,
        rng=rng,
    )
    model = as_model(_classifier(given, data, genes, learned, scale, rng))
    return model, _said(given, data, learned, scale, target_accuracy)


@dataclass(frozen=True, eq=False)
class _Given:
    """What the user says of the cells."""

    name: str
    """Of the labels."""
    words: list[str | None]
    """Label of each cell, None for those without."""
    classes: tuple[str, ...]
    truth: Array
    """Class number of each cell, -1 for those without a label."""
    sample_key: str | None
    sample: list[str] | None
    notes: list[str]

    @cached_property
    def n_samples(self) -> int | None:
        """Samples of the cells with a label; None if the user names no samples."""
        if self.sample is None:
            return None
        return len({s for s, t in zip(self.sample, self.truth, strict=True) if t >= 0})


def _given(adata: AnnData, labels: str | Sequence[object] | pd.Series, sample_key: str | None) -> _Given:
    words = _labels(adata, labels)
    classes, truth, notes = check_classes(words)
    name = labels if isinstance(labels, str) else str(getattr(labels, "name", None) or "labels")
    return _Given(name, words, classes, truth, sample_key, _samples(adata, sample_key), notes)


def _classifier(
    given: _Given, data: Unpacked, genes: tuple[list[str], list[str]], learned: Learned, scale: Scale, rng: int
) -> Classifier:
    symbols, ensembl = genes
    of_others = given.n_samples and given.n_samples > 1
    held_out = f"cells of other {given.sample_key}" if of_others else "other cells, of the same samples"
    return Classifier(
        classes=given.classes,
        symbols=tuple(symbols[c] for c in learned.features),
        ensembl=tuple(ensembl[c] for c in learned.features),
        coef=learned.coef,
        intercept=learned.intercept,
        centroids=learned.centroids,
        calibration=learned.calibration,
        familiar=learned.familiar,
        threshold=learned.threshold,
        scale=scale,
        species=next((s for s in OURS if s == data.species), "unknown"),
        labels=given.name,
        training=_training(given, learned, data, rng),
        metrics={"held_out": held_out, **learned.metrics},
    )


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


def _samples(adata: AnnData, sample_key: str | None) -> list[str] | None:
    return None if sample_key is None else slots.texts_of(slots.obs_column(adata, sample_key))


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


def _training(given: _Given, learned: Learned, data: Unpacked, rng: int) -> dict[str, Any]:
    found = Counter(w for w in given.words if w is not None)
    return {
        "n_cells": {c: found[c] for c in sorted(found)},
        "n_used": learned.used,
        "n_without_label": len(given.words) - sum(found.values()),
        "sample_key": given.sample_key,
        "n_samples": given.n_samples,
        "matrix": data.matrix,
        "kind": data.kind,
        "n_genes": len(learned.features),
        "rng": rng,
        "tamannot": package_version(),
        "numpy": version("numpy"),
        "scikit-learn": version("scikit-learn"),
    }


def _said(given: _Given, data: Unpacked, learned: Learned, scale: Scale, target: float) -> list[str]:
    """Return what the user should hear."""
    said = [*([data.note] if data.note else []), *given.notes, *learned.notes, *_unreached(learned, target)]
    if given.n_samples == 1:
        said.append(f"'{given.sample_key}' has one value only: cells of the same sample were held out.")
    return [*said, RANKED] if scale == "ranks" else said


def _unreached(learned: Learned, target: float) -> list[str]:
    if learned.threshold is not None:
        return []
    best = learned.metrics["best_lower"]
    said = f"No threshold reaches an accuracy of {target:g} on held-out cells (the best lower bound is {best:.2f}): "
    said += "the model gives probabilities, but no label. Train with a lower target_accuracy, or on more samples."
    return [said]
