"""A model laid over the columns of other data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot.errors import GeneIdError
from tamannot.genes import GeneIndex
from tamannot.pipeline._anchored import Anchored
from tamannot.pipeline._anchored_file import digest_of
from tamannot.pipeline._inputs import Tissue
from tamannot.pipeline._knowledge import Knowledge, Lender
from tamannot.pipeline._resemblance import Resemblance
from tamannot.scorers import NullBins

Array = NDArray[Any]

_FEWEST_KNOWN = 0.5


def fitted(model: Anchored, index: GeneIndex, tissue: Tissue) -> Knowledge:
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
    known = column >= 0  # of the model's genes
    _check_known(model, int(known.sum()), len(index.ids))
    share = {axis: _weight_share(q, known) for axis, q in model.questions.items()}
    asked = {a: _laid(q, column) for a, q in model.questions.items() if share[a] >= models.MIN_COVERAGE}
    brain = model.brain if tissue == "auto" else tissue == "brain"
    if not brain:  # heads that tell microglia apart have no place there
        asked.pop("origin", None)
    missed = {a for a, s in share.items() if s < models.MIN_COVERAGE and (brain or a != "origin")}
    lender = Lender(
        digest=digest_of(model),
        cells=f"{model.n_macrophages:,} macrophages of {model.n_cells:,} {model.species} cells",
        trained_with=str(model.training.get("tamannot", "unknown")),
        target_accuracy=model.target_accuracy,
        n_genes=len(model.symbols),
        n_known=int(known.sum()),
        coverage=share,
        digests={i: digest for i, (_, digest) in model.signatures.items()},
        low_coverage=frozenset(missed),
    )
    return Knowledge(
        everyone=_bins(model.everyone, column, len(index.ids)),
        macrophages=_bins(model.macrophages, column, len(index.ids)),
        brain=brain,
        tissue_reason=f"as the model's cells: {model.tissue_reason}" if tissue == "auto" else "as given",
        of_microglia=model.of_microglia if brain else None,
        questions=asked,
        max_rank=model.max_rank,
        unseen=model.unseen,
        rng=model.rng,
        n_cells=model.n_cells,
        n_macrophages=model.n_macrophages,
        resemblance=model.resemblance and _resemblance(model.resemblance, column),
        lender=lender,
    )


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
