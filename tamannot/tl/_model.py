"""``Model``: what was learned from labels, to keep in a file and to use on other data."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from anndata import AnnData

from tamannot._adata import SpeciesChoice
from tamannot.classify import COHORT, LABELS, Classifier, as_classifier, as_cohort_model, read_file, write_model
from tamannot.classify._container import Arrays, Meta
from tamannot.errors import ParameterError
from tamannot.tl._anchored import AnchoredModel, as_anchored_model
from tamannot.tl._predict import predict


@dataclass(frozen=True, eq=False, kw_only=True)
class Model(Classifier):
    """A classifier trained on your labels by `tl.train`; see its fields for what it was trained on.

    ``classes``, ``symbols``, ``ensembl``, ``threshold``, ``scale``, ``species``, ``labels``, ``training`` and
    ``metrics`` are there to be read; none of it can be changed, and none of it can run code.
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

        A probability says how often cells like this one had the label among the held-out training cells, at
        the frequencies of the training data; where classes are as frequent elsewhere as there, it carries
        over. A label is given from the model's threshold on.

        Parameters
        ----------
        adata
            Cells by genes, in any container that AnnData holds: counts or logarithms as in training.
        layer
            ``"X"``, ``"raw"`` or a layer; None takes the usable matrix with most genes of the model.
        gene_symbols
            Column of ``var`` with symbols or Ensembl ids; None looks for it.
        species
            Species of the data; ``"auto"`` recognises it from the ids.
        key_added
            Prefix of what is written.
        copy
            Return a copy with the results instead of writing into ``adata``.

        Returns
        -------
        None, or the copy. Written are ``obs["{key}_label"]`` (the classes and ``unassigned``),
        ``obs["{key}_prob"]`` (float32, greatest probability), ``obs["{key}_status"]`` (``assigned``,
        ``ambiguous``: below the threshold, ``unfamiliar``: unlike the training cells, ``low_coverage``: less
        than half of the model's genes by weight are in the data), ``obsm["{key}_proba"]`` (cells × classes,
        rows sum to 1; ``/`` in a name is ``|`` there, since h5ad takes no slash) and ``uns["tamannot"]["{key}"]``.

        Raises
        ------
        MatrixError
            No usable matrix, or one of another scale than the model was trained on.
        SpeciesError
            Data of another species.
        GeneIdError
            No gene of the model is in the data.
        ParameterError
            No such layer or column.
        """
        return predict(
            self, adata, layer=layer, gene_symbols=gene_symbols, species=species, key_added=key_added, copy=copy
        )

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model to an ``.npz`` file of numbers and one JSON text; equal models give equal bytes.

        Parameters
        ----------
        path
            Must end in ``.npz``.
        overwrite
            Replace a file that exists.

        Returns
        -------
        None. The file appears whole or not at all.

        Raises
        ------
        OutputError
            The name has another ending, the file exists, or it cannot be written.
        """
        write_model(self, Path(path), overwrite=overwrite)


def as_model(classifier: Classifier) -> Model:
    """Return a classifier with the methods of a model."""
    return Model(**{f.name: getattr(classifier, f.name) for f in fields(Classifier)})


def load_model(path: str | os.PathLike[str]) -> Model | AnchoredModel:
    """Read a model that `Model.save` or `AnchoredModel.save` wrote.

    Everything in the file is looked at before it is used, and nothing in it is run.

    Parameters
    ----------
    path
        An ``.npz`` file.

    Returns
    -------
    The model: a `Model` of labels, with `Model.predict`, or an `AnchoredModel`, for ``tl.annotate(model=…)``.

    Raises
    ------
    ModelFormatError
        The file is absent, no model, damaged, too large, holds Python objects, or was made by an older or a newer
        release; the message says which.

    Examples
    --------
    >>> import tamannot as tam
    >>> model = tam.load_model("states.npz")  # doctest: +SKIP
    >>> model.predict(adata)  # doctest: +SKIP
    """
    return read_file(Path(path), {LABELS: _of_labels, COHORT: _anchored})


def anchored_of(given: object) -> AnchoredModel | None:
    """Return the model that the user gave `tl.annotate`, as itself or as a path.

    Raises
    ------
    ParameterError
        It is a model of labels, or no model.
    ModelFormatError
        As `load_model`.
    """
    model = load_model(given) if isinstance(given, str | os.PathLike) else given
    if isinstance(model, Model):
        msg = "A model of your own labels writes its own columns: call model.predict(adata). Leave out model= here."
        raise ParameterError(msg)
    if model is not None and not isinstance(model, AnchoredModel):
        msg = f"model is what tl.train(adata) returned, or the path of its file, not {type(model).__name__}."
        raise ParameterError(msg)
    return model


def _of_labels(meta: Meta, arrays: Arrays) -> Model | AnchoredModel:
    return as_model(as_classifier(meta, arrays))


def _anchored(meta: Meta, arrays: Arrays) -> Model | AnchoredModel:
    return as_anchored_model(as_cohort_model(meta, arrays))
