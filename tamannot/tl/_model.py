"""``Model``: what was learned from labels, to keep in a file and to use on other data."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from anndata import AnnData

import tamannot.data as slots
from tamannot._model_file import Arrays, Meta, read_file
from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.classify import AnchoredModel, Classifier, anchored_of, classifier_of
from tamannot.data import SpeciesChoice
from tamannot.errors import ParameterError
from tamannot.tl._predict import Labelling


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
        key = slots.check_key(key_added)
        adata = slots.to_work_on(adata, copy=copy)
        with closing(Progress(show=settings.progress)) as progress:
            progress("reading")
            labelling = Labelling(self, adata, layer=layer, gene_symbols=gene_symbols, species=species)
            labelling.predict(progress)
        for line, kind in labelling.write(adata, key).items():
            warnings.warn(line, kind, stacklevel=2)
        return adata if copy else None


GivenModel = AnchoredModel | Model | str | os.PathLike[str]
"""A model, or the path of its file."""


def load_model(path: str | os.PathLike[str]) -> Model | AnchoredModel:
    """Read a model that `Model.save` or `AnchoredModel.save` wrote.

    Everything in the file is looked at before it is used, and nothing in it is run.

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
        The file is absent, no model, damaged, too large, holds Python objects, or was made by an older or a newer
        release; the message says which.

    Examples
    --------
    >>> import tamannot as tam
    >>> model = tam.load_model("states.npz")  # doctest: +SKIP
    >>> model.predict(adata)  # doctest: +SKIP
    """
    builders: dict[str, Callable[[Meta, Arrays], Model | AnchoredModel]]
    builders = {Model.kind: _of_labels, AnchoredModel.kind: anchored_of}
    return read_file(Path(path), builders)


def _of_labels(meta: Meta, arrays: Arrays) -> Model:
    return Model(**vars(classifier_of(meta, arrays)))


def models_of(given: GivenModel | Sequence[GivenModel] | None) -> tuple[AnchoredModel | None, Model | None]:
    """Return the models that the user gave `tl.annotate`, as themselves or as paths: of a cohort, and of labels.

    Raises
    ------
    ParameterError
        One is no model, or two are of one kind.
    ModelFormatError
        As `load_model`.
    """
    several = given if isinstance(given, list | tuple) else [] if given is None else [given]
    models = [load_model(one) if isinstance(one, str | os.PathLike) else one for one in several]
    for one in models:
        if not isinstance(one, AnchoredModel | Model):
            msg = f"model is what tl.train returned, or the path of its file, not {type(one).__name__}."
            raise ParameterError(msg)
    of_cohort = [one for one in models if isinstance(one, AnchoredModel)]
    of_labels = [one for one in models if isinstance(one, Model)]
    if len(of_cohort) > 1 or len(of_labels) > 1:
        msg = "model takes one model of a cohort and one of labels. Leave out the others, or annotate once with each."
        raise ParameterError(msg)
    return next(iter(of_cohort), None), next(iter(of_labels), None)
