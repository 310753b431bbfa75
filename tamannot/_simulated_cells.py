"""The cells of `simulate`: samples and their conditions, shares and usages; and what their genes express."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
import scipy.stats

from tamannot.errors import ParameterError
from tamannot.scoring._njit import Array
from tamannot.scoring._null import reference_depths
from tamannot.signature import Gene, Signature, SignatureSet, human_genes, load_signatures

MACROPHAGE, MALIGNANT, NOISE, UNKNOWN = "macrophage", "malignant", "noise", "unknown"
LAM, DEFENCE = "lipid_associated", "ferroptosis_defence"
DOMINANT = 0.35  # a program with more usage than this dominates its cell

# Usage of a dominating program, and what the others of its cell stay below.
_LEAST, _MOST, _MINOR = 0.4, 0.95, 0.3
# Dirichlet weights of each minor program, and of none.
_SPARSE, _FREE = 0.2, 2.5
# Less than this is no share, but rounding.
_NOTHING = 1e-9
# Usage of the defence program over samples, on the logit scale, and over the cells of one.
_DEFENCE_MEAN, _DEFENCE_SPREAD, _DEFENCE_CONCENTRATION = -0.8, 0.9, 10.0

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
_MOST_OF_CELL = 0.02
# Genes of no signature that each program, and each cell type, has beside its own.
_N_OWN, _N_LINEAGE_OWN, _N_MARKERS = 100, 300, 20

# Spread of the logarithm: of depth over cells, of each gene over samples, of each gene over tumours.
_DEPTH_SPREAD, _SAMPLE_SPREAD, _TUMOUR_SPREAD = 0.5, 0.2, 0.5
# Variance of a gene beyond Poisson, as a share of its squared mean.
_DISPERSION = 0.2
_AMBIENT_CONCENTRATION = 24.0


@dataclass(frozen=True)
class Design:
    """The parameters of `simulate`."""

    n_cells: int
    n_samples: int
    conditions: tuple[str, ...]
    composition: Mapping[str, float]
    origins: Mapping[str, float]
    states: Mapping[str, float]
    shift: Mapping[str, float]
    crosstalk: float
    overdispersion: float
    depth: float
    ambient: float
    n_noise_cells: int
    n_unknown_cells: int

    def check(self) -> None:
        """Raise for parameters that cannot be simulated."""
        ranges = {
            "n_cells": (1, np.inf),
            "n_samples": (1, np.inf),
            "crosstalk": (-1, 1),
            "overdispersion": (0, 0.5),
            "depth": (1, np.inf),
            "ambient": (0, 0.5),
            "n_noise_cells": (0, np.inf),
            "n_unknown_cells": (0, np.inf),
        }
        for name, (low, high) in ranges.items():
            value: float = getattr(self, name)
            if not low <= value <= high or not np.isfinite(value):
                wanted = f": give {low} to {high}" if high < np.inf else f", below {low}"
                raise ParameterError(f"{name} is {value}{wanted}.")
        if len(set(self.conditions)) != len(self.conditions) or not self.conditions:
            raise ParameterError("conditions must be one or more unique names.")
        known = {
            "composition": {*load_signatures(axis="compartment"), MALIGNANT},
            "origins": {*load_signatures(axis="origin")},
            "states": {*load_signatures(axis="state")},
            "shift": {*self.composition, *self.origins, *self.states},
        }
        for name, ids in known.items():
            given: Mapping[str, float] = getattr(self, name)
            if unknown := sorted(set(given) - ids):
                raise ParameterError(f"{name} has unknown entries {', '.join(unknown)}: use {', '.join(sorted(ids))}.")
            if not all(np.isfinite(v) and v >= 0 for v in given.values()):
                raise ParameterError(f"{name} has a value that is not a number of at least 0.")
        if sum(self.composition.values()) <= 0:
            raise ParameterError("composition has no compartment with a share above 0.")
        for name in ("origins", "states"):
            if (total := sum(getattr(self, name).values())) > 1 + _NOTHING:
                raise ParameterError(f"{name} are shares of macrophages and sum to {total:.2f}, not to at most 1.")
        if self.shift and len(self.conditions) < 2:
            raise ParameterError("shift changes the second condition: give two conditions.")
        has_both = {MACROPHAGE, MALIGNANT} <= set(self.composition)
        if self.crosstalk and not (has_both and LAM in self.states and self.overdispersion > 0):
            raise ParameterError(
                "crosstalk needs macrophages, malignant cells, the state lipid_associated, and overdispersion above 0."
            )

    def means(self, axis: str, condition: str) -> dict[str, float]:
        """Return the expected shares of a condition; the remainder belongs to none of the ids."""
        share = dict(getattr(self, axis))
        if axis == "composition":
            share = {k: v / sum(share.values()) for k, v in share.items()}
        shifted = {k: v * self.shift[k] for k, v in share.items() if k in self.shift}
        if not shifted or condition != self.conditions[1]:
            return share
        before, after = sum(share[k] for k in shifted), sum(shifted.values())
        if after >= 1:
            raise ParameterError(f"shift raises {', '.join(shifted)} to {after:.2f} of cells: shares must be below 1.")
        room = (1 - after) / (1 - before)
        return {k: shifted.get(k, v * room) for k, v in share.items()}


@dataclass(frozen=True)
class Cohort:
    """Samples and the cells in them."""

    table: pd.DataFrame  # samples with their condition, expected shares and level of the defence program
    sample: Array  # number of each cell's sample
    compartment: Array  # of each cell; object array of str
    usage: pd.DataFrame  # cells × programs, float32, in [0, 1]


def draw_cohort(design: Design, rng: np.random.Generator) -> Cohort:
    """Draw shares of samples, then cells from the shares, then usages."""
    names = [f"s{i + 1:02d}" for i in range(design.n_samples)]
    condition = [design.conditions[i % len(design.conditions)] for i in range(design.n_samples)]
    table = pd.DataFrame({"condition": condition}, index=pd.Index(names, name="sample"))
    # The shares of each sample are Dirichlet around those of its condition.
    for axis in ("composition", "origins", "states"):
        of_samples = []
        for name in condition:
            mean = np.array([*design.means(axis, name).values()])
            rest = 1 - mean.sum()
            mean = np.append(mean, rest if rest > _NOTHING else 0.0)  # a rounding error would draw numbers of its own
            if design.overdispersion > 0:
                gamma = rng.standard_gamma(mean * (1 / design.overdispersion - 1))
                mean = gamma / gamma.sum()
            of_samples.append(mean[:-1])
        for name, share in zip(getattr(design, axis), np.array(of_samples).T, strict=True):
            table[name] = share
    # Standard normal levels of the defence program, correlated with the normal scores of the samples' LAM shares.
    level = rng.standard_normal(design.n_samples)
    if design.crosstalk:
        score = scipy.stats.norm.ppf((scipy.stats.rankdata(table[LAM]) - 0.5) / design.n_samples)
        level = design.crosstalk * score + np.sqrt(1 - design.crosstalk**2) * level
    table[DEFENCE] = level
    ids = np.array([*design.composition], dtype=object)
    extra = np.repeat(np.array([NOISE, UNKNOWN], dtype=object), [design.n_noise_cells, design.n_unknown_cells])
    drawn = []
    for share in table[list(ids)].to_numpy(float):
        drawn += [rng.choice(ids, design.n_cells, p=share / share.sum()), extra]
    sample, compartment = np.repeat(np.arange(design.n_samples), design.n_cells + extra.size), np.concatenate(drawn)
    usage: dict[str, Array] = {}
    within = np.flatnonzero(compartment == MACROPHAGE)
    for programs in (list(design.origins), list(design.states)):
        of_axis = np.zeros((sample.size, len(programs)), np.float32)
        of_axis[within] = _draw_usages(table[programs].to_numpy(float)[sample[within]], rng)
        usage |= dict(zip(programs, of_axis.T, strict=True))
    mean = 1 / (1 + np.exp(-(_DEFENCE_MEAN + _DEFENCE_SPREAD * level[sample])))
    defence = rng.beta(mean * _DEFENCE_CONCENTRATION, (1 - mean) * _DEFENCE_CONCENTRATION)
    usage[DEFENCE] = np.where(compartment == MALIGNANT, defence, 0).astype(np.float32)
    return Cohort(table, sample, compartment, pd.DataFrame(usage))


def _draw_usages(share: Array, rng: np.random.Generator) -> Array:
    """Return usages by the chance of each program to dominate, cells × programs: one program or none is high."""
    n_cells, n_programs = share.shape
    chosen = (rng.random((n_cells, 1)) > np.cumsum(share, axis=1)).sum(axis=1)
    own = np.where(chosen < n_programs, _LEAST + (_MOST - _LEAST) * rng.beta(2, 2, n_cells), 0)
    weight = rng.standard_gamma([_SPARSE] * n_programs + [_FREE], (n_cells, n_programs + 1))
    minor = (weight / weight.sum(axis=1, keepdims=True))[:, :n_programs] * (1 - own[:, None])
    usage = np.minimum(minor, _MINOR)
    has = np.flatnonzero(chosen < n_programs)
    usage[has, chosen[has]] = own[has]
    return np.asarray(usage, np.float32)


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
            level = np.minimum(level / level.sum(), _MOST_OF_CELL)
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
            yield np.minimum(fold, np.maximum(1.0, _MOST_OF_CELL / self._in_macrophages))

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
