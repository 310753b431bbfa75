"""Does enrichment name simulated clusters by the program that was planted in them, and others by none?

Clusters of macrophages are those of each planted state, with a share of their cells exchanged at random as clustering
does; clusters of tissue are the compartments. Clusters drawn at random have no program: a name is a false one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import anndata as ad
import numpy as np
import pandas as pd

import tamannot as tam

STATES = ("immunoregulatory", "inflammatory", "interferon_primed", "lipid_associated")
# Of the malignant cells of the simulator, whose genes these are.
TRUTH = {"malignant": "glial_like"}


def cohort(seed: int, n_samples: int) -> ad.AnnData:
    """Return a simulated cohort with the labels that were planted as its calls."""
    adata = tam.datasets.simulate(300, n_samples=n_samples, states=dict.fromkeys(STATES, 0.18), rng=seed)
    tam.tl.score(adata, tam.load_signatures(axis="origin"), min_coverage=0)
    adata.obs["tam_compartment"] = adata.obs["truth_compartment"].astype(str).replace(TRUTH)
    return adata


def blurred(labels: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
    """Return labels of which a share is dealt out anew."""
    out, moved = labels.to_numpy(copy=True), np.flatnonzero(rng.random(len(labels)) < share)
    out[moved] = rng.permutation(out[moved])
    return pd.Series(out, index=labels.index)


def states(adata: ad.AnnData, sample_key: str | None, rng: np.random.Generator) -> Iterator[str]:
    """Give out how each cluster of a planted state was named, and whether its program leads all signatures."""
    known = adata.obs["truth_state"].isin(STATES)
    adata.obs["cluster"] = blurred(adata.obs.loc[known, "truth_state"].astype(str), 0.2, rng).reindex(adata.obs_names)
    tam.tl.enrich(adata, "cluster", sample_key=sample_key, compartment="macrophage")
    table = tam.get.enrichment(adata)
    state = table[table["signature"].isin(tam.load_signatures(axis="state"))]
    first = state.loc[state.groupby("group")["nes"].idxmax()].set_index("group")["signature"]
    over_all = table[table["rank"] == 1].set_index("group")["signature"]
    named = tam.get.enrichment(adata, kind="clusters").set_index("group")["state"]
    for group in first.index:
        yield ("first of the states" if first[group] == group else "another state first")
        yield ("named so" if named[group] == group else f"named {_kind(named[group])}")
        yield ("first of all signatures" if over_all[group] == group else "another signature first")


def compartments(adata: ad.AnnData, sample_key: str | None) -> Iterator[str]:
    """Give out whether each compartment was named."""
    tam.tl.enrich(adata, "tam_compartment", sample_key=sample_key, signatures="compartment")
    table = tam.get.enrichment(adata, kind="clusters")
    for group, name in zip(table["group"], table["compartment"], strict=True):
        yield ("compartment named" if group == name else f"compartment named {_kind(name)}")


def nothing(adata: ad.AnnData, sample_key: str | None, rng: np.random.Generator) -> Iterator[str]:
    """Give out how clusters of macrophages that were drawn at random are named."""
    adata.obs["cluster"] = rng.choice(["a", "b", "c", "d"], adata.n_obs)
    tam.tl.enrich(adata, "cluster", sample_key=sample_key, compartment="macrophage", signatures="state")
    for name in tam.get.enrichment(adata, kind="clusters")["state"]:
        yield ("random cluster named" if name != "unassigned" else "random cluster not named")
    table = tam.get.enrichment(adata)
    best = table[table["rank"] == 1]
    for q in best["q"]:
        yield ("random cluster with q ≤ 0.05" if q <= 0.05 else "random cluster with q > 0.05")


def _kind(name: str) -> str:
    return name if name == "unassigned" else "otherwise"


def measure(n_cohorts: int, n_samples: int, sample_key: str | None) -> Counter[str]:
    """Return how often each outcome was seen."""
    seen: Counter[str] = Counter()
    for seed in range(n_cohorts):
        rng = np.random.default_rng([seed, 7])
        adata = cohort(seed, n_samples)
        for found in (states(adata, sample_key, rng), compartments(adata, sample_key), nothing(adata, sample_key, rng)):
            seen.update(found)
    return seen


def tables(*, quick: bool = False) -> Iterator[str]:
    """Yield how clusters with and without a program were named."""
    n_cohorts = 1 if quick else 25
    ways = {"6 samples": (6, "sample"), "4 samples": (4, "sample"), "cells of 6 samples": (6, None)}
    seen = [measure(n_cohorts, *way) for way in ways.values()]
    yield f"\n## Enrichment\n\n{n_cohorts} cohorts of clusters, ranked over\n"
    yield f"| | {' | '.join(ways)} |"
    yield "|---|" + "---|" * len(ways)
    for outcomes in OUTCOMES:
        shares = [f"{counts[outcomes[0]]} of {sum(counts[o] for o in outcomes)}" for counts in seen]
        yield f"| {outcomes[0]} | {' | '.join(shares)} |"


# The first of each is counted out of all of them.
OUTCOMES = (
    ("first of the states", "another state first"),
    ("first of all signatures", "another signature first"),
    ("named so", "named unassigned", "named otherwise"),
    ("compartment named", "compartment named unassigned", "compartment named otherwise"),
    ("random cluster with q ≤ 0.05", "random cluster with q > 0.05"),
    ("random cluster named", "random cluster not named"),
)
