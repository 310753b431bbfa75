"""Signature arms packed for the kernels: for every gene, the arms that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Weights become multiples of 2^-24. Rank depths are multiples of 1/2 below 2^13, so sums of their
# products are exact in a float64 for thousands of genes: no order of genes can show in a bit.
_WEIGHT_STEP = 2.0**-24


@dataclass(frozen=True)
class Arms:
    """Gene-major lists of arms; arm ``a`` is one direction of one signature."""

    gene_ptr: Array
    arm_of: Array
    weight_of: Array
    arm_weight: Array


def exact_weights(weights: Sequence[float] | Array) -> Array:
    """Return weights rounded to what sums exactly."""
    return np.asarray(np.rint(np.asarray(weights, float) / _WEIGHT_STEP) * _WEIGHT_STEP)


def pack_arms(columns: Sequence[Array], weights: Sequence[Array], n_genes: int) -> Arms:
    """Pack arms given as columns of the data and weights, one pair an arm."""
    gene = np.concatenate([np.asarray(c, np.int64) for c in columns]) if columns else np.empty(0, np.int64)
    arm = np.repeat(np.arange(len(columns)), [len(c) for c in columns])
    weight = np.concatenate(weights) if columns else np.empty(0)
    order = np.lexsort((arm, gene))
    return Arms(
        gene_ptr=np.concatenate([[0], np.cumsum(np.bincount(gene, minlength=n_genes))]).astype(np.int64),
        arm_of=arm[order].astype(np.int32),
        weight_of=weight[order].astype(np.float64),
        arm_weight=np.array([w.sum() for w in weights], float),
    )
