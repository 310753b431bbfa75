"""Features of cells for classifiers: their scale, hashes of cells, and a sample of training cells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import scipy.sparse as sp
import scipy.stats
from sklearn.utils.sparsefuncs import mean_variance_axis

from tamannot._progress import Tick, no_tick
from tamannot._settings import in_order
from tamannot.scoring._expression import TARGET, to_log
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import RUN, DistributedRows, RowBlock, RowSource, as_floats, joined, seen_in, spread_rows

Scale = Literal["log1p_cp10k", "ranks"]
SCALES: tuple[Scale, ...] = ("log1p_cp10k", "ranks")

_BASES = (np.e, 2.0, 10.0)
_CELLS = 200
# Totals of cells that are so close are the same target; values are often stored with four digits.
_SAME = 2e-3
# Logarithms of cells whose total is so close to the target are left as they are.
_EXACT = 1e-4
# One target for fewer cells may be chance, unless it is a power of ten.
_FEW_CELLS = 5
# Ratios to the smallest value beyond this are not exact enough to be seen as whole numbers.
_LARGEST_RATIO = 12.0
_NEAR_WHOLE = 0.03
_MOSTLY = 0.95
# A gene is seen in this share of the cells at least; a variance of this size is that of rounding.
_MIN_DETECTED, _ROUNDING = 0.02, 1e-12


def find_scale(rows: RowSource, kind: str, gene_ids: Sequence[str], *, threads: int = 1) -> tuple[Scale, float | None]:
    """Return the scale that features of a matrix have, and the base if ``kind`` is ``log``, by some of the cells."""
    if kind != "log":
        return "log1p_cp10k", None
    if len(runs := spread_rows(rows.shape[0])) > 1:
        rows = taken(rows, runs, threads=threads, tick=no_tick)
    # Cells are chosen by content, so that no order can show; copies say nothing new.
    different = np.unique(content_hash(rows, gene_ids, threads=threads), return_index=True)[1]
    base = recognise_base(take_rows(rows, different[:_CELLS]))
    return ("ranks", None) if base is None else ("log1p_cp10k", base)


def recognise_base(sample: sp.csr_array) -> float | None:
    """Return the base of logarithms of ``1 + x``, or None if it cannot be told, from all genes of some cells.

    The base is the one by which cells sum to one target, or, where genes were left out, by which the values
    of each cell are whole multiples of its smallest.
    """
    logs, row = sample.data.astype(np.float64), np.repeat(np.arange(sample.shape[0]), np.diff(sample.indptr))
    whole = {}
    for base in _BASES:
        values = np.expm1(logs * np.log(base))
        undone = sp.csr_array((values, sample.indices, sample.indptr), shape=sample.shape)
        total = np.asarray(undone.sum(axis=1)).ravel()
        total = total[total > 0]
        middle = float(np.median(total)) if total.size else 0.0
        power = 10.0 ** np.round(np.log10(middle or 1.0))
        believable = total.size >= _FEW_CELLS or (power >= 1e3 and abs(middle / power - 1) <= _SAME)
        if total.size and believable and float(np.mean(np.abs(total / middle - 1) <= _SAME)) >= _MOSTLY:
            return base
        some = values > 0
        smallest = np.full(sample.shape[0], np.inf)
        np.minimum.at(smallest, row[some], values[some])
        ratio = values[some] / smallest[row[some]]
        ratio = ratio[(ratio > 1.01) & (ratio <= _LARGEST_RATIO)]
        whole[base] = float(np.mean(np.abs(ratio - np.rint(ratio)) < _NEAR_WHOLE)) if ratio.size else 0.0
    best = max(whole, key=lambda base: whole[base])
    return best if whole[best] >= _MOSTLY else None


def to_features(values: Array, indptr: Array, scale: Scale, base: float | None) -> Array:
    """Return the features of all genes, float64, in the places of the non-negative values of rows in CSR form.

    On the scale of ranks, the mean rank from below among the detected genes of each cell, in (0, 1); 0 for zeros.
    ``base`` is that of the logarithms, if the values are such; None for counts and linear values.
    """
    return _to_features(values, indptr, scale, base).astype(np.float64, copy=False)


def _to_features(values: Array, indptr: Array, scale: Scale, base: float | None) -> Array:
    """Return what `to_features` does, or the values themselves if all are features: to rank few bits is faster."""
    if scale == "ranks":
        ranks = np.zeros(values.size)
        for start, stop in pairwise(indptr.tolist()):
            detected = start + np.flatnonzero(values[start:stop] > 0)
            if detected.size:
                ranks[detected] = (scipy.stats.rankdata(values[detected]) - 0.5) / detected.size
        return ranks
    size = np.diff(indptr)
    rest = np.ones(size.size, bool)
    if base == np.e:
        # Rows of natural logarithms of one plus what sums to the target stay as they are.
        with np.errstate(over="ignore"):  # of values that are no such logarithms
            exponentials = np.exp(values.astype(np.float32, copy=False)).astype(np.float64)
        rest = size > 0
        total = np.add.reduceat(exponentials, indptr[:-1][rest]) - size[rest] if values.size else np.empty(0)
        rest[rest] = ~(np.abs(total / TARGET - 1) <= _EXACT)  # also those with NaN
        if not rest.any():
            return as_floats(values)
    out = values.astype(np.float64)
    entries = slice(None) if rest.all() else np.repeat(rest, size)
    linear = out[entries] if base is None else np.expm1(out[entries] * np.log(base))
    to_log(linear, np.append(0, np.cumsum(size[rest])), TARGET)
    out[entries] = linear
    return out


class ScaledRows:
    """The features of all genes of a non-negative matrix, by the scale and base that `find_scale` returned."""

    def __init__(self, rows: RowSource, scale: Scale, base: float | None) -> None:
        self._rows, self._scale, self._base = rows, scale, base
        self.shape, self.step, self.in_memory = rows.shape, rows.step, rows.in_memory

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        block = self._rows.block(start, stop)
        values = _to_features(block.values, block.indptr, self._scale, self._base)
        return RowBlock(values, block.indices, block.indptr)


def variable_genes(expression: sp.csr_array, n: int, among: Array | None = None) -> Array:
    """Return the columns, rising, of the ``n`` most variable genes of a mask that are seen in one cell of fifty."""
    variance = mean_variance_axis(expression, axis=0)[1]
    detected = np.bincount(expression.indices[expression.data > 0], minlength=expression.shape[1])
    varies = (detected >= _MIN_DETECTED * expression.shape[0]) & (variance > _ROUNDING)
    usable = np.flatnonzero(varies if among is None else varies & among)
    return np.sort(usable[np.argsort(-variance[usable], kind="stable")[:n]])


def taken(rows: RowSource, runs: list[range], *, threads: int, tick: Tick) -> RowSource:
    """Return the rows of some runs in memory; the matrix itself if it is in memory and all rows are chosen."""
    if rows.in_memory and runs == [range(rows.shape[0])]:
        return rows
    runs = [range(i, min(i + RUN, run.stop)) for run in runs for i in range(run.start, run.stop, RUN)]
    if isinstance(rows, DistributedRows):
        fetched = rows.blocks(runs)
        tick(sum(map(len, runs)))
        return SampledRows(fetched, rows.shape[1])

    def read(first: int, _: int) -> RowBlock:
        tick(len(runs[first]))
        return rows.block(runs[first].start, runs[first].stop)

    return SampledRows(in_order(read, len(runs), threads=threads, step=1), rows.shape[1])


class SampledRows:
    """Rows that were read once, kept in memory in as few bytes as hold them, and given out as they were.

    Forty thousand cells of 2,000 genes each are 640 MB as they are read, and 320 MB if they are counts. What is kept of
    ``parts``, the rows in their order, shares no memory with them.
    """

    step = 512
    in_memory = True

    def __init__(self, parts: Iterable[RowBlock], n_vars: int) -> None:
        index_type = np.uint16 if n_vars <= np.iinfo(np.uint16).max else np.int32
        self._parts: list[tuple[np.dtype, RowBlock]] = []
        for block in parts:
            seen, kind = seen_in(block.values), block.values.dtype
            fits = (k for k in (np.uint8, np.uint16) if seen.whole and seen.low >= 0 and seen.high <= np.iinfo(k).max)
            values = block.values.astype(next(fits, kind))
            self._parts.append((kind, RowBlock(values, block.indices.astype(index_type), block.indptr)))
        self._starts = np.cumsum([0, *(part.indptr.size - 1 for _, part in self._parts)])
        self.shape: tuple[int, int] = (int(self._starts[-1]), n_vars)

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = max(int(np.searchsorted(self._starts, stop)), first + 1)
        found = []
        for (kind, part), at in zip(self._parts[first:last], self._starts[first:last].tolist(), strict=True):
            ends = part.indptr[max(start - at, 0) : stop - at + 1]
            mine = slice(ends[0], ends[-1])
            found.append(RowBlock(part.values[mine].astype(kind), part.indices[mine].astype(np.int32), ends - ends[0]))
        return joined(found)


def content_hash(rows: RowSource, gene_ids: Sequence[str], *, threads: int = 1) -> Array:
    """Return a 64-bit hash of the content of each cell.

    Equal cells have equal hashes, whatever the order of genes and cells, the blocks and the type of the numbers;
    zeros do not count, so that dense and sparse rows agree. ``gene_ids`` names each column. uint64, shape ``(n_obs,)``.
    """
    keys = gene_keys(gene_ids)
    hashes = in_order(
        lambda start, stop: block_hash(rows.block(start, stop), keys), rows.shape[0], threads=threads, step=rows.step
    )
    return np.concatenate([np.empty(0, np.uint64), *hashes])


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
    found = block.matrix(rows.shape[1])[np.argsort(np.argsort(cells))]
    # Values become wide last, as they are the largest part.
    return sp.csr_array((found.data.astype(np.float64, copy=False), found.indices, found.indptr), shape=found.shape)


def _mixed(x: Array) -> Array:
    """Return 64-bit numbers of which every bit depends on every bit of the given ones (splitmix64)."""
    x = x ^ (x >> np.uint64(30))
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x
