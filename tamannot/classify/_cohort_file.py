"""A fitted cohort by gene instead of by column: for other data, and as a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tamannot.classify._activity import GRID, Activity
from tamannot.classify._call import Array
from tamannot.classify._cohort import Cohort, Lender, Novelty
from tamannot.classify._container import (
    Arrays,
    Meta,
    check,
    check_members,
    check_shapes,
    genes_of,
    number,
    text_of,
    write_file,
)
from tamannot.classify._inputs import Tissue
from tamannot.classify._labels import MIN_COVERAGE
from tamannot.classify._scale import SCALES, Scale
from tamannot.classify._state import STATES, Regression, StateClassifier
from tamannot.errors import GeneIdError
from tamannot.genes import GeneIndex
from tamannot.genes._names import names_of

COHORT = "cohort"
_N = len(STATES)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OF_ACTIVITY = ("baseline", "reference", "noise", "distance")
_OF_CLASSIFIER = ("coef", "intercept", "zero", "one")
_OF_NOVELTY, _N_FEATURES = ("centers", "spread"), 9
_MOST_CELLS, _FEWEST_KNOWN = 2**53, 0.5


@dataclass(frozen=True, eq=False, kw_only=True)
class CohortModel:
    """A cohort to annotate others by; nothing in it can run code.

    Parameters
    ----------
    symbols, ensembl
        Genes of its classifier of states; an Ensembl id is ``""`` where none is known.
    cohort
        What was fitted; its columns are places in ``symbols``.
    species
        ``human`` or ``mouse``.
    scale
        Of the values that the classifier is on.
    signatures
        Version and content digest of each signature of the library, by id.
    target_accuracy, rng
        As given.
    training, metrics
        What it was fitted to; plain values only.
    """

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
        """What it has a classifier for; other axes are called by z."""
        return ("state",) if self.cohort.states.regression is not None else ()

    @property
    def brain(self) -> bool:
        """Whether the cells are of the brain."""
        return self.cohort.brain

    @property
    def n_cells(self) -> int:
        """Cells fitted to."""
        return self.cohort.n_cells

    @property
    def n_macrophages(self) -> int:
        """Macrophages fitted to."""
        return self.cohort.n_macrophages


def keep_cohort(cohort: Cohort, index: GeneIndex, **about: Any) -> CohortModel:
    """Return a fitted cohort by gene; ``about`` are the other fields of the model.

    Genes without a name of their own are left out, and so is the ambient RNA of its samples, which others do not share.
    """
    symbols, ensembl = names_of(index)
    fit = cohort.states.regression
    columns = np.zeros(0, np.int64) if fit is None else fit.columns
    named = np.array([bool(symbols[c]) for c in columns], bool)
    places = np.arange(int(named.sum()))
    states = cohort.states
    if fit is not None:
        states = replace(states, regression=replace(fit, columns=places, coef=fit.coef[:, named]))
    kept = columns[named]
    return CohortModel(
        symbols=tuple(symbols[c] for c in kept),
        ensembl=tuple(ensembl[c] for c in kept),
        cohort=replace(cohort, states=states, doublet={}),
        **about,
    )


def lend(model: CohortModel, index: GeneIndex, tissue: Tissue) -> Cohort:
    """Lay a model over the columns of some data, to which nothing is fitted.

    Raises
    ------
    GeneIdError
        Less than half of the model's genes are in the data.
    """
    column = np.array([index.find(s, e or None) for s, e in zip(model.symbols, model.ensembl, strict=True)], np.int64)
    here = column >= 0
    states = model.cohort.states
    share = 1.0
    if (fit := states.regression) is not None:
        size = np.abs(fit.coef).sum(axis=0)
        share = float(size[here].sum() / size.sum()) if size.any() else 0.0
        if here.mean() < _FEWEST_KNOWN:
            msg = (
                f"Only {here.mean():.0%} of the model's {len(here):,} genes are in the data, and at least "
                f"{_FEWEST_KNOWN:.0%} are needed. Take a model trained on data with these genes, or annotate without."
            )
            raise GeneIdError(msg)
        states = replace(states, regression=replace(fit, columns=column[here], coef=fit.coef[:, here]))
    cohort = model.cohort
    return replace(
        cohort,
        brain=cohort.brain if tissue == "auto" else tissue == "brain",
        tissue_reason=f"as the model's cells: {cohort.tissue_reason}" if tissue == "auto" else "as given",
        states=states,
        lender=Lender(
            digest=digest_of(model),
            cells=f"{model.n_macrophages:,} macrophages of {model.n_cells:,} {model.species} cells",
            trained_with=str(model.training.get("tamannot", "unknown")),
            target_accuracy=model.target_accuracy,
            n_genes=len(here),
            n_known=int(here.sum()),
            coverage={"state": share},
            digests={i: digest for i, (_, digest) in model.signatures.items()},
            low_coverage=frozenset({"state"} if share < MIN_COVERAGE else ()),
        ),
    )


def write_cohort(model: CohortModel, path: Path, *, overwrite: bool) -> None:
    """Write a model; see `write_file`."""
    write_file(path, COHORT, _meta(model), _arrays(model), overwrite=overwrite)


def digest_of(model: CohortModel) -> str:
    """Return the sha256 of what a model holds: equal models have equal digests."""
    found = hashlib.sha256(text_of(COHORT, _meta(model)).encode())
    for name, values in sorted(_arrays(model).items()):
        content = np.ascontiguousarray(values, "<f8")
        found.update(f"{name} {content.shape}".encode())
        found.update(content.tobytes())
    return found.hexdigest()


def as_cohort_model(meta: Meta, arrays: Arrays) -> CohortModel:
    """Return the model that a file holds; everything in it is checked.

    Raises
    ------
    ModelFormatError
        Something in it is wrong.
    """
    symbols, ensembl = genes_of(meta) if meta.get("symbols") else ((), ())
    known, novel = bool(meta.get("classifier")), meta.get("novelty") is not None
    names = [*_OF_ACTIVITY, "share", "usual", "trained", *(_OF_CLASSIFIER if known else ())]
    names += _OF_NOVELTY if novel else ()
    check_members(arrays, names)
    n = len(symbols)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_OF_ACTIVITY, (2, _N))
    shapes |= {"share": (2, _N, GRID.size), "usual": (_N,), "trained": (_N,)}
    if known:
        shapes |= {"coef": (_N + 1, n), "intercept": (2, _N + 1), "zero": (_N,), "one": (_N,)}
    if novel:
        check(arrays["centers"].ndim == 2, "'centers' are groups of macrophages")
        shapes |= {"centers": (arrays["centers"].shape[0], _N_FEATURES), "spread": (_N_FEATURES,)}
    check_shapes(arrays, shapes)
    check(bool((arrays["noise"] > 0).all() and (arrays["share"] >= 0).all()), "noise and shares are positive")
    check(meta.get("species") in ("human", "mouse"), "'species' is human or mouse")
    check(meta.get("scale") in SCALES, f"'scale' is one of {', '.join(SCALES)}")
    check(isinstance(meta.get("brain"), bool), "'brain' is true or false")
    check(isinstance(meta.get("tissue_reason"), str), "'tissue_reason' is a text")
    check(isinstance(meta.get("training"), dict) and isinstance(meta.get("metrics"), dict), "'training' is a table")
    activities = [
        [Activity(**{f: float(arrays[f][o, s]) for f in _OF_ACTIVITY}, share=arrays["share"][o, s]) for s in range(_N)]
        for o in (0, 1)
    ]
    states = StateClassifier(activities, arrays["usual"], arrays["trained"] > 0)
    if known:
        states = replace(states, regression=Regression(np.arange(n), *(arrays[f] for f in _OF_CLASSIFIER)))
    cohort = Cohort(
        brain=meta["brain"],
        tissue_reason=meta["tissue_reason"][:1000],
        middle=number(meta, "middle", -100, 100),
        states=states,
        n_cells=int(number(meta, "n_cells", 0, _MOST_CELLS)),
        n_macrophages=int(number(meta, "n_macrophages", 0, _MOST_CELLS)),
        novelty=Novelty(
            arrays["centers"],
            arrays["spread"],
            number(meta, "novelty", 0, 1e9),
            number(meta, "least_lead", -1e9, 1e9),
        )
        if novel
        else None,
    )
    return CohortModel(
        symbols=symbols,
        ensembl=ensembl,
        cohort=cohort,
        species=meta["species"],
        scale=meta["scale"],
        signatures=_signatures(meta),
        target_accuracy=number(meta, "target_accuracy", 0, 1),
        rng=int(number(meta, "rng", -_MOST_CELLS, _MOST_CELLS)),
        training=meta["training"],
        metrics=meta["metrics"],
    )


def _meta(model: CohortModel) -> dict[str, Any]:
    cohort = model.cohort
    return {
        "symbols": list(model.symbols),
        "ensembl": list(model.ensembl),
        "classifier": cohort.states.regression is not None,
        "novelty": None if cohort.novelty is None else cohort.novelty.limit,
        "least_lead": None if cohort.novelty is None else cohort.novelty.least_lead,
        "brain": cohort.brain,
        "tissue_reason": cohort.tissue_reason,
        "middle": cohort.middle,
        "n_cells": cohort.n_cells,
        "n_macrophages": cohort.n_macrophages,
        "species": model.species,
        "scale": model.scale,
        "signatures": {i: list(pair) for i, pair in model.signatures.items()},
        "target_accuracy": model.target_accuracy,
        "rng": model.rng,
        "training": dict(model.training),
        "metrics": dict(model.metrics),
    }


def _arrays(model: CohortModel) -> dict[str, Array]:
    states, novelty = model.cohort.states, model.cohort.novelty
    out = {f: np.array([[getattr(a, f) for a in of] for of in states.activities]) for f in (*_OF_ACTIVITY, "share")}
    out |= {"usual": states.usual, "trained": states.trained.astype(float)}
    if (fit := states.regression) is not None:
        out |= {f: getattr(fit, f) for f in _OF_CLASSIFIER}
    if novelty is not None:
        out |= {f: getattr(novelty, f) for f in _OF_NOVELTY}
    return out


def _signatures(meta: Meta) -> dict[str, tuple[str, str]]:
    table = meta.get("signatures")
    check(isinstance(table, dict) and len(table) <= 10_000, "'signatures' is a table of at most 10,000 entries")
    for name, pair in table.items():  # type: ignore[union-attr]
        good = isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) for p in pair)
        check(good and name.isprintable() and len(name) <= 1000, "'signatures' holds a version and a digest for each")
        check(pair[0].isprintable() and bool(_DIGEST.fullmatch(pair[1])), "'signatures' holds versions and digests")
    return {name: (pair[0], pair[1]) for name, pair in table.items()}  # type: ignore[union-attr]
