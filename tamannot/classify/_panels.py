"""The signatures of an annotation, matched to the data, and their two nulls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tamannot.classify._activity import z_scale
from tamannot.classify._call import TABLE_AXES, Scored
from tamannot.classify._gate import Gate
from tamannot.classify._origin import ORIGINS
from tamannot.classify._reference import Species, finder, least_expressed, macrophage_depth
from tamannot.classify._state import STATES, rule_signatures
from tamannot.errors import SignatureFormatError
from tamannot.scoring import (
    NullBins,
    NullScores,
    Part,
    Plan,
    Run,
    Scorer,
    UCell,
    make_plan,
    null_bins,
    reference_depth,
)
from tamannot.scoring._rows import RowBlock
from tamannot.signature import GeneIndex, Signature, SignatureSet

Array = NDArray[Any]

METHOD = UCell()
"""Of all scores, with their null; the reference cells were ranked so."""
_HALF = "half:"


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
    species: Species
    public: Plan = field(init=False)
    """The signatures of the tables."""
    everything: Plan = field(init=False)
    """Those, the modules of composites, the halves of the states, and what the rules count on."""

    def __post_init__(self) -> None:
        """Match the signatures."""
        tables = SignatureSet(s for axis in TABLE_AXES for s in self.library.select(axis=axis).values())
        helpers = self.library.select(axis="module") | rule_signatures(self.library)
        object.__setattr__(self, "public", make_plan(tables, self.index.locate, self.n_vars))
        whole = make_plan(tables | helpers, self.index.locate, self.n_vars)
        halves = SignatureSet(half for s in STATES for part in _parts_of(whole, s) for half in self._halved(part))
        every = make_plan(tables | helpers | halves, self.index.locate, self.n_vars)
        object.__setattr__(self, "everything", every)

    def _halved(self, part: Part) -> list[Signature]:
        """Return the signature in two halves, of genes at hand that are as highly expressed."""
        here = {self.index.find(g.symbol, g.ensembl): g for g in part.signature.genes if g.direction == "up"}
        up = set(part.up.columns.tolist()) & set(here)
        genes = [here[c] for c in sorted(up, key=lambda c: (float(self.macrophage_depth[c]), here[c].symbol))]
        first = np.isin(np.arange(len(genes)) % 4, (0, 3))
        return [
            Signature(
                id=f"{_HALF}{part.signature.id}:{h}",
                species=part.signature.species,
                genes=tuple(
                    g.model_copy(update={"references": ()}) for g, f in zip(genes, first, strict=True) if f == (h == 0)
                ),
            )
            for h in (0, 1)
            if (first == (h == 0)).any()
        ]

    def ids(self, axis: str) -> list[str]:
        """Return the ids of an axis."""
        return [s.id for s in self.public.outputs if s.axis == axis]

    @cached_property
    def coverage(self) -> Mapping[str, float]:
        """Share of the genes of each signature of the tables that are in the data."""
        return {i: c.share for i, c in zip(self.public.ids, self.public.coverage, strict=True)}

    @cached_property
    def origin_genes(self) -> Array:
        """Genes of each origin in the data."""
        present = {i: c.n_present for i, c in zip(self.public.ids, self.public.coverage, strict=True)}
        return np.array([present[o] for o in ORIGINS])

    @cached_property
    def state_genes(self) -> Array:
        """Genes of each state in the data; of a composite, of its largest module."""
        return np.array([max(p.n_present for p in _parts_of(self.everything, s)) for s in STATES])

    @cached_property
    def _find(self) -> Callable[[str], int]:
        return finder(self.index, self.species)

    @cached_property
    def macrophage_depth(self) -> Array:
        """Mean rank depth of each gene in macrophages of the reference."""
        return macrophage_depth(self._find, self.n_vars, species=self.species)

    @cached_property
    def n_expressed(self) -> int:
        """Genes of the data that are among the 1,500 most expressed of macrophages of the reference."""
        return int((self.macrophage_depth >= least_expressed(self.species)).sum())

    @cached_property
    def macrophages(self) -> NullBins:
        """Expression bins of the macrophages of the reference."""
        return null_bins(self.macrophage_depth)

    @cached_property
    def reference(self) -> NullBins:
        """Expression bins of the shipped cells of many kinds."""
        return null_bins(reference_depth(self._find, self.n_vars, species=self.species))

    @cached_property
    def gate(self) -> Gate:
        """The classifier of compartments for these genes."""
        return Gate(self.index, self.species, self.ids("compartment"))

    def scorer(self) -> BlockScorer:
        """Return what scores blocks of rows."""
        return BlockScorer(self)

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
        """Return the scores of the tables, each with the null of its own."""
        runs = [scored.by_cells if s.axis == "compartment" else scored.by_macrophages for s in self.public.outputs]
        places = [run.ids.index(i) for run, i in zip(runs, self.public.ids, strict=True)]

        def table(name: str) -> Array:
            return np.stack([getattr(run, name)[:, o] for run, o in zip(runs, places, strict=True)], axis=1)

        score, p = table("score"), table("p")
        score[:, [self.public.ids.index(i) for i in self.too_large]] = np.nan
        p[:, [not s.per_cell for s in self.public.outputs]] = np.nan  # nothing is said of single cells
        return NullScores(tuple(self.public.ids), score, table("detected"), table("z"), p, table("expected"))


class BlockScorer:
    """Scores blocks of rows against both references, from one ranking."""

    def __init__(self, panels: Panels) -> None:
        plan, compartments = panels.everything, panels.ids("compartment")
        rest = tuple(s.id for s in plan.outputs if s.axis != "compartment" or s.id not in compartments)
        runs = [Run(METHOD, panels.reference, tuple(compartments)), Run(METHOD, panels.macrophages, rest)]
        self._scorer = Scorer(plan, runs)
        self._n_expected = panels.n_expressed
        self._halves = [
            [
                [rest.index(i) for p in _parts_of(plan, s) if (i := f"{_HALF}{p.signature.id}:{h}") in rest]
                for h in (0, 1)
            ]
            for s in STATES
        ]

    def score(self, block: RowBlock) -> Scored:
        """Return the scores of a block."""
        by_cells, by_macrophages = (cast("NullScores", s) for s in self._scorer.score(block))
        halves = np.zeros((len(by_cells.z), len(STATES), 2))
        for s, of_state in enumerate(self._halves):
            for h, columns in enumerate(of_state):
                if columns:
                    halves[:, s, h] = by_macrophages.z[:, columns].max(axis=1)
        return Scored(by_cells, by_macrophages, halves, z_scale(block.totals(block.values > 0), self._n_expected))


def ranking_of(max_rank: int | None) -> UCell:
    """Return the method of a run's null of programs; that of 0.1.0 counted more ranks than its scores."""
    return METHOD if max_rank is None else replace(METHOD, max_rank=max_rank)


def _parts_of(plan: Plan, signature: str) -> list[Part]:
    return [plan.parts[p] for p in plan.parts_of[list(plan.ids).index(signature)]] if signature in plan.ids else []
