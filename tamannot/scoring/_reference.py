"""The reference cells of the compartments' null, as shipped: mean rank depth of each gene."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._engine import null_bins
from tamannot.scoring._results import NullBins

Array = NDArray[Any]

NAME = "559 human cells, the example of the celltypist package"


@lru_cache(maxsize=2)
def _depths(species: str) -> Mapping[str, float]:
    text = gzip.decompress((files("tamannot.scoring") / f"{species}_reference.tsv.gz").read_bytes()).decode()
    return {symbol: float(depth) for symbol, depth in (line.split("\t") for line in text.splitlines()[1:])}


def reference_bins(find: Callable[[str], int], n_vars: int, *, species: Literal["human", "mouse"]) -> NullBins:
    """Return expression bins for the genes of a data set from cells that are not in it.

    Whether a cell is a macrophage must not depend on how many other macrophages there are: among
    macrophages alone, their genes would be nothing special.

    Parameters
    ----------
    find
        Gives the column of a gene by its symbol, -1 where there is none.
    n_vars
        Genes of the data; those that the reference never saw share the lowest bin.
    species
        The reference cells are human; for mouse their genes are carried over to the orthologues.
    """
    return null_bins(reference_depth(find, n_vars, species=species))


def reference_depth(find: Callable[[str], int], n_vars: int, *, species: Literal["human", "mouse"]) -> Array:
    """Return the mean rank depth of the genes of a data set in the reference cells, 0 where they never saw it.

    See `reference_bins`; in ranks of 1,500 at most.
    """
    depth = np.zeros(n_vars)
    for symbol, value in _depths(species).items():
        if (column := find(symbol)) >= 0:
            depth[column] = value
    return depth
