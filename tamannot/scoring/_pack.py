"""Signature arms packed for the kernels: for every gene, the arms that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tamannot.scoring._njit import Array

# Weights of ranks are whole multiples of 2^-16. Depths are whole steps, too, so that sums of their
# products are exact in 64 bits: no order of genes can show in a bit.
WEIGHT_STEP = 2.0**-16


class Arms(NamedTuple):
    """Gene-major lists of arms; arm ``a`` is one direction of one signature."""

    used: Array
    """Whether a gene is in any arm, uint8, shape ``(n_genes,)``."""
    gene_ptr: Array
    """The arms of gene ``g`` are entries ``gene_ptr[g]`` to ``gene_ptr[g + 1]`` of ``arm_of``."""
    arm_of: Array
    weight_of: Array
    """Weights of the entries, shape ``(n_methods, n_entries)``."""
    arm_weight: Array
    """Sums of the weights of an arm's genes that are in the data, shape ``(n_methods, n_arms)``."""


def exact_weights(weights: Sequence[float] | Array) -> Array:
    """Return weights rounded to what sums exactly."""
    return np.asarray(np.rint(np.asarray(weights, float) / WEIGHT_STEP) * WEIGHT_STEP)


def in_steps(weights: Array) -> Array:
    """Return exact weights as whole numbers of steps."""
    return np.asarray(np.rint(weights / WEIGHT_STEP), np.int64)


def pack_arms(columns: Sequence[Array], weights: Sequence[Sequence[Array]], n_genes: int) -> Arms:
    """Pack arms given as columns of the data and, for each method, their weights.

    Weights stay whole numbers if all are.
    """
    gene = np.concatenate([np.empty(0, np.int64), *columns])
    arm = np.repeat(np.arange(len(columns)), [len(c) for c in columns])
    order = np.lexsort((arm, gene))
    kind = np.result_type(np.int64, *(w.dtype for of_method in weights for w in of_method))
    rows = [np.concatenate([np.empty(0, kind), *of_method])[order] for of_method in weights]
    sums = [[w.sum() for w in of_method] for of_method in weights]
    n_arms = np.bincount(gene, minlength=n_genes)
    return Arms(
        used=(n_arms > 0).astype(np.uint8),
        gene_ptr=np.concatenate([[0], np.cumsum(n_arms)]).astype(np.int64),
        arm_of=arm[order].astype(np.int32),
        weight_of=np.array(rows, kind).reshape(len(weights), gene.size),
        arm_weight=np.array(sums, kind).reshape(len(weights), len(columns)),
    )
