"""The active programs of a macrophage, and its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from tamannot.classify._activity import FAR_ABOVE, Activity, whole_z
from tamannot.classify._call import AMBIGUOUS, ASSIGNED, FEW_GENES, LOW_COVERAGE, LOW_SIGNAL, UNASSIGNED, Call, Scored
from tamannot.scoring import NullScores
from tamannot.scoring._njit import Array
from tamannot.signature import Signature, SignatureSet
from tamannot.stats._classifiers import fit_multinomial

# The signature of this state is experimental: it is called only if it is certain and no other state is.
EXPERIMENTAL = ("pro_angiogenic",)
TRANSITIONAL = "transitional"
STATES = ("lipid_associated", "interferon_primed", "pro_angiogenic", "inflammatory", "immunoregulatory")
M1, M2 = "m1", "m2"
MIXED_LINEAGE = "mixed_lineage"

# Helpers of the rules; their ids cannot clash with the library's, and they appear in no result.
_CD86, _MRC1 = "rule:cd86", "rule:mrc1"
# z of both polarization arms, and how much of the greater the lesser must be.
_ARM_Z, _LESSER_ARM, _LITTLE_OF_ANOTHER = 4.0, 1 / 3, 4.0
# A cell trains a class with at least this weight, a state with cells of this weight in all is trained, and the
# experimental state needs this probability.
_LEAST_WEIGHT, _MIN_TRAINING, _SURE = 0.05, 8, 0.9
_MOST_TRAINING, _C = 4000, 0.003
# A label needs a probability of some program, and a lift of p = 0.05 in the cell's own signature. Where one signature
# leads the others by as much, it is the label.
_LEAST_PROB, _SUPPORT_Z, _LEAST_LEAD = 0.5, 1.64, 0.15
_ORIGIN_WEIGHT, _NEVER = 5.0, -1e9


@dataclass(frozen=True, eq=False)
class Regression:
    """A multinomial logistic regression of states on expression."""

    columns: Array  # of its genes
    coef: Array  # of none and the states, ``(6, n_genes)``; 0 for a state that it does not know
    intercept: Array  # by origin, ``(2, 6)``; -1e9 for a state that it does not know
    zero: Array  # margin over none of training cells without the state
    one: Array  # margin over none of training cells of the state


@dataclass(frozen=True, eq=False)
class StateClassifier:
    """The classifier of states: the activities of each signature by origin, and a regression on expression."""

    activities: Sequence[Sequence[Activity]]  # by origin (microglia, monocyte-derived) and state
    usual: Array  # lift of each state where it is active
    trained: Array  # mask of the states that the regression knows
    regression: Regression | None = None  # None: too few cells with a state


def rule_signatures(library: Mapping[str, Signature]) -> SignatureSet:
    """Return the small gene sets of the rules, made of genes of the library."""
    # Mouse symbols are the human ones in title case, for these genes without exception.
    genes = {g.symbol.upper(): g.model_copy(update={"references": ()}) for s in (M1, M2) for g in library[s].all_genes}
    found = [(name, genes[symbol]) for name, symbol in ((_CD86, "CD86"), (_MRC1, "MRC1")) if symbol in genes]
    return SignatureSet(Signature(id=name, species=library[M1].species, genes=(gene,)) for name, gene in found)


def lifts_of(
    activities: Sequence[Sequence[Activity]], halves: Array, scale: Array, origin: Array
) -> tuple[Array, Array]:
    """Return the probability that each program is active, and how far above the baseline it is, cells × states."""
    z = whole_z(halves)
    probability, lift = np.empty_like(z), np.empty_like(z)
    for o, of_origin in enumerate(activities):
        cells = origin == o
        for s, activity in enumerate(of_origin):
            probability[cells, s] = activity.probability(z[cells, s], scale[cells])
            lift[cells, s] = z[cells, s] / scale[cells] - activity.baseline
    return probability, lift


def choose_training(
    probability: Array, lift: Array, usual: Array, known: Array, order: Array
) -> tuple[Array, Array, Array]:
    """Return the training cells, the state that each may have, and the probability that it has it.

    ``known`` is a mask of the states that may be called. Of copies of a cell one is taken; ``order`` decides which
    cells are taken if there are too many.
    """
    relative = np.where(known, probability * np.maximum(lift, 0.0) / usual, 0.0)
    best = relative.argmax(axis=1)
    # Rounded, as sums over other orders of the cells differ in their last digits and the fit would not be the same.
    weight = np.round(np.where(known, probability, 0.0)[np.arange(len(best)), best], 3)
    _, first = np.unique(order, return_index=True)  # of equal cells one
    chosen = first[:_MOST_TRAINING]
    size = np.bincount(best[chosen], weights=weight[chosen], minlength=len(STATES))
    weight = np.where((size >= _MIN_TRAINING)[best], weight, 0.0)
    return np.sort(chosen), best, weight


def train(
    x: sp.csr_array, state: Array, weight: Array, origin: Array, classifier: StateClassifier, columns: Array
) -> StateClassifier:
    """Return the classifier of states with a regression on expression.

    Each cell trains its most likely state by the probability that it has it, and none by the rest. The origin is a
    feature of its own, so that no state is told by the origin's genes. There is no regression where no state has
    training cells.

    ``x`` are training cells × genes, log1p of ten thousand per cell, ``columns`` the columns of these genes; ``state``
    and ``weight`` are what `choose_training` returned.
    """
    y = np.concatenate([np.zeros(len(state), np.int64), state + 1])
    weight = np.concatenate([1 - weight, weight])
    part = np.flatnonzero(weight > _LEAST_WEIGHT)
    cell, y, weight = part % len(state), y[part], weight[part]
    classes = np.unique(y)
    if classes.size < 2 or classes[0] != 0 or not x.shape[1]:
        return classifier
    x, origin = x[cell], origin[cell]
    of_origin = np.zeros((len(y), 2))
    of_origin[np.arange(len(y)), origin] = _ORIGIN_WEIGHT
    features = sp.csr_matrix(sp.hstack([x, sp.csr_array(of_origin)]))
    n, n_states = x.shape[1], len(STATES)
    weights, constant = fit_multinomial(features, y, n_states + 1, sample_weight=weight, C=_C, max_iter=1000, tol=1e-3)
    coef = np.nan_to_num(weights[:, :n])
    intercept = np.nan_to_num(constant + _ORIGIN_WEIGHT * weights[:, n:].T, nan=_NEVER)
    margin = x @ coef.T + intercept[origin]
    over = margin[:, 1:] - margin[:, :1]
    trained, zero, one = np.isin(np.arange(1, n_states + 1), classes), np.zeros(n_states), np.ones(n_states)
    for s in np.flatnonzero(trained):
        mine = y == s + 1
        likely = mine & (weight > 0.5)
        cells_of = (y == 0, likely if likely.any() else mine)
        zero[s], one[s] = (np.average(over[k, s], weights=weight[k]) for k in cells_of)
    regression = Regression(columns, coef, intercept, zero, np.maximum(one, zero + 1e-6))
    return replace(classifier, trained=trained, regression=regression)


def call_state(
    classifier: StateClassifier,
    scored: Scored,
    products: Array | None,
    origin: Array,
    coverage: Sequence[float],
    mixed: Array,
) -> Call:
    """Call the state of cells as if all were macrophages.

    The probability of a program is that of the classifier if it includes the state, otherwise that of its activity.
    Among the programs that the cell's own signatures support, the state is the one whose z leads clearly; if none does,
    the one with the largest amount, relative to the usual amount where it is active. If two amounts are similar, the
    cell is ambiguous. A cell with both polarization arms and no active program is transitional.

    ``products`` are those of expression and the classifier's coefficients, None if it has none; ``origin`` is the
    number of the nearest origin of each cell, ``coverage`` that of the states, and ``mixed`` the score of the
    strongest other lineage.
    """
    scores = scored.by_macrophages
    probability, lift = lifts_of(classifier.activities, scored.halves, scored.scale, origin)
    covered = np.asarray(coverage) >= FEW_GENES
    amount, possible = lift / classifier.usual, probability > 0.5
    if products is not None and (known := classifier.regression) is not None:
        margin = products + known.intercept[origin]
        over = margin[:, 1:] - margin[:, :1]
        odds = np.exp(margin - margin.max(axis=1, keepdims=True))
        some = 1 - odds[:, 0] / odds.sum(axis=1)
        t = classifier.trained
        amount[:, t] = ((over - known.zero) / (known.one - known.zero))[:, t]
        possible[:, t] = (some > _LEAST_PROB)[:, None] & (amount[:, t] > 0)
        probability[:, t] = 1 / (1 + np.exp(-np.clip(over[:, t], -30, 30)))
    own = np.stack([scores.column("z", s) for s in STATES], axis=1)
    supported = possible & covered & (lift * scored.scale[:, None] > _SUPPORT_Z)
    supported &= (own > _SUPPORT_Z) | (lift > FAR_ABOVE)
    weak = np.isin(STATES, EXPERIMENTAL)
    supported &= ~weak | ((probability > _SURE) & ~supported[:, ~weak].any(axis=1, keepdims=True))
    found = supported.any(axis=1)
    best, lead = _largest(np.where(supported, amount, -9.0))
    highest, lead_z = _largest(np.where(supported, lift * scored.scale[:, None], -9.0))
    leads = lead_z > _SUPPORT_Z
    best, clear = np.where(leads, highest, best), found & (leads | (lead > _LEAST_LEAD))
    words = UNASSIGNED, LOW_SIGNAL if covered.all() else LOW_COVERAGE
    label, status = (np.full(len(best), word, dtype=object) for word in words)
    status[found] = AMBIGUOUS
    label[clear], status[clear] = np.array(STATES, dtype=object)[best[clear]], ASSIGNED
    dual = ~found & _both_arms(scores) & (np.nan_to_num(mixed, nan=np.inf) < _LITTLE_OF_ANOTHER)
    label[dual], status[dual] = TRANSITIONAL, ASSIGNED
    proba = np.clip(probability, 0, 1).astype(np.float32)
    return Call(label, status, proba, STATES, proba.max(axis=1))


def _largest(values: Array) -> tuple[Array, Array]:
    """Return the column of the largest value in each row, and by how much it leads."""
    ordered = np.sort(values, axis=1)
    return values.argmax(axis=1), ordered[:, -1] - ordered[:, -2]


def _both_arms(scores: NullScores) -> Array:
    if _CD86 not in scores.ids or _MRC1 not in scores.ids:
        return np.zeros(scores.score.shape[0], bool)
    # A droplet often misses one of two genes, so one anchor will do; the arms have others.
    anchors = (scores.column("detected", _CD86) > 0) | (scores.column("detected", _MRC1) > 0)
    z = np.stack([scores.column("z", M1), scores.column("z", M2)])
    lesser, greater = z.min(axis=0), z.max(axis=0)
    return np.asarray(anchors & (lesser > _ARM_Z) & (lesser > _LESSER_ARM * greater))
