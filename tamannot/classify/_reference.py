"""The reference that ships with the package: profiles of compartments, and how deep genes rank in macrophages.

Made by ``tools/make_cell_reference.py`` from the Cell Profile Library (CC BY 4.0). It does not depend on the cells at
hand, so neither do the compartments and the z that are judged against it.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import numpy as np

from tamannot.classify._call import Array
from tamannot.genes import GeneIndex

NAME = "macrophages of 18 human tissues, Cell Profile Library"
Species = Literal["human", "mouse"]
# Mean z of the states in the macrophages of the profiles, and their spread between them; in the order of the states.
BASELINES = np.array([0.0, 0.7, 0.1, 0.0, 0.0])
SPREADS = np.array([2.3, 2.2, 1.1, 1.9, 1.3])
# How far a cohort may move the baseline: lipid and interferon programs are low in macrophages without the state, while
# dissociation raises inflammatory genes, and tumours scavenger genes, in all macrophages.
HIGHEST = np.array([3.1, 3.4, 5.0, 4.7, 5.3])


@dataclass(frozen=True, eq=False)
class Profiles:
    """Mean expression of cell types, each of one compartment."""

    symbols: tuple[str, ...]
    """Genes in the names of the species; ``""`` for a gene without an orthologue."""
    compartment: Array
    """Of each profile."""
    log: Array
    """log1p of ten thousand per cell, profiles × genes."""


@lru_cache(maxsize=2)
def load_profiles(species: Species) -> Profiles:
    """Read the profiles of cell types."""
    with np.load(files("tamannot.classify").joinpath("profiles.npz").open("rb"), allow_pickle=False) as kept:
        names = kept["symbol" if species == "human" else "mouse"]
        return Profiles(tuple(names.tolist()), kept["compartment"], kept["steps"] * 0.04)


@lru_cache(maxsize=1)
def _genes() -> list[tuple[str, str, str, float]]:
    """Return symbol, mouse symbol, Ensembl id of the mouse gene and depth in macrophages of each gene."""
    text = gzip.decompress(files("tamannot.classify").joinpath("macrophages.tsv.gz").read_bytes()).decode()
    rows = (line.split("\t") for line in text.splitlines()[1:])
    return [(human, mouse, ensembl, float(depth)) for human, mouse, ensembl, depth in rows]


def finder(index: GeneIndex, species: Species) -> Callable[[str], int]:
    """Return what gives the column of a gene by its symbol, -1 where there is none; of mouse by its Ensembl id, too."""
    if species == "human":  # the index knows the ids of human genes
        return index.find
    ensembl = {mouse: e for _, mouse, e, _ in _genes() if mouse and e}
    return lambda symbol: index.find(symbol, ensembl.get(symbol))


def macrophage_depth(find: Callable[[str], int], n_vars: int, *, species: Species) -> Array:
    """Return how deep the genes of a data set rank in macrophages, 0 where that is not known; in ranks of 1,500."""
    depth = np.zeros(n_vars)
    for human, mouse, _, value in _genes():
        symbol = human if species == "human" else mouse
        if symbol and (column := find(symbol)) >= 0:
            depth[column] = value
    return depth
