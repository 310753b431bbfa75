"""Expression of the cells of `simulate`: genes, levels of each cell type, fold changes of each program, counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from tamannot._simulated_cells import DEFENCE, MACROPHAGE, MALIGNANT, NOISE, UNKNOWN, Cohort, Design
from tamannot.errors import ParameterError
from tamannot.scoring._njit import Array
from tamannot.scoring._null import reference_depths
from tamannot.signature import Gene, Signature, SignatureSet, human_genes, load_signatures

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

# Spread of the logarithm: of depth over cells, of each gene over samples, of each gene over tumours.
_DEPTH_SPREAD, _SAMPLE_SPREAD, _TUMOUR_SPREAD = 0.5, 0.2, 0.5
# Variance of a gene beyond Poisson, as a share of its squared mean.
_DISPERSION = 0.2
_AMBIENT_CONCENTRATION = 24.0


@dataclass(frozen=True)
class World:
    """Expression of cell types and programs."""

    genes: tuple[str, ...]
    kinds: tuple[str, ...]  # cell type of each profile; one with arms, such as T and NK cells, has several
    profiles: Array  # profiles × genes, float32, rows sum to 1: a cell of that type without a program
    programs: tuple[str, ...]  # program of each row of ``fold``; a composite has a row for each of its modules
    fold: Array  # fold change of each gene at full usage, float32
    own_genes: Mapping[str, Array]  # symbols of no signature that a cell type or a program raises, by its name


def make_world(kinds: Sequence[str], programs: Sequence[str], n_genes: int, rng: np.random.Generator) -> World:
    """Draw the expression of cell types (compartments, ``malignant``, ``unknown``) and of programs."""
    library = SignatureSet(s for axis in _AXES for s in load_signatures(axis=axis).values())
    # The genes of the signatures, then those that the reference cells have most of, then any; sorted.
    signed = sorted({g.symbol for s in library.values() for g in s.genes})
    depth, table = reference_depths("human"), human_genes().ensembl
    known = sorted((g for g in table if g in depth), key=lambda g: -depth[g])
    taken = set(signed)
    others = [g for g in dict.fromkeys([*known, *(g for g, ensembl in table.items() if ensembl)]) if g not in taken]
    most = len(signed) + len(others)
    if not len(signed) <= n_genes <= most:
        raise ParameterError(f"n_genes is {n_genes}: give {len(signed)} (the genes of the signatures) to {most}.")
    genes = tuple(sorted(signed + others[: n_genes - len(signed)]))
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
        # Log-normal levels, handed out in about the order of the reference cells.
        depth = reference_depths("human")
        order = np.lexsort((rng.random(len(genes)), np.array([depth.get(g, 0.0) for g in genes])))
        level = np.empty(len(genes))
        level[order] = np.sort(rng.standard_normal(len(genes)))
        level = np.exp(_TAIL * level + _JITTER * rng.standard_normal(len(genes)))
        self._anywhere = np.asarray(level / level.sum())
        lineage = self._of(*(s for axis in ("compartment", "origin") for s in library.select(axis=axis).values()))
        self._anywhere[lineage] = self._draw(_SILENT, lineage.size)
        # A macrophage's level of each program's genes, 0 for other genes; unspecific genes have more.
        weight = np.full(self._genes.size, np.inf)
        for program in programs:
            for arm in library[program].parts if program != DEFENCE else ():
                for gene in self._with_others(program, arm):
                    place = self._place[gene.symbol]
                    weight[place] = min(weight[place], gene.weight, 1.0)
        idle = np.asarray(self._draw(_IDLE, weight.size) / weight)
        elsewhere = self._draw(_ELSEWHERE, self._genes.size)
        ubiquitous = self._of(library[_UBIQUITOUS])
        elsewhere[ubiquitous] = self._draw(_EVERYWHERE, ubiquitous.size)
        used = np.setdiff1d(np.flatnonzero(idle), lineage)
        self._anywhere[used] = elsewhere[used] * idle[used]
        self._in_macrophages = np.where(idle > 0, idle, self._anywhere)

    def profiles(self, kind: str) -> Iterator[Array]:
        """Yield the expression of each arm of a cell type."""
        own = self._own(kind, _N_LINEAGE_OWN)
        fold = self._draw(_LINEAGE_OWN_FOLD, own.size)
        if kind == UNKNOWN:
            markers = [self._rng.choice(self._free, min(_N_MARKERS, self._free.size), replace=False)]
        else:
            markers = [self._places(arm) for i in _GENES_OF.get(kind, (kind,)) for arm in self._library[i].parts]
        for up in markers:
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
        for arm in self._library[program].parts:
            fold = np.ones(self._genes.size)
            for gene in self._with_others(program, arm):
                size = float(self._draw(usual, 1)[0])
                size = 1 + min(gene.weight, 1.0) * (size - 1)
                fold[self._place[gene.symbol]] = size if gene.direction == "up" else 1 / size
            fold[own] = own_fold
            # a gene that is much of a cell already cannot become eight times more
            yield np.minimum(fold, np.maximum(1.0, _MOST / self._in_macrophages))

    def _with_others(self, program: str, arm: Signature) -> tuple[Gene, ...]:
        return arm.genes + (self._library[_ALSO[program]].genes if program in _ALSO else ())

    def _own(self, name: str, n_genes: int) -> Array:
        own = np.sort(self._rng.choice(self._free, min(n_genes, self._free.size // 5), replace=False))
        self.own_genes[name] = self._genes[own].astype(str)
        return own

    def _of(self, *signatures: Signature) -> Array:
        return np.unique(np.concatenate([self._places(arm) for s in signatures for arm in s.parts]))

    def _places(self, arm: Signature) -> Array:
        return np.array([self._place[g.symbol] for g in arm.up], np.int64)

    def _draw(self, usual: tuple[float, float], size: int) -> Array:
        median, spread = usual
        return np.asarray(median * np.exp(spread * self._rng.standard_normal(size)))


def draw_counts(cohort: Cohort, world: World, design: Design, rng: np.random.Generator) -> tuple[sp.csr_matrix, Array]:
    """Return counts of all cells and their shares of ambient RNA, sample after sample to spare memory."""
    counts, shares = [], []
    for sample in range(design.n_samples):
        cells = np.flatnonzero(cohort.sample == sample)
        kind, usage = cohort.compartment[cells], cohort.usage.to_numpy()[cells]
        rate = _expected(kind, usage, list(cohort.usage.columns), world, rng)
        share = np.zeros(kind.size, np.float32)
        if design.ambient > 0:
            ends = design.ambient * _AMBIENT_CONCENTRATION, (1 - design.ambient) * _AMBIENT_CONCENTRATION
            share = np.where(kind == NOISE, 0, rng.beta(*ends, kind.size)).astype(np.float32)
        soup = rate[kind != NOISE].mean(axis=0, dtype=np.float64).astype(np.float32)
        rate = rate * (1 - share[:, None]) + share[:, None] * soup
        total = design.depth * np.exp(_DEPTH_SPREAD * rng.standard_normal(cells.size))
        rate *= total[:, None].astype(np.float32)
        rate *= rng.standard_gamma(1 / _DISPERSION, rate.shape, dtype=np.float32) * np.float32(_DISPERSION)
        # Poisson, most of them 0, by the first arrival of the process: none before the rate is a 0.
        first = rng.standard_exponential(rate.shape, dtype=np.float32)
        row, column = np.nonzero(first < rate)
        n = 1 + rng.poisson(rate[row, column] - first[row, column])
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=cells.size))])
        drawn = (n.astype(np.float32), column.astype(np.int32), start)
        counts.append(sp.csr_matrix(drawn, shape=rate.shape))
        shares.append(share)
    return sp.csr_matrix(sp.vstack(counts, format="csr")), np.concatenate(shares)


def _expected(kind: Array, usage: Array, programs: Sequence[str], world: World, rng: np.random.Generator) -> Array:
    """Return the expected expression of one sample's cells, rows sum to 1."""
    own = (_SAMPLE_SPREAD, _TUMOUR_SPREAD)
    effects = [np.exp(s * rng.standard_normal(len(world.genes))).astype(np.float32) for s in own]
    rate = np.empty((kind.size, len(world.genes)), np.float32)
    for name in dict.fromkeys(world.kinds):
        cells = np.flatnonzero(kind == name)
        arms = np.flatnonzero(np.array(world.kinds) == name)
        rate[cells] = world.profiles[rng.choice(arms, cells.size)]
        if name in (MACROPHAGE, MALIGNANT):
            # Each cell's usage of a program is that of one of the program's arms.
            amount = np.zeros((cells.size, len(world.programs)), np.float32)
            for i, program in enumerate(programs):
                places = np.flatnonzero(np.array(world.programs) == program)
                amount[np.arange(cells.size), rng.choice(places, cells.size)] = usage[cells, i]
            # einsum, not @: the last bit of a product by BLAS depends on the number of threads
            rate[cells] *= 1 + np.einsum("cp,pg->cg", amount, world.fold - 1)
        if name == MALIGNANT:
            rate[cells] *= effects[1]
    noise = np.flatnonzero(kind == NOISE)
    rate[noise] = rng.permuted(np.broadcast_to(world.profiles[0], (noise.size, len(world.genes))), axis=1)
    rate[kind != NOISE] *= effects[0]
    rate /= rate.sum(axis=1, keepdims=True)
    return rate
