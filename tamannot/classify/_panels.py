"""The signatures of an annotation, matched to the data, and their two nulls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import cast

import numpy as np

from tamannot.classify._activity import z_scale
from tamannot.classify._call import TABLE_AXES, Scored
from tamannot.classify._gate import Gate
from tamannot.classify._origin import ORIGINS
from tamannot.classify._reference import Species, finder, least_expressed, macrophage_depth
from tamannot.classify._state import STATES, rule_signatures
from tamannot.errors import SignatureFormatError
from tamannot.scoring import NullScores, Part, Plan, Run, Scorer, UCell, make_plan, null_bins, reference_depth
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import RowBlock
from tamannot.signature import GeneIndex, Signature, SignatureSet

METHOD = UCell()
"""Of all scores, with their null; the reference cells were ranked so."""


class Panels:
    """All signatures of an annotation, matched to the columns of the data, with their nulls.

    ``library`` has the signatures of all axes of the tables, with the modules of composites; the columns are ``n_vars``
    genes of ``index``, and ``species`` is that of the reference cells.
    """

    def __init__(self, library: SignatureSet, index: GeneIndex, n_vars: int, species: Species) -> None:
        self.library, self.index, self.n_vars, self.species = library, index, n_vars, species
        find = finder(index, species)
        depth = macrophage_depth(find, n_vars, species=species)
        self.macrophages = null_bins(depth)
        """Expression bins of the macrophages of the reference."""
        self.reference = null_bins(reference_depth(find, n_vars, species=species))
        """Expression bins of the shipped cells of many kinds."""
        tables = SignatureSet(s for axis in TABLE_AXES for s in library.select(axis=axis).values())
        helpers = library.select(axis="module") | rule_signatures(library)
        self.public = make_plan(tables, index.locate, n_vars)
        """The signatures of the tables."""
        whole = make_plan(tables | helpers, index.locate, n_vars)
        halves = SignatureSet(
            half for s in STATES for part in _parts_of(whole, s) for half in _halved(part, index, depth)
        )
        self.everything = make_plan(tables | helpers | halves, index.locate, n_vars)
        """Those, the modules of composites, the halves of the states, and what the rules count on."""
        covered = dict(zip(self.public.ids, self.public.coverage, strict=True))
        self.coverage = {i: c.share for i, c in covered.items()}
        """Share of the genes of each signature of the tables that are in the data."""
        self.origin_genes = np.array([covered[o].n_present for o in ORIGINS])
        """Genes of each origin in the data."""
        self.state_genes = np.array([max(p.n_present for p in _parts_of(self.everything, s)) for s in STATES])
        """Genes of each state in the data; of a composite, of its largest module."""
        self.too_large = tuple(i for i in self.public.ids if not _has_score(_parts_of(self.public, i), n_vars))
        """Signatures with more genes than ranks that count: they have a z, but no score."""
        compartments = self.ids("compartment")
        rest = tuple(s.id for s in self.everything.outputs if s.id not in compartments)
        runs = [Run(METHOD, self.reference, tuple(compartments)), Run(METHOD, self.macrophages, rest)]
        self._scorer = Scorer(self.everything, runs)
        named = [[part.signature.id for part in _parts_of(self.everything, s)] for s in STATES]
        # By state and half the columns of its parts among the scores.
        self._halves = [
            [[rest.index(i) for n in names if (i := _half(n, h)) in rest] for h in (0, 1)] for names in named
        ]
        # Genes of the data that are among the 1,500 most expressed of macrophages.
        self._n_expected = int((depth >= least_expressed(species)).sum())

    def ids(self, axis: str) -> list[str]:
        """Return the ids of an axis."""
        return [s.id for s in self.public.outputs if s.axis == axis]

    @cached_property
    def gate(self) -> Gate:
        """The classifier of compartments for these genes; it is not needed where cell types are given."""
        return Gate(self.index, self.species, self.ids("compartment"))

    def score(self, block: RowBlock) -> Scored:
        """Return the scores of a block against both references, from one ranking."""
        by_cells, by_macrophages = (cast("NullScores", s) for s in self._scorer.score(block))
        halves = np.zeros((len(by_cells.z), len(STATES), 2))
        for s, of_state in enumerate(self._halves):
            for h, columns in enumerate(of_state):
                if columns:
                    halves[:, s, h] = by_macrophages.z[:, columns].max(axis=1)
        return Scored(by_cells, by_macrophages, halves, z_scale(block.totals(block.values > 0), self._n_expected))

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


def _parts_of(plan: Plan, signature: str) -> list[Part]:
    return [plan.parts[p] for p in plan.parts_of[plan.ids.index(signature)]] if signature in plan.ids else []


def _half(signature: str, number: int) -> str:
    return f"half:{signature}:{number}"


def _halved(part: Part, index: GeneIndex, depth: Array) -> list[Signature]:
    """Return the signature in two halves, of genes at hand that are as highly expressed by their ``depth``."""
    here = {index.find(g.symbol, g.ensembl): g for g in part.signature.genes if g.direction == "up"}
    up = set(part.up.columns.tolist()) & set(here)
    genes = [here[c] for c in sorted(up, key=lambda c: (float(depth[c]), here[c].symbol))]
    halves = ([g for i, g in enumerate(genes) if i % 4 in pair] for pair in ((0, 3), (1, 2)))
    return [
        Signature(
            id=_half(part.signature.id, number),
            species=part.signature.species,
            genes=tuple(g.model_copy(update={"references": ()}) for g in half),
        )
        for number, half in enumerate(halves)
        if half
    ]


def _has_score(parts: Sequence[Part], n_vars: int) -> bool:
    try:
        for part in parts:
            METHOD.check(part, n_vars)
    except SignatureFormatError:
        return False
    return True


def ranking_of(max_rank: int | None) -> UCell:
    """Return the method of a run's null of programs; that of 0.1.0 counted more ranks than its scores."""
    return METHOD if max_rank is None else replace(METHOD, max_rank=max_rank)
