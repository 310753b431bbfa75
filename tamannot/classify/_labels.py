"""A classifier of the user's labels: plain arrays, applied to rows of any matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field
from sklearn.utils.extmath import row_norms

from tamannot._model_file import Arrays, Kept, Meta, ModelFields, Names, Share, check, check_arrays, checked
from tamannot._progress import Tick, no_tick
from tamannot._settings import over_rows
from tamannot.classify._call import AMBIGUOUS, ASSIGNED, FEW_GENES, LOW_COVERAGE, UNASSIGNED, UNFAMILIAR
from tamannot.scoring._features import Scale, ScaledRows
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import RowSource
from tamannot.stats._classifiers import probabilities

STATUSES = (ASSIGNED, AMBIGUOUS, UNFAMILIAR, LOW_COVERAGE)


class _Fields(ModelFields):
    classes: Annotated[Names, Field(min_length=2, max_length=1000)]
    species: Literal["human", "mouse", "unknown"]
    labels: str
    slope: Annotated[float, Field(ge=0, le=1e6)]
    threshold: Share | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier(Kept):
    """A classifier trained on labelled cells; it cannot contain code.

    Parameters
    ----------
    classes
        Names of the labels, sorted.
    symbols, ensembl
        Genes of the features; an Ensembl id is ``""`` where none is known.
    coef, intercept
        Of the multinomial logistic regression with balanced classes: shapes ``(n_classes, n_genes)`` and
        ``(n_classes,)``. A margin is a cell's features times ``coef`` plus ``intercept``.
    slope, offset
        Probabilities are the softmax of ``slope * margin + offset``, fitted to held-out cells; one offset a class.
    centroids
        Mean features of each class, shape ``(n_classes, n_genes)``.
    depth, similarity
        Cells less similar than this to every class are unfamiliar: `similarity_of` for a cell of so many features
        detected, log2, rising. Shape ``(n_depths,)``.
    threshold
        Minimum probability of an assigned label; None: no threshold reached the target accuracy.
    scale
        Of the features.
    species
        ``human``, ``mouse`` or ``unknown``.
    labels
        Name of the labels, such as their column of ``obs``.
    training, metrics
        Description of the training data, and metrics on held-out cells; plain values only.
    """

    kind: ClassVar[str] = "labels"
    classes: tuple[str, ...]
    symbols: tuple[str, ...] = field(repr=False)
    ensembl: tuple[str, ...] = field(repr=False)
    coef: Array = field(repr=False)
    intercept: Array = field(repr=False)
    slope: float = field(repr=False)
    offset: Array = field(repr=False)
    centroids: Array = field(repr=False)
    depth: Array = field(repr=False)
    similarity: Array = field(repr=False)
    threshold: float | None
    scale: Scale
    species: Literal["human", "mouse", "unknown"]
    labels: str
    training: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, Any] = field(repr=False)

    def coverage(self, columns: Array) -> float:
        """Return the share of the genes that are in the data, each by the size of its coefficients, 0 to 1."""
        size = np.abs(self.coef).sum(axis=0)
        return float(size[columns >= 0].sum() / size.sum()) if size.any() else 0.0

    def _content(self) -> tuple[Meta, Arrays]:
        whole = {f.name: getattr(self, f.name) for f in fields(Classifier)}
        arrays = {name: value for name, value in whole.items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in whole.items() if name not in arrays}, arrays


def classifier_of(meta: Meta, arrays: Arrays) -> Classifier:
    """Return the classifier of a file; invalid content is a ModelFormatError."""
    known = checked(_Fields, meta)
    k, n, n_depths = len(known.classes), len(known.symbols), np.size(arrays.get("depth", 0))
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("coef", "centroids"), (k, n))
    shapes |= dict.fromkeys(("intercept", "offset"), (k,)) | dict.fromkeys(("depth", "similarity"), (n_depths,))
    check_arrays(arrays, shapes)
    check(n > 0 and UNASSIGNED not in known.classes, "there are genes, and no class is 'unassigned'")
    check(n_depths > 0 and bool((np.diff(arrays["depth"]) > 0).all()), "'depth' rises")
    plain: dict[str, Any] = {**dict(known), **arrays}
    return Classifier(**plain)


@dataclass(frozen=True, eq=False)
class Prediction:
    """The predictions of a classifier."""

    label: Array
    """A class or ``unassigned``; object array of str."""
    status: Array
    """One of `STATUSES`; object array of str."""
    proba: Array
    """Cells × classes, rows sum to 1; also where no label is given."""
    coverage: float


def predict_labels(
    classifier: Classifier,
    rows: RowSource,
    columns: Array,
    *,
    base: float | None,
    threads: int = 1,
    tick: Tick = no_tick,
) -> Prediction:
    """Label every row of a matrix.

    ``columns`` has the column of each gene of the classifier, -1 for one that is not in the data and counts as zero;
    ``base`` is that of the logarithms, None for counts and linear values, as `find_scale` says. Rows are worked on in
    parallel, and a cell's result does not depend on it; ``tick`` is called with the number of finished rows.
    """
    n_cells, n_classes = rows.shape[0], len(classifier.classes)
    features, here = ScaledRows(rows, classifier.scale, base), columns >= 0
    place = np.full(rows.shape[1], -1, np.int32)
    place[columns[here]] = np.flatnonzero(here)
    centroids = np.where(here, classifier.centroids, 0.0)
    margins = np.empty((n_cells, n_classes))
    similarity, detected = np.empty(n_cells), np.empty(n_cells)

    def work(start: int, stop: int) -> None:
        block = features.block(start, stop).at(place)
        x = sp.csr_array((block.values, block.indices, block.indptr), shape=(stop - start, columns.size))
        margins[start:stop] = x @ classifier.coef.T + classifier.intercept
        similarity[start:stop], detected[start:stop] = similarity_of(x, centroids)
        tick(stop - start)

    over_rows(work, n_cells, threads=threads, step=rows.step)
    share = classifier.coverage(columns)
    # With fewer of the genes margins say less, and probabilities move to the frequencies of the classes.
    proba = probabilities(share * margins, classifier.slope, classifier.offset)
    status = np.full(n_cells, AMBIGUOUS, dtype=object)
    if classifier.threshold is not None:
        status[proba.max(axis=1) >= classifier.threshold] = ASSIGNED
    least = np.interp(np.log2(detected + 1), classifier.depth, classifier.similarity)
    status[(similarity < least) | (detected == 0)] = UNFAMILIAR
    if share < FEW_GENES:
        status[:] = LOW_COVERAGE
    label = np.array(classifier.classes, dtype=object)[proba.argmax(axis=1)]
    label[status != ASSIGNED] = UNASSIGNED
    return Prediction(label, status, proba, share)


def similarity_of(x: sp.csr_array, centroids: Array) -> tuple[Array, Array]:
    """Return how similar cells are to the nearest class, and how many of the features are detected in each.

    Similarity is the cosine of a cell's features with the nearest class mean, the mean of all classes taken off both.
    ``x`` is cells × genes, ``centroids`` classes × genes.
    """
    middle = centroids.mean(axis=0)
    away = centroids - middle
    length = np.sqrt(np.maximum(row_norms(x, squared=True) - 2 * (x @ middle) + middle @ middle, 0.0))
    cosine = (x @ away.T - away @ middle) / np.maximum(np.outer(length, np.linalg.norm(away, axis=1)), 1e-12)
    return np.asarray(cosine.max(axis=1)), np.asarray((x > 0).sum(axis=1)).ravel()
