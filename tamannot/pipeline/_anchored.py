"""What was learned, by gene instead of by column: it carries over to other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot.errors import GeneIdError
from tamannot.genes import GeneIndex
from tamannot.genes._names import names_of
from tamannot.pipeline._inputs import Tissue
from tamannot.pipeline._knowledge import Knowledge
from tamannot.pipeline._resemblance import Resemblance
from tamannot.scorers import NullBins

Array = NDArray[Any]

_FEWEST_KNOWN = 0.5


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


@dataclass(frozen=True, eq=False)
class Fit:
    """A model laid over the columns of some data."""

    knowledge: Knowledge
    n_known: int
    """Columns whose gene the model knows."""
    coverage: Mapping[str, float]
    """Share of the genes of each axis that are in the data, by the size of their weights."""


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


def fitted(model: Anchored, index: GeneIndex, tissue: Tissue) -> Fit:
    """Lay a model over the columns of some data, from which nothing is learned.

    A gene that the model never saw goes to the lowest expression bin. A gene that the data lack counts as in
    the background of the model's cells, so that less speaks for any program; an axis of which less than half,
    by the weights, is there has no head: compartments are then called by the panels alone, origin and state
    not at all.

    Parameters
    ----------
    model
        What was learned.
    index
        Which column is which gene.
    tissue
        ``auto`` keeps the model's.

    Raises
    ------
    GeneIdError
        The model knows less than half of the genes of the data.
    """
    column = _columns(model, index)
    known = column >= 0
    _check_known(model, int(known.sum()), len(index.ids))
    share = {axis: _weight_share(q, known) for axis, q in model.questions.items()}
    asked = {a: _laid(q, column) for a, q in model.questions.items() if share[a] >= models.MIN_COVERAGE}
    brain = model.brain if tissue == "auto" else tissue == "brain"
    if not brain:  # heads that tell microglia apart have no place there
        asked.pop("origin", None)
    missed = {a for a, s in share.items() if s < models.MIN_COVERAGE and (brain or a != "origin")}
    knowledge = Knowledge(
        everyone=_bins(model.everyone, column, len(index.ids)),
        macrophages=_bins(model.macrophages, column, len(index.ids)),
        brain=brain,
        tissue_reason=f"as the model's cells: {model.tissue_reason}" if tissue == "auto" else "as given",
        of_microglia=model.of_microglia if brain else None,
        questions=asked,
        rng=model.rng,
        n_cells=model.n_cells,
        n_macrophages=model.n_macrophages,
        low_coverage=frozenset(missed),
        resemblance=model.resemblance and _resemblance(model.resemblance, column),
    )
    return Fit(knowledge, int(known.sum()), share)


def _columns(model: Anchored, index: GeneIndex) -> Array:
    """Return the column of each gene, -1 for one that the data lack; no column is taken twice."""
    out, taken = np.full(len(model.symbols), -1, np.int64), set[int]()
    for i, (symbol, ensembl) in enumerate(zip(model.symbols, model.ensembl, strict=True)):
        column = index.find(symbol, ensembl or None)
        if column >= 0 and column not in taken:
            out[i] = column
            taken.add(column)
    return out


def _check_known(model: Anchored, n_known: int, n_vars: int) -> None:
    if n_known >= _FEWEST_KNOWN * n_vars:
        return
    msg = (
        f"The model knows {n_known / n_vars:.0%} of the {n_vars:,} genes of the data, and at least "
        f"{_FEWEST_KNOWN:.0%} are needed; {n_known / len(model.symbols):.0%} of its own {len(model.symbols):,} are "
        "there. Take a model learned from data with these genes, or leave out genes that the model does not know."
    )
    raise GeneIdError(msg)


def _weight_share(question: models.Question, known: Array) -> float:
    size = sum(np.abs(h.weights).sum(axis=0) for h in question.heads.values())
    return float(np.sum(size[known[question.columns]]) / np.sum(size)) if np.any(size) else 0.0


def _laid(question: models.Question, column: Array) -> models.Question:
    mine = column[question.columns]
    here = mine >= 0
    lacking = question.background[~here]
    heads = {
        name: replace(h, weights=h.weights[:, here], intercepts=h.intercepts + h.weights[:, ~here] @ lacking)
        for name, h in question.heads.items()
    }
    return replace(question, columns=mine[here], heads=heads, background=question.background[here])


def _resemblance(like: Resemblance, column: Array) -> Resemblance | None:
    genes = column[like.genes]
    return replace(like, genes=genes[genes >= 0]) if np.any(genes >= 0) else None


def _bins(bin_of: Array, column: Array, n_vars: int) -> NullBins:
    out = np.full(n_vars, bin_of.max(), np.int32)
    out[column[column >= 0]] = bin_of[column >= 0]
    return NullBins(out)


def _metrics(question: models.Question) -> dict[str, Any]:
    return {
        "heads": list(question.heads),
        "n_genes": int(question.columns.size),
        "accuracy_in_mixtures": question.accuracy if np.isfinite(question.accuracy) else None,
    }
