"""Training a classifier on the user's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tamannot.errors import ParameterError
from tamannot.kernels._rows import RowSource
from tamannot.models._call import Array
from tamannot.models._held_out import HeldOut, calibrate, crossed, group_folds, measure
from tamannot.models._model import Calibration, Familiar, likeness, n_detected
from tamannot.models._pool import at_most, choose_features, draw_pool, lottery
from tamannot.models._scale import Scale, to_features

MOST_CELLS = 20_000
FEW_CELLS, TOO_FEW_CELLS = 20, 5
# Strong regularisation: there are more genes than cells of a class.
_C = 0.003
_TOL_FOLDS = 1e-4
# Of held-out training cells this share is less familiar, by each of two measures.
_STRANGE = 0.0025
_CELLS_A_KNOT = 400
_MOST_KNOTS = 12
_THINNED = (0.5, 0.25, 0.125)
_CELLS_TO_THIN = 2000


@dataclass(frozen=True, eq=False)
class Learned:
    """What training finds; see `Classifier`."""

    features: Array
    """Columns of the data, those of the features."""
    coef: Array
    intercept: Array
    centroids: Array
    calibration: Calibration
    familiar: Familiar
    threshold: float | None
    metrics: dict[str, Any]
    used: dict[str, int]
    """Cells trained on, by class."""
    notes: list[str]


@dataclass(frozen=True, eq=False)
class _Examples:
    """Cells to learn from, in an order that the order of the data does not change."""

    values: sp.csr_array
    """Cells × genes as in the data, float64, genes by their ids."""
    expression: sp.csr_array
    """The same, as features."""
    truth: Array
    fold: Array
    sample: Array | None
    weight: Array
    kind: str


def check_classes(labels: Sequence[str | None]) -> tuple[tuple[str, ...], Array, list[str]]:
    """Return the classes, the class number of each cell (-1 for none), and what is to be said of them.

    Raises
    ------
    ParameterError
        Fewer than two classes, or one of fewer than five cells.
    """
    classes = tuple(sorted({c for c in labels if c is not None}))
    if len({c.replace("/", "|") for c in classes}) < len(classes):
        msg = "Two labels differ by '/' and '|' only, which cannot be told apart in a file. Rename one."
        raise ParameterError(msg)
    number = {c: i for i, c in enumerate(classes)}
    truth = np.array([-1 if c is None else number[c] for c in labels], np.int64)
    if len(classes) < 2:
        seen = f"only '{classes[0]}'" if classes else "no label at all"
        msg = f"Training needs cells of at least two classes, and there is {seen}."
        raise ParameterError(msg)
    size = dict(zip(classes, np.bincount(truth[truth >= 0]).tolist(), strict=True))
    if tiny := [f"'{c}' ({n})" for c, n in size.items() if n < TOO_FEW_CELLS]:
        msg = (
            f"Fewer than {TOO_FEW_CELLS} cells of {', '.join(tiny)}: too few to learn from. Merge such a class with "
            "another, or set its labels to NaN."
        )
        raise ParameterError(msg)
    small = [f"'{c}' ({n})" for c, n in size.items() if n < FEW_CELLS]
    notes = [f"Fewer than {FEW_CELLS} cells of {', '.join(small)}: what is learned of them is weak."] if small else []
    return classes, truth, notes


def learn_labels(
    rows: RowSource,
    kind: str,
    scale: Scale,
    base: float | None,
    *,
    names: Sequence[str],
    gene_ids: Sequence[str],
    classes: Sequence[str],
    truth: Array,
    sample: Sequence[str] | None,
    n_genes: int,
    target_accuracy: float,
    rng: int,
) -> Learned:
    """Train, calibrate and measure a classifier.

    Parameters
    ----------
    rows, kind
        The matrix, and whether it holds counts, linear values or logarithms.
    scale, base
        What `find_scale` returned.
    names
        Of the cells; with ``rng`` they decide which are used if there are more than 20,000, so that the
        order of cells does not.
    gene_ids
        Of the columns; an empty id is not used.
    classes, truth
        Names of the classes, and the class number of each cell, -1 for none.
    sample
        Sample of each cell; cells of a sample are held out together.
    n_genes
        Number of features.
    target_accuracy
        Share of labels given that should be right.
    rng
        Seed.

    Raises
    ------
    ParameterError
        No gene varies between the labelled cells.
    """
    data = _draw(rows, kind, scale, base, names, gene_ids, truth, sample, rng)
    order = _by_id(gene_ids)
    chosen = choose_features(data.expression, n_genes)
    if not chosen.size:
        msg = "No gene varies between the labelled cells, so there is nothing to learn from."
        raise ParameterError(msg)
    x = _features(data.expression, chosen)
    n = len(classes)
    held, missed = _held_out(x, data, n)
    coef, intercept = _fit_all(x, data.truth, n)
    notes = [
        f"Cells of '{classes[c]}' are in one sample only, so none could be held out: its accuracy is not known."
        for c in missed
    ]
    threshold, metrics = measure(held, crossed(held), classes, target_accuracy)
    return Learned(
        features=order[chosen],
        coef=coef,
        intercept=intercept,
        centroids=_centroids(x, data.truth, np.arange(n)),
        calibration=calibrate(held),
        familiar=_familiar(x, data, chosen, np.random.default_rng(rng)),
        threshold=threshold,
        metrics=metrics | {"n_folds": int(np.unique(data.fold).size)},
        used=dict(zip(classes, np.bincount(data.truth, minlength=n).tolist(), strict=True)),
        notes=notes,
    )


def _by_id(gene_ids: Sequence[str]) -> Array:
    """Return the columns that have an id, in the order of their ids."""
    ids = np.array(gene_ids, dtype=str)
    return np.flatnonzero(ids != "")[np.argsort(ids[ids != ""], kind="stable")]


def _draw(
    rows: RowSource,
    kind: str,
    scale: Scale,
    base: float | None,
    names: Sequence[str],
    gene_ids: Sequence[str],
    truth: Array,
    sample: Sequence[str] | None,
    rng: int,
) -> _Examples:
    ticket = lottery(names, rng)
    cells = _balanced(truth, ticket)
    values = draw_pool(rows, kind, cells).values
    values = sp.csr_array(values[np.argsort(ticket[cells], kind="stable")])
    cells = cells[np.argsort(ticket[cells], kind="stable")]
    every = np.argsort(np.array(gene_ids, dtype=str), kind="stable")
    values = _sorted_columns(values, every)
    data = to_features(values.data, values.indptr, scale, base)
    expression = sp.csr_array((data, values.indices, values.indptr), shape=values.shape)
    unnamed = values.shape[1] - _by_id(gene_ids).size  # ids that are empty come first
    mine = truth[cells]
    frequency = np.bincount(truth[truth >= 0]) / np.maximum(np.bincount(mine), 1)
    named = None if sample is None else [sample[c] for c in cells]
    return _Examples(
        values=values[:, unnamed:] if unnamed else values,
        expression=expression[:, unnamed:] if unnamed else expression,
        truth=mine,
        fold=group_folds(ticket[cells], named),
        sample=None if named is None else np.unique(named, return_inverse=True)[1],
        weight=frequency[mine] * mine.size / frequency[mine].sum(),
        kind=kind,
    )


def _balanced(truth: Array, ticket: Array) -> Array:
    """Return at most `MOST_CELLS` labelled cells; where there are more, large classes give way first."""
    size = np.bincount(truth[truth >= 0])
    most, left = 0, MOST_CELLS
    for i, n in enumerate(np.sort(size)):
        most = left // (size.size - i)
        if n > most:  # so are all that follow
            break
        left -= int(n)
    return np.sort(np.concatenate([at_most(np.flatnonzero(truth == c), most, ticket) for c in range(size.size)]))


def _sorted_columns(values: sp.csr_array, order: Array) -> sp.csr_array:
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    moved = sp.csr_array((values.data, place[values.indices], values.indptr), shape=values.shape)
    moved.sort_indices()
    return moved


def _features(expression: sp.csr_array, chosen: Array) -> sp.csr_matrix:
    x = sp.csr_array(expression[:, chosen])
    # scikit-learn takes 32-bit indices only; the examples are never that many
    return sp.csr_matrix((x.data, x.indices.astype(np.int32), x.indptr.astype(np.int32)), shape=x.shape)


def _fit_all(x: sp.csr_matrix, truth: Array, n: int, tol: float = 1e-6) -> tuple[Array, Array]:
    """Fit each class against the rest; NaN for a class without a cell on either side."""
    coef, intercept = np.full((n, x.shape[1]), np.nan), np.full(n, np.nan)
    for c in range(n):
        y = truth == c
        if not y.any() or y.all():
            continue
        with threadpool_limits(1):  # the same sums whatever the machine
            fitted = LogisticRegression(
                C=_C, class_weight="balanced", solver="liblinear", dual=True, tol=tol, max_iter=10_000, random_state=0
            ).fit(x, y)
        coef[c], intercept[c] = fitted.coef_[0], fitted.intercept_[0]
    return coef, intercept


def _held_out(x: sp.csr_matrix, data: _Examples, n: int) -> tuple[HeldOut, list[int]]:
    """Return margins by the folds that did not see the cells, and the classes that no other fold has."""
    margins = np.full((x.shape[0], n), np.nan)
    for k in np.unique(data.fold):
        mine = data.fold == k
        coef, intercept = _fit_all(x[~mine], data.truth[~mine], n, _TOL_FOLDS)
        margins[mine] = x[mine] @ coef.T + intercept
    held = HeldOut(margins, data.truth, data.fold, data.weight, data.sample)
    missed = [c for c in range(n) if not held.usable[data.truth == c].any()]
    if not held.usable.any():
        msg = "Each class is in one sample only, so the two cannot be told apart. Train without sample_key=."
        raise ParameterError(msg)
    return held.some(held.usable), missed


def _centroids(x: sp.csr_matrix, truth: Array, classes: Array) -> Array:
    return np.stack([np.asarray(x[truth == c].mean(axis=0)).ravel() for c in classes])


def _familiar(x: sp.csr_matrix, data: _Examples, chosen: Array, rng: np.random.Generator) -> Familiar:
    """Learn how like the nearest class held-out cells are, by their depth."""
    found = [_likeness_of(x, x, data)]
    if data.kind == "counts":
        few = np.arange(min(x.shape[0], _CELLS_TO_THIN))
        found += [_likeness_of(_thinned(data, few, chosen, share, rng), x, data) for share in _THINNED]
    depth, plain, centred = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(depth, kind="stable")
    bins = np.array_split(order, min(_MOST_KNOTS, max(1, order.size // _CELLS_A_KNOT)))
    knots = np.array([np.median(depth[b]) for b in bins])
    keep = np.r_[True, np.diff(knots) > 0]
    lowest = [np.maximum.accumulate([np.quantile(v[b], _STRANGE) for b in bins]) for v in (plain, centred)]
    return Familiar(knots[keep], lowest[0][keep], lowest[1][keep])


def _likeness_of(cells: sp.csr_matrix, x: sp.csr_matrix, data: _Examples) -> tuple[Array, Array, Array]:
    """Return depth and likeness of the first cells, or thinned copies, to the classes of the other folds."""
    m = cells.shape[0]
    plain, centred = np.empty(m), np.empty(m)
    norm = np.sqrt(np.asarray(cells.multiply(cells).sum(axis=1)).ravel())
    for k in np.unique(data.fold):
        mine, others = data.fold[:m] == k, data.fold != k
        centroids = _centroids(x[others], data.truth[others], np.unique(data.truth[others]))
        plain[mine], centred[mine] = likeness(cells[mine] @ centroids.T, norm[mine], centroids)
    detected = n_detected(cells.data, cells.indices, cells.indptr, np.zeros(x.shape[1], np.int64))
    return np.log2(detected + 1.0), plain, centred


def _thinned(data: _Examples, few: Array, chosen: Array, share: float, rng: np.random.Generator) -> sp.csr_matrix:
    """Return the features of cells of which only a share of the counts was seen."""
    values = sp.csr_array(data.values[few])
    counts = rng.binomial(np.rint(values.data).astype(np.int64), share).astype(np.float64)
    thin = to_features(counts, values.indptr, "log1p_cp10k", None)
    return _features(sp.csr_array((thin, values.indices, values.indptr), shape=values.shape), chosen)
