"""Anchored self-training: which cells are beyond doubt, and what is called from what they teach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tamannot.classify._call import (
    AMBIGUOUS,
    ASSIGNED,
    LOW_SIGNAL,
    PRESENT_P,
    PRESENT_Z,
    UNASSIGNED,
    Array,
    Call,
    below,
    only_macrophages,
)
from tamannot.models._ask import Amounts
from tamannot.models._heads import Anchors
from tamannot.models._origin import BORDER, MICROGLIA, MONOCYTE_DERIVED, POPULATION_LEAD, reference_lead
from tamannot.models._origin import CLASSES as ORIGINS
from tamannot.models._question import MIN_STRONG, Question, Rule, Sure
from tamannot.models._state import STATES
from tamannot.scorers import NullScores

# Fewer macrophages than this teach nothing: the fixed rule.
MIN_CELLS = 50
_MIN_ANCHORS = 20
# So many times the number of cells that would pass by chance.
_OVER_CHANCE = 3
_ABSENT_Z = 0.5
_STRONG_P = 1e-3
_ORIGIN_LEAD = 1.0
# Rivals of a cell that pseudo-cells are mixed from stay below this.
_RIVAL_Z = 1.0
_MIN_BACKGROUND = 20
# Macrophages from which on their own null says how many genes can be seen.
_MIN_SEEN = 20
# What is learned. Border-associated macrophages and pro-angiogenic ones, whose list is experimental, are called by
# the fixed rule.
HEADED = {"origin": (MICROGLIA, MONOCYTE_DERIVED), "state": tuple(s for s in STATES if s != "pro_angiogenic")}
# A state may be absent; every macrophage has an origin, so that the question is which, not whether.
RULES = {
    "state": Rule(active=0.5, least=0.6, optional=True),
    "origin": Rule(active=0.25, least=0.1, optional=False),
}


def sure_states(scores: NullScores, is_macrophage: Array) -> Sure | None:
    """Return anchors of the states: p < 0.01 against z < 0.5, and background with all z < 0.5."""
    return _sure(scores, HEADED["state"], is_macrophage)


def sure_origins(scores: NullScores, is_macrophage: Array, reference: NullScores | None = None) -> Sure | None:
    """Return anchors of microglia and monocyte-derived: p < 0.01 and z ahead by 1, against z < 0.5.

    With ``reference``, for samples of macrophages only, the anchors must be two populations by the reference
    cells as well: among microglia alone there are always some that are least like it.
    """
    sure = _sure(scores, HEADED["origin"], is_macrophage, lead=_ORIGIN_LEAD)
    if sure is None or len(sure.anchors) < 2:
        return None
    if reference is not None:
        lead = reference_lead(reference)
        high, low = (float(np.median(lead[sure.anchors[o].positive])) for o in (MICROGLIA, MONOCYTE_DERIVED))
        if high < POPULATION_LEAD or low > high / 2:
            return None
    return sure


def _sure(scores: NullScores, names: Sequence[str], among: Array, *, lead: float = -np.inf) -> Sure | None:
    if among.sum() < MIN_CELLS:
        return None
    z = np.stack([scores.column("z", n) for n in names], axis=1).astype(float)
    p = np.stack([scores.column("p", n) for n in names], axis=1)
    rival = np.stack([np.delete(z, i, axis=1).max(axis=1) for i in range(len(names))], axis=1)
    needed = max(_MIN_ANCHORS, _OVER_CHANCE * PRESENT_P * among.sum())
    anchors, strong = {}, {}
    for i, name in enumerate(names):
        positive = among & below(p[:, i], PRESENT_P) & (z[:, i] - rival[:, i] >= lead)
        negative = among & (z[:, i] < _ABSENT_Z)
        if positive.sum() >= needed and negative.sum() >= _MIN_ANCHORS:
            anchors[name] = Anchors(np.flatnonzero(positive), np.flatnonzero(negative))
            pure = below(p[:, i], _STRONG_P) & (rival[:, i] < _RIVAL_Z)
            strong[name] = _clearest(np.flatnonzero(positive), pure, z[:, i] - rival[:, i])
    if not anchors:
        return None
    used = [list(names).index(n) for n in anchors]
    background = np.flatnonzero(among & (z[:, used] < _ABSENT_Z).all(axis=1))
    return Sure(anchors, strong, background) if background.size >= _MIN_BACKGROUND else None


def _clearest(positive: Array, pure: Array, ahead: Array) -> Array:
    """Return the pure ones of some anchors; where they are too few to mix from, those farthest ahead of rivals."""
    found = positive[pure[positive]]
    if found.size >= MIN_STRONG:
        return found
    least = np.sort(ahead[positive])[-MIN_STRONG]  # with all that are as far, so that no order of cells shows
    return np.union1d(found, positive[ahead[positive] >= least])


def unseen_states(scores: NullScores, is_macrophage: Array, headed: Sequence[str]) -> tuple[str, ...]:
    """Return the states that these data cannot show: without a head, and of too few detectable genes.

    Where fewer genes are expected to be detected than z at p < 0.01 squared, not even a doubling of them stands
    out in a cell. Few macrophages tell nothing of it.
    """
    if not is_macrophage.sum() >= _MIN_SEEN:
        return ()
    expected = {s: np.median(scores.column("expected", s)[is_macrophage]) for s in HEADED["state"]}
    return tuple(s for s, genes in expected.items() if s not in headed and genes < PRESENT_Z**2)


def without_unseen_rivals(call: Call, scores: NullScores, unseen: Sequence[str]) -> Call:
    """Take a state back where one that the data cannot show may be the better: its z is not absent.

    The heads that there are never compare with a program that has none; a cell's second program would be called.
    """
    label, status = call.label.copy(), call.status.copy()
    for state in unseen:
        rival = (scores.column("z", state) >= _ABSENT_Z) & np.isin(label, STATES) & (label != state)
        label[rival], status[rival] = UNASSIGNED, AMBIGUOUS
    return replace(call, label=label, status=status)


def call_states(question: Question, found: Amounts, rule: Call, is_macrophage: Array) -> Call:
    """Call the states that have a head by it, the others by the fixed rule where no head speaks.

    Parameters
    ----------
    question, found
        What was learned, and the amounts in every cell.
    rule
        The call of the fixed rule.
    is_macrophage
        Which cells to call.
    """
    probability = _probabilities(question, found)
    best = found.amount.argmax(axis=1)
    rows = np.arange(best.size)
    here = probability[rows, best] >= question.present_at
    label, status = rule.label.copy(), rule.status.copy()
    headed = np.isin(label, found.names)
    label[headed], status[headed] = UNASSIGNED, LOW_SIGNAL
    clear = here & _wins(question, found)
    label[here], status[here] = UNASSIGNED, AMBIGUOUS
    label[clear], status[clear] = np.array(found.names, dtype=object)[best[clear]], ASSIGNED
    proba = rule.proba.copy()
    for i, name in enumerate(found.names):
        proba[:, STATES.index(name)] = probability[:, i]
    return only_macrophages(Call(label, status, proba, STATES, proba.max(axis=1)), is_macrophage)


def call_origins(question: Question, found: Amounts, rule: Call, is_macrophage: Array) -> Call:
    """Call microglia and monocyte-derived by their heads; border-associated by the fixed rule.

    An origin without a head is called by the fixed rule, unless the other's head finds its own program.
    """
    probability = _probabilities(question, found)
    best = found.amount.argmax(axis=1)
    rows = np.arange(best.size)
    here = probability[rows, best] >= question.present_at
    clear = here & _wins(question, found) & (rule.label != BORDER)
    label, status = rule.label.copy(), rule.status.copy()
    headed = np.isin(label, found.names) | (here & (label != BORDER))
    label[headed], status[headed] = UNASSIGNED, LOW_SIGNAL
    label[here & headed], status[here & headed] = UNASSIGNED, AMBIGUOUS
    label[clear], status[clear] = np.array(found.names, dtype=object)[best[clear]], ASSIGNED
    proba = _origin_proba(question, found, rule)
    return only_macrophages(Call(label, status, proba, ORIGINS, proba.max(axis=1)), is_macrophage)


def _probabilities(question: Question, found: Amounts) -> Array:
    return question.present(found.amount).astype(np.float32)


def _wins(question: Question, found: Amounts) -> Array:
    if question.winner is None:
        return np.ones(found.amount.shape[0], bool)
    if question.winner_at is None:
        return np.zeros(found.amount.shape[0], bool)
    ordered = np.sort(found.amount, axis=1)
    top = ordered[:, -1] if question.optional else np.zeros(ordered.shape[0])
    return np.asarray(question.winner(ordered[:, -1] - ordered[:, -2], top) >= question.winner_at)


def _origin_proba(question: Question, found: Amounts, rule: Call) -> Array:
    """Return rows that sum to 1: the heads' contest, and what the rule leaves to the others."""
    proba = rule.proba.astype(float)
    places = [ORIGINS.index(n) for n in found.names]
    if len(places) == 2 and question.winner is not None:
        lead = found.amount[:, 0] - found.amount[:, 1]
        sure = np.maximum(question.winner(np.abs(lead), np.zeros_like(lead)), 0.5)
        first = np.where(lead > 0, sure, 1 - sure)
        mass = proba[:, places].sum(axis=1)
        proba[:, places[0]], proba[:, places[1]] = mass * first, mass * (1 - first)
    else:
        own = question.present(found.amount[:, 0])
        rest = np.delete(np.arange(len(ORIGINS)), places)
        proba[:, rest] *= ((1 - own) / np.maximum(proba[:, rest].sum(axis=1), 1e-9))[:, None]
        proba[:, places[0]] = own
    return np.asarray(proba / proba.sum(axis=1, keepdims=True), np.float32)
