"""A question to macrophages, learned from the cells at hand: which heads, how sure, from when on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp

from tamannot.classify._call import Array
from tamannot.classify._cells import variable_genes
from tamannot.kernels._rows import RowSource
from tamannot.models._heads import Anchors, Head, amounts, train_head
from tamannot.models._mixtures import Sigmoid, fit_sigmoid, mix, threshold_for
from tamannot.models._pool import N_FEATURES, Pool, at_most, draw_pool

_POSITIVES, _NEGATIVES, _BACKGROUND = 800, 1600, 800
# Pseudo-cells of each head, and at most of each pair.
_MIXTURES = 1800
# Clear cells of a program that its pseudo-cells need, a few in every fold.
MIN_STRONG = 12
# Of two programs each with at least this share either name is right: the cell is a mixture.
_EQUAL = 1 / 3
_NEVER = Sigmoid((0.0,), -50.0)


@dataclass(frozen=True)
class Sure:
    """The cells that a question is learned from, by their row numbers."""

    anchors: Mapping[str, Anchors]
    strong: Mapping[str, Array]
    """Of the positive ones those to mix pseudo-cells from."""
    background: Array
    """Cells that surely have none of the programs."""


@dataclass(frozen=True)
class Rule:
    """When a program counts as present."""

    active: float
    """Share of what anchors show from which on it is active."""
    least: float
    """Probability that it must have at least."""
    optional: bool
    """Whether a cell may have none: then no more faint ones pass than the accuracy asked for allows."""


@dataclass(frozen=True)
class Question:
    """What was learned."""

    columns: Array
    """Genes that count, columns of the data."""
    heads: Mapping[str, Head] = field(default_factory=dict)
    present: Sigmoid = _NEVER
    """Of the amount: probability that a program is active, that is, makes up ``active`` of what anchors show.
    One function for all heads: their amounts are on one scale."""
    winner: Sigmoid | None = None
    """Of lead and amount: probability that the strongest program is no less than ``_EQUAL`` of the two."""
    present_at: float = 0.5
    """Probability from which on a program counts as present."""
    winner_at: float | None = None
    """Probability from which on the strongest is called; None: no threshold reaches the accuracy asked for."""
    optional: bool = True
    """Whether a cell may have none."""
    accuracy: float = 0.0
    """Share of pseudo-cells whose strongest program was found, all of them."""
    background: Array = field(default_factory=lambda: np.empty(0))
    """Mean expression of the background: what a gene counts as in data that lack it."""

    def __bool__(self) -> bool:
        """Whether anything was learned."""
        return bool(self.heads)


def learn(
    rows: RowSource,
    kind: str,
    sure: Sure,
    fold: Array,
    ticket: Array,
    *,
    n_folds: int,
    rule: Rule,
    target_accuracy: float,
    seed: int,
    among: Array | None = None,
) -> Question:
    """Train and calibrate the heads of a question.

    Parameters
    ----------
    rows, kind
        The matrix and what it holds.
    sure
        Row numbers of anchors and background.
    fold, ticket
        Of every cell.
    n_folds
        How many there are.
    rule
        When a program counts as present.
    target_accuracy
        Share of calls that should be right.
    seed
        For the mixtures.
    among
        Mask of the genes that may count; None: all.
    """
    kept = _kept(sure, ticket)
    cells = np.unique(
        np.concatenate([kept.background, *(c for a in kept.anchors.values() for c in (a.positive, a.negative))])
    )
    pool = draw_pool(rows, kind, cells, ticket)
    columns = variable_genes(pool.expression, N_FEATURES, among)
    x = sp.csr_array(pool.expression[:, columns])
    pool = pool.narrowed(columns)  # all genes of all cells are let go
    folds = fold[pool.cells]
    background = pool.of(kept.background)
    heads = {}
    for name, a in kept.anchors.items():
        head = train_head(x, folds, n_folds, Anchors(pool.of(a.positive), pool.of(a.negative)), background)
        if head is not None:
            heads[name] = head
    if not heads or (len(heads) < 2 and not rule.optional):
        return Question(columns)  # one head cannot say which it is
    strong = {name: pool.of(kept.strong[name]) for name in heads}
    question = _calibrated(pool, columns, heads, strong, background, folds, rule, target_accuracy, seed)
    return replace(question, background=mean_of(x[background]))


def mean_of(x: sp.csr_array) -> Array:
    """Return the mean of each column."""
    return np.asarray(x.mean(axis=0), np.float64).ravel()


def _kept(sure: Sure, ticket: Array) -> Sure:
    anchors = {
        name: Anchors(at_most(a.positive, _POSITIVES, ticket), at_most(a.negative, _NEGATIVES, ticket))
        for name, a in sure.anchors.items()
    }
    strong = {}
    for name, cells in sure.strong.items():
        mine = cells[np.isin(cells, anchors[name].positive)]
        if mine.size >= MIN_STRONG:
            strong[name] = mine
    # Without clear cells to mix from nothing could be calibrated: the fixed rule calls such a program.
    anchors = {name: a for name, a in anchors.items() if name in strong}
    return Sure(anchors, strong, at_most(sure.background, _BACKGROUND, ticket))


def _calibrated(
    few: Pool,
    columns: Array,
    heads: Mapping[str, Head],
    strong: Mapping[str, Array],
    background: Array,
    fold: Array,
    rule: Rule,
    target_accuracy: float,
    seed: int,
) -> Question:
    rng = np.random.default_rng(seed)
    drawn = [_mixed(few, heads, strong[name], background, fold, rng, _MIXTURES) for name in heads]
    share = np.concatenate([s for s, _ in drawn])
    amount = np.concatenate([a[:, i] for i, (_, a) in enumerate(drawn)])
    present = fit_sigmoid(share > rule.active, amount)
    if present is None:
        return Question(columns)
    faint = present(amount[share < rule.active / 2])
    present_at = float(np.quantile(faint, target_accuracy)) if rule.optional and faint.size else 0.0
    present_at = max(rule.least, present_at)
    if len(heads) < 2:
        return Question(columns, heads, present, None, present_at, 0.0, rule.optional, 1.0)
    lead, top, right = _contests(few, heads, strong, fold, rng)
    if rule.optional:  # what would be called: programs beside one another, and beside background
        contests, alone = (_called(cells, present, present_at) for cells in ((lead, top, right), _alone(drawn)))
        # How often programs meet is not known: as many pseudo-cells of two as of one.
        some = np.sort(rng.permutation(contests[0].size)[: alone[0].size])
        lead, top, right = (np.concatenate([c[some], a]) for c, a in zip(contests, alone, strict=True))
    else:  # how much there is says nothing of which
        top = np.zeros_like(top)
    winner, at = _judged(lead, top, right, target_accuracy, rng)
    return Question(columns, heads, present, winner, present_at, at, rule.optional, float(right.mean()))


def _judged(
    lead: Array, top: Array, right: Array, target_accuracy: float, rng: np.random.Generator
) -> tuple[Sigmoid | None, float | None]:
    """Return the probability that the strongest is right, and from when on it is called.

    The threshold comes from all pseudo-cells, each judged by a function that was fitted to the other half.
    """
    winner = fit_sigmoid(right, lead, top)
    if winner is None:
        return None, 0.0
    half = rng.permutation(right.size) < right.size // 2
    sure = np.empty(right.size)
    for mine in (half, ~half):
        other = fit_sigmoid(right[~mine], lead[~mine], top[~mine]) or winner
        sure[mine] = other(lead[mine], top[mine])
    return winner, threshold_for(target_accuracy, sure, right)


def _mixed(
    few: Pool,
    heads: Mapping[str, Head],
    first: Array,
    second: Array,
    fold: Array,
    rng: np.random.Generator,
    number: int,
) -> tuple[Array, Array]:
    """Return shares and amounts of pseudo-cells of two kinds of cells, both of one fold.

    ``few`` has the genes that count, and the others as one: only their total matters.
    """
    n_folds = next(iter(heads.values())).n_folds
    n, shares, found = number // n_folds, [], []
    for k in range(n_folds):
        a, b = first[fold[first] == k], second[fold[second] == k]
        if not (a.size and b.size):
            continue
        share = rng.random(n)
        x = mix(few, rng.choice(a, n), rng.choice(b, n), share, rng)[:, :-1]
        shares.append(share)
        found.append(amounts(heads, sp.csr_array(x), np.full(n, k)))
    if not shares:
        return np.empty(0), np.empty((0, len(heads)))
    return np.concatenate(shares), np.concatenate(found)


def _contests(
    few: Pool,
    heads: Mapping[str, Head],
    strong: Mapping[str, Array],
    fold: Array,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """Return lead, amount and truth of the winner in pseudo-cells of two programs."""
    names = list(heads)
    # All told as many as of single programs: the threshold takes no more of them.
    number = min(_MIXTURES, 2 * _MIXTURES // (len(names) - 1))
    leads, tops, rights = [], [], []
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            share, amount = _mixed(few, heads, strong[one], strong[other], fold, rng, number)
            if not share.size:
                continue
            best, top, second = _best_two(amount)
            truth = np.where(share > 0.5, i, names.index(other))
            leads.append(top - second)
            tops.append(top)
            rights.append(best == truth)
    return np.concatenate(leads), np.concatenate(tops), np.concatenate(rights)


def _alone(drawn: Sequence[tuple[Array, Array]]) -> tuple[Array, Array, Array]:
    """Return the same for pseudo-cells of one program and background."""
    leads, tops, rights = [], [], []
    for i, (share, amount) in enumerate(drawn):
        best, top, second = _best_two(amount)
        leads.append(top - second)
        tops.append(top)
        rights.append((best == i) & (share >= _EQUAL))
    return np.concatenate(leads), np.concatenate(tops), np.concatenate(rights)


def _called(cells: tuple[Array, Array, Array], present: Sigmoid, present_at: float) -> tuple[Array, Array, Array]:
    here = present(cells[1]) >= present_at
    return cells[0][here], cells[1][here], cells[2][here]


def _best_two(amount: Array) -> tuple[Array, Array, Array]:
    order = np.sort(amount, axis=1)
    return amount.argmax(axis=1), order[:, -1], order[:, -2]
