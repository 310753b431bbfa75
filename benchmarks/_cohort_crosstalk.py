"""Is crosstalk calibrated where there is none, and found where it was planted?

Null: cohorts of which the values of samples are drawn directly. Shares of a state are beta-binomial (300 macrophages a
sample, mean 0.2, intra-class correlation 0.05), the malignant program is normal, covariates are normal. `independent`:
nothing depends on anything. `confounded`: ambient RNA, hypoxia and depth each move both sides, a quarter of the
variance together on each, and nothing else does: the raw test finds that, the adjusted one should not.

Planted: whole cohorts of `datasets.simulate(crosstalk=…)`, annotated and tested as a user would.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats

import tamannot as tam
from tamannot.analysis._crosstalk import run_tests
from tamannot.analysis._crosstalk_values import PRE_SPECIFIED
from tamannot.stats._correlation import bootstrap_interval, spearman

N_MACROPHAGES, MEAN_SHARE, RHO = 300, 0.2, 0.05
COVARIATES = ("ambient", "hypoxia", "depth")
# Of the variance of each side, on the scale on which it is normal.
_CONFOUNDED = 0.25


def null_cohort(n_samples: int, rng: np.random.Generator, *, confounded: float = 0.0) -> pd.DataFrame:
    """Return the values of samples in which macrophages and malignant cells have nothing to do with each other."""
    covariates = rng.standard_normal((n_samples, len(COVARIATES)))
    common = covariates.mean(axis=1) * np.sqrt(len(COVARIATES))
    own = rng.standard_normal((2, len(PRE_SPECIFIED), n_samples))
    left, right = np.sqrt(confounded) * common + np.sqrt(1 - confounded) * own
    weight = 1 / RHO - 1
    shares = scipy.stats.beta.ppf(scipy.special.ndtr(left), MEAN_SHARE * weight, (1 - MEAN_SHARE) * weight)
    called = rng.binomial(N_MACROPHAGES, shares) / N_MACROPHAGES
    table = pd.DataFrame(dict(zip(COVARIATES, covariates.T, strict=True)))
    for i, h in enumerate(PRE_SPECIFIED):
        table[h.column], table[f"malignant_{h.malignant}"] = called[i], right[i]
    return table


def null_rates(n_cohorts: int, n_samples: int, *, confounded: float, rng: int = 0) -> dict[str, float]:
    """Return how often p is at most 0.05 and 0.01 in tests of cohorts without crosstalk."""
    made = np.random.default_rng(rng)
    cohorts = [null_cohort(n_samples, made, confounded=confounded) for _ in range(n_cohorts)]
    tests = pd.concat([run_tests(c, PRE_SPECIFIED, COVARIATES, n_bootstrap=0, seed=i) for i, c in enumerate(cohorts)])
    return {
        "tests": len(tests),
        **{f"{p} ≤ {level}": float((tests[p] <= level).mean()) for p in ("p", "p_adjusted") for level in (0.05, 0.01)},
    }


def coverage(n_cohorts: int, n_samples: int, correlation: float, rng: int = 0) -> tuple[float, float]:
    """Return how often the bootstrap interval holds the true ρ, raw and adjusted for three covariates of no effect."""
    made, held = np.random.default_rng(rng), np.zeros(2)
    truth = 6 / np.pi * np.arcsin(correlation / 2)  # Spearman's ρ of the bivariate normal
    for i in range(n_cohorts):
        x, y = made.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n_samples).T
        z = made.standard_normal((n_samples, len(COVARIATES)))
        for side, given in enumerate((None, z)):
            low, high = bootstrap_interval(x, y, given, rng=i)
            held[side] += low <= truth <= high
    return tuple(held / n_cohorts)


def power(n_cohorts: int, n_samples: int, correlation: float, rng: int = 0) -> tuple[float, float]:
    """Return how often p is at most 0.05, raw and adjusted for three covariates of no effect."""
    made, found = np.random.default_rng(rng), np.zeros(2)
    for i in range(n_cohorts):
        x, y = made.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n_samples).T
        z = made.standard_normal((n_samples, len(COVARIATES)))
        found += [spearman(x, y, rng=i).p <= 0.05, spearman(x, y, z, rng=i).p <= 0.05]
    return tuple(found / n_cohorts)


def planted(crosstalk: float, seed: int, *, n_cells: int = 200, n_samples: int = 12) -> pd.Series:
    """Return the test of lipid-associated macrophages with defence in one simulated and annotated cohort."""
    half = {"macrophage": 0.5, "malignant": 0.5}
    adata = tam.datasets.simulate(
        n_cells, n_samples=n_samples, n_genes=3000, composition=half, crosstalk=crosstalk, rng=seed
    )
    tam.tl.annotate(adata, tissue="brain", sample_key="sample")
    tam.tl.crosstalk(adata, "sample", malignant=("truth_compartment", "malignant"))
    return tam.get.crosstalk(adata).iloc[0]


def without(n_cohorts: int) -> Iterator[str]:
    """Yield rates of small p without crosstalk."""
    yield "\n### No crosstalk: share of p at most …\n"
    yield "| samples | cohorts | tests | raw 0.05 | raw 0.01 | adjusted 0.05 | adjusted 0.01 |"
    yield "|---|---|---|---|---|---|---|"
    for n_samples in (8, 12):
        for name, confounded in (("independent", 0.0), ("confounded", _CONFOUNDED)):
            found = null_rates(n_cohorts, n_samples, confounded=confounded)
            rates = " | ".join(f"{100 * v:.1f} %" for k, v in found.items() if k != "tests")
            yield f"| {n_samples} | {name} | {found['tests']:,} | {rates} |"


def of_known(n_cohorts: int) -> Iterator[str]:
    """Yield coverage and power where the correlation is known."""
    yield "\n### Normal sides of a known correlation: intervals of 95 % that hold ρ, and share of p at most 0.05\n"
    yield "| samples | correlation | raw holds | adjusted holds | raw found | adjusted found |"
    yield "|---|---|---|---|---|---|"
    for n_samples in (8, 12):
        for correlation in (0.0, 0.7, 0.9):
            figures = (*coverage(n_cohorts, n_samples, correlation), *power(n_cohorts, n_samples, correlation))
            yield f"| {n_samples} | {correlation} | " + " | ".join(f"{v:.2f}" for v in figures) + " |"


def whole_cohorts(n_planted: int) -> Iterator[str]:
    """Yield what is found of planted crosstalk."""
    yield "\n### 12 samples of 200 cells: share of lipid-associated macrophages with malignant defence\n"
    yield "| planted | cohorts | ρ, median (range) | right sign | p ≤ 0.05 | adjusted ρ, median | adjusted p ≤ 0.05 |"
    yield "|---|---|---|---|---|---|---|"
    for crosstalk in (0.9, -0.9, 0.0):
        found = pd.DataFrame([planted(crosstalk, seed) for seed in range(n_planted)])
        rho, sign = found["rho"], np.sign(crosstalk)
        right = f"{(rho * sign > 0).sum()} of {n_planted}" if crosstalk else ""
        yield (
            f"| {crosstalk} | {n_planted} | {rho.median():.2f} ({rho.min():.2f} to {rho.max():.2f}) | {right} | "
            f"{(found['p'] <= 0.05).sum()} | {found['rho_adjusted'].median():.2f} | "
            f"{(found['p_adjusted'] <= 0.05).sum()} |"
        )


def tables(*, quick: bool = False) -> Iterator[str]:
    """Yield the tables."""
    n_cohorts, n_planted = (5, 1) if quick else (400, 5)
    yield "\n## Crosstalk"
    yield from without(n_cohorts)
    yield from of_known(n_cohorts)
    yield from whole_cohorts(n_planted)
