"""A classifier of the user's labels: plain arrays, fitted to labelled cells and applied to rows of any matrix."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils.extmath import row_norms

from tamannot._model_file import Arrays, Kept, Meta, ModelFields, Names, Share, check, check_arrays, checked
from tamannot._progress import Tick, no_tick
from tamannot._settings import in_order
from tamannot.classify._call import AMBIGUOUS, ASSIGNED, FEW_GENES, LOW_COVERAGE, UNASSIGNED, UNFAMILIAR
from tamannot.errors import ParameterError
from tamannot.scoring import _features
from tamannot.scoring._features import Scale, ScaledRows, take_rows
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import RowSource
from tamannot.stats._classifiers import calibrate, fit_multinomial, judge, probabilities

STATUSES = (ASSIGNED, AMBIGUOUS, UNFAMILIAR, LOW_COVERAGE)
MOST_CELLS = 20_000
_TOO_FEW_CELLS = 5
_FOLDS = 5
# Strong regularisation: there are more genes than cells of a class.
_C = 0.001
# Of held-out training cells this share is unfamiliar.
_STRANGE = 0.005
_CELLS_A_DEPTH, _MOST_DEPTHS = 400, 12
# So many counts are left in copies that stand for shallow cells, and so many cells are copied.
_THINNED, _CELLS_TO_THIN = (0.5, 0.25, 0.125), 2000


class _Fields(ModelFields):
    classes: Annotated[Names, Field(min_length=2, max_length=1000)]
    species: Literal["human", "mouse", "unknown"]
    labels: str
    slope: Annotated[float, Field(ge=0, le=1e6)]
    threshold: Share | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier(Kept):
    """A classifier trained on labelled cells; it cannot contain code.

    A margin is a cell's features times ``coef`` plus ``intercept``, of a multinomial logistic regression with balanced
    classes. Probabilities are the softmax of ``slope * margin + offset``, fitted to held-out cells. A cell is
    unfamiliar if it is less similar to every class than ``similarity`` at its number of detected features, ``depth``.
    """

    kind: ClassVar[str] = "labels"
    classes: tuple[str, ...]  # names of the labels, sorted
    symbols: tuple[str, ...] = field(repr=False)  # of the genes of the features
    ensembl: tuple[str, ...] = field(repr=False)  # ``""`` where none is known
    coef: Array = field(repr=False)  # classes × genes
    intercept: Array = field(repr=False)  # one a class
    slope: float = field(repr=False)
    offset: Array = field(repr=False)  # one a class
    centroids: Array = field(repr=False)  # mean features, classes × genes
    depth: Array = field(repr=False)  # log2 of the number of detected features, rising
    similarity: Array = field(repr=False)  # as of `similarity_of`, one a depth
    threshold: float | None  # least probability of an assigned label; None: none reached the target accuracy
    scale: Scale  # of the features
    species: Literal["human", "mouse", "unknown"]
    labels: str  # name of the labels, such as their column of ``obs``
    training: Mapping[str, Any] = field(repr=False)  # description of the training cells; plain values only
    metrics: Mapping[str, Any] = field(repr=False)  # on held-out cells; plain values only

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

    label: Array  # a class or ``unassigned``; object array of str
    status: Array  # one of `STATUSES`; object array of str
    proba: Array  # cells × classes, rows sum to 1; also where no label is given
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
    ``base`` is that of the logarithms, None for counts and linear values, as `find_scale` says.
    """
    n_cells, n_classes = rows.shape[0], len(classifier.classes)
    features, here = ScaledRows(rows, classifier.scale, base), columns >= 0
    place = np.full(rows.shape[1], -1, np.int32)
    place[columns[here]] = np.flatnonzero(here)
    centroids = np.where(here, classifier.centroids, 0.0)
    margins = np.empty((n_cells, n_classes))
    similarity, detected = np.empty(n_cells), np.empty(n_cells)

    def work(start: int, stop: int) -> int:
        block = features.block(start, stop).at(place)
        x = block.matrix(columns.size, block.values.astype(np.float64, copy=False))
        margins[start:stop] = x @ classifier.coef.T + classifier.intercept
        similarity[start:stop], detected[start:stop] = similarity_of(x, centroids)
        return stop - start

    for n_done in in_order(work, n_cells, threads=threads, step=rows.step):
        tick(n_done)
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
    """Return the cosine of cells with the nearest class mean, the mean of all taken off both, and features detected."""
    middle = centroids.mean(axis=0)
    away = centroids - middle
    length = np.sqrt(np.maximum(row_norms(x, squared=True) - 2 * (x @ middle) + middle @ middle, 0.0))
    cosine = (x @ away.T - away @ middle) / np.maximum(np.outer(length, np.linalg.norm(away, axis=1)), 1e-12)
    return np.asarray(cosine.max(axis=1)), np.asarray((x > 0).sum(axis=1)).ravel()


