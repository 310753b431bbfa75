"""Ranks of one cell's genes, from its non-zero values alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.kernels._njit import njit

Array = NDArray[Any]


@njit
def rank_depths(
    bits: Array, k: float, n_genes: int, table: Array, group: Array, value: Array, count: Array, depth: Array
) -> tuple[float, int]:
    """Write ``max(k - rank, 0)`` of every entry of a cell to ``depth``; return that of a zero, too.

    Rank 1 is the highest value; ties share the mean of their positions; the zeros, stored or not, are
    one tie below all others. A cell has few distinct values (log-normalised counts are a function of
    small integers), so values are grouped in a hash table and only the distinct ones are sorted.

    Parameters
    ----------
    bits
        The cell's stored values as order bits, shape ``(n,)``.
    k
        Rank cap.
    n_genes
        Genes of the matrix, zeros included.
    table, group, value, count
        Work space: ``table`` of a power of two ≥ 2 n + 1, all -1 on entry and on return; the others ≥ n.
    depth
        Output, shape ``(n,)``.

    Returns
    -------
    The depth of a gene that is zero in this cell, and the number of genes that are not.
    """
    mask = table.size - 1
    sign = np.uint64(1) << np.uint64(8 * bits.itemsize - 1)
    n_groups = 0
    n_positive = 0
    for j in range(bits.size):
        b = np.uint64(bits[j])
        if b == 0 or b >= sign:  # a stored zero, positive or negative
            group[j] = -1
            continue
        n_positive += 1
        slot = np.int64((b * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & mask
        while True:
            g = table[slot]
            if g < 0:
                table[slot] = n_groups
                value[n_groups] = b
                count[n_groups] = 1
                group[j] = n_groups
                n_groups += 1
                break
            if value[g] == b:
                count[g] += 1
                group[j] = g
                break
            slot = (slot + 1) & mask
    table[:] = -1
    order = np.argsort(value[:n_groups])
    above = 0
    group_depth = np.empty(n_groups)
    for i in range(n_groups - 1, -1, -1):
        g = order[i]
        group_depth[g] = max(k - (above + 0.5 * (count[g] + 1)), 0.0)
        above += count[g]
    zero_depth = max(k - 0.5 * (n_positive + 1 + n_genes), 0.0)
    for j in range(bits.size):
        depth[j] = group_depth[group[j]] if group[j] >= 0 else zero_depth
    return zero_depth, n_positive
