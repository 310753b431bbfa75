"""Hypotheses tested over samples, and what a reader must be told beside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.stats._rank import (
    Correlation,
    adjusted,
    bootstrap_interval,
    fewest_samples,
    leave_one_out,
    partial_spearman,
    smallest_p,
    spearman,
    supports_q,
)
from tamannot.tl._crosstalk_values import MALIGNANT
from tamannot.tl._hypotheses import Hypothesis

Array = NDArray[Any]

FEWEST = 4
"""With three samples every order is one of six."""
# Degrees of freedom that must be left for all covariates at once; below, they are taken one at a time.
_FREE = 5
_FEW = 10
_LEVEL = 0.05


def run_tests(
    table: pd.DataFrame, hypotheses: Sequence[Hypothesis], covariates: Sequence[str], *, n_bootstrap: int, seed: int
) -> pd.DataFrame:
    """Return one row a hypothesis.

    A row does not depend on which others are asked for, but for its q: each starts from the seed.

    Parameters
    ----------
    table
        One row a sample.
    hypotheses
        Which columns are held against each other.
    covariates
        Columns to adjust for.
    n_bootstrap
        Draws of samples for the intervals.
    seed
        Of the permutations and the draws.
    """
    rows = [_test(table, h, covariates, n_bootstrap, seed) for h in hypotheses]
    tests = pd.DataFrame(rows, index=pd.Index([h.name for h in hypotheses], name="test"))
    for name in ("p", "p_adjusted"):
        q = adjusted(tests[name].to_numpy(float)) if q_is_supported(tests) else np.full(len(tests), np.nan)
        tests["q" if name == "p" else "q_adjusted"] = q
    return tests


def q_is_supported(tests: pd.DataFrame) -> bool:
    """Say whether the samples could give any of so many tests a q below 0.05."""
    return supports_q(int(tests["n_samples"].min()), len(tests), _LEVEL)


def _test(table: pd.DataFrame, h: Hypothesis, covariates: Sequence[str], n_bootstrap: int, seed: int) -> dict[str, Any]:
    here = table[[h.column, MALIGNANT + h.malignant, *covariates]].astype(float)
    here = here[here.iloc[:, :2].notna().all(axis=1)]
    x, y = here.iloc[:, 0].to_numpy(), here.iloc[:, 1].to_numpy()
    row: dict[str, Any] = {"measure": h.measure, "tam": h.tam, "malignant": h.malignant, "expected": h.expected}
    raw = spearman(x, y, rng=seed) if len(x) >= FEWEST else Correlation(math.nan, math.nan, len(x), exact=False)
    known = math.isfinite(raw.rho)
    nothing = (math.nan, math.nan)
    low, high = bootstrap_interval(x, y, n_bootstrap=n_bootstrap, rng=seed) if known else nothing
    loo_low, loo_high = leave_one_out(x, y) if known else nothing
    row |= {"rho": raw.rho, "p": raw.p, "low": low, "high": high, "loo_low": loo_low, "loo_high": loo_high}
    row |= _adjusted(here, covariates, n_bootstrap, seed)
    return row | {"n_samples": len(x)}


def _adjusted(here: pd.DataFrame, covariates: Sequence[str], n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Return ρ given each covariate, and given all; where few samples allow one at a time, given the worst."""
    alone = {c: _given(here, [c], seed) for c in covariates}
    each = {f"rho_given_{c}": found.rho for c, found in alone.items()}
    each |= {f"p_given_{c}": found.p for c, found in alone.items()}
    usable = [c for c, found in alone.items() if math.isfinite(found.rho) and here[c].nunique() > 1]
    if not usable:
        return _row(Correlation(math.nan, math.nan, len(here), exact=False), (), (math.nan, math.nan)) | each
    together = len(usable) > 1 and _known(here, usable).shape[0] - 2 - len(usable) >= _FREE
    chosen = usable if together else [min(usable, key=lambda c: abs(alone[c].rho))]
    found = _given(here, chosen, seed) if together else alone[chosen[0]]
    values = _known(here, chosen).to_numpy()
    reach = bootstrap_interval(values[:, 0], values[:, 1], values[:, 2:], n_bootstrap=n_bootstrap, rng=seed)
    return _row(found, chosen, reach) | each


def _row(found: Correlation, chosen: Sequence[str], reach: tuple[float, float]) -> dict[str, Any]:
    return {
        "rho_adjusted": found.rho,
        "p_adjusted": found.p,
        "low_adjusted": reach[0],
        "high_adjusted": reach[1],
        "adjusted_for": "+".join(chosen),
    }


def _given(here: pd.DataFrame, covariates: Sequence[str], seed: int) -> Correlation:
    values = _known(here, covariates).to_numpy()
    if len(values) < FEWEST:
        return Correlation(math.nan, math.nan, len(values), exact=False)
    return partial_spearman(values[:, 0], values[:, 1], values[:, 2:], rng=seed)


def _known(here: pd.DataFrame, covariates: Sequence[str]) -> pd.DataFrame:
    return here[[*here.columns[:2], *covariates]].dropna()


def cautions_of(tests: pd.DataFrame, table: pd.DataFrame, covariates: Sequence[str]) -> Iterator[str]:
    """Say what a reader of the tests must know."""
    n, m = int(tests["n_samples"].min()), len(tests)
    yield (
        f"Associations across {n} samples: nothing here says which side acts on the other, or that either does. What "
        "samples have in common (site, treatment, purity, handling) moves both."
    )
    if n < _FEW:
        yield f"{n} samples: no two-sided p is below {smallest_p(n):.2g}, and bootstrap intervals are too narrow."
    if not q_is_supported(tests):
        yield (
            f"No q: {n} samples allow no two-sided p below {smallest_p(n):.2g}, so that of {m} tests none could have a "
            f"q below {_LEVEL:g}; that takes {fewest_samples(m, _LEVEL)} samples. Ask for fewer hypotheses."
        )
    yield from _of_adjusting(tests, table, covariates)
    fragile = tests.index[np.sign(tests["loo_low"]) * np.sign(tests["loo_high"]) < 0]
    if len(fragile):
        yield f"The sign turns when a single sample is left out: {_some(fragile)}."


def _of_adjusting(tests: pd.DataFrame, table: pd.DataFrame, covariates: Sequence[str]) -> Iterator[str]:
    if not covariates:
        yield "Nothing is adjusted for: ambient RNA, hypoxia and depth can make an association alone."
        return
    idle = [c for c in covariates if table[c].dropna().nunique() < 2]
    if idle:
        yield f"The same in all samples, so not adjusted for: {', '.join(idle)}."
    gaps = [c for c in covariates if table[c].isna().any() and c not in idle]
    if gaps:
        yield f"Samples without a value are left out of what is adjusted: {', '.join(gaps)}."
    if len(covariates) > 1 and not tests["adjusted_for"].str.contains("+", regex=False).all():
        yield (
            "Too few samples to adjust for all covariates at once: each is adjusted for alone, and rho_adjusted is the "
            "weakest of them, adjusted_for says for which."
        )
    gone = (tests["rho"].abs() >= 0.3) & ~(tests["rho_adjusted"] * np.sign(tests["rho"]) >= tests["rho"].abs() / 2)
    gone &= tests["rho_adjusted"].notna()
    if gone.any():
        yield f"Less than half of the association is left when adjusted: {_some(tests.index[gone])}."


def _some(names: pd.Index, most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
