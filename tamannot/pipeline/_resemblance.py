"""Whether a macrophage of other data is like the macrophages learned from.

The genes in which macrophages stand furthest above other cells, scored against the matched null as any
signature: ranks and null take off what differs between studies. (Cosines with the mean of the macrophages do
not: between studies they are as low for macrophages as for T cells.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tamannot import models
from tamannot.kernels._rows import CsrRows, RowBlock, RowSource
from tamannot.pipeline._panels import METHOD
from tamannot.scorers import NullBins, NullScores, Plan, Run, Scorer, make_plan, score_rows
from tamannot.signature import Gene, Signature

Array = NDArray[Any]

_GENES, _FEWEST_GENES = 100, 20
# A one-sided p of 0.05: so much must be there, or a tenth of what macrophages of that depth have.
_Z, _TENTH, _HALF = 1.645, 0.1, 0.5
# Of the macrophages learned from no more than this share is unlike them.
_STRANGE = 0.0025
_CELLS, _CELLS_A_KNOT, _MOST_KNOTS = 1000, 400, 12
_THINNED = (0.5, 0.25, 0.125)


@dataclass(frozen=True, eq=False)
class Resemblance:
    """What macrophages have more of than other cells, and how much of it they have at least."""

    genes: Array
    """Columns."""
    depth: Array
    """log2 of 1 + the genes that a matched random signature would have in a cell, rising, shape ``(n_knots,)``."""
    least: Array
    """z that a cell of that depth must have."""
    usual: Array
    """Median z of the macrophages learned from."""

    def judge(self, scores: NullScores, strange: Array) -> Array:
        """Say of each cell whether it is like those learned from: 1 yes, -1 no, 0 where the null can say nothing.

        Parameters
        ----------
        scores
            Of the genes.
        strange
            Cells that the panels do not find to be macrophages: they need half of what is usual.
        """
        depth, z = _depth_and_z(scores)
        least, usual = (np.interp(depth, self.depth, knots) for knots in (self.least, self.usual))
        needed = np.where(strange, np.maximum(least, _HALF * usual), least)
        return np.where(np.isnan(scores.p[:, 0]), 0, np.where(z >= needed, 1, -1))


class Likener:
    """A resemblance made ready for blocks of rows."""

    def __init__(self, resemblance: Resemblance, reference: NullBins) -> None:
        self._resemblance = resemblance
        self._scorer = Scorer(_plan(resemblance.genes, reference.bin_of.size), [Run(METHOD, reference)])

    def judge(self, block: RowBlock, among: Array, strange: Array) -> Array:
        """Say of each cell of a mask whether it is like those learned from; see `Resemblance.judge`."""
        out = np.zeros(among.size, np.int64)
        if among.any():
            (scores,) = self._scorer.score(block.only(among))
            if isinstance(scores, NullScores):
                out[among] = self._resemblance.judge(scores, strange[among])
        return out


def distinctive_genes(macrophages: Array, others: Sequence[Array], usable: Array) -> Array:
    """Return the columns of the genes in which macrophages stand furthest above all of some other cells.

    Parameters
    ----------
    macrophages, others
        Mean rank depth of each gene.
    usable
        Mask of the genes that may be taken.
    """
    lead = np.where(usable, macrophages - np.max(others, axis=0), -1.0)
    best = np.argsort(-lead, kind="stable")[:_GENES]
    return np.sort(best[lead[best] > 0])


def learn_resemblance(
    rows: RowSource, kind: str, genes: Array, cells: Array, ticket: Array, reference: NullBins, seed: int
) -> Resemblance | None:
    """Learn how much of its genes macrophages have at least, by their depth; None if there is too little to go by.

    Parameters
    ----------
    rows, kind
        The matrix and what it holds; of counts thinned copies stand for shallower cells.
    genes
        What `distinctive_genes` returned.
    cells, ticket
        Row numbers of the macrophages, and tickets of all cells.
    reference
        Expression bins of the null.
    seed
        For the thinned copies.
    """
    if genes.size < _FEWEST_GENES:
        return None
    values = models.draw_pool(rows, kind, models.at_most(cells, _CELLS, ticket), ticket).values
    plan, rng = _plan(genes, rows.shape[1]), np.random.default_rng(seed)
    copies = [values, *(_thinned(values, share, rng) for share in _THINNED if kind == "counts")]
    scores = [score_rows(CsrRows(copy), plan, METHOD, null=reference, threads=1) for copy in copies]
    said = np.concatenate([~np.isnan(s.p[:, 0]) for s in scores])
    depth, z = (np.concatenate(part)[said] for part in zip(*map(_depth_and_z, scores), strict=True))
    if not depth.size:
        return None
    order = np.argsort(depth, kind="stable")
    bins = np.array_split(order, min(_MOST_KNOTS, max(1, order.size // _CELLS_A_KNOT)))
    knots = np.array([np.median(depth[b]) for b in bins])
    usual = np.array([np.median(z[b]) for b in bins])
    least = np.minimum([np.quantile(z[b], _STRANGE) for b in bins], np.maximum(_Z, _TENTH * usual))
    keep = np.r_[True, np.diff(knots) > 0]
    return Resemblance(genes, knots[keep], least[keep], usual[keep])


def _plan(genes: Array, n_vars: int) -> Plan:
    place = {f"G{i}": int(column) for i, column in enumerate(genes)}
    signature = Signature(id="macrophages_learned_from", genes=tuple(Gene(symbol=name) for name in place))
    return make_plan({signature.id: signature}, lambda symbol, _: place[symbol], n_vars)


def _depth_and_z(scores: NullScores) -> tuple[Array, Array]:
    return np.log2(scores.expected[:, 0].astype(float) + 1), scores.z[:, 0].astype(float)


def _thinned(values: sp.csr_array, share: float, rng: np.random.Generator) -> sp.csr_array:
    counts = rng.binomial(np.rint(values.data).astype(np.int64), share).astype(np.float64)
    return sp.csr_array((counts, values.indices, values.indptr), shape=values.shape)
