"""A cohort model by gene instead of by column: for other data, and as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tamannot._model_file import Arrays, Kept, Meta, ModelFields, Share, Text, check, check_arrays, checked
from tamannot._settings import Tissue
from tamannot.classify._activity import GRID, Activity
from tamannot.classify._cohort import Cohort, Lender, Novelty
from tamannot.classify._state import STATES, Regression, StateClassifier
from tamannot.errors import GeneIdError
from tamannot.scoring._features import Scale
from tamannot.signature import GeneIndex
from tamannot.signature._gene_index import names_of

_N = len(STATES)
_OF_ACTIVITY = ("baseline", "reference", "noise", "distance")
_OF_COHORT = ("brain", "tissue_reason", "middle", "n_cells", "n_macrophages")
_OF_CLASSIFIER, _OF_NOVELTY, _N_FEATURES = ("coef", "intercept", "zero", "one"), ("centers", "spread"), 9
_FEWEST_KNOWN = 0.5
Count = Annotated[int, Field(ge=0, le=2**53)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Fields(ModelFields):
    classifier: bool
    novelty: Annotated[float, Field(ge=0, le=1e9)] | None
    least_lead: Annotated[float, Field(ge=-1e9, le=1e9)] | None
    brain: bool
    tissue_reason: Text
    middle: Annotated[float, Field(ge=-100, le=100)]
    n_cells: Count
    n_macrophages: Count
    species: Literal["human", "mouse"]
    signatures: Annotated[dict[Text, Annotated[tuple[Text, Digest], Field(strict=False)]], Field(max_length=10_000)]
    target_accuracy: Share
    rng: Annotated[int, Field(ge=-(2**53), le=2**53)]


@dataclass(frozen=True, eq=False, kw_only=True)
class AnchoredModel(Kept):
    """A cohort model from `tl.train` without labels, for use as ``model`` in `tl.annotate`.

    It is read-only and cannot contain code.

    Parameters
    ----------
    symbols, ensembl
        Genes of its classifier of states; an Ensembl id is ``""`` where none is known.
    cohort
        The fitted cohort; its columns are positions in ``symbols``.
    species
        ``human`` or ``mouse``.
    scale
        Scale of the values that the classifier uses.
    signatures
        Version and content digest of each signature of the library, by id.
    target_accuracy, rng
        Arguments of `tl.train`.
    training, metrics
        Description of the training data; plain values only.
    """

    kind: ClassVar[str] = "cohort"
    symbols: tuple[str, ...] = field(repr=False)
    ensembl: tuple[str, ...] = field(repr=False)
    cohort: Cohort = field(repr=False)
    species: Literal["human", "mouse"]
    scale: Scale
    signatures: Mapping[str, tuple[str, str]] = field(repr=False)
    target_accuracy: float
    rng: int
    training: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, Any] = field(repr=False)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes with a classifier; other axes are called by z."""
        return ("state",) if self.cohort.states.regression is not None else ()

    @property
    def brain(self) -> bool:
        """Whether the cells are of the brain."""
        return self.cohort.brain

    @property
    def n_cells(self) -> int:
        """Number of training cells."""
        return self.cohort.n_cells

    @property
    def n_macrophages(self) -> int:
        """Number of macrophages among the training cells."""
        return self.cohort.n_macrophages

    def _content(self) -> tuple[Meta, Arrays]:
        states, novelty = self.cohort.states, self.cohort.novelty
        fit = states.regression
        meta = {f.name: getattr(self, f.name) for f in fields(AnchoredModel) if f.name != "cohort"}
        meta |= {name: getattr(self.cohort, name) for name in _OF_COHORT}
        meta |= {"classifier": fit is not None, "novelty": None, "least_lead": None}
        per_state = (*_OF_ACTIVITY, "share")
        arrays = {name: np.array([[getattr(a, name) for a in of] for of in states.activities]) for name in per_state}
        arrays |= {"usual": states.usual, "trained": states.trained.astype(float)}
        if fit is not None:
            arrays |= {name: getattr(fit, name) for name in _OF_CLASSIFIER}
        if novelty is not None:
            meta |= {"novelty": novelty.limit, "least_lead": novelty.least_lead}
            arrays |= {name: getattr(novelty, name) for name in _OF_NOVELTY}
        return meta, arrays


