"""Does enrichment name simulated clusters by the program that was planted in them, and others by none?

Clusters of macrophages are those of each planted state, with a share of their cells exchanged at random as clustering
does; clusters of tissue are the compartments. Clusters drawn at random have no program: a name is a false one.
"""

from __future__ import annotations

import argparse
import warnings
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


def main() -> None:
    """Print how clusters with and without a program were named."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cohorts", type=int, default=25)
    asked.add_argument("--samples", type=int, default=6)
    args = asked.parse_args()
    warnings.simplefilter("ignore")
    tam.settings.progress = False
    for sample_key in ("sample", None):
        seen = measure(args.cohorts, args.samples, sample_key)
        print(f"{args.cohorts} cohorts of {args.samples} samples, ranked over {'samples' if sample_key else 'cells'}")
        for pair in PAIRS:
            n, of = seen[pair[0]], sum(seen[outcome] for outcome in pair)
            print(f"  {pair[0]}: {n} of {of} ({n / max(of, 1):.1%})")


PAIRS = (
    ("first of the states", "another state first"),
    ("first of all signatures", "another signature first"),
    ("named so", "named unassigned", "named otherwise"),
    ("compartment named", "compartment named unassigned", "compartment named otherwise"),
    ("random cluster with q ≤ 0.05", "random cluster with q > 0.05"),
    ("random cluster named", "random cluster not named"),
)


if __name__ == "__main__":
    main()
