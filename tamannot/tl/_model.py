"""``Model``: a classifier of the user's labels that can be saved and applied to other data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot import classify
from tamannot._model_file import Arrays, Meta, read_file
from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot._settings import SpeciesChoice, settings
from tamannot.classify import AnchoredModel, Classifier
from tamannot.data import Unpacked
from tamannot.data._runs import describe_matrix
from tamannot.errors import (
    CoverageWarning,
    GeneIdError,
    MatrixError,
    Notes,
    ParameterError,
    SpeciesError,
    TamannotWarning,
    tell,
)
from tamannot.scoring._features import find_scale
from tamannot.signature import Gene, Signature


@dataclass(frozen=True, eq=False, kw_only=True)
class Model(Classifier):
    """A classifier trained on your labels by `tl.train`; its fields describe the training.

    ``classes``, ``symbols``, ``ensembl``, ``threshold``, ``scale``, ``species``, ``labels``, ``training`` and
    ``metrics`` are read-only, and cannot contain code.
    """

    def predict(
        self,
        adata: AnnData,
        *,
        layer: str | None = None,
        gene_symbols: str | None = None,
        species: SpeciesChoice = "auto",
        key_added: str = "tam_model",
        copy: bool = False,
    ) -> AnnData | None:
        """Label every cell.

        A probability is the frequency of the label among similar held-out training cells, at the class frequencies of
        the training data; it holds for other data with the same frequencies. A label is assigned if its probability
        reaches the threshold of the model.

        Parameters
        ----------
        adata
            Cells by genes, in any container that AnnData supports: counts or log values as in training.
        layer
            ``"X"``, ``"raw"`` or a layer; None uses the usable matrix with most genes of the model.
        gene_symbols
            Column of ``var`` with symbols or Ensembl ids; None detects it.
        species
            Species of the data; ``"auto"`` detects it from the gene ids.
        key_added
            Prefix of the results.
        copy
            Return a copy with the results instead of writing into ``adata``.

        Returns
        -------
        None, or the copy. The results are ``obs["{key}_label"]`` (the classes and ``unassigned``),
        ``obs["{key}_prob"]`` (float32, highest probability), ``obs["{key}_status"]`` (``assigned``, ``ambiguous``:
        below the threshold, ``unfamiliar``: unlike the training cells, ``low_coverage``: less than half of the model's
        genes by weight are in the data), ``obsm["{key}_proba"]`` (cells × classes, rows sum to 1; ``/`` in a name
        becomes ``|``, because h5ad does not allow slashes) and ``uns["tamannot"]["{key}"]``.

        Raises
        ------
        TamannotError
            There is no usable matrix, its scale or species differs from the training data, it has none of the genes of
            the model, or there is no such layer or column.
        """
        key = slots.check_key(key_added)
        adata = slots.to_work_on(adata, copy=copy)
        with closing(Progress(show=settings.progress)) as progress:
            progress("reading")
            labelling = Labelling(self, adata, {"layer": layer, "gene_symbols": gene_symbols, "species": species})
            labelling.predict(progress)
        tell(labelling.write(adata, key))
        return adata if copy else None


GivenModel = AnchoredModel | Model | str | os.PathLike[str]
"""A model, or the path of its file."""


def load_model(path: str | os.PathLike[str]) -> Model | AnchoredModel:
    """Read a model that `Model.save` or `AnchoredModel.save` wrote.

    Everything in the file is checked before use, and nothing in it is executed.

    Parameters
    ----------
    path
        An ``.npz`` file.

    Returns
    -------
    The model: a `Model` of labels, with `Model.predict`, or an `AnchoredModel`; ``tl.annotate(model=…)`` takes both.

    Raises
    ------
    ModelFormatError
        The file is missing, not a model, damaged, too large, contains Python objects, or was made by an older or newer
        release; the message gives the reason.

    Examples
    --------
    >>> import tamannot as tam
    >>> model = tam.load_model("states.npz")  # doctest: +SKIP
    >>> model.predict(adata)  # doctest: +SKIP
    """
    builders: dict[str, Callable[[Meta, Arrays], Model | AnchoredModel]] = {
        Model.kind: lambda meta, arrays: Model(**vars(classify.classifier_of(meta, arrays))),
        AnchoredModel.kind: classify.anchored_of,
    }
    return read_file(Path(path), builders)


def models_of(given: object) -> tuple[AnchoredModel | None, Model | None]:
    """Return the cohort model and the label model passed to `tl.annotate`, as objects or as paths."""
    several = given if isinstance(given, list | tuple) else [] if given is None else [given]
    models = [load_model(one) if isinstance(one, str | os.PathLike) else one for one in several]
    for one in models:
        if not isinstance(one, AnchoredModel | Model):
            raise ParameterError(
                f"model must be a model from tl.train or the path of its file, not {type(one).__name__}."
            )
    of_cohort = [one for one in models if isinstance(one, AnchoredModel)]
    of_labels = [one for one in models if isinstance(one, Model)]
    if len(of_cohort) > 1 or len(of_labels) > 1:
        raise ParameterError(
            "model takes at most one cohort model and one label model. Leave out the others, or annotate once with "
            "each."
        )
    return next(iter(of_cohort), None), next(iter(of_labels), None)


_MOSTLY_STRANGE = 0.5  # a share of unfamiliar cells that needs a note
_WORDS = {"log1p_cp10k": "counts, or log values with a known base", "ranks": "log values with an unknown base"}
_ADVICE = {
    "log1p_cp10k": "Name a layer of counts with layer=, or run scanpy.pp.normalize_total and scanpy.pp.log1p on the "
    "counts.",
    "ranks": "Train a model on counts, or add a layer processed like the training data.",
}


class Labelling:
    """A label model applied to some data: matched to their genes, applied, then written."""

    def __init__(self, model: Classifier, adata: AnnData, where: Mapping[str, Any]) -> None:
        wanted = {"model": genes_as_signature(model.symbols, model.ensembl)}
        try:
            self._model, self._data = model, slots.unpack(adata, wanted, **where)
        except GeneIdError as error:
            check_model_species(model, slots.data_species(adata, **where))
            raise GeneIdError(str(error).replace("of the signatures", "of the model")) from error
        self._base = base_for(model, self._data)
        # The column of each gene of the model, -1 for genes that are missing or duplicated in the data.
        self._columns = np.full(len(model.symbols), -1, np.int64)
        for i, (symbol, ensembl) in enumerate(zip(model.symbols, model.ensembl, strict=True)):
            with suppress(GeneIdError):
                self._columns[i] = self._data.index.locate(symbol, ensembl or None)
        self._columns[pd.Series(self._columns).duplicated()] = -1

    def predict(self, report: Progress) -> None:
        """Label all cells."""
        report("predicting", self._data.rows.shape[0])
        self._found = classify.predict_labels(
            self._model, self._data.rows, self._columns, base=self._base, threads=settings.n_threads(), tick=report.tick
        )

    def write(self, adata: AnnData, key: str) -> Notes:
        """Write the labels; return the notes for the user."""
        model, found, said = self._model, self._found, self._data.notes
        if found.coverage < classify.FEW_GENES:
            said[
                f"Only {found.coverage:.0%} of the model's genes, by weight, are in the data, so no labels are "
                f"assigned (at least {classify.FEW_GENES:.0%} are needed)."
            ] = CoverageWarning
        if (strange := float((found.status == classify.UNFAMILIAR).mean())) > _MOSTLY_STRANGE:
            said[
                f"{strange:.0%} of the cells are unlike the training cells and stay unassigned: they may come from "
                "another tissue, cell type or technology, or were processed differently. Add such cells to the "
                "training data to label them."
            ] = TamannotWarning
        label = pd.Categorical(found.label, categories=[*model.classes, classify.UNASSIGNED])
        status = pd.Categorical(found.status, categories=list(classify.STATUSES))
        # Without the classes that no cell has, which scanpy's plots and tests fail on.
        columns = {"label": label.remove_unused_categories(), "prob": found.proba.max(axis=1).astype(np.float32)}
        slots.write_obs(adata, key, columns | {"status": status.remove_unused_categories()})
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


def genes_as_signature(symbols: Sequence[str], ensembl: Sequence[str]) -> Signature:
    """Return genes as a signature, for the choice of matrix and gene ids."""
    genes = [Gene(symbol=s, ensembl=e or None) for s, e in zip(symbols, ensembl, strict=True)]
    return Signature(id="model", genes=tuple(genes))


def check_model_species(model: Classifier | AnchoredModel, seen: str) -> None:
    """Raise if the species of the data differs from that of the model."""
    if "unknown" not in (seen, model.species) and seen != model.species:
        raise SpeciesError(
            f"The gene ids of the data are {seen}, but the model was trained on {model.species}. Train a model on "
            f'{seen} data, or set species="{model.species}" if the ids were misread.'
        )


def base_for(model: Classifier | AnchoredModel, data: Unpacked) -> float | None:
    """Return the base of the logarithm of the data, None for other data; raise if a model does not fit the data."""
    check_model_species(model, data.species)
    scale, base = find_scale(data.rows, data.kind, data.index.ids, threads=settings.n_threads())
    if scale == model.scale:
        return base
    raise MatrixError(
        f"The model was trained on {_WORDS[model.scale]}; {data.matrix} contains {_WORDS[scale]}. "
        f"{_ADVICE[model.scale]}"
    )