@dataclass(frozen=True, eq=False)
class LabelledCells:
    """The cells that a classifier is trained on."""

    rows: RowSource
    kind: str  # what the matrix holds: ``counts``, ``linear`` values or logarithms (``log``)
    symbols: Sequence[str]  # of the columns; a column with an empty symbol is not used
    ensembl: Sequence[str]
    classes: tuple[str, ...]
    truth: Array  # class number of each cell, -1 for a cell without a label, as `check_classes` returns it
    sample: Sequence[str] | None  # cells of a sample are held out together; None: cells are held out one by one


def check_classes(labels: Sequence[str | None]) -> tuple[tuple[str, ...], Array]:
    """Return the classes, sorted, and the class number of each cell, -1 for None."""
    classes = tuple(sorted({c for c in labels if c is not None}))
    if len({c.replace("/", "|") for c in classes}) < len(classes):
        raise ParameterError("Two labels differ only by '/' and '|', which a file cannot distinguish. Rename one.")
    if len(classes) < 2:
        seen = f"the data have only '{classes[0]}'" if classes else "the data have no labels"
        raise ParameterError(f"Training needs cells of at least two classes, but {seen}.")
    number = {c: i for i, c in enumerate(classes)}
    return classes, np.array([-1 if c is None else number[c] for c in labels], np.int64)


def fit_labels(
    labelled: LabelledCells, *, n_genes: int, rng: int, threads: int, target: float, **about: Any
) -> tuple[Classifier, Array]:
    """Fit, calibrate and judge a classifier; return it with the number of cells of each class, copies counted once.

    ``n_genes`` are the features. If there are more than 20,000 cells, the seed and the content of cells decide which
    are used. ``target`` is the accuracy that the threshold is for; ``about`` are further fields: ``species``,
    ``labels`` and ``training``, to which is added what is found out here. The number of threads changes no result.
    """
    rows, symbols, classes = labelled.rows, labelled.symbols, labelled.classes
    scale, base = _features.find_scale(rows, labelled.kind, symbols, threads=threads)
    cells, group, size = _training_cells(labelled, rng, threads)
    if tiny := [f"'{c}' ({n})" for c, n in zip(classes, size, strict=True) if n < _TOO_FEW_CELLS]:
        raise ParameterError(
            f"Fewer than {_TOO_FEW_CELLS} cells of {', '.join(tiny)}: too few to train on (duplicates of a cell "
            "count once). Merge the class with another, or set its labels to NaN."
        )
    y = labelled.truth[cells]
    weight = (size / np.bincount(y) * y.size / size.sum())[y]  # classes are as frequent as in the data
    by_symbol = np.argsort(symbols, kind="stable")  # so that the order of genes is nothing to the sums over them
    expression = take_rows(ScaledRows(rows, scale, base), cells)[:, by_symbol]
    chosen = _features.variable_genes(expression, n_genes, among=np.array(symbols)[by_symbol] != "")
    if not chosen.size:
        raise ParameterError("No gene varies between the labelled cells, so no classifier can be trained.")
    x, genes = _narrow(expression, chosen), by_symbol[chosen]
    counts = take_rows(rows, cells[:_CELLS_TO_THIN])[:, by_symbol] if labelled.kind == "counts" else None
    shallow = [] if counts is None else [_narrow(thin, chosen) for thin in _thinned(counts, rng)]
    margins, depth, similarity, n_folds = _held_out(x, y, group, shallow)
    known = ~np.isnan(margins[np.arange(y.size), y])
    if not known.any():
        raise ParameterError("Each class is in one sample and cannot be separated from it. Train without sample_key=.")
    slope, offset = calibrate(margins[known], y[known], weight[known])
    proba, samples = probabilities(margins[known], slope, offset), group[known] if np.unique(group).size > 1 else None
    metrics = judge(proba, y[known], weight[known], samples, classes, target)
    coef, intercept = fit_multinomial(x, y, len(classes), C=_C, class_weight="balanced")
    n_used = dict(zip(classes, np.bincount(y).tolist(), strict=True))
    classifier = Classifier(
        classes=classes,
        symbols=tuple(symbols[c] for c in genes),
        ensembl=tuple(labelled.ensembl[c] for c in genes),
        coef=coef,
        intercept=intercept,
        slope=slope,
        offset=offset,
        centroids=_means(x, y),
        depth=depth,
        similarity=similarity,
        threshold=metrics["threshold"],
        scale=scale,
        metrics={**metrics, "n_folds": n_folds},
        **about | {"training": {**about["training"], "n_used": n_used, "n_genes": int(chosen.size)}},
    )
    return classifier, size