def anchored_of(meta: Meta, arrays: Arrays) -> AnchoredModel:
    """Return the model of a file; invalid content is a ModelFormatError."""
    known = checked(_Fields, meta)
    n, limit, lead = len(known.symbols), known.novelty, known.least_lead
    check((limit is None) == (lead is None), "'novelty' and 'least_lead' are both there, or neither")
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_OF_ACTIVITY, (2, _N))
    shapes |= {"share": (2, _N, GRID.size), "usual": (_N,), "trained": (_N,)}
    if known.classifier:
        shapes |= {"coef": (_N + 1, n), "intercept": (2, _N + 1), "zero": (_N,), "one": (_N,)}
    if limit is not None and lead is not None:
        n_groups = np.atleast_1d(arrays.get("centers", 0)).shape[0]
        shapes |= {"centers": (n_groups, _N_FEATURES), "spread": (_N_FEATURES,)}
    check_arrays(arrays, shapes)
    check(bool((arrays["noise"] > 0).all() and (arrays["share"] >= 0).all()), "noise and shares are positive")
    activities = [
        [Activity(**{f: float(arrays[f][o, s]) for f in _OF_ACTIVITY}, share=arrays["share"][o, s]) for s in range(_N)]
        for o in (0, 1)
    ]
    fit = Regression(np.arange(n), *(arrays[f] for f in _OF_CLASSIFIER)) if known.classifier else None
    cohort = Cohort(
        **{name: getattr(known, name) for name in _OF_COHORT},
        states=StateClassifier(activities, arrays["usual"], arrays["trained"] > 0, fit),
        novelty=None if limit is None or lead is None else Novelty(arrays["centers"], arrays["spread"], limit, lead),
    )
    return AnchoredModel(
        cohort=cohort, **{f.name: getattr(known, f.name) for f in fields(AnchoredModel) if f.name != "cohort"}
    )


def keep_cohort(cohort: Cohort, index: GeneIndex, **about: Any) -> AnchoredModel:
    """Return a cohort model by named genes; ``about`` are the other fields of the model."""
    symbols, ensembl = names_of(index)
    states, kept = cohort.states, np.zeros(0, np.int64)
    if (fit := states.regression) is not None:
        named = np.array([bool(symbols[c]) for c in fit.columns], bool)
        kept = fit.columns[named]
        states = replace(states, regression=replace(fit, columns=np.arange(kept.size), coef=fit.coef[:, named]))
    return AnchoredModel(
        symbols=tuple(symbols[c] for c in kept),
        ensembl=tuple(ensembl[c] for c in kept),
        cohort=replace(cohort, states=states),
        **about,
    )


def lend(model: AnchoredModel, index: GeneIndex, tissue: Tissue) -> Cohort:
    """Match a model to the columns of some data, without fitting; at least half of its genes must be there."""
    column = np.array([index.find(s, e or None) for s, e in zip(model.symbols, model.ensembl, strict=True)], np.int64)
    here, share = column >= 0, 1.0
    cohort, states = model.cohort, model.cohort.states
    if (fit := states.regression) is not None:
        size = np.abs(fit.coef).sum(axis=0)
        share = float(size[here].sum() / size.sum()) if size.any() else 0.0
        if here.mean() < _FEWEST_KNOWN:
            msg = (
                f"Only {here.mean():.0%} of the model's {len(here):,} genes are in the data; at least "
                f"{_FEWEST_KNOWN:.0%} are needed. Use a model trained on data with these genes, or annotate without "
                "a model."
            )
            raise GeneIdError(msg)
        states = replace(states, regression=replace(fit, columns=column[here], coef=fit.coef[:, here]))
    about = {
        "kind": model.kind,
        "digest": model.digest,
        "cells": f"{model.n_macrophages:,} macrophages of {model.n_cells:,} {model.species} cells",
        "trained_with": str(model.training.get("tamannot", "unknown")),
        "target_accuracy": model.target_accuracy,
        "n_genes": len(here),
        "n_genes_known": int(here.sum()),
        "coverage": {"state": share},
    }
    return replace(
        cohort,
        brain=cohort.brain if tissue == "auto" else tissue == "brain",
        tissue_reason=f"as the model's cells: {cohort.tissue_reason}" if tissue == "auto" else "as given",
        states=states,
        lender=Lender(about, {i: digest for i, (_, digest) in model.signatures.items()}, share),
    )
