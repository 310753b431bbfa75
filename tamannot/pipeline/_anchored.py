"""What was learned, by gene instead of by column: it carries over to other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot.genes import GeneIndex
from tamannot.genes._names import names_of
from tamannot.pipeline._knowledge import Knowledge, n_folds_of
from tamannot.pipeline._resemblance import Resemblance

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Anchored:
    """Nulls, tissue and heads of some cells, for the annotation of others; nothing in it can run code.

    Parameters
    ----------
    symbols, ensembl
        All genes of the data learned from that have a name of their own; an Ensembl id is ``""`` where none is
        known.
    everyone, macrophages
        Expression bin of each of them, over all cells and over the macrophages, shape ``(n_genes,)``.
    questions
        What was learned, by axis; their columns are places in ``symbols``.
    resemblance
        What the macrophages have more of than other cells; its genes are places in ``symbols``.
    brain, tissue_reason
        Whether the cells are of the brain, and why.
    of_microglia
        In a brain sample of macrophages only, whether most are microglia.
    max_rank
        So many ranks count in the null of everything but compartments.
    unseen
        States that the cells could not show.
    species
        ``human`` or ``mouse``.
    scale
        Of the values that the heads are on.
    signatures
        Version and content digest of each signature of the library, by id.
    target_accuracy, rng
        As given.
    n_cells, n_macrophages
        Learned from.
    training, metrics
        What it was learned from, and how well it did on simulated mixtures; plain values only.
    """

    symbols: tuple[str, ...] = field(repr=False)
    ensembl: tuple[str, ...] = field(repr=False)
    everyone: Array = field(repr=False)
    macrophages: Array = field(repr=False)
    questions: Mapping[str, models.Question] = field(repr=False)
    resemblance: Resemblance | None = field(repr=False)
    brain: bool
    tissue_reason: str
    of_microglia: bool | None
    max_rank: int
    unseen: tuple[str, ...] = field(repr=False)
    species: Literal["human", "mouse"]
    scale: models.Scale
    signatures: Mapping[str, tuple[str, str]] = field(repr=False)
    target_accuracy: float
    rng: int
    n_cells: int
    n_macrophages: int
    training: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, Any] = field(repr=False)

    @property
    def axes(self) -> tuple[str, ...]:
        """What has heads: ``compartment``, ``origin``, ``state``; the others are called by the fixed rule."""
        return tuple(self.questions)

    @property
    def n_folds(self) -> int:
        """Folds that the heads were fitted on; 0 if there are none."""
        return n_folds_of(self.questions)


def usable_columns(index: GeneIndex) -> Array:
    """Return the mask of columns whose gene has a name by which it can be found in other data."""
    return np.array([bool(symbol) for symbol in names_of(index)[0]])


def keyed(
    knowledge: Knowledge,
    index: GeneIndex,
    *,
    scale: models.Scale,
    species: Literal["human", "mouse"],
    signatures: Mapping[str, tuple[str, str]],
    target_accuracy: float,
    training: Mapping[str, Any],
) -> Anchored:
    """Return what was learned by gene. It must have been learned with ``Settings.portable``."""
    symbols, ensembl = names_of(index)
    named = np.flatnonzero(np.array([bool(s) for s in symbols]))
    place = np.full(len(symbols), -1, np.int64)
    place[named] = np.arange(named.size)
    k = knowledge
    resemblance = k.resemblance and replace(k.resemblance, genes=place[k.resemblance.genes])
    return Anchored(
        symbols=tuple(symbols[c] for c in named),
        ensembl=tuple(ensembl[c] for c in named),
        everyone=k.everyone.bin_of[named],
        macrophages=k.macrophages.bin_of[named],
        questions={axis: replace(q, columns=place[q.columns]) for axis, q in k.questions.items()},
        resemblance=resemblance,
        brain=k.brain,
        tissue_reason=k.tissue_reason,
        of_microglia=k.of_microglia,
        max_rank=k.max_rank,
        unseen=k.unseen,
        species=species,
        scale=scale,
        signatures=dict(signatures),
        target_accuracy=target_accuracy,
        rng=k.rng,
        n_cells=k.n_cells,
        n_macrophages=k.n_macrophages,
        training=training,
        metrics={axis: _metrics(q) for axis, q in k.questions.items()},
    )


def _metrics(question: models.Question) -> dict[str, Any]:
    return {
        "heads": list(question.heads),
        "n_genes": int(question.columns.size),
        "accuracy_in_mixtures": question.accuracy if np.isfinite(question.accuracy) else None,
    }
