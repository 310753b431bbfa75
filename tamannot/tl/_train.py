"""``tl.train``: a classifier from the user's own labels, or an anchored model without."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, overload

import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot._adata import SpeciesChoice, Unpacked
from tamannot._progress import Progress
from tamannot._provenance import package_version
from tamannot._settings import settings
from tamannot.errors import GeneIdError, ParameterError, TamannotWarning
from tamannot.genes import GeneIndex, strip_genome_prefix
from tamannot.genes._names import names_of
from tamannot.models import Classifier, Learned, check_classes, find_scale, learn_labels
from tamannot.models._call import Array
from tamannot.models._scale import Scale
from tamannot.pipeline import Tissue
from tamannot.signature import Signature, load_signatures
from tamannot.tl._anchored import AnchoredModel
from tamannot.tl._learn import RANKED, learn_model
from tamannot.tl._model import Model, as_model
from tamannot.tl._predict import genes_as_signature
from tamannot.tl._run import CompartmentKey

NOT_LABELS = ("", "nan", "none", "unassigned", "unclear", "unknown")
"""Words, in any case, that stand for a cell without a label."""
_N_GENES = 3000


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
) -> Model: ...
@overload
def train(
    adata: AnnData,
    labels: None = None,
    *,
    signatures: Mapping[str, Signature] | None = None,
    sample_key: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    target_accuracy: float = 0.95,
    rng: int = 0,
) -> AnchoredModel: ...
def train(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series | None = None,
    *,
    signatures: Mapping[str, Signature] | None = None,
    sample_key: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    tissue: Tissue = "auto",
    compartment_key: CompartmentKey | None = None,
    target_accuracy: float = 0.95,
    n_genes: int = _N_GENES,
    rng: int = 0,
) -> Model | AnchoredModel:
    """Train a classifier on your own labels, or without labels keep what an annotation of these cells learns.

    With labels: one-versus-rest logistic regression on the variable genes, calibrated and measured on cells that
    were held out, whole samples at a time where ``sample_key`` names them. Without: an anchored model, the nulls,
    tissue and heads that `annotate` would learn from these cells, for ``tl.annotate(other, model=…)``. Nothing is
    written into ``adata``.

    Parameters
    ----------
    adata
        Cells by genes, non-negative: counts, linear values or logarithms. Counts and linear values become
        ``log1p`` of 10,000 per cell; so do logarithms whose base is recognised; others become ranks within
        the cell. Of labelled cells at most 20,000 are used, rare classes in full; of others 40,000.
    labels
        A column of ``obs``, or one label a cell. Any words; NaN, None, empty, ``unassigned``, ``unclear`` and
        ``unknown`` stand for cells without a label, which are not used. None: an anchored model.
    signatures
        Added to the bundled library, as in `annotate`. Without labels only.
    sample_key
        Column of ``obs`` with the sample, such as the donor. Without it cells of one sample are on both sides
        of the test, and every figure looks better than it is.
    layer
        ``"X"``, ``"raw"`` or a layer; None takes the usable matrix with most known genes.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None looks for it.
    species
        Species of the data; ``"auto"`` recognises it from the ids.
    tissue
        ``"brain"``, ``"other"`` or ``"auto"``, as in `annotate`. Without labels only.
    compartment_key
        Your own cell types instead of the gate, as in `annotate`; they are not part of the model. Without labels
        only.
    target_accuracy
        Accuracy, between 0 and 1, that the labels given should reach. With labels: the lower 95 % bound on
        held-out cells, with the sample as the unit; without: among simulated mixtures, as in `annotate`. If no
        threshold reaches it, the model gives no label at all, only probabilities, and a warning says so.
    n_genes
        Number of genes to use, the most variable ones. With labels only.
    rng
        Seed.

    Returns
    -------
    With labels a `Model`; its ``metrics`` are of held-out cells. Without an `AnchoredModel`; its ``metrics`` are
    of simulated mixtures.

    Raises
    ------
    ParameterError
        No such column, labels of another length, fewer than two classes, a class of fewer than five cells, too few
        macrophages for an anchored model, or a parameter out of range or of the other kind of model.
    TamannotError
        No usable matrix or genes.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> model = tam.tl.train(adata, "author_label")  # doctest: +SKIP
    >>> model.metrics["balanced_accuracy"]  # doctest: +SKIP
    >>> anchored = tam.tl.train(tumour, sample_key="donor")  # doctest: +SKIP
    >>> tam.tl.annotate(other, model=anchored)  # doctest: +SKIP
    """
    with closing(Progress(show=settings.progress)) as progress:
        model, notes = trained(
            adata,
            labels,
            signatures=signatures,
            sample_key=sample_key,
            layer=layer,
            gene_symbols=gene_symbols,
            species=species,
            tissue=tissue,
            compartment_key=compartment_key,
            target_accuracy=target_accuracy,
            n_genes=n_genes,
            rng=rng,
            report=progress,
        )
    for line in notes:
        warnings.warn(line, TamannotWarning, stacklevel=2)
    return model


def trained(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series | None,
    *,
    signatures: Mapping[str, Signature] | None,
    sample_key: str | None,
    layer: str | None,
    gene_symbols: str | None,
    species: SpeciesChoice,
    tissue: Tissue,
    compartment_key: CompartmentKey | None,
    target_accuracy: float,
    n_genes: int = _N_GENES,
    rng: int = 0,
    report: Progress,
) -> tuple[Model | AnchoredModel, list[str]]:
    """Train a model of either kind; return it with what the user should hear. See `train`."""
    _check_kind(labels is None, tissue, compartment_key, signatures, n_genes)
    shared: dict[str, Any] = {
        "sample_key": sample_key,
        "layer": layer,
        "gene_symbols": gene_symbols,
        "species": species,
        "target_accuracy": target_accuracy,
        "rng": rng,
    }
    if labels is not None:
        return train_model(adata, labels, n_genes=n_genes, report=report, **shared)
    choices = shared | {"tissue": tissue, "compartment_key": compartment_key}
    return learn_model(adata, signatures, choices, report)


def _check_kind(
    anchored: bool,
    tissue: Tissue,
    compartment_key: CompartmentKey | None,
    signatures: Mapping[str, Signature] | None,
    n_genes: int,
) -> None:
    """Refuse parameters of the other kind of model."""
    if anchored and n_genes != _N_GENES:
        msg = "n_genes is for models of your own labels: give labels, or leave it out."
        raise ParameterError(msg)
    if not anchored and (tissue != "auto" or compartment_key is not None or signatures is not None):
        msg = "tissue, compartment_key and signatures are for anchored models: leave out labels, or these."
        raise ParameterError(msg)


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
        species=data.species,
        labels=given.name,
        training=_training(given, learned, data, rng),
        metrics={"held_out": held_out, **learned.metrics},
    )


def _check(target_accuracy: float, n_genes: int) -> None:
    if not 0 < target_accuracy < 1:
        msg = f"target_accuracy is between 0 and 1, not {target_accuracy}."
        raise ParameterError(msg)
    if n_genes < 1:
        msg = f"n_genes is at least 1, not {n_genes}."
        raise ParameterError(msg)


def _labels(adata: AnnData, labels: str | Sequence[object] | pd.Series) -> list[str | None]:
    """Return the label of each cell, None for those without."""
    if isinstance(labels, str):
        given = _column(adata, labels)
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
    return None if sample_key is None else _column(adata, sample_key).astype(str).tolist()


def _column(adata: AnnData, name: str) -> pd.Series:
    if name not in adata.obs:
        msg = f"No column '{name}' in obs. There are: {', '.join(map(str, adata.obs.columns)) or 'none'}."
        raise ParameterError(msg)
    return pd.Series(adata.obs[name])


def _unpack(adata: AnnData, layer: str | None, gene_symbols: str | None, species: SpeciesChoice) -> Unpacked:
    """Choose the matrix by the genes of the library; of ids that it does not know, by those in ``var``."""
    library = load_signatures(species=slots.species_of(adata, gene_symbols=gene_symbols, species=species))
    try:
        return slots.unpack(adata, library, layer=layer, gene_symbols=gene_symbols, species=species)
    except GeneIdError:
        column = adata.var_names if gene_symbols is None else adata.var[gene_symbols]
        symbols, _ = names_of(GeneIndex(strip_genome_prefix(column.astype(str).tolist())))
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
