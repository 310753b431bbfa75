"""Fitting a classifier to the user's labels."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tamannot.classify._call import Array
from tamannot.classify._cells import content_hash, folds, random_order, take_rows, variable_genes
from tamannot.classify._held_out import HeldOut, calibrate, measure
from tamannot.classify._labels import Classifier, similarity_of
from tamannot.classify._scale import Scale, find_scale, to_features
from tamannot.errors import ParameterError
from tamannot.kernels._rows import RowSource

MOST_CELLS = 20_000
FEW_CELLS, TOO_FEW_CELLS = 20, 5
# Strong regularisation: there are more genes than cells of a class.
_C = 0.001
# Of held-out training cells this share is unfamiliar.
_STRANGE = 0.005
_CELLS_A_DEPTH, _MOST_DEPTHS = 400, 12
# So many counts are left in copies that stand for shallow cells, and so many cells are copied.
_THINNED, _CELLS_TO_THIN = (0.5, 0.25, 0.125), 2000


def check_classes(labels: Sequence[str | None]) -> tuple[tuple[str, ...], Array]:
    """Return the classes, sorted, and the class number of each cell, -1 for None.

    Raises
    ------
    ParameterError
        Fewer than two classes, or two that a file could not tell apart.
    """
    classes = tuple(sorted({c for c in labels if c is not None}))
    if len({c.replace("/", "|") for c in classes}) < len(classes):
        msg = "Two labels differ by '/' and '|' only, which cannot be told apart in a file. Rename one."
        raise ParameterError(msg)
    if len(classes) < 2:
        seen = f"only '{classes[0]}'" if classes else "no label at all"
        msg = f"Training needs cells of at least two classes, and there is {seen}."
        raise ParameterError(msg)
    number = {c: i for i, c in enumerate(classes)}
    return classes, np.array([-1 if c is None else number[c] for c in labels], np.int64)


def fit_labels(
    rows: RowSource,
    kind: str,
    *,
    symbols: Sequence[str],
    ensembl: Sequence[str],
    species: Literal["human", "mouse", "unknown"],
    classes: tuple[str, ...],
    truth: Array,
    sample: Sequence[str] | None,
    labels: str,
    n_genes: int,
    target_accuracy: float,
    rng: int,
    threads: int,
    training: Mapping[str, Any],
) -> tuple[Classifier, list[str]]:
    """Fit, calibrate and measure a classifier; return it with what the user should hear.

    Parameters
    ----------
    rows, kind
        The matrix, and whether it holds ``counts``, ``linear`` values or logarithms (``log``).
    symbols, ensembl
        Of the columns; a column with an empty symbol is not used.
    classes, truth
        What `check_classes` returns.
    sample
        Cells of a sample are held out together. None: cells are held out one by one.
    rng
        Seed; with the content of cells it decides which are used if there are more than 20,000.
    n_genes, target_accuracy
        Number of features, and share of the labels given that should be right.
    species, labels, training
        Kept in the classifier.

    Raises
    ------
    ParameterError
        A class of fewer than five cells, no class with held-out cells, or no gene that varies.
    """
    scale, base = find_scale(rows, kind, symbols, threads=threads)
    cells, order, group, size = _training_cells(rows, symbols, truth, sample, rng, threads)
    _check_sizes(classes, size)
    y, fold = truth[cells], folds(order, group)
    by_symbol = np.argsort(symbols, kind="stable")
    values = take_rows(rows, cells)[:, by_symbol]
    values.sort_indices()
    expression = _features(values, scale, base)
    chosen = variable_genes(expression, n_genes, among=np.array(symbols)[by_symbol] != "")
    if not chosen.size:
        msg = "No gene varies between the labelled cells, so there is nothing to learn from."
        raise ParameterError(msg)
    x = _narrow(expression, chosen)

    frequency = size / size.sum()
    weight = (frequency / np.bincount(y) * y.size)[y]
    held, missed = _held_out(x, y, fold, weight, group if np.unique(group).size > 1 else None)
    slope, offset = calibrate(held)
    threshold, metrics = measure(held, classes, target_accuracy)
    coef, intercept = _fit(x, y, len(classes))
    shallow = [_narrow(_features(v, scale, base), chosen) for v in _thinned(values, rng)] if kind == "counts" else []
    depth, similarity = _least_similarity(x, y, fold, shallow)
    features = by_symbol[chosen]
    n_used = dict(zip(classes, np.bincount(y).tolist(), strict=True))
    classifier = Classifier(
        classes=classes,
        symbols=tuple(symbols[c] for c in features),
        ensembl=tuple(ensembl[c] for c in features),
        coef=coef,
        intercept=intercept,
        slope=slope,
        offset=offset,
        centroids=_means(x, y),
        depth=depth,
        similarity=similarity,
        threshold=threshold,
        scale=scale,
        species=species,
        labels=labels,
        training={**training, "n_used": n_used, "n_genes": int(chosen.size)},
        metrics={**metrics, "n_folds": int(np.unique(fold).size)},
    )
    n_copies = int((truth >= 0).sum() - size.sum())
    return classifier, _notes(classes, size, n_copies, missed, metrics)


def _training_cells(
    rows: RowSource, symbols: Sequence[str], truth: Array, sample: Sequence[str] | None, rng: int, threads: int
) -> tuple[Array, Array, Array, Array]:
    """Return the training cells in random order, that order, their sample numbers, and the size of each class.

    Of cells with equal values and label one is taken. Where there are more than `MOST_CELLS`, large classes give way.
    """
    cells = np.flatnonzero(truth >= 0)
    order, y = random_order(content_hash(rows, symbols, threads=threads), rng)[cells], truth[cells]
    group = np.zeros(cells.size, np.int64)
    if sample is not None:
        group = np.unique(np.asarray(sample, str)[cells], return_inverse=True)[1]
    by = np.lexsort((group, y, order))
    first = np.ones(by.size, bool)
    first[1:] = (order[by[1:]] != order[by[:-1]]) | (y[by[1:]] != y[by[:-1]])
    once = by[first]
    size = np.bincount(y[once])
    most = bisect_right(range(MOST_CELLS + 1), MOST_CELLS, key=lambda m: np.minimum(size, m).sum()) - 1
    chosen = once[np.sort(np.concatenate([np.flatnonzero(y[once] == c)[:most] for c in range(size.size)]))]
    return cells[chosen], order[chosen], group[chosen], size


def _check_sizes(classes: Sequence[str], size: Array) -> None:
    if tiny := [f"'{c}' ({n})" for c, n in zip(classes, size, strict=True) if n < TOO_FEW_CELLS]:
        msg = (
            f"Fewer than {TOO_FEW_CELLS} cells of {', '.join(tiny)}: too few to learn from; copies of a cell count "
            "once. Merge such a class with another, or set its labels to NaN."
        )
        raise ParameterError(msg)


def _features(values: sp.csr_array, scale: Scale, base: float | None) -> sp.csr_array:
    data = to_features(values.data, values.indptr, scale, base)
    return sp.csr_array((data, values.indices, values.indptr), shape=values.shape)


def _narrow(expression: sp.csr_array, chosen: Array) -> sp.csr_matrix:
    x = sp.csr_array(expression[:, chosen])
    # scikit-learn takes 32-bit indices only; the training cells are never that many
    return sp.csr_matrix((x.data, x.indices.astype(np.int32), x.indptr.astype(np.int32)), shape=x.shape)


def _thinned(values: sp.csr_array, rng: int) -> list[sp.csr_array]:
    """Return copies of the first cells of which only a share of the counts was seen."""
    few, random = values[:_CELLS_TO_THIN], np.random.default_rng(abs(rng))
    counts = np.rint(few.data).astype(np.int64)
    thin = [random.binomial(counts, share).astype(np.float64) for share in _THINNED]
    return [sp.csr_array((data, few.indices, few.indptr), shape=few.shape) for data in thin]


def _fit(x: sp.csr_matrix, y: Array, n_classes: int) -> tuple[Array, Array]:
    """Fit a multinomial logistic regression; NaN for a class without cells, and for all if there is only one."""
    coef, intercept = np.full((n_classes, x.shape[1]), np.nan), np.full(n_classes, np.nan)
    present = np.unique(y)
    if present.size < 2:
        return coef, intercept
    with threadpool_limits(1):  # the same sums whatever the machine
        fitted = LogisticRegression(C=_C, class_weight="balanced", max_iter=10_000).fit(x, y)
    weights, constant = fitted.coef_, fitted.intercept_
    if present.size == 2:  # scikit-learn gives the difference of the two
        weights, constant = np.concatenate([-weights, weights]) / 2, np.concatenate([-constant, constant]) / 2
    coef[present], intercept[present] = weights, constant
    return coef, intercept


def _held_out(
    x: sp.csr_matrix, y: Array, fold: Array, weight: Array, sample: Array | None
) -> tuple[HeldOut, list[int]]:
    """Return margins by fits that did not see the cells, and the classes that are in one fold only."""
    n_classes = int(y.max()) + 1
    margins = np.full((y.size, n_classes), np.nan)
    for k in np.unique(fold):
        coef, intercept = _fit(x[fold != k], y[fold != k], n_classes)
        margins[fold == k] = x[fold == k] @ coef.T + intercept
    known = ~np.isnan(margins[np.arange(y.size), y])
    if not known.any():
        msg = "Each class is in one sample only, so the two cannot be told apart. Train without sample_key=."
        raise ParameterError(msg)
    missed = [c for c in range(n_classes) if not known[y == c].any()]
    return HeldOut(margins, y, fold, weight, sample).some(known), missed


def _means(x: sp.csr_matrix, y: Array) -> Array:
    return np.stack([np.asarray(x[y == c].mean(axis=0)).ravel() for c in np.unique(y)])


def _least_similarity(x: sp.csr_matrix, y: Array, fold: Array, shallow: Sequence[sp.csr_matrix]) -> tuple[Array, Array]:
    """Return depths, and how similar to the classes of the other folds all but the oddest cells of such depth are."""
    found = []
    for k in np.unique(fold):
        means = _means(x[fold != k], y[fold != k]).T
        found += [similarity_of(v[fold[: v.shape[0]] == k], means, np.ones(x.shape[1])) for v in (x, *shallow)]
    similarity, detected = (np.concatenate(part) for part in zip(*found, strict=True))
    by_depth = np.argsort(detected, kind="stable")
    bins = np.array_split(by_depth, min(_MOST_DEPTHS, max(1, by_depth.size // _CELLS_A_DEPTH)))
    depth = np.array([np.median(np.log2(detected[b] + 1)) for b in bins])
    least = np.maximum.accumulate([np.quantile(similarity[b], _STRANGE) for b in bins])
    keep = np.diff(depth, prepend=-1) > 0
    return depth[keep], least[keep]


def _notes(
    classes: Sequence[str], size: Array, n_copies: int, missed: Sequence[int], metrics: Mapping[str, Any]
) -> list[str]:
    """Return what the user should hear."""
    notes = []
    if n_copies:
        notes.append(f"{n_copies:,} of the labelled cells are copies of others; each cell is learned from once.")
    if small := [f"'{c}' ({n})" for c, n in zip(classes, size, strict=True) if n < FEW_CELLS]:
        notes.append(f"Fewer than {FEW_CELLS} cells of {', '.join(small)}: what is learned of them is weak.")
    notes += [
        f"Cells of '{classes[c]}' are in one sample only, so none could be held out: its accuracy is not known."
        for c in missed
    ]
    if metrics["threshold"] is None:
        notes.append(
            f"No threshold reaches an accuracy of {metrics['target_accuracy']:g} on held-out cells (the best lower "
            f"bound is {metrics['best_lower']:.2f}): the model gives probabilities, but no label. Train with a lower "
            "target_accuracy, or on more samples."
        )
    return notes
