"""Gene-set enrichment of a ranking, computed by gseapy; nothing is asked of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.signature import GeneIndex, Signature
from tamannot.stats._over_samples import mean_over_samples
from tamannot.tl._rankings import Ranking

Array = NDArray[Any]

Method = Literal["multilevel", "permutation"]
COLUMNS = ("signature", "es", "nes", "p", "q", "difference", "p_samples", "n_genes", "leading_edge", "rank")

# Below this a p against random sets says nothing more, and takes several times as long to find.
SMALLEST_P = 1e-10


@dataclass(frozen=True)
class GeneSet:
    """The up genes of a signature that are in the data."""

    id: str
    axis: str
    version: str
    digest: str
    n_genes: int
    symbol_of: Mapping[int, str]
    """Symbol of each column."""
    n_down: int
    """Down genes: no part of the set."""

    def ranked_in(self, ranking: Ranking) -> int:
        """Return how many of the genes are in a ranking."""
        return int(np.isin(ranking.columns, list(self.symbol_of)).sum())


@dataclass(frozen=True)
class Settings:
    """Of gseapy's ``prerank``."""

    method: Method
    min_size: int
    max_size: int
    n_permutations: int
    seed: int


def gene_sets(signatures: Mapping[str, Signature], index: GeneIndex) -> list[GeneSet]:
    """Match the up genes of signatures to the columns of the data; of a composite, the genes of all its modules."""
    sets = []
    for signature in signatures.values():
        genes = signature.all_genes
        up = [g for g in genes if g.direction == "up"]
        places = {index.locate(g.symbol, g.ensembl): g.symbol for g in reversed(up)}
        places.pop(-1, None)
        sets.append(
            GeneSet(
                id=signature.id,
                axis=signature.axis,
                version=signature.version,
                digest=signature.digest,
                n_genes=len(up),
                symbol_of=places,
                n_down=len(genes) - len(up),
            )
        )
    return sets


def prerank(ranking: Ranking, sets: Sequence[GeneSet], settings: Settings, *, threads: int) -> pd.DataFrame:
    """Return the enrichment of sets in a ranking, by NES from the greatest.

    Parameters
    ----------
    ranking
        The genes.
    sets
        Those with fewer or more ranked genes than the settings allow are left out.
    settings
        What gseapy is told.
    threads
        No result depends on it.

    Returns
    -------
    Columns `COLUMNS`; no rows where no set is of a size allowed.
    """
    fitting = [s for s in sets if settings.min_size <= s.ranked_in(ranking) <= settings.max_size]
    if not fitting:
        return pd.DataFrame({name: [] for name in COLUMNS})
    found = _gseapy(ranking, {s.id: [_name(c) for c in s.symbol_of] for s in fitting}, settings, threads)
    table = pd.DataFrame(
        {
            "signature": [s.id for s in fitting],
            **{ours: found[theirs].to_numpy(float) for ours, theirs in _FIGURES.items()},
            **_over_samples(ranking, fitting),
            "n_genes": [s.ranked_in(ranking) for s in fitting],
            "leading_edge": [_symbols(s, str(found.loc[s.id, "Lead_genes"])) for s in fitting],
        }
    )
    table = table.sort_values(["nes", "signature"], ascending=[False, True], ignore_index=True)
    table["rank"] = np.arange(1, len(table) + 1)
    return table[list(COLUMNS)]


_FIGURES = {"es": "ES", "nes": "NES", "p": "NOM p-val", "q": "FDR q-val"}


def _over_samples(ranking: Ranking, sets: Sequence[GeneSet]) -> dict[str, Array]:
    """Return how far the genes of each set stand above all genes in the mean of the samples, and its p."""
    if not ranking.n_samples:
        return {"difference": np.full(len(sets), np.nan), "p_samples": np.full(len(sets), np.nan)}
    above = ranking.differences - ranking.differences.mean(axis=1, keepdims=True)
    means = [above[:, np.isin(ranking.columns, list(s.symbol_of))].mean(axis=1) for s in sets]
    found = mean_over_samples(np.stack(means, axis=1))
    return {"difference": found.mean, "p_samples": found.p}


def _gseapy(ranking: Ranking, sets: Mapping[str, list[str]], settings: Settings, threads: int) -> pd.DataFrame:
    """Return gseapy's table, in the order of the sets."""
    import gseapy  # noqa: PLC0415 - slow to import, rarely used

    # Names of our own: gseapy changes the case of some, and takes numbers for positions.
    names = pd.Index([_name(c) for c in ranking.columns.tolist()], dtype=object)
    found = gseapy.prerank(
        rnk=pd.Series(_without_ties(ranking.values), index=names, name="value"),
        gene_sets=dict(sets),
        outdir=None,
        no_plot=True,
        min_size=settings.min_size,
        max_size=settings.max_size,
        permutation_num=settings.n_permutations,
        method=settings.method,
        eps=SMALLEST_P,
        seed=settings.seed,
        threads=threads,
        verbose=False,
    )
    return pd.DataFrame(found.res2d).set_index("Term").loc[list(sets)]


def _without_ties(values: Array) -> Array:
    """Return falling values that fall strictly, by next to nothing: gseapy orders ties by chance.

    The least step at the greatest value, not at the tie: beside zero that would be a number so small that gseapy
    never ends.
    """
    out = values.astype(np.float64)
    step = np.spacing(max(1.0, np.abs(out).max(initial=0.0)))
    for i in np.flatnonzero(np.diff(out) >= 0) + 1:
        j = int(i)
        while j < out.size and out[j] >= out[j - 1]:
            out[j] = out[j - 1] - step
            j += 1
    return out


def _name(column: int) -> str:
    return f"g{column}"


def _symbols(of: GeneSet, leading: str) -> str:
    return ";".join(of.symbol_of[int(name[1:])] for name in leading.split(";") if name)