def _training_cells(labelled: LabelledCells, rng: int, threads: int) -> tuple[Array, Array, Array]:
    """Return the training cells in random order, their sample numbers, and the size of each class.

    Of cells with equal values and label one is taken. Where there are more than `MOST_CELLS`, large classes give way.
    Samples are numbered as they come in that order, so that their names have no part in anything.
    """
    cells = np.flatnonzero(labelled.truth >= 0)
    hashes = _features.content_hash(labelled.rows, labelled.symbols, threads=threads)
    order, y = _features.random_order(hashes, rng)[cells], labelled.truth[cells]
    names = np.zeros(cells.size, str) if labelled.sample is None else np.asarray(labelled.sample, str)[cells]
    by = np.lexsort((names, y, order))
    first = np.ones(by.size, bool)
    first[1:] = (order[by[1:]] != order[by[:-1]]) | (y[by[1:]] != y[by[:-1]])
    once = by[first]
    size = np.bincount(y[once])
    most = bisect_right(range(MOST_CELLS + 1), MOST_CELLS, key=lambda m: np.minimum(size, m).sum()) - 1
    chosen = once[np.sort(np.concatenate([np.flatnonzero(y[once] == c)[:most] for c in range(size.size)]))]
    _, seen, number = np.unique(names[chosen], return_index=True, return_inverse=True)
    return cells[chosen], np.argsort(np.argsort(seen))[number], size


def _narrow(expression: sp.csr_array, chosen: Array) -> sp.csr_matrix:
    x = sp.csr_array(expression[:, chosen])
    # scikit-learn takes 32-bit indices only; the training cells are never that many
    out = sp.csr_matrix((x.data, x.indices.astype(np.int32), x.indptr.astype(np.int32)), shape=x.shape)
    out.sort_indices()
    return out


def _thinned(counts: sp.csr_array, rng: int) -> Iterator[sp.csr_array]:
    """Yield the features of copies of cells with a reduced share of the counts."""
    counts.sort_indices()
    random, whole = np.random.default_rng(abs(rng)), np.rint(counts.data).astype(np.int64)
    for share in _THINNED:
        thin = _features.to_features(random.binomial(whole, share), counts.indptr, "log1p_cp10k", None)
        yield sp.csr_array((thin, counts.indices, counts.indptr), shape=counts.shape)


def _held_out(
    x: sp.csr_matrix, y: Array, group: Array, shallow: Sequence[sp.csr_matrix]
) -> tuple[Array, Array, Array, int]:
    """Return margins by fits without the cells, depths, the least similarity at these, and the number of folds.

    Margins are NaN where the other folds had no cell of the class. The least similarity to the classes of the other
    folds is that of all but the oddest cells of a depth.
    """
    n_samples = np.unique(group).size
    folds = StratifiedGroupKFold(min(_FOLDS, n_samples)) if n_samples > 1 else StratifiedKFold(_FOLDS)
    margins, alike, n_folds = np.full((y.size, int(y.max()) + 1), np.nan), [], 0
    for train, test in folds.split(x, y, group if n_samples > 1 else None):
        coef, intercept = fit_multinomial(x[train], y[train], margins.shape[1], C=_C, class_weight="balanced")
        margins[test] = x[test] @ coef.T + intercept
        means = _means(x[train], y[train])
        alike += [similarity_of(v[test[test < v.shape[0]]], means) for v in (x, *shallow)]
        n_folds += 1
    similarity, detected = (np.concatenate(part) for part in zip(*alike, strict=True))
    by_depth = np.argsort(detected, kind="stable")
    bins = np.array_split(by_depth, min(_MOST_DEPTHS, max(1, by_depth.size // _CELLS_A_DEPTH)))
    depth = np.array([np.median(np.log2(detected[b] + 1)) for b in bins])
    least = np.maximum.accumulate([np.quantile(similarity[b], _STRANGE) for b in bins])
    keep = np.diff(depth, prepend=-1) > 0
    return margins, depth[keep], least[keep], n_folds


def _means(x: sp.csr_matrix, y: Array) -> Array:
    return np.stack([np.asarray(x[y == c].mean(axis=0)).ravel() for c in np.unique(y)])
