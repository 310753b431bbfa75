"""Macrophages whose panel dropped out, found by what the clear ones look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from tamannot.classify._call import ASSIGNED, LOW_COVERAGE, LOW_SIGNAL, UNASSIGNED, Array, Call
from tamannot.classify._cells import variable_genes
from tamannot.kernels._rows import RowSource
from tamannot.models._gate import MACROPHAGE, evidence_p
from tamannot.models._heads import Anchors, amounts, train_head
from tamannot.models._mixtures import Sigmoid, fit_sigmoid
from tamannot.models._pool import N_FEATURES, at_most, draw_pool
from tamannot.models._question import Question, mean_of
from tamannot.scorers import NullScores

# Beyond doubt, by the panel's p; and too many to be chance.
_SURE_P = 1e-3
_MIN_ANCHORS, _OVER_CHANCE = 10, 3
_ABSENT_Z = 0.5
# Cells between the two are neither: macrophages among the negatives would teach the head to miss them.
_UNSURE, _LIKE = 0.25, 0.5
_POSITIVES, _NEGATIVES = 800, 1600
_KIN = ("monocyte", "neutrophil", "dendritic")
_ROUNDS = 3
# A panel misses few: rescued cells may be so many, as a share of those the panel finds.
_EXCEPTIONS = 0.25


def learn_macrophages(
    rows: RowSource,
    kind: str,
    scores: NullScores,
    call: Call,
    fold: Array,
    ticket: Array,
    n_folds: int,
    among: Array | None = None,
) -> Question:
    """Train a head on the macrophages beyond doubt against cells without a trace of the panel.

    Parameters
    ----------
    rows, kind
        The matrix and what it holds.
    scores
        Of the compartments, with the reference null.
    call
        The compartments by the fixed rule.
    fold, ticket
        Of every cell.
    n_folds
        How many there are.
    among
        Mask of the genes that may count; None: all.
    """
    column = scores.ids.index(MACROPHAGE)
    p = evidence_p(scores, [column], np.array([99]))[:, 0]
    is_macrophage = call.label == MACROPHAGE
    positive = np.flatnonzero(is_macrophage & (p < _SURE_P))
    negative = np.flatnonzero(~is_macrophage & (scores.z[:, column] < _ABSENT_Z))
    if positive.size < max(_MIN_ANCHORS, _OVER_CHANCE * _SURE_P * p.size) or negative.size < _MIN_ANCHORS:
        return Question(np.empty(0, np.int64))
    positive, negative = at_most(positive, _POSITIVES, ticket), at_most(negative, _NEGATIVES, ticket)
    pool = draw_pool(rows, kind, np.concatenate([positive, negative]), ticket)
    columns = variable_genes(pool.expression, N_FEATURES, among)
    x, mine = sp.csr_array(pool.expression[:, columns]), fold[pool.cells]
    yes, no = pool.of(positive), pool.of(negative)
    head, joined, kept = None, yes, no
    for _ in range(_ROUNDS):
        trained = train_head(x, mine, n_folds, Anchors(joined, kept), kept) if kept.size >= _MIN_ANCHORS else None
        if trained is None:
            break
        head = trained
        amount = amounts({MACROPHAGE: head}, x[no], mine[no])[:, 0]
        joined, kept = np.concatenate([yes, no[amount > _LIKE]]), no[amount < _UNSURE]
    if head is None:
        return Question(columns)
    there = np.concatenate([joined, kept])
    amount = amounts({MACROPHAGE: head}, x[there], mine[there])[:, 0]
    # How many of the cells left over are macrophages is not known: as many as not.
    present = fit_sigmoid(np.arange(there.size) < joined.size, amount, balanced=True) or Sigmoid((0.0,), -50.0)
    return Question(columns, {MACROPHAGE: head}, present, present_at=0.5, background=mean_of(x[kept]))


def rescued(question: Question, amount: Array, call: Call, ids: Sequence[str]) -> Call:
    """Call macrophages that the rule left unassigned, or gave to kin, where the head finds one.

    Parameters
    ----------
    question, amount
        What was learned, and its amount in every cell.
    call
        The compartments by the fixed rule.
    ids
        The compartments.
    """
    probability = question.present(amount)
    kin = np.isin(call.label, _KIN) & (call.proba[:, list(ids).index(MACROPHAGE)] > 0)
    found = (probability >= question.present_at) & (
        ((call.label == UNASSIGNED) & np.isin(call.status, (LOW_SIGNAL, LOW_COVERAGE))) | kin
    )
    label, status, proba = call.label.copy(), call.status.copy(), call.proba.copy()
    label[found], status[found] = MACROPHAGE, ASSIGNED
    place = list(ids).index(MACROPHAGE)
    proba[found] *= (1 - probability[found])[:, None]
    proba[found, place] = probability[found]
    return replace(call, label=label, status=status, proba=proba, prob=proba.max(axis=1).astype(np.float32))


def only_rescued(call: Call, rule: Call, kept: Array) -> Call:
    """Return the call in which rescued macrophages, but for some, are again what the rule says."""
    back = (call.label == MACROPHAGE) & (rule.label != MACROPHAGE) & ~kept
    if not back.any():
        return call
    label, status, prob = (np.where(back, getattr(rule, n), getattr(call, n)) for n in ("label", "status", "prob"))
    return replace(call, label=label, status=status, prob=prob, proba=np.where(back[:, None], rule.proba, call.proba))


def are_exceptions(call: Call, rule: Call) -> bool:
    """Say whether the rescued are few beside those the panel finds.

    If they are many they are no drop-outs: the head has found a kindred cell type.
    """
    before = (rule.label == MACROPHAGE).sum()
    return bool((call.label == MACROPHAGE).sum() - before <= _EXCEPTIONS * before)
