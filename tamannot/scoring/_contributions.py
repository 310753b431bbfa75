"""What each gene of a signature adds to its z in a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._null import NO_SPREAD, Groups, merge_bins
from tamannot.scoring._pack import pack_arms
from tamannot.scoring._packed import depths_of
from tamannot.scoring._ranked import RankMethod
from tamannot.scoring._ranked_kernel import rank_block
from tamannot.scoring._results import NullBins
from tamannot.scoring._rows import RowBlock
from tamannot.scoring._sums import null_sums

Array = NDArray[Any]


@dataclass(frozen=True)
class SignedGenes:
    """The genes of a signature in the data."""

    columns: Array
    weights: Array
    """As the method uses them; negative for genes that lower the score."""


def null_contributions(
    block: RowBlock, n_vars: int, method: RankMethod, parts: Sequence[SignedGenes], null: NullBins
) -> list[Array]:
    """Split z into its genes: how far each ranks from what the matched null expects of it.

    A gene adds ``weight * (depth - mean depth of the genes it is matched with) / spread of the null``, so that the
    genes of a signature sum to its z in the cell; a gene that is not detected can take away.

    Parameters
    ----------
    block
        Some cells.
    n_vars
        Genes of the data.
    method
        How depths are counted.
    parts
        The signatures, each with genes of its own.
    null
        Expression bins of the genes.

    Returns
    -------
    Per signature, cells by its genes; all zero in a cell where the null has no spread.
    """
    genes = np.unique(np.concatenate([p.columns for p in parts])) if parts else np.empty(0, np.int64)
    depth, moments = _ranked(block, n_vars, method, genes, null)
    groups = merge_bins(null.sizes, [p.columns for p in parts], [p.weights for p in parts], null.bin_of)
    return [
        _of_one(part, depth[:, np.searchsorted(genes, part.columns)], moments, groups, s, null)
        for s, part in enumerate(parts)
    ]


def _of_one(part: SignedGenes, depth: Array, moments: Array, groups: Groups, s: int, null: NullBins) -> Array:
    expected, variance = np.zeros_like(depth), np.zeros(depth.shape[0])
    bins = null.bin_of[part.columns]
    for g in range(groups.start[s], groups.start[s + 1]):
        span = groups.span[g]
        first, last, size = groups.span_first[span], groups.span_last[span], groups.span_size[span]
        mean, square = (moments[:, first : last + 1, i].sum(axis=1) / size for i in range(2))
        expected[:, (bins >= first) & (bins <= last)] = mean[:, None]
        variance += groups.w2[g] * (square - mean**2)
    spread = np.sqrt(np.maximum(variance, 0.0))[:, None]
    some = spread > NO_SPREAD
    return np.asarray(np.where(some, part.weights * (depth - expected) / np.where(some, spread, 1.0), 0.0))


def _ranked(block: RowBlock, n_vars: int, method: RankMethod, genes: Array, null: NullBins) -> tuple[Array, Array]:
    """Return the depth of some genes, and sums of depth and depth² of each bin, in every cell."""
    how, n_cells = depths_of([method], n_vars), block.indptr.size - 1
    ranked = rank_block(block, n_vars, how)
    # Each gene is an arm of its own: the sum of an arm is then the gene's depth.
    arms = pack_arms([np.array([g]) for g in genes], [[np.ones(1, np.int64)] * genes.size], n_vars)
    sums, detected = np.empty((1, n_cells, genes.size), np.int64), np.empty((n_cells, genes.size), np.int16)
    moments = np.empty((1, n_cells, null.sizes.size, 4), np.int64)
    null_sums(
        *(ranked.group, ranked.ptr, ranked.depth, ranked.high, ranked.indices, ranked.indptr),
        *(arms.used, arms.gene_ptr, arms.arm_of, arms.weight_of.astype(np.int64), arms.arm_weight.astype(np.int64)),
        *(null.bin_of.astype(np.int32)[None], null.sizes.astype(np.int64)[None], sums, detected, moments),
    )
    step = float(how.step[0])
    return sums[0] / step, moments[0, :, :, :2] / np.array([step, step**2])
