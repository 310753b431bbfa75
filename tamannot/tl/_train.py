"""``tl.train``: a classifier from the user's own labels, or a fitted cohort without."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import overload

import pandas as pd
from anndata import AnnData

from tamannot._progress import Progress
from tamannot._settings import AnnotateSettings, CompartmentKey, SpeciesChoice, Tissue, settings
from tamannot.classify import AnchoredModel
from tamannot.errors import ParameterError, TamannotWarning
from tamannot.signature import Signatures
from tamannot.tl._learn import N_GENES, learn_model, train_model
from tamannot.tl._model import Model


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
    n_genes: int = N_GENES,
    rng: int = 0,
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
) -> AnchoredModel: ...
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
    n_genes: int = N_GENES,
    rng: int = 0,
) -> Model | AnchoredModel:
    """Train a classifier on your own labels, or without labels keep what an annotation fits to these cells.

    With labels: multinomial logistic regression on the variable genes, calibrated and measured on cells that were
    held out, whole samples at a time where ``sample_key`` names them. Without: a fitted cohort, the tissue,
    baselines and classifier of states that `annotate` would fit to these cells, for ``tl.annotate(other, model=…)``.
    Nothing is written into ``adata``.

    Parameters
    ----------
    adata
        Cells by genes, non-negative: counts, linear values or logarithms. Counts and linear values become
        ``log1p`` of 10,000 per cell; so do logarithms whose base is recognised; others become ranks within
        the cell. Of labelled cells at most 20,000 are used, rare classes in full; of others 40,000.
    labels
        A column of ``obs``, or one label a cell. Any words; NaN, None, empty, ``unassigned``, ``unclear`` and
        ``unknown`` stand for cells without a label, which are not used. None: a fitted cohort.
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
        held-out cells, with the sample as the unit. If no threshold reaches it, the model gives no label at all, only
        probabilities, and a warning says so. Without labels it is not used.
    n_genes
        Number of genes to use, the most variable ones. With labels only.
    rng
        Seed.

    Returns
    -------
    With labels a `Model`; its ``metrics`` are of held-out cells. Without an `AnchoredModel`, which has none.

    Raises
    ------
    ParameterError
        No such column, labels of another length, fewer than two classes, a class of fewer than five cells, too few
        clear macrophages for a classifier of states, or a parameter out of range or of the other kind of model.
    TamannotError
        No usable matrix or genes.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> model = tam.tl.train(adata, "author_label")  # doctest: +SKIP
    >>> model.metrics["balanced_accuracy"]  # doctest: +SKIP
    >>> fitted = tam.tl.train(tumour, sample_key="donor")  # doctest: +SKIP
    >>> tam.tl.annotate(other, model=fitted)  # doctest: +SKIP
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
    for line in notes:
        warnings.warn(line, TamannotWarning, stacklevel=2)
    return model


def train_and_tell(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series | None,
    report: Progress,
    *,
    asked: AnnotateSettings,
    signatures: Signatures | None = None,
    n_genes: int = N_GENES,
) -> tuple[Model | AnchoredModel, list[str]]:
    """Train a model of either kind; return it with what the user should hear."""
    if labels is None:
        if n_genes != N_GENES:
            msg = "n_genes= is for models of your own labels: give labels=, or leave it out."
            raise ParameterError(msg)
        model, notes = learn_model(adata, signatures, asked, report)
        # The ambient RNA of these samples is of no use to others.
        return replace(model, cohort=replace(model.cohort, doublet={})), notes
    if asked.tissue != "auto" or asked.compartment_key is not None or signatures is not None:
        msg = "tissue=, compartment_key= and signatures= are for models without labels: leave out labels=, or these."
        raise ParameterError(msg)
    return train_model(adata, labels, asked, report, n_genes=n_genes)
