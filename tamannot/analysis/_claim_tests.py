"""One test of a claim: the statistic, its values over samples, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.analysis._claim_cells import (
    ACROSS,
    DETECTION,
    DIFFERENCE,
    GROUPS,
    NONE,
    RARE,
    SHARE,
    SHARE_OF,
    WITHIN,
    Cells,
    Claim,
    NotMeasurableError,
)
from tamannot.stats._correlation import classes_of, fisher, matched_difference, partial_rho, spearman_interval
from tamannot.stats._means import MIN_SAMPLES, OverSamples, between_groups, over_samples

Array = NDArray[Any]
SUPPORTED, NOT_SUPPORTED, DETECTED = "supported", "not supported", "detected"
INCONCLUSIVE, NOT_MEASURABLE = "inconclusive", "not measurable"
# Least samples of a correlation across samples: of four no order is rarer than 1 in 12.
_MIN_ACROSS = 5
_DEPTH_CLASSES = 10
# A claim exceeds its swaps if at most this share of them, the claim included, is as extreme.
_RARELY = 0.05


@dataclass(frozen=True)
class Found:
    """The result of a test, or the reason why there is none."""

    test: str
    observed: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n_samples: int = 0
    n_cells: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Chance:
    """The results of a test with other genes of equal expression in place of those of the claim."""

    n_swaps: int = 0
    """Swaps that gave an interval."""
    observed: float = np.nan
    """Mean of their results."""
    p: float = np.nan
    """Share that goes as far as the claim in its direction, the claim counted among them."""
    same: float = np.nan
    """Share that gets the verdict of the claim."""
    supported: float = np.nan
    """Share that is supported."""


@dataclass(frozen=True)
class Data:
    """The cells, the number that a sample must have, and the annotations of the samples."""

    cells: Cells
    min_cells: int
    about: Mapping[str, pd.Series]
    """By ``primary`` and ``site`` the word of each sample; without those that were not given."""

    def per_sample(self, *masks: Array) -> list[list[Array]]:
        """Return, for the samples with enough cells of every mask, the numbers of these cells."""
        codes = self.cells.samples.codes
        found = [[np.flatnonzero(m & (codes == s)) for m in masks] for s in range(len(self.cells.samples.names))]
        return [rows for rows in found if all(r.size >= self.min_cells for r in rows)]


def check_claim(claim: Claim, data: Data) -> tuple[str, Found, Chance]:
    """Return the verdict on a claim, its evidence, and the results with swapped genes."""
    if claim.kind == NONE:
        return NOT_MEASURABLE, Found("none", reason=claim.note), Chance()
    try:
        found = _TESTS[claim.kind](claim, data)
    except NotMeasurableError as why:
        return NOT_MEASURABLE, Found(_describe(claim), reason=str(why)), Chance()
    verdict = _verdict(claim, found)
    if claim.kind == DETECTION or not np.isfinite(found.low) or not data.cells.genes_in(claim):
        return verdict, found, Chance()
    swaps = []
    for cells in data.cells.swapped(claim):
        with suppress(NotMeasurableError):  # the genes that stand in are seen in too few of the cells
            swaps.append(_TESTS[claim.kind](claim, replace(data, cells=cells)))
    known = [s for s in swaps if np.isfinite([s.observed, s.low, s.high]).all()]
    return _beyond(claim, verdict, found, known)


def _beyond(claim: Claim, verdict: str, found: Found, swaps: Sequence[Found]) -> tuple[str, Found, Chance]:
    """Return the verdict after comparison with the swaps, each of which is compared with the others likewise."""
    sign = 1 if claim.expected == "positive" else -1
    every = [found, *swaps]
    values = sign * np.array([f.observed for f in every])
    as_far = {SUPPORTED: values[:, None] <= values, NOT_SUPPORTED: values[:, None] >= values}
    p = {word: far.mean(axis=1) for word, far in as_far.items()}
    words = [_verdict(claim, f) for f in every]
    held = np.array([w if w not in p or p[w][i] <= _RARELY else INCONCLUSIVE for i, w in enumerate(words)], object)
    if held[0] != verdict:
        n_as_far = int(as_far[verdict][0].sum()) - 1
        why = (
            f"{verdict} by its interval, but {n_as_far} of {len(swaps)} swaps for genes of equal expression are as "
            "extreme"
        )
        if len(every) * _RARELY < 1:
            why = f"{len(swaps)} swaps for genes of equal expression, too few to tell"
        found = replace(found, reason="; ".join(r for r in (why, found.reason) if r))
    if not swaps:
        return held[0], found, Chance()
    same, supported = ((held[1:] == word).mean() for word in (held[0], SUPPORTED))
    chance = Chance(len(swaps), sign * values[1:].mean(), p[SUPPORTED][0], same, supported)
    return held[0], found, chance


def _describe(claim: Claim) -> str:
    """Return a description of the statistic."""
    a, b = (m.replace("@", "").replace("_", " ").replace(":", " ") for m in (claim.a, claim.b))
    cells, against = (c.replace("_", " ") for c in (claim.cells, claim.against))
    return {
        WITHIN: f"rank correlation of {a} with {b} within samples, given genes detected, {cells} cells",
        ACROSS: f"rank correlation across samples of {a} in {cells} with {b} in {against} cells",
        DIFFERENCE: f"share of cells with {a}, {cells} minus {against}, at equal depth within samples",
        DETECTION: f"share of {cells} cells with {a}",
        SHARE: f"{a} among {cells} cells",
        GROUPS: f"{a} in {cells} cells, samples of {b} minus others",
    }[claim.kind]


def _within(claim: Claim, data: Data) -> Found:
    cells, here = data.cells, data.cells.of(claim.cells)
    genes = cells.genes_of(claim.a), cells.genes_of(claim.b)
    shared = set(genes[0]) & set(genes[1])
    longer = len(genes[0]) > len(genes[1])
    one = cells.measure(claim.a, here, sorted(shared) if longer else ())
    two = cells.measure(claim.b, here, () if longer else sorted(shared))
    samples = data.per_sample(here)
    rho = [partial_rho(one[r], two[r], cells.n_detected[r][:, None]) for (r,) in samples]
    found = over_samples(np.array([fisher(v) for v in rho]))
    once = f"counted once: {', '.join(sorted(shared))}" if shared else ""
    return _as_found(claim, found, sum(r.size for (r,) in samples), np.tanh, once)


def _across(claim: Claim, data: Data) -> Found:
    cells = data.cells
    here, there = cells.of(claim.cells), cells.of(claim.against)
    one, two = cells.measure(claim.a, here), cells.measure(claim.b, there)
    samples = data.per_sample(here, there)
    means = np.array([[one[r].mean(), two[s].mean()] for r, s in samples]).reshape(-1, 2)
    rho, low, high = spearman_interval(means[:, 0], means[:, 1])
    n_cells = sum(np.union1d(r, s).size for r, s in samples)
    why = _few(len(samples), _MIN_ACROSS) or ("" if np.isfinite(rho) else "does not vary between samples")
    return Found(_describe(claim), rho, low, high, len(samples), n_cells, why)


def _difference(claim: Claim, data: Data) -> Found:
    cells = data.cells
    here, there = cells.of(claim.cells), cells.of(claim.against)
    hits = cells.hits(cells.usable(claim.a, here | there))
    samples = data.per_sample(here, there)
    values, n_cells = [], 0
    for both in samples:
        rows = np.union1d(*both)
        strata = classes_of(cells.n_detected[rows].astype(float), _DEPTH_CLASSES)
        values.append(matched_difference(hits[rows], here[rows], strata))
        n_cells += rows.size
    return _as_found(claim, over_samples(np.array(values)), n_cells)


def _detection(claim: Claim, data: Data) -> Found:
    cells, here = data.cells, data.cells.of(claim.cells)
    hits = cells.hits(cells.usable(claim.a, here))
    samples = data.per_sample(here)
    found = over_samples(np.array([hits[r].mean() for (r,) in samples]))
    others = ~here & (cells.samples.codes >= 0)
    beside = f"{hits[others].mean():.0%} of all other cells" if others.any() else ""
    return _as_found(claim, found, sum(r.size for (r,) in samples), _between_0_and_1, beside)


def _share(claim: Claim, data: Data) -> Found:
    here = data.cells.of(claim.cells)
    member = data.cells.measure(claim.a, here)
    samples = data.per_sample(here)
    found = over_samples(np.array([member[r].mean() for (r,) in samples]))
    return _as_found(claim, found, sum(r.size for (r,) in samples), _between_0_and_1)


def _groups(claim: Claim, data: Data) -> Found:
    name, _, values = claim.b.partition("=")
    one, _, two = values.partition("/")
    if name not in data.about:
        msg = f"needs the {name} of each sample; pass {name}="
        raise NotMeasurableError(msg)
    cells, here = data.cells, data.cells.of(claim.cells)
    if claim.a.startswith(SHARE_OF):
        value = cells.measure(claim.a, here)
    else:
        value = cells.hits(cells.usable(claim.a, here)).astype(float)
    word, codes = data.about[name], cells.samples.codes
    rows = data.per_sample(here)
    means = np.array([value[r].mean() for (r,) in rows])
    words = np.array([str(word.iloc[codes[r[0]]]).lower() for (r,) in rows], dtype=object)
    first = np.array([one in w for w in words], bool)
    known = np.array([w not in ("nan", "none", "") for w in words], bool)
    second = np.array([two in w for w in words], bool) & ~first if two else known & ~first
    for of, group in ((one, first), (two or f"other {name}", second)):
        if rows and not group.any():
            msg = f"no sample of {of} has {data.min_cells} such cells"
            raise NotMeasurableError(msg)
    found = between_groups(means[first], means[second])
    out = _as_found(claim, found, sum(r.size for (r,) in rows))
    few = f"fewer than {MIN_SAMPLES} samples in a group" if min(first.sum(), second.sum()) < MIN_SAMPLES else ""
    return replace(out, reason=few)


def _as_found(
    claim: Claim, found: OverSamples, n_cells: int, back: Callable[[float], Any] = float, also: str = ""
) -> Found:
    n = int(found.n)
    few = _few(n, MIN_SAMPLES)
    value, low, high = (float(back(v)) for v in (found.mean, found.low, found.high))
    return Found(_describe(claim), value, low, high, n, n_cells, "; ".join(w for w in (few, also) if w))


def _between_0_and_1(value: float) -> float:
    return float(np.clip(value, 0, 1))


def _few(n: int, least: int) -> str:
    if n >= least:
        return ""
    return "no sample has enough cells" if n == 0 else f"{n} sample{'s' * (n > 1)}, at least {least} are needed"


def _verdict(claim: Claim, found: Found) -> str:
    """Return the verdict by the interval alone."""
    if not np.isfinite([found.low, found.high]).all():
        return INCONCLUSIVE
    if claim.kind == DETECTION:
        return DETECTED if found.low > RARE else INCONCLUSIVE
    if claim.kind == SHARE:
        low, high = claim.limits
        if low <= found.low and found.high <= high:
            return SUPPORTED
        return NOT_SUPPORTED if found.high < low or found.low > high else INCONCLUSIVE
    sign = 1 if claim.expected == "positive" else -1
    if sign * found.low > 0 and sign * found.high > 0:
        return SUPPORTED
    return NOT_SUPPORTED if sign * found.low < 0 and sign * found.high < 0 else INCONCLUSIVE


_TESTS: Mapping[str, Callable[[Claim, Data], Found]] = {
    WITHIN: _within,
    ACROSS: _across,
    DIFFERENCE: _difference,
    DETECTION: _detection,
    SHARE: _share,
    GROUPS: _groups,
}
