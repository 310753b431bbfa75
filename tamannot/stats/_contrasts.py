"""How far each gene stands above in one group of cells: over samples, or over cells where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PRIOR_COUNT = 2.0
_MILLION = 1e6


def log_cpm(sums: Array) -> Array:
    """Return log2 counts per million of pseudobulks, shape ``(n_pseudobulks, n_genes)``, as edgeR's ``cpm(log=TRUE)``.

    What is added to a count grows with its library, so that a gene without counts has the same value in a small and
    in a large one. Source: Robinson et al. 2010, doi:10.1093/bioinformatics/btp616.
    """
    library = sums.sum(axis=1, keepdims=True)
    prior = PRIOR_COUNT * library / library.mean()
    return np.asarray(np.log2((sums + prior) / (library + 2 * prior) * _MILLION))


def welch_t(n: int, sums: Array, squares: Array, n_rest: int, rest: Array, rest_squares: Array) -> Array:
    """Return t of the mean in a group against that in the rest, from sums and sums of squares, each ``(n_genes,)``.

    The variance of the mean of the rest is taken as if it had only as many cells as the group, as scanpy's
    ``t-test_overestim_var``: a ranking of genes, no test.
    """
    mean, variance = _moments(n, sums, squares)
    mean_rest, variance_rest = _moments(n_rest, rest, rest_squares)
    error = np.sqrt((variance + variance_rest) / n)
    return np.divide(mean - mean_rest, error, out=np.zeros_like(error), where=error > 0)


def _moments(n: int, sums: Array, squares: Array) -> tuple[Array, Array]:
    mean = sums / n
    return mean, np.maximum(squares / n - mean**2, 0.0) * (n / max(n - 1, 1))
