"""The signatures of an annotation, matched to the data, and their two nulls."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import cast

import numpy as np

from tamannot.classify._call import TABLE_AXES, Scored
from tamannot.classify._gate import KIN, Gate
from tamannot.classify._origin import ORIGINS
from tamannot.classify._reference import Species, finder, macrophage_depth
from tamannot.classify._state import STATES, rule_signatures
from tamannot.errors import SignatureFormatError
from tamannot.scoring import NullScores, Part, Run, Scorer, UCell, make_plan, null_bins, reference_depth
from tamannot.scoring._njit import Array
from tamannot.scoring._ranks import rank_block
from tamannot.scoring._rows import RowBlock
from tamannot.signature import GeneIndex, Signature, SignatureSet

METHOD = UCell()  # of all scores, with their null; the reference cells were ranked so
# What the id of a half begins with: state and number; no id of the library has a colon.
_HALF = "half:{}:{}:"
_SHRINKAGE, _LEAST_SCALE = 0.27, 0.4


class Panels:
    """All signatures of an annotation, matched to the columns of the data, with their nulls.

    ``library`` has the signatures of all axes of the tables, with the modules of composites; the columns are ``n_vars``
    genes of ``index``, and ``species`` is that of the reference cells.
    """

    def __init__(self, library: SignatureSet, index: GeneIndex, n_vars: int, species: Species) -> None:
        self.library, self.index, self.n_vars, self.species = library, index, n_vars, species
        find = finder(index, species)
        depth, least = macrophage_depth(find, n_vars, species=species)
        # Expression bins of the macrophages of the reference, and of the shipped cells of many kinds.
        self.macrophages = null_bins(depth)
        self.reference = null_bins(reference_depth(find, n_vars, species=species))
        tables = SignatureSet(s for axis in TABLE_AXES for s in library.select(axis=axis).values())
        self.public = make_plan(tables, index.locate, n_vars)  # the signatures of the tables
        parts = {i: [self.public.parts[p] for p in of] for i, of in zip(tables, self.public.parts_of, strict=True)}
        halves = SignatureSet(half for s in STATES for part in parts[s] for half in _halves_of(s, part, index, depth))
        helpers = library.select(axis="module") | rule_signatures(library)
        # Those, the modules of composites, the halves of the states, and what the rules count on.
        self.everything = make_plan(tables | helpers | halves, index.locate, n_vars)
        covered = dict(zip(tables, self.public.coverage, strict=True))
        self.coverage = {i: c.share for i, c in covered.items()}  # share of each signature's genes in the data
        # Genes in the data of each origin, and of each state; of a composite, of its largest module.
        self.origin_genes = np.array([covered[o].n_present for o in ORIGINS])
        self.state_genes = np.array([max(p.n_present for p in parts[s]) for s in STATES])
        self.too_large: list[str] = []  # signatures with more genes than ranks that count: they have a z, but no score
        for name, of in parts.items():
            try:
                for part in of:
                    METHOD.check(part, n_vars)
            except SignatureFormatError:
                self.too_large.append(name)
        self.compartments = self.ids("compartment")
        self.rivals = [k for k, i in enumerate(self.compartments) if i not in KIN]  # unrelated to macrophages
        rest = tuple(i for i in self.everything.ids if i not in self.compartments)
        runs = [Run(METHOD, self.reference, tuple(self.compartments)), Run(METHOD, self.macrophages, rest)]
        self._scorer = Scorer(self.everything, runs)
        # By state and half the columns of its parts among the scores.
        self._halves = [
            [[k for k, i in enumerate(rest) if i.startswith(_HALF.format(s, h))] for h in (0, 1)] for s in STATES
        ]
        # Genes of the data that are among the 1,500 most expressed of macrophages.
        self._n_expected = max(int((depth >= least).sum()), 1)

    @cached_property
    def gate(self) -> Gate:
        """The classifier of compartments: it takes seconds to train, and is not needed where cell types are given."""
        return Gate(self.index, self.species, self.compartments)

    def ids(self, axis: str) -> list[str]:
        """Return the ids of an axis."""
        return [s.id for s in self.public.outputs if s.axis == axis]

    def score(self, block: RowBlock) -> Scored:
        """Return the scores of a block against both references, from one ranking."""
        ranked = rank_block(block, self.n_vars, self._scorer.depths)
        by_cells, by_macrophages = (cast("NullScores", s) for s in self._scorer.score(ranked))
        halves = np.zeros((len(by_cells.z), len(STATES), 2))
        for s, of_state in enumerate(self._halves):
            for h, columns in enumerate(of_state):
                if columns:
                    halves[:, s, h] = by_macrophages.z[:, columns].max(axis=1)
        # z of the same activity falls with depth: by a quarter where a third of the genes is detected.
        scale = ((block.totals(block.values > 0) / self._n_expected) ** _SHRINKAGE).clip(_LEAST_SCALE, 1.0)
        return Scored(by_cells, by_macrophages, halves, scale)

    def tables(self, scored: Scored) -> NullScores:
        """Return the scores of the tables, each with the null of its own."""
        places = [
            (run := scored.by_cells if s.axis == "compartment" else scored.by_macrophages, run.ids.index(s.id))
            for s in self.public.outputs
        ]
        names = ("score", "detected", "z", "p", "expected")
        table = {name: np.stack([getattr(run, name)[:, k] for run, k in places], axis=1) for name in names}
        table["score"][:, [self.public.ids.index(i) for i in self.too_large]] = np.nan
        table["p"][:, [not s.per_cell for s in self.public.outputs]] = np.nan  # nothing is said of single cells
        return NullScores(tuple(self.public.ids), **table)


def _halves_of(state: str, part: Part, index: GeneIndex, depth: Array) -> list[Signature]:
    """Return a part of a state in two halves, of genes at hand that are as highly expressed by their ``depth``."""
    here = {index.find(g.symbol, g.ensembl): g for g in part.signature.genes if g.direction == "up"}
    up = set(part.up.columns.tolist()) & set(here)
    genes = [here[c] for c in sorted(up, key=lambda c: (float(depth[c]), here[c].symbol))]
    bare = [g.model_copy(update={"references": ()}) for g in genes]
    halves = [tuple(g for i, g in enumerate(bare) if i % 4 in pair) for pair in ((0, 3), (1, 2))]
    named = [(_HALF.format(state, n) + part.signature.id, half) for n, half in enumerate(halves) if half]
    return [Signature(id=name, species=part.signature.species, genes=half) for name, half in named]


def ranking_of(max_rank: int | None) -> UCell:
    """Return the method of a run's null of programs; that of 0.1.0 counted more ranks than its scores."""
    return METHOD if max_rank is None else replace(METHOD, max_rank=max_rank)
