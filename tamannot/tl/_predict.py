"""A classifier applied to an AnnData."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._provenance import describe_matrix
from tamannot._resources import package_version
from tamannot._settings import settings
from tamannot.classify import (
    FEW_GENES,
    STATUSES,
    UNASSIGNED,
    UNFAMILIAR,
    AnchoredModel,
    Array,
    Classifier,
    predict_labels,
)
from tamannot.data import SpeciesChoice, Unpacked
from tamannot.errors import CoverageWarning, GeneIdError, MatrixError, SpeciesError, TamannotWarning
from tamannot.scoring._features import find_scale
from tamannot.signature import Gene, GeneIndex, Signature

# A share of unfamiliar cells that asks for a word.
_MOSTLY_STRANGE = 0.5
_WORDS = {"log1p_cp10k": "counts, or values whose logarithm is known", "ranks": "logarithms of an unknown base"}
_ADVICE = {
    "log1p_cp10k": "Name a layer of counts with layer=, or use scanpy.pp.normalize_total and log1p on the counts.",
    "ranks": "Train a model on counts, or put values processed as those of the training into a layer.",
}


class Labelling:
    """A model of labels on its way over some data: laid over it, then applied, then written.

    Parameters
    ----------
    model, adata
        The model, and the data.
    layer, gene_symbols, species
        As in `Model.predict`.

    Raises
    ------
    TamannotError
        As `Model.predict`; nothing is written then.
    """

    def __init__(
        self, model: Classifier, adata: AnnData, *, layer: str | None, gene_symbols: str | None, species: SpeciesChoice
    ) -> None:
        self._model, self._data = model, _unpack(model, adata, layer, gene_symbols, species)
        self._base = base_for(model, self._data)
        self._columns = model_columns(model, self._data.index)

    def predict(self, report: Progress) -> None:
        """Label all cells."""
        report("predicting", self._data.rows.shape[0])
        self._found = predict_labels(
            self._model, self._data.rows, self._columns, base=self._base, threads=settings.n_threads(), tick=report.tick
        )

    def write(self, adata: AnnData, key: str) -> dict[str, type[TamannotWarning]]:
        """Write the labels; return what a user should hear, and as which warning."""
        model, found, said = self._model, self._found, self._said()
        label = pd.Categorical(found.label, categories=[*model.classes, UNASSIGNED])
        status = pd.Categorical(found.status, categories=list(STATUSES))
        slots.write_obs(adata, key, {"label": label, "prob": found.prob.astype(np.float32), "status": status})
        slots.write_obsm(adata, slots.slot(key, "proba"), [c.replace("/", "|") for c in model.classes], found.proba)
        counts = label.value_counts()
        record: dict[str, Any] = {
            "tamannot_version": package_version(),
            "method": {"name": "model", "scale": model.scale, "labels": model.labels},
            "model": {
                "classes": np.array(model.classes, dtype=object),
                "threshold": np.nan if model.threshold is None else model.threshold,
                "n_genes": len(model.symbols),
                "n_genes_present": int((self._columns >= 0).sum()),
                "coverage": found.coverage,
                "digest": model.digest,
                "trained_with": str(model.training.get("tamannot", "")),
            },
            "calibration_source": f"held-out training cells: {model.metrics.get('held_out', 'unknown')}",
            "matrix": describe_matrix(self._data),
            "counts": pd.DataFrame({"n": counts.to_numpy()}, pd.Index(list(map(str, counts.index)), name="label")),
            "warnings": np.array(list(said), dtype=object),
        }
        slots.write_record(adata, key, record)
        return said

    def _said(self) -> dict[str, type[TamannotWarning]]:
        said: dict[str, type[TamannotWarning]] = {self._data.note: TamannotWarning} if self._data.note else {}
        if (share := self._found.coverage) < FEW_GENES:
            few = f"Only {share:.0%} of the model's genes, by their weight, are in the data: no label is given "
            said[f"{few}(at least {FEW_GENES:.0%} are needed)."] = CoverageWarning
        if (strange := float((self._found.status == UNFAMILIAR).mean())) > _MOSTLY_STRANGE:
            said[
                f"{strange:.0%} of the cells are unlike those the model was trained on, so they get no label: another "
                "tissue, other cells, another technology or other processing. Train with cells of this kind to label "
                "them."
            ] = TamannotWarning
        return said


def model_columns(model: Classifier, index: GeneIndex) -> Array:
    """Return the column of each gene of a model, -1 for one that the data lack or have twice."""
    columns = np.full(len(model.symbols), -1, np.int64)
    taken: set[int] = set()
    for i, (symbol, ensembl) in enumerate(zip(model.symbols, model.ensembl, strict=True)):
        try:
            column = index.locate(symbol, ensembl or None)
        except GeneIdError:
            continue
        if column not in taken:
            columns[i] = column
            taken.add(column)
    return columns


def genes_as_signature(symbols: Sequence[str], ensembl: Sequence[str]) -> Signature:
    """Return genes as a signature, for the choice of matrix and gene ids."""
    genes = [Gene(symbol=s, ensembl=e or None) for s, e in zip(symbols, ensembl, strict=True)]
    return Signature(id="model", genes=tuple(genes))


def _unpack(
    model: Classifier, adata: AnnData, layer: str | None, gene_symbols: str | None, species: SpeciesChoice
) -> Unpacked:
    wanted = {"model": genes_as_signature(model.symbols, model.ensembl)}
    try:
        data = slots.unpack(adata, wanted, layer=layer, gene_symbols=gene_symbols, species=species)
    except GeneIdError as error:
        check_model_species(model, slots.data_species(adata, gene_symbols=gene_symbols, species=species, layer=layer))
        raise GeneIdError(str(error).replace("of the signatures", "of the model")) from error
    check_model_species(model, data.species)
    return data


def check_model_species(model: Classifier | AnchoredModel, seen: str) -> None:
    """Refuse data of another species than a model's.

    Raises
    ------
    SpeciesError
        The message names both.
    """
    if "unknown" not in (seen, model.species) and seen != model.species:
        msg = (
            f"The gene ids of the data are {seen}, the model was trained on {model.species}. Train a model on {seen} "
            f'data, or say species="{model.species}" if the ids are misread.'
        )
        raise SpeciesError(msg)


def base_for(model: Classifier | AnchoredModel, data: Unpacked) -> float | None:
    """Return the base of the data's logarithms, None for other data.

    Raises
    ------
    MatrixError
        The model is of another scale.
    """
    scale, base = find_scale(data.rows, data.kind, data.index.ids, threads=settings.n_threads())
    if scale == model.scale:
        return base
    msg = f"The model was trained on {_WORDS[model.scale]}; {data.matrix} holds {_WORDS[scale]}. {_ADVICE[model.scale]}"
    raise MatrixError(msg)
