"""A classifier on the user's labels: plain arrays, applied to rows of any matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from tamannot._progress import Tick, no_tick
from tamannot.classify._call import AMBIGUOUS, ASSIGNED, LOW_COVERAGE, UNASSIGNED, UNFAMILIAR, Array, blank
from tamannot.classify._held_out import probabilities
from tamannot.classify._scale import Scale, to_features
from tamannot.kernels._rows import RowSource
from tamannot.kernels._threads import over_rows

STATUSES = (ASSIGNED, AMBIGUOUS, UNFAMILIAR, LOW_COVERAGE)
MIN_COVERAGE = 0.5


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier:
    """What was learned from labelled cells; nothing in it can run code.

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
        Calibration: probabilities are the softmax of ``slope * margin + offset``. Offsets are the logarithms of how
        frequent the classes are, shape ``(n_classes,)``.
    centroids
        Mean features of each class, shape ``(n_classes, n_genes)``.
    depth, similarity
        Cells less similar than this to every class are unfamiliar: `similarity_of` for a cell of so many features
        detected, log2, rising. Shape ``(n_depths,)``.
    threshold
        Probability from which on a label is given; None: never, no threshold reached the accuracy asked for.
    scale
        Of the features.
    species
        ``human``, ``mouse`` or ``unknown``.
    labels
        Name of the labels, such as their column of ``obs``.
    training, metrics
        What it was trained on, and how well it did on held-out cells; plain values only.
    """

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


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says of every cell."""

    label: Array
    """A class or ``unassigned``; object array of str."""
    status: Array
    """One of `STATUSES`; object array of str."""
    proba: Array
    """Cells × classes, rows sum to 1; also where no label is given."""
    coverage: float

    @property
    def prob(self) -> Array:
        """Greatest probability of each cell."""
        return np.asarray(self.proba.max(axis=1))


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

    Parameters
    ----------
    classifier
        What was learned.
    rows
        The matrix.
    columns
        Column of each gene of the classifier, -1 for one that is not in the data and counts as zero.
    base
        Of the logarithms, if the values are such; None for counts and linear values. See `find_scale`.
    threads
        Rows are worked on in parallel; a cell's result does not depend on it.
    tick
        Told the rows done.
    """
    n_cells, n_classes = rows.shape[0], len(classifier.classes)
    here = np.flatnonzero(columns >= 0)
    coef, centroids = np.zeros((2, rows.shape[1], n_classes))
    coef[columns[here]], centroids[columns[here]] = classifier.coef[:, here].T, classifier.centroids[:, here].T
    is_feature = np.zeros(rows.shape[1])
    is_feature[columns[here]] = 1
    margins = np.empty((n_cells, n_classes))
    similarity, detected = np.empty(n_cells), np.empty(n_cells)

    def work(start: int, stop: int) -> None:
        block = rows.block(start, stop)
        values = to_features(block.values, block.indptr, classifier.scale, base)
        x = sp.csr_array((values, block.indices, block.indptr), shape=(stop - start, rows.shape[1]))
        margins[start:stop] = x @ coef
        similarity[start:stop], detected[start:stop] = similarity_of(x, centroids, is_feature)
        tick(stop - start)

    over_rows(work, n_cells, threads=threads, step=rows.step)
    share = classifier.coverage(columns)
    # With fewer of the genes margins say less, and probabilities move to the frequencies of the classes.
    proba = probabilities(share * (margins + classifier.intercept), classifier.slope, classifier.offset)
    status = blank(n_cells, AMBIGUOUS)
    if classifier.threshold is not None:
        status[proba.max(axis=1) >= classifier.threshold] = ASSIGNED
    least = np.interp(np.log2(detected + 1), classifier.depth, classifier.similarity)
    status[(similarity < least) | (detected == 0)] = UNFAMILIAR
    if share < MIN_COVERAGE:
        status[:] = LOW_COVERAGE
    label = np.array(classifier.classes, dtype=object)[proba.argmax(axis=1)]
    label[status != ASSIGNED] = UNASSIGNED
    return Prediction(label, status, proba, share)


def similarity_of(x: sp.csr_array, centroids: Array, is_feature: Array) -> tuple[Array, Array]:
    """Return how similar cells are to the nearest class, and how many of the features are detected in each.

    Similarity is the cosine of a cell's features with the nearest class mean, the mean of all classes taken off both.
    ``x`` is cells × genes, ``centroids`` genes × classes; these are 0, as is ``is_feature``, for a gene that is no
    feature; ``is_feature`` is 1 for the others.
    """
    middle = centroids.mean(axis=1)
    away = centroids - middle[:, None]
    squares = sp.csr_array((x.data**2, x.indices, x.indptr), shape=x.shape) @ is_feature
    length = np.sqrt(np.maximum(squares - 2 * (x @ middle) + middle @ middle, 0.0))
    products = x @ away - middle @ away
    cosine = products / np.maximum(np.outer(length, np.linalg.norm(away, axis=0)), 1e-12)
    detected = sp.csr_array((np.sign(x.data), x.indices, x.indptr), shape=x.shape) @ is_feature
    return np.asarray(cosine.max(axis=1)), np.asarray(detected)
