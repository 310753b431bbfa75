"""Shares between conditions: false positives, power, and what treating cells as replicates does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anndata as ad
import numpy as np
import scipy.stats
from numpy.typing import NDArray

import tamannot as tam
from tamannot.datasets import STATES
from tamannot.stats._shares import centred_log_ratios, compare_means, compare_shares

Array = NDArray[Any]

RHO, CELLS = 0.05, 300
LAM = "lipid_associated"
SIZES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "300 each": lambda _, shape: np.full(shape, CELLS),
    "30 to 3,000": lambda rng, shape: np.exp(rng.uniform(np.log(30), np.log(3000), shape)).astype(int),
}
# Shares of both kinds: the table of `get.composition`, and the column of the share.
_TABLES = {"called": "shares", "expected": "expected"}
_COLUMN = {"called": "share", "expected": "expected_share"}


def draw(rng: np.random.Generator, cohorts: int, group: int, sizes: str, shift: float) -> tuple[Array, Array, Array]:
    """Return counts (cohorts × samples × states and none), macrophages, and the condition of each sample."""
    condition = np.repeat([0, 1], group)
    shares = np.array([*STATES.values(), 1 - sum(STATES.values())])
    shifted = shares * np.where(np.arange(shares.size) == 0, shift, (1 - shift * shares[0]) / (1 - shares[0]))
    mean = np.where(condition[:, None] == 1, shifted, shares)
    gamma = rng.standard_gamma(np.broadcast_to(mean * (1 / RHO - 1), (cohorts, *mean.shape)))
    n = SIZES[sizes](rng, (cohorts, condition.size))
    return rng.multinomial(n, gamma / gamma.sum(axis=2, keepdims=True)), n, condition


def tests(k: Array, n: Array, condition: Array, depth: Array) -> dict[str, Array]:
    """Return p of the states, cohorts × states, by each way of testing."""
    n_states = len(STATES)
    plain = np.column_stack([np.ones(condition.size), condition]).astype(float)
    both = np.concatenate([np.broadcast_to(plain, (len(k), *plain.shape)), depth[:, :, None]], axis=2)
    found = {}
    for name, design in (("tl.composition", both), ("tl.composition, depth=False", plain)):
        found[name] = np.stack([compare_shares(k[:, :, i], n, design, 1).p[:, 0] for i in range(n_states)], axis=1)
    ratios = np.stack([centred_log_ratios(x)[:, :n_states] for x in k])
    found["centred log-ratio, depth=False"] = np.stack([compare_means(x, plain, 1)[:, 0] for x in ratios])
    found["quasi-binomial that weighs by cells"] = np.stack([by_cells(k[..., i], n, plain) for i in range(n_states)], 1)
    pooled = [[k[:, condition == c, :n_states].sum(axis=1) for c in (0, 1)]]
    total = [n[:, condition == c].sum(axis=1)[:, None] for c in (0, 1)]
    (a, b), (na, nb) = pooled[0], total
    expected = (a + b) / (na + nb)
    z = (b / nb - a / na) / np.sqrt(expected * (1 - expected) * (1 / na + 1 / nb))
    found["cells as replicates (chi-square)"] = 2 * scipy.stats.norm.sf(np.abs(z))
    return found


def by_cells(k: Array, n: Array, design: Array) -> Array:
    """Return p of the quasi-binomial regression of one contrast, as its closed form."""
    p = np.empty(len(k))
    for row, (a, b) in enumerate(zip(k, n, strict=True)):
        groups = [design[:, 1] == c for c in (0, 1)]
        share = np.array([max(a[g].sum(), 0.5) / b[g].sum() for g in groups])
        fitted = share[design[:, 1].astype(int)]
        df = a.size - 2
        scale = ((a - b * fitted) ** 2 / (b * fitted * (1 - fitted))).sum() / df
        variance = sum(scale / (b[g].sum() * s * (1 - s)) for g, s in zip(groups, share, strict=True))
        t = np.diff(np.log(share / (1 - share)))[0] / np.sqrt(variance)
        p[row] = 2 * scipy.stats.t.sf(abs(t), df)
    return p


def rates(title: str, cohorts: int, shift: float, column: Callable[[Array], Array]) -> Iterator[str]:
    """Print how often p is below 0.05."""
    yield f"\n### {title}\n"
    settings = [(group, sizes) for sizes in SIZES for group in (3, 6)]
    found: dict[str, list[float]] = {}
    for group, sizes in settings:
        rng = np.random.default_rng([group, list(SIZES).index(sizes)])
        k, n, condition = draw(rng, cohorts, group, sizes, shift)
        for name, p in tests(k, n, condition, rng.normal(size=n.shape)).items():
            found.setdefault(name, []).append(float((column(p) < 0.05).mean()))
    heads = [f"{group} against {group}, {sizes}" for group, sizes in settings]
    yield "| | " + " | ".join(heads) + " |"
    yield "|---|" + "---|" * len(heads)
    for name, values in found.items():
        yield f"| {name} | " + " | ".join(f"{v:.3f}" for v in values) + " |"


def end_to_end(n_cohorts: int) -> Iterator[str]:
    """Simulate, annotate and compare cohorts with a shift, beside what the true labels would have said."""
    yield "\n### Simulated counts, annotated: 6 against 6, 400 cells each, lipid-associated twice as frequent\n"
    yield "| cohort | true shares | odds ratio, p by true labels | by expected counts | by called | least p of others |"
    yield "|---|---|---|---|---|---|"
    for seed in range(n_cohorts):
        mix = {"macrophage": 0.75, "t_nk": 0.25}
        adata = tam.datasets.simulate(400, n_samples=12, shift={LAM: 2.0}, composition=mix, n_genes=3000, rng=seed)
        tam.tl.annotate(adata, tissue="brain", sample_key="sample")
        rows = [by_truth(adata)]
        for counts in ("expected", "called"):
            tam.tl.composition(adata, "sample", condition="condition", counts=counts)
            table = tam.get.composition(adata).set_index("label")
            rows.append(f"{table.loc[LAM, 'odds_ratio']:.2f}, {table.loc[LAM, 'p']:.3f}")
        others = table.drop(index=[LAM, "unassigned"])["p"].min()
        truth = adata.uns["truth"]["samples"].groupby("condition")[LAM].mean()
        shares = f"{truth['control']:.2f} and {truth['treated']:.2f}"
        yield f"| {seed} | {shares} | {' | '.join(rows)} | {others:.3f} |"


def by_truth(adata: ad.AnnData) -> str:
    """Return the odds ratio and its p by the true labels of macrophages, depth as a covariate."""
    tam.tl.composition(adata, "sample", condition="condition")
    samples = tam.get.composition(adata, table="samples")
    cells = adata.obs[adata.obs["truth_compartment"] == "macrophage"]
    by_sample = cells.groupby("sample", observed=True)["truth_state"]
    k, n = (by_sample.agg(f)[samples["sample"]].to_numpy(float) for f in (lambda x: (x == LAM).sum(), "size"))
    depth = samples["log_depth"] - samples["log_depth"].mean()
    design = np.column_stack([np.ones(len(samples)), samples["condition"] == "treated", depth / depth.std()])
    found = compare_shares(k, n, design.astype(float), 1)
    return f"{np.exp(found.log_odds[0, 0]):.2f}, {found.p[0, 0]:.3f}"


def of_depth() -> Iterator[str]:
    """Thin the counts of samples that are otherwise alike."""
    yield "\n### One tumour, its macrophages split over 16 samples and thinned to 500 to 4,000 counts\n"
    adata = tam.datasets.simulate(4000, n_samples=1, conditions=("one",), composition={"macrophage": 1}, rng=2)
    rng = np.random.default_rng(3)
    sample = rng.integers(0, 16, adata.n_obs)
    kept = np.exp(np.linspace(np.log(0.125), 0, 16))[sample]
    counts = adata.X.tocsr()
    counts.data = rng.binomial(counts.data.astype(int), np.repeat(kept, np.diff(counts.indptr))).astype(np.float32)
    counts.eliminate_zeros()
    thinned = ad.AnnData(counts, obs=adata.obs.assign(sample=[f"s{i:02d}" for i in sample]), var=adata.var)
    tam.tl.annotate(thinned, tissue="brain")
    tam.tl.composition(thinned, "sample")
    tables = {what: tam.get.composition(thinned, table=name) for what, name in _TABLES.items()}
    depth = np.linspace(np.log(0.125), 0, 16)
    yield "| | share, 4 shallowest samples | share, 4 deepest | Spearman with depth |\n|---|---|---|---|"
    for label in dict.fromkeys(tables["called"]["label"]):
        for what, table in tables.items():
            values = table[table["label"] == label].sort_values("sample")[_COLUMN[what]].to_numpy()
            if values.any():
                rank = scipy.stats.spearmanr(values, depth).statistic
                yield f"| {label}, {what} | {values[:4].mean():.3f} | {values[-4:].mean():.3f} | {rank:+.2f} |"


def tables(*, quick: bool = False) -> Iterator[str]:
    """Yield the tables."""
    cohorts = 20 if quick else 2000
    yield f"\n## Composition\n\n{cohorts:,} cohorts a column, over-dispersion {RHO}, shares as in `datasets.simulate`."
    yield from rates("p below 0.05 without an effect, over four states", cohorts, 1.0, lambda p: p)
    yield from rates("p below 0.05 where a state of share 0.2 is twice as frequent", cohorts, 2.0, lambda p: p[:, 0])
    yield from end_to_end(1 if quick else 5)
    yield from of_depth()
