"""The fit to the macrophages of a cohort, which is enough to call any block of cells; as a model, of other data too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tamannot._model_file import Arrays, Kept, Meta, ModelFields, Share, Text, check, check_arrays, checked
from tamannot._settings import Tissue
from tamannot.classify._activity import GRID, Activity
from tamannot.classify._state import STATES, Regression, StateClassifier
from tamannot.errors import GeneIdError
from tamannot.scoring._features import Scale
from tamannot.scoring._njit import Array
from tamannot.signature import GeneIndex
from tamannot.signature._gene_index import names_of

# Of the cells fitted to, this share is farther away, and this share has a smaller lead; a distance that one normal cell
# in a hundred has is familiar.
_STRANGE, _LEAST_LIMIT = 0.005, 21.7
_FEWEST_OF_GROUP, _LEAST_SPREAD = 10, 0.7
# A rival lineage is a doublet's above this probability, and above what ambient RNA gives macrophages of the sample, if
# its panel has so great a z.
_DOUBLET, _SURE_DOUBLET, _AMBIENT_SPREAD, _PANEL_Z = 0.02, 0.3, 4.0, 1.64
_UNKNOWN_AMBIENT = 0.1  # of a sample that was not fitted to, as with a model


@dataclass(frozen=True)
class Lender:
    """The model of a cohort, and how it fits the present data."""

    about: Mapping[str, Any]  # what the record of a run says of it
    digests: Mapping[str, str]  # of the signatures it was learned with, by id
    coverage: float  # share of its genes in the data, by the size of their weights; with few no state is called


@dataclass(frozen=True, eq=False)
class Novelty:
    """The training macrophages: groups by origin and state, by z of states and origins and the lead of the gate."""

    centers: Array  # groups × features
    spread: Array  # of each feature within groups
    limit: float  # squared distance, in spreads, from the nearest group above which a cell is unfamiliar
    least_lead: float  # so far at least must the gate's margin of macrophages be ahead

    def distance(self, features: Array) -> Array:
        """Return the squared distance of each cell from the nearest group."""
        away = (features[:, None, :] - self.centers) / self.spread
        return np.asarray((away**2).sum(axis=2).min(axis=1))


@dataclass(frozen=True, eq=False)
class Cohort:
    """Tissue, origins and states of a cohort: with these, the call of a cell does not depend on other cells."""

    brain: bool
    tissue_reason: str
    middle: float  # difference of z at which microglia and monocyte-derived are separated
    states: StateClassifier
    doublet: Mapping[str, Array] = field(default_factory=dict)  # what `doublet_thresholds` returned
    n_cells: int = 0  # that it was fitted to
    n_macrophages: int = 0
    novelty: Novelty | None = None  # None: fitted to the present cells, which are all familiar
    lender: Lender | None = None  # None: fitted to the present cells

    @property
    def tissue(self) -> str:
        """The word for the tissue."""
        return "brain" if self.brain else "other"

    def is_doublet(self, rival: Array, panel_z: Array, sample: Array | None) -> Array:
        """Return which macrophages are doublets, by probability and `rival_z` of each rival lineage."""
        names = ["all"] * len(rival) if sample is None else sample
        unknown = np.full(rival.shape[1], _UNKNOWN_AMBIENT)
        level = np.array([self.doublet.get(name, unknown) for name in names]).reshape(rival.shape)
        return np.asarray(((rival > level) & (panel_z > _PANEL_Z)).any(axis=1))


def doublet_thresholds(rival: Array, sample: Array | None) -> dict[str, Array]:
    """Return by sample the probability of each rival lineage above which a doublet is likelier than ambient RNA."""
    names = np.asarray(["all"] * len(rival) if sample is None else sample, str)
    found = {}
    for name in np.unique(names):
        of_sample = np.log(np.maximum(rival[names == name], 1e-4))
        middle = np.median(of_sample, axis=0)
        spread = 1.4826 * np.median(np.abs(of_sample - middle), axis=0)
        found[str(name)] = np.clip(np.exp(middle + _AMBIENT_SPREAD * spread), _DOUBLET, _SURE_DOUBLET)
    return found


def fit_novelty(features: Array, group: Array) -> Novelty | None:
    """Return the largest distance of a familiar cell from the training groups; None if there are few cells."""
    names, size = np.unique(group, return_counts=True)
    names = names[size >= _FEWEST_OF_GROUP]
    if not names.size:
        return None
    centers = np.stack([features[group == g].mean(axis=0) for g in names])
    within = np.concatenate([features[group == g] - c for g, c in zip(names, centers, strict=True)])
    least = float(np.quantile(features[:, -1], _STRANGE))
    known = Novelty(centers, np.maximum(within.std(axis=0), _LEAST_SPREAD), 0.0, least)
    return replace(known, limit=max(float(np.quantile(known.distance(features), 1 - _STRANGE)), _LEAST_LIMIT))


_N = len(STATES)
_OF_ACTIVITY = ("baseline", "reference", "noise", "distance")
_OF_COHORT = ("brain", "tissue_reason", "middle", "n_cells", "n_macrophages")
_OF_CLASSIFIER, _OF_NOVELTY, _N_FEATURES = ("coef", "intercept", "zero", "one"), ("centers", "spread"), 9
_FEWEST_KNOWN = 0.5
Count = Annotated[int, Field(ge=0, le=2**53)]
Signed = tuple[Text, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]


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
    signatures: Annotated[dict[Text, Annotated[Signed, Field(strict=False)]], Field(max_length=10_000)]
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
    rest = {f.name: getattr(known, f.name) for f in fields(AnchoredModel) if f.name != "cohort"}
    return AnchoredModel(cohort=cohort, **rest)


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
            raise GeneIdError(
                f"Only {here.mean():.0%} of the model's {len(here):,} genes are in the data; at least "
                f"{_FEWEST_KNOWN:.0%} are needed. Use a model trained on data with these genes, or annotate without "
                "a model."
            )
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
