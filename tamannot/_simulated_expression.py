"""What the cells of `simulate` are made of: genes, expression of each cell type, fold changes of each program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.errors import ParameterError
from tamannot.scoring._reference import _depths as reference_depths
from tamannot.signature import Gene, Signature, SignatureSet, human_genes, load_signatures

Array = NDArray[Any]

MACROPHAGE, MALIGNANT, UNKNOWN = "macrophage", "malignant", "unknown"
DEFENCE = "ferroptosis_defence"

_AXES = ("compartment", "origin", "state", "overlay", "polarization", "ferroptosis", "module")
# Where a cell type's genes are those of another id, or of one arm of a composite.
_GENES_OF = {MALIGNANT: ("glial_like",), MACROPHAGE: ("macrophage_tam",)}
_ALSO = {"microglia": "macrophage_microglia"}

# Spread of log mean expression over genes, and how far a gene may stand from its place in the reference.
_TAIL, _JITTER = 1.7, 0.5
# Shares of a cell's transcripts (median, spread of the logarithm): a lineage gene where it belongs and where
# it does not, a program's gene in a macrophage without the program; 1e-3 is 4 of 4,000 transcripts.
_LINEAGE, _SILENT, _IDLE = (1e-3, 0.6), (5e-6, 0.8), (1.2e-4, 0.8)
# A program's gene in other cells, as a share of that; any cell answers to interferon.
_ELSEWHERE, _EVERYWHERE = (0.25, 1.0), (1.0, 0.5)
_UBIQUITOUS = "interferon_primed"
# Fold changes at full usage.
_PROGRAM_FOLD, _DEFENCE_FOLD, _OWN_FOLD, _LINEAGE_OWN_FOLD = (8.0, 0.4), (3.0, 0.3), (3.0, 0.5), (5.0, 0.6)
# No gene is more than this share of a cell.
_MOST = 0.02
# Genes of no signature that each program, and each cell type, has beside its own.
_N_OWN, _N_LINEAGE_OWN, _N_MARKERS = 100, 300, 20


@dataclass(frozen=True)
class World:
    """Expression of cell types and programs."""

    genes: tuple[str, ...]
    kinds: tuple[str, ...]
    """Cell type of each profile; one with arms, such as T and NK cells, has several."""
    profiles: Array
    """Profiles × genes, float32, rows sum to 1: a cell of that type without a program."""
    programs: tuple[str, ...]
    """Program of each row of ``fold``; a composite has a row for each of its modules."""
    fold: Array
    """Fold change of each gene at full usage, float32."""
    own_genes: Mapping[str, Array]
    """Symbols of no signature that a cell type or a program raises, by its name."""


def make_world(kinds: Sequence[str], programs: Sequence[str], n_genes: int, rng: np.random.Generator) -> World:
    """Draw the expression of cell types and programs.

    Parameters
    ----------
    kinds
        Ids of compartments, ``malignant``, ``unknown``.
    programs
        Ids of origins and states, ``ferroptosis_defence``.
    n_genes
        All genes of the signatures, and as many others.
    rng
        Draws levels and fold changes.

    Raises
    ------
    ParameterError
        Fewer genes than the signatures have, or more than there are.
    """
    library = SignatureSet(s for axis in _AXES for s in load_signatures(axis=axis).values())
    genes = _universe(library, n_genes)
    maker = _Maker(library, genes, programs, rng)
    rows = [(kind, row) for kind in kinds for row in maker.profiles(kind)]
    arms = [(program, row) for program in programs for row in maker.folds(program)]
    profiles = np.array([row for _, row in rows], np.float32)
    fold = np.array([row for _, row in arms], np.float32).reshape(-1, len(genes))
    return World(genes, tuple(k for k, _ in rows), profiles, tuple(p for p, _ in arms), fold, maker.own_genes)


class _Maker:
    """Draws once what every cell type shares, then each type and program in turn."""

    def __init__(
        self, library: SignatureSet, genes: Sequence[str], programs: Sequence[str], rng: np.random.Generator
    ) -> None:
        self._library, self._genes, self._rng = library, np.array(genes, dtype=object), rng
        self._place = {g: i for i, g in enumerate(genes)}
        signed = {g.symbol for s in library.values() for g in s.genes}
        self._free = np.flatnonzero([g not in signed for g in genes])
        self.own_genes: dict[str, Array] = {}
        self._anywhere = _base(genes, rng)
        lineage = self._of(*(s for axis in ("compartment", "origin") for s in library.select(axis=axis).values()))
        self._anywhere[lineage] = self._draw(_SILENT, lineage.size)
        self._idle = self._idle_levels([p for p in programs if p != DEFENCE])
        elsewhere = self._draw(_ELSEWHERE, self._genes.size)
        ubiquitous = self._of(library[_UBIQUITOUS])
        elsewhere[ubiquitous] = self._draw(_EVERYWHERE, ubiquitous.size)
        used = np.setdiff1d(np.flatnonzero(self._idle), lineage)
        self._anywhere[used] = elsewhere[used] * self._idle[used]
        self._in_macrophages = np.where(self._idle > 0, self._idle, self._anywhere)

    def profiles(self, kind: str) -> Iterator[Array]:
        """Yield the expression of each arm of a cell type."""
        own = self._own(kind, _N_LINEAGE_OWN)
        fold = self._draw(_LINEAGE_OWN_FOLD, own.size)
        for up in self._markers(kind):
            level = (self._in_macrophages if kind == MACROPHAGE else self._anywhere).copy()
            level[up] = np.maximum(level[up], self._draw(_LINEAGE, up.size))
            level[own] *= fold
            level = np.minimum(level / level.sum(), _MOST)
            yield level / level.sum()

    def folds(self, program: str) -> Iterator[Array]:
        """Yield the fold changes of each arm of a program."""
        own = self._own(program, _N_OWN)
        own_fold = self._draw(_OWN_FOLD, own.size)
        usual = _DEFENCE_FOLD if program == DEFENCE else _PROGRAM_FOLD
        for arm in _arms(self._library[program]):
            fold = np.ones(self._genes.size)
            for gene in self._with_others(program, arm):
                size = float(self._draw(usual, 1)[0])
                size = 1 + min(gene.weight, 1.0) * (size - 1)
                fold[self._place[gene.symbol]] = size if gene.direction == "up" else 1 / size
            fold[own] = own_fold
            # a gene that is much of a cell already cannot become eight times more
            yield np.minimum(fold, np.maximum(1.0, _MOST / self._in_macrophages))

    def _idle_levels(self, programs: Sequence[str]) -> Array:
        """Return a macrophage's level of each program's genes, 0 for other genes; unspecific genes have more."""
        weight = np.full(self._genes.size, np.inf)
        for program in programs:
            for arm in _arms(self._library[program]):
                for gene in self._with_others(program, arm):
                    place = self._place[gene.symbol]
                    weight[place] = min(weight[place], gene.weight, 1.0)
        return np.asarray(self._draw(_IDLE, weight.size) / weight)

    def _markers(self, kind: str) -> list[Array]:
        if kind == UNKNOWN:
            return [self._rng.choice(self._free, min(_N_MARKERS, self._free.size), replace=False)]
        sources = [self._library[i] for i in _GENES_OF.get(kind, (kind,))]
        return [self._places(arm.genes) for s in sources for arm in _arms(s)]

    def _with_others(self, program: str, arm: Signature) -> tuple[Gene, ...]:
        return arm.genes + (self._library[_ALSO[program]].genes if program in _ALSO else ())

    def _own(self, name: str, n_genes: int) -> Array:
        own = np.sort(self._rng.choice(self._free, min(n_genes, self._free.size // 5), replace=False))
        self.own_genes[name] = self._genes[own].astype(str)
        return own

    def _of(self, *signatures: Signature) -> Array:
        return np.unique(np.concatenate([self._places(arm.genes) for s in signatures for arm in _arms(s)]))

    def _places(self, genes: Sequence[Gene]) -> Array:
        return np.array([self._place[g.symbol] for g in genes if g.direction == "up"], np.int64)

    def _draw(self, usual: tuple[float, float], size: int) -> Array:
        median, spread = usual
        return np.asarray(median * np.exp(spread * self._rng.standard_normal(size)))


def _universe(library: SignatureSet, n_genes: int) -> tuple[str, ...]:
    """Return the genes of the signatures, then those that the reference cells have most of, then any; sorted."""
    signed = sorted({g.symbol for s in library.values() for g in s.genes})
    depth, table = reference_depths("human"), human_genes().ensembl
    known = sorted((g for g in table if g in depth), key=lambda g: -depth[g])
    taken = set(signed)
    others = [g for g in dict.fromkeys([*known, *(g for g, ensembl in table.items() if ensembl)]) if g not in taken]
    if not len(signed) <= n_genes <= len(signed) + len(others):
        most = len(signed) + len(others)
        msg = f"n_genes is {n_genes}: give {len(signed)} (the genes of the signatures) to {most}."
        raise ParameterError(msg)
    return tuple(sorted(signed + others[: n_genes - len(signed)]))


def _base(genes: Sequence[str], rng: np.random.Generator) -> Array:
    """Return log-normal levels, handed out in about the order of the reference cells."""
    depth = reference_depths("human")
    order = np.lexsort((rng.random(len(genes)), np.array([depth.get(g, 0.0) for g in genes])))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    sorted_levels = np.sort(rng.standard_normal(len(genes)))
    level = np.exp(_TAIL * sorted_levels[place] + _JITTER * rng.standard_normal(len(genes)))
    return np.asarray(level / level.sum())


def _arms(signature: Signature) -> tuple[Signature, ...]:
    return tuple(signature.modules) or (signature,)
