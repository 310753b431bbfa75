"""A classifier on the user's labels: plain arrays, applied to rows of any matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tamannot._progress import Tick, no_tick
from tamannot.kernels._linear import fold_sums
from tamannot.kernels._rows import RowSource
from tamannot.kernels._threads import over_rows
from tamannot.models._call import AMBIGUOUS, ASSIGNED, LOW_COVERAGE, UNASSIGNED, UNFAMILIAR, Array, blank
from tamannot.models._scale import Scale, to_features

STATUSES = (ASSIGNED, AMBIGUOUS, UNFAMILIAR, LOW_COVERAGE)
MIN_COVERAGE = 0.5
# A class that a fold has never seen: its probability is zero.
_NEVER = -1e6


@dataclass(frozen=True, eq=False)
class Calibration:
    """From margins to probabilities: softmax of ``slope * margin + offset``."""

    slope: float
    offset: Array
    """Shape ``(n_classes,)``."""

    def __call__(self, margins: Array, *, trust: float = 1.0) -> Array:
        """Return probabilities, cells × classes, rows sum to 1.

        Parameters
        ----------
        margins
            Cells × classes; NaN for a class that was not learned.
        trust
            Of the margins, 0 to 1: at 0 only the frequencies of the classes are left.
        """
        logits = np.where(np.isnan(margins), _NEVER, trust * self.slope * np.nan_to_num(margins) + self.offset)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Familiar:
    """How like the nearest class a cell of some depth has to be.

    Likeness is the cosine of a cell's features with the mean of a class, once as they are and once with the
    mean of all classes taken off.
    """

    depth: Array
    """log2 of the number of features detected, rising, shape ``(n_knots,)``."""
    plain: Array
    centred: Array

    def __call__(self, depth: Array, plain: Array, centred: Array) -> Array:
        """Say of each cell whether it is like the cells that were learned from."""
        enough = np.interp(depth, self.depth, self.plain), np.interp(depth, self.depth, self.centred)
        return np.asarray((plain >= enough[0]) & (centred >= enough[1]))


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
        Margin of each class against the rest: shapes ``(n_classes, n_genes)`` and ``(n_classes,)``.
    centroids
        Mean features of each class, shape ``(n_classes, n_genes)``.
    calibration, familiar
        What makes probabilities of margins, and which cells are like those learned from.
    threshold
        Probability from which on a label is given; None: never, no threshold reached the accuracy asked for.
    scale
        Of the features.
    species
        ``human``, ``mouse`` or ``unknown``.
    labels
        Name of the labels, such as their column of ``obs``.
    training, metrics
        What it was trained on, and how well it did on cells held out; plain values only.
    """

    classes: tuple[str, ...]
    symbols: tuple[str, ...] = field(repr=False)
    ensembl: tuple[str, ...] = field(repr=False)
    coef: Array = field(repr=False)
    intercept: Array = field(repr=False)
    centroids: Array = field(repr=False)
    calibration: Calibration = field(repr=False)
    familiar: Familiar = field(repr=False)
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


def predict_rows(
    model: Classifier,
    rows: RowSource,
    columns: Array,
    *,
    base: float | None,
    threads: int,
    tick: Tick = no_tick,
) -> Prediction:
    """Label every row of a matrix.

    Parameters
    ----------
    model
        What was learned.
    rows
        The matrix.
    columns
        Column of each gene of the model, -1 for one that is not in the data and counts as zero.
    base
        Of the logarithms, if the values are such; None for counts and linear values.
    threads
        Rows are worked on in parallel; a cell's result does not depend on it.
    tick
        Told the rows done.
    """
    place = np.full(rows.shape[1], -1, np.int64)
    here = np.flatnonzero(columns >= 0)
    place[columns[here]] = here
    weights = np.ascontiguousarray(np.concatenate([model.coef, model.centroids]).T)[None]
    sums = np.empty((rows.shape[0], weights.shape[2]))
    norm, detected = np.empty(rows.shape[0]), np.empty(rows.shape[0])

    def work(start: int, stop: int) -> None:
        block = rows.block(start, stop)
        values = to_features(block.values, block.indptr, model.scale, base)
        nobody = np.zeros(stop - start, np.int64)
        fold_sums(values, block.indices, block.indptr, place, weights, nobody, sums[start:stop], norm[start:stop])
        detected[start:stop] = n_detected(values, block.indices, block.indptr, place)
        tick(stop - start)

    over_rows(work, rows.shape[0], threads=threads, step=rows.step)
    n = len(model.classes)
    plain, centred = likeness(sums[:, n:], norm, model.centroids[:, here])
    known = model.familiar(np.log2(detected + 1), plain, centred) & (detected > 0)
    share = model.coverage(columns)
    proba = model.calibration(sums[:, :n] + model.intercept, trust=share)
    return _judged(model, proba, known, share)


def n_detected(values: Array, indices: Array, indptr: Array, place: Array) -> Array:
    """Return the number of features that each cell has above zero."""
    hit = np.concatenate([[0], np.cumsum((values > 0) & (place[indices] >= 0))])
    return np.asarray(hit[indptr[1:]] - hit[indptr[:-1]], np.float64)


def likeness(dots: Array, norm: Array, centroids: Array) -> tuple[Array, Array]:
    """Return the cosine with the nearest class, plain and with the mean of the classes taken off.

    Parameters
    ----------
    dots
        Products of cells and class means, cells × classes.
    norm
        Of the cells' features.
    centroids
        Class means, classes × features.
    """
    middle = centroids.mean(axis=0)
    offset = centroids - middle
    plain = dots / np.maximum(np.outer(norm, np.linalg.norm(centroids, axis=1)), 1e-12)
    to_middle = dots.mean(axis=1)
    length = np.sqrt(np.maximum(norm**2 - 2 * to_middle + middle @ middle, 0))
    products = dots - to_middle[:, None] - centroids @ middle + middle @ middle
    centred = products / np.maximum(np.outer(length, np.linalg.norm(offset, axis=1)), 1e-12)
    return plain.max(axis=1), centred.max(axis=1)


def _judged(model: Classifier, proba: Array, known: Array, share: float) -> Prediction:
    n_cells = proba.shape[0]
    status = blank(n_cells, AMBIGUOUS)
    if model.threshold is not None:
        status[proba.max(axis=1) >= model.threshold] = ASSIGNED
    status[~known] = UNFAMILIAR
    if share < MIN_COVERAGE:
        status[:] = LOW_COVERAGE
    label = np.array(model.classes, dtype=object)[proba.argmax(axis=1)]
    label[status != ASSIGNED] = UNASSIGNED
    return Prediction(label, status, proba, share)
