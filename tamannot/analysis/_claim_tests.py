"""One test of a claim: the statistic, its values over samples, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tamannot.analysis._claim_cells import RARE, Cells, Claim, NotMeasurableError
from tamannot.stats._correlation import classes_of, fisher, matched_difference, partial_rho, spearman_interval
from tamannot.stats._means import MIN_SAMPLES, OverSamples, between_groups, over_samples

SUPPORTED, NOT_SUPPORTED, DETECTED = "supported", "not supported", "detected"
INCONCLUSIVE, NOT_MEASURABLE = "inconclusive", "not measurable"
_MIN_ACROSS = 5  # least samples of a correlation across samples: of four no order is rarer than 1 in 12
_DEPTH_CLASSES = 10
_RARELY = 0.05  # a claim exceeds its swaps if at most this share of them, the claim included, is as extreme


@dataclass(frozen=True)
class Found:
    """The result of a test, or the reason why there is none; its fields are columns of the table of claims."""

    test: str = ""
    observed: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n_samples: int = 0
    n_cells: int = 0
    verdict: str = NOT_MEASURABLE
    n_swaps: int = 0  # swaps of the genes for others of equal expression that gave an interval
    swapped: float = np.nan  # mean of their results
    p_swapped: float = np.nan  # share that goes as far as the claim in its direction, the claim counted among them
    swapped_same: float = np.nan  # share that gets the verdict of the claim
    swapped_supported: float = np.nan
    reason: str = ""


def check_claim(claim: Claim, cells: Cells) -> Found:
    """Return the verdict on a claim with its evidence, and the results with swapped genes."""
    if claim.kind == "none":
        return Found("none", reason=claim.note)
    test, description = _TESTS[claim.kind]
    a, b = (m.replace("@", "").replace("_", " ").replace(":", " ") for m in (claim.a, claim.b))
    here, there = (c.replace("_", " ") for c in (claim.cells, claim.against))
    said = description.format(a=a, b=b, cells=here, against=there)
    try:
        found = replace(test(claim, cells), test=said)
    except NotMeasurableError as why:
        return Found(said, reason=str(why))
    found = replace(found, verdict=_verdict(claim, found))
    if claim.kind == "detection" or not np.isfinite(found.low) or not any(map(cells.genes_of, claim.measures)):
        return found
    swaps = []
    for genes in cells.swaps.get(claim.claim_id, []):
        with suppress(NotMeasurableError):  # the genes that stand in are seen in too few of the cells
            swaps.append(test(claim, replace(cells, genes=genes)))
    return _beyond(claim, found, [s for s in swaps if np.isfinite([s.observed, s.low, s.high]).all()])


def _beyond(claim: Claim, found: Found, swaps: Sequence[Found]) -> Found:
    """Return the result after comparison with the swaps, each of which is compared with the others likewise."""
    sign = 1 if claim.expected == "positive" else -1
    every = [found, *swaps]
    values = sign * np.array([f.observed for f in every])
    as_far = {SUPPORTED: values[:, None] <= values, NOT_SUPPORTED: values[:, None] >= values}
    p = {word: far.mean(axis=1) for word, far in as_far.items()}
    words = [_verdict(claim, f) for f in every]
    held = np.array([w if w not in p or p[w][i] <= _RARELY else INCONCLUSIVE for i, w in enumerate(words)], object)
    if held[0] != found.verdict:
        n_as_far = int(as_far[found.verdict][0].sum()) - 1
        why = (
            f"{found.verdict} by its interval, but {n_as_far} of {len(swaps)} swaps for genes of equal expression are "
            "as extreme"
        )
        if len(every) * _RARELY < 1:
            why = f"{len(swaps)} swaps for genes of equal expression, too few to tell"
        found = replace(found, verdict=held[0], reason="; ".join(r for r in (why, found.reason) if r))
    if not swaps:
        return found
    return replace(
        found,
        n_swaps=len(swaps),
        swapped=sign * values[1:].mean(),
        p_swapped=p[SUPPORTED][0],
        swapped_same=(held[1:] == held[0]).mean(),
        swapped_supported=(held[1:] == SUPPORTED).mean(),
    )


def _within(claim: Claim, cells: Cells) -> Found:
    here = cells.of(claim.cells)
    genes = cells.genes_of(claim.a), cells.genes_of(claim.b)
    shared = sorted(set(genes[0]) & set(genes[1]))
    longer = len(genes[0]) > len(genes[1])
    one = cells.measure(claim.a, here, shared if longer else ())
    two = cells.measure(claim.b, here, () if longer else shared)
    samples = cells.per_sample(here)
    rho = [partial_rho(one[r], two[r], cells.n_detected[r][:, None]) for (r,) in samples]
    found = over_samples(np.array([fisher(v) for v in rho]))
    once = f"counted once: {', '.join(shared)}" if shared else ""
    return _as_found(found, sum(r.size for (r,) in samples), np.tanh, once)


def _across(claim: Claim, cells: Cells) -> Found:
    here, there = cells.of(claim.cells), cells.of(claim.against)
    one, two = cells.measure(claim.a, here), cells.measure(claim.b, there)
    samples = cells.per_sample(here, there)
    means = np.array([[one[r].mean(), two[s].mean()] for r, s in samples]).reshape(-1, 2)
    rho, low, high = spearman_interval(means[:, 0], means[:, 1])
    n_cells = sum(np.union1d(r, s).size for r, s in samples)
    why = _few(len(samples), _MIN_ACROSS) or ("" if np.isfinite(rho) else "does not vary between samples")
    return Found("", rho, low, high, len(samples), n_cells, reason=why)


def _difference(claim: Claim, cells: Cells) -> Found:
    here, there = cells.of(claim.cells), cells.of(claim.against)
    hits = cells.hits(claim.a, here | there)
    values, n_cells = [], 0
    for both in cells.per_sample(here, there):
        rows = np.union1d(*both)
        strata = classes_of(cells.n_detected[rows].astype(float), _DEPTH_CLASSES)
        values.append(matched_difference(hits[rows], here[rows], strata))
        n_cells += rows.size
    return _as_found(over_samples(np.array(values)), n_cells)


def _share(claim: Claim, cells: Cells) -> Found:
    here = cells.of(claim.cells)
    hits = cells.hits(claim.a, here)
    samples = cells.per_sample(here)
    found = over_samples(np.array([hits[r].mean() for (r,) in samples]))
    others = ~here & (cells.samples.codes >= 0)
    beside = f"{hits[others].mean():.0%} of all other cells" if claim.kind == "detection" and others.any() else ""
    return _as_found(found, sum(r.size for (r,) in samples), lambda share: np.clip(share, 0, 1), beside)


def _groups(claim: Claim, cells: Cells) -> Found:
    name, _, values = claim.b.partition("=")
    one, _, two = values.partition("/")
    if name not in cells.about:
        raise NotMeasurableError(f"needs the {name} of each sample; pass {name}=")
    here = cells.of(claim.cells)
    hits = cells.hits(claim.a, here)
    rows = cells.per_sample(here)
    means = np.array([hits[r].mean() for (r,) in rows])
    word, codes = cells.about[name], cells.samples.codes
    words = [str(word.iloc[codes[r[0]]]).lower() for (r,) in rows]
    first = np.array([one in w for w in words], bool)
    known = [two in w if two else w not in ("nan", "none", "") for w in words]
    second = np.array(known, bool) & ~first
    for of, group in ((one, first), (two or f"other {name}", second)):
        if rows and not group.any():
            raise NotMeasurableError(f"no sample of {of} has {cells.min_cells} such cells")
    few = f"fewer than {MIN_SAMPLES} samples in a group" if min(first.sum(), second.sum()) < MIN_SAMPLES else ""
    found = _as_found(between_groups(means[first], means[second]), sum(r.size for (r,) in rows))
    return replace(found, reason=few)


def _as_found(found: OverSamples, n_cells: int, back: Callable[[float], Any] = float, also: str = "") -> Found:
    n = int(found.n)
    value, low, high = (float(back(v)) for v in (found.mean, found.low, found.high))
    return Found("", value, low, high, n, n_cells, reason="; ".join(w for w in (_few(n, MIN_SAMPLES), also) if w))


def _few(n: int, least: int) -> str:
    if n >= least:
        return ""
    return "no sample has enough cells" if n == 0 else f"{n} sample{'s' * (n > 1)}, at least {least} are needed"


def _verdict(claim: Claim, found: Found) -> str:
    """Return the verdict by the interval alone."""
    if not np.isfinite([found.low, found.high]).all():
        return INCONCLUSIVE
    if claim.kind == "detection":
        return DETECTED if found.low > RARE else INCONCLUSIVE
    if claim.kind == "share":
        low, high = claim.limits
        if low <= found.low and found.high <= high:
            return SUPPORTED
        return NOT_SUPPORTED if found.high < low or found.low > high else INCONCLUSIVE
    sign = 1 if claim.expected == "positive" else -1
    if sign * found.low > 0 and sign * found.high > 0:
        return SUPPORTED
    return NOT_SUPPORTED if sign * found.low < 0 and sign * found.high < 0 else INCONCLUSIVE


# Of each kind the test, and its description.
_TESTS: Mapping[str, tuple[Callable[[Claim, Cells], Found], str]] = {
    "within": (_within, "rank correlation of {a} with {b} within samples, given genes detected, {cells} cells"),
    "across": (_across, "rank correlation across samples of {a} in {cells} with {b} in {against} cells"),
    "difference": (_difference, "share of cells with {a}, {cells} minus {against}, at equal depth within samples"),
    "detection": (_share, "share of {cells} cells with {a}"),
    "share": (_share, "{a} among {cells} cells"),
    "groups": (_groups, "{a} in {cells} cells, samples of {b} minus others"),
}
