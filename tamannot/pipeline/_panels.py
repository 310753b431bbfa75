"""The signatures of an annotation, matched to the data: which are scored against which null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot.errors import SignatureFormatError
from tamannot.genes import GeneIndex
from tamannot.kernels._rows import RowBlock
from tamannot.pipeline._inputs import TABLE_AXES
from tamannot.scorers import (
    NullBins,
    NullScores,
    Plan,
    Run,
    Scorer,
    Scores,
    UCell,
    make_plan,
    null_bins,
    reference_depth,
)
from tamannot.signature import SignatureSet

Array = NDArray[Any]

METHOD = UCell()
"""Of the scores, and of the gate, whose reference cells were ranked so."""
# Beside the origins, what their rule looks at among all cells.
_BESIDE_ORIGINS = ("immunoregulatory_scavenger", "interferon_primed")


@dataclass(frozen=True)
class Scored:
    """Scores of some cells against three nulls."""

    by_reference: NullScores
    """Compartments and origins, against the shipped reference cells."""
    by_all: NullScores
    """Origins, against all cells at hand: they stand out among all cells."""
    by_macrophages: NullScores
    """All programs, against the macrophages: states stand out among macrophages."""
    published: Scores | None = None
    """The scores of the programs of the tables, where more ranks count in their null than in their scores."""

    def rows(self, rows: slice) -> Scored:
        """Return the scores of some of the cells."""
        published = self.published and self.published.rows(rows)
        return Scored(self.by_reference.rows(rows), self.by_all.rows(rows), self.by_macrophages.rows(rows), published)


@dataclass(frozen=True, eq=False)
class Panels:
    """All signatures of an annotation, matched to the columns of the data.

    Parameters
    ----------
    library
        Signatures of all axes of the tables, with the modules of composites.
    index
        Which column is which gene.
    n_vars
        Genes of the data.
    species
        Of the reference cells.
    """

    library: SignatureSet
    index: GeneIndex
    n_vars: int
    species: Literal["human", "mouse"]
    public: Plan = field(init=False)
    """The signatures of the tables."""
    everything: Plan = field(init=False)
    """Those, the modules of composites, and what the rules count on."""

    def __post_init__(self) -> None:
        """Match the signatures."""
        tables = SignatureSet(s for axis in TABLE_AXES for s in self.library.select(axis=axis).values())
        helpers = self.library.select(axis="module") | models.rule_signatures(self.library)
        object.__setattr__(self, "public", make_plan(tables, self.index.locate, self.n_vars))
        object.__setattr__(self, "everything", make_plan(tables | helpers, self.index.locate, self.n_vars))

    def ids(self, axis: str) -> list[str]:
        """Return the ids of an axis."""
        return [s.id for s in self.public.outputs if s.axis == axis]

    @cached_property
    def n_present(self) -> Mapping[str, int]:
        """Genes of each signature of the tables that are in the data."""
        return {i: c.n_present for i, c in zip(self.public.ids, self.public.coverage, strict=True)}

    @cached_property
    def coverage(self) -> Mapping[str, float]:
        """The same as a share of its genes."""
        return {i: c.share for i, c in zip(self.public.ids, self.public.coverage, strict=True)}

    @cached_property
    def reference_depth(self) -> Array:
        """Mean rank depth of each gene in the shipped reference cells, 0 where they never saw it."""
        return reference_depth(self.index.find, self.n_vars, species=self.species)

    @cached_property
    def reference(self) -> NullBins:
        """Expression bins of the shipped reference cells."""
        return null_bins(self.reference_depth)

    @property
    def gate_run(self) -> Run:
        """Compartments and origins against the reference."""
        return Run(METHOD, self.reference, (*self.ids("compartment"), *self.ids("origin")))

    def program_runs(self, everyone: NullBins, macrophages: NullBins, max_rank: int) -> list[Run]:
        """Return origins against all cells, and everything but compartments against the macrophages.

        If more ranks count there than in the scores, the scores of the programs are a run of their own.
        """
        known = set(self.everything.ids)
        origins = (*self.ids("origin"), *(i for i in _BESIDE_ORIGINS if i in known))
        programs = tuple(s.id for s in self.everything.outputs if s.axis != "compartment")
        method = ranking(max_rank)
        runs = [Run(method, everyone, origins), Run(method, macrophages, programs)]
        if method == METHOD:
            return runs
        return [*runs, Run(METHOD, only=tuple(s.id for s in self.public.outputs if s.axis != "compartment"))]

    def scorer(self, everyone: NullBins, macrophages: NullBins, max_rank: int) -> BlockScorer:
        """Return what scores blocks of rows against all three."""
        return BlockScorer(
            Scorer(self.everything, [self.gate_run, *self.program_runs(everyone, macrophages, max_rank)])
        )

    @cached_property
    def too_large(self) -> tuple[str, ...]:
        """Signatures with more genes than ranks that count: they have a z, but no score."""
        return tuple(i for o, i in enumerate(self.public.ids) if not self._fits(o))

    def _fits(self, output: int) -> bool:
        try:
            for part in self.public.parts_of[output]:
                METHOD.check(self.public.parts[part], self.n_vars)
        except SignatureFormatError:
            return False
        return True

    def tables(self, scored: Scored) -> NullScores:
        """Return the scores of the tables, each from the run whose null is its own."""
        by_axis = {"compartment": scored.by_reference, "origin": scored.by_all}
        runs = [by_axis.get(s.axis, scored.by_macrophages) for s in self.public.outputs]
        places = [run.ids.index(i) for run, i in zip(runs, self.public.ids, strict=True)]

        def table(name: str) -> Array:
            return np.stack([getattr(run, name)[:, o] for run, o in zip(runs, places, strict=True)], axis=1)

        score, p = table("score"), table("p")
        if (published := scored.published) is not None:
            score[:, [self.public.ids.index(i) for i in published.ids]] = published.score
        score[:, [self.public.ids.index(i) for i in self.too_large]] = np.nan
        p[:, [not s.per_cell for s in self.public.outputs]] = np.nan  # nothing is said of single cells
        return NullScores(tuple(self.public.ids), score, table("detected"), table("z"), p, table("expected"))


def ranking(max_rank: int) -> UCell:
    """Return the method of the programs' null, in which so many ranks count."""
    return replace(METHOD, max_rank=max_rank)


def ranking_of(max_rank: int | None) -> UCell:
    """Return the method of a run's null of the programs; older releases counted the ranks of the scores."""
    return METHOD if max_rank is None else ranking(max_rank)


def as_scored(gate: Scores, programs: Sequence[Scores]) -> Scored:
    """Return the results of the gate and of `Panels.program_runs` by what they are."""
    with_null = [s for s in (gate, *programs) if isinstance(s, NullScores)]
    plain = [s for s in programs if not isinstance(s, NullScores)]
    by_reference, by_all, by_macrophages = with_null
    return Scored(by_reference, by_all, by_macrophages, plain[0] if plain else None)


class BlockScorer:
    """Scores blocks of rows against the three nulls, from one ranking."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def score(self, block: RowBlock) -> Scored:
        """Return the scores of a block."""
        gate, *programs = self._scorer.score(block)
        return as_scored(gate, programs)
