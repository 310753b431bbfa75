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

from tamannot.scoring._njit import Array
from tamannot.scoring._null import by_column
from tamannot.signature import GeneIndex

NAME = "macrophages of 18 human tissues, Cell Profile Library"
Species = Literal["human", "mouse"]


@dataclass(frozen=True, eq=False)
class Baselines:
    """z of the states in macrophages without them, in the order of the states."""

    typical: Array
    highest: Array  # between tumours without the state and tumours where all have it, if cells differ in the program


# Of microglia and of others. Typical: means over gliomas, brain, head and neck cancer, aorta and pancreas.
BASELINES = (
    Baselines(np.array([0.9, 0.0, 0.8, 0.1, 0.1]), np.array([3.4, 3.8, 5.0, 2.6, 4.0])),
    Baselines(np.array([0.0, 0.5, 1.0, -0.2, 0.9]), np.array([3.4, 4.5, 5.0, 3.4, 5.0])),
)


@lru_cache(maxsize=2)
def load_profiles(species: Species) -> tuple[tuple[str, ...], Array, Array]:
    """Return genes (``""``: no orthologue), compartments, and log1p of ten thousand per cell of mean profiles."""
    with (files("tamannot.classify") / "profiles.npz").open("rb") as file, np.load(file, allow_pickle=False) as kept:
        names = kept["symbol" if species == "human" else "mouse"]
        return tuple(names.tolist()), kept["compartment"], kept["steps"] * 0.04


@lru_cache(maxsize=2)
def _genes(species: Species) -> list[tuple[str, str, float]]:
    """Return symbol, Ensembl id if it is of a mouse gene, and depth in macrophages of each gene of the species."""
    text = gzip.decompress(files("tamannot.classify").joinpath("macrophages.tsv.gz").read_bytes()).decode()
    rows = (line.split("\t") for line in text.splitlines()[1:])
    named = ((human, "", depth) if species == "human" else (mouse, e, depth) for human, mouse, e, depth in rows)
    return [(symbol, ensembl, float(depth)) for symbol, ensembl, depth in named if symbol]


def finder(index: GeneIndex, species: Species) -> Callable[[str], int]:
    """Return what gives the column of a gene by its symbol, -1 where there is none; of mouse by its Ensembl id, too."""
    if species == "human":  # the index knows the ids of human genes
        return index.find
    ensembl = {symbol: e for symbol, e, _ in _genes("mouse") if e}
    return lambda symbol: index.find(symbol, ensembl.get(symbol))


def macrophage_depth(find: Callable[[str], int], n_vars: int, *, species: Species) -> tuple[Array, float]:
    """Return how deep genes rank in macrophages, of 1,500 ranks (0: not known), and the depth of the last of these."""
    depths = [(symbol, depth) for symbol, _, depth in _genes(species)]
    return by_column(depths, find, n_vars), sorted(depth for _, depth in depths)[-1500:][0]
