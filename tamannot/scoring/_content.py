"""Cells by their content: no name and no order of cells or genes has a part in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tamannot._settings import over_rows
from tamannot.scoring._rows import RowBlock, RowSource, joined

Array = NDArray[Any]


def content_hash(rows: RowSource, gene_ids: Sequence[str], *, threads: int = 1) -> Array:
    """Return a 64-bit hash of what each cell holds.

    Equal cells have equal hashes, whatever the order of genes and cells, the blocks and the type of the numbers;
    zeros do not count, so that dense and sparse rows agree. ``gene_ids`` names each column. uint64, shape ``(n_obs,)``.
    """
    keys = gene_keys(gene_ids)
    out = np.empty(rows.shape[0], np.uint64)

    def work(start: int, stop: int) -> None:
        out[start:stop] = block_hash(rows.block(start, stop), keys)

    over_rows(work, rows.shape[0], threads=threads, step=rows.step)
    return out


def gene_keys(gene_ids: Sequence[str]) -> Array:
    """Return a hash of each name, uint64."""
    return np.frombuffer(b"".join(hashlib.blake2b(g.encode(), digest_size=8).digest() for g in gene_ids), "<u8")


def block_hash(block: RowBlock, keys: Array) -> Array:
    """Return the hash of each row of a block; ``keys`` are those of all columns. See `content_hash`."""
    entries = keys[block.indices]
    entries ^= block.values.astype(np.float64).view(np.uint64)
    entries = _mixed(entries)
    entries[block.values == 0] = 0
    # Sums modulo 2**64 do not depend on the order of their terms.
    sums = np.zeros(entries.size + 1, np.uint64)
    np.cumsum(entries, out=sums[1:])
    return _mixed(sums[block.indptr[1:]] - sums[block.indptr[:-1]])


def random_order(hashes: Array, rng: int) -> Array:
    """Return a random number for each cell, uint64, from its content and the seed alone."""
    return _mixed(hashes ^ np.frombuffer(hashlib.blake2b(str(rng).encode(), digest_size=8).digest(), "<u8"))


def take_rows(rows: RowSource, cells: Array) -> sp.csr_array:
    """Read some rows of a matrix, none twice, in the order of their numbers ``cells``; float64."""
    wanted = np.zeros(rows.shape[0], bool)
    wanted[cells] = True
    parts = []
    for start in range(0, rows.shape[0], rows.step):
        mine = wanted[start : start + rows.step]
        if mine.any():
            parts.append(rows.block(start, start + mine.size).only(mine))
    if not parts:
        return sp.csr_array((0, rows.shape[1]))
    block = joined(parts)
    # Indices become as wide as the pointers; values become wide last, as they are the largest part.
    ends = block.indptr.astype(np.int32) if block.indptr[-1] <= np.iinfo(np.int32).max else block.indptr
    found = sp.csr_array((block.values, block.indices, ends), shape=(cells.size, rows.shape[1]))
    found = found[np.argsort(np.argsort(cells))]
    return sp.csr_array((found.data.astype(np.float64, copy=False), found.indices, found.indptr), shape=found.shape)


def _mixed(x: Array) -> Array:
    """Return 64-bit numbers of which every bit depends on every bit of the given ones (splitmix64)."""
    x = x ^ (x >> np.uint64(30))
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x
