"""The pipeline: fit to a sample of the cells, then call all cells block by block."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from tamannot._progress import Progress
from tamannot._settings import AnnotateSettings, in_order
from tamannot.classify import _state
from tamannot.classify._activity import Activity, fit_activities, whole_z
from tamannot.classify._call import FEW_GENES, LOW_COVERAGE, MACROPHAGE, UNFAMILIAR, Call, Cells, Scored, Source
from tamannot.classify._cohort import Cohort, doublet_thresholds, fit_novelty
from tamannot.classify._gate import call_compartment, given_compartment, mixed_lineage, rival_z
from tamannot.classify._origin import call_origin, find_middle, looks_like_brain, origin_z
from tamannot.classify._panels import Panels
from tamannot.classify._reference import BASELINES
from tamannot.classify._state import M1, M2, STATES, StateClassifier
from tamannot.scoring import NullScores, OfCells, _features
from tamannot.scoring._expression import TARGET, on_scale
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import CsrRows, RowBlock, each_block, spread_rows
from tamannot.signature import SignatureSet

# Cells that are called together.
_BLOCK = 2048
_N_GENES = 2000
# Of more macrophages of an origin, so many are taken: baselines move by less than 0.2 if all are.
_MOST_MACROPHAGES = 10_000
# The lift where a program is active is shrunk towards this, as if that had been observed in so many cells.
_USUAL, _USUAL_CELLS = 5.0, 20
_EXPERIMENTAL = tuple(STATES.index(s) for s in _state.EXPERIMENTAL)
# Where a program counts as present in a cell.
_PRESENT_P = 0.01


@dataclass(frozen=True, eq=False)
class Prepared:
    """A data set with its fitted cohort, ready for calls."""

    source: Source
    panels: Panels
    cohort: Cohort
    scored: Scored | None = None  # scores of all cells, where learning has made them

    def blocks(self, *, threads: int, report: Progress, block: int | None = None) -> Iterator[tuple[range, Calls]]:
        """Yield rows and their calls in order, ``block`` cells at a time, which changes memory and speed alone."""
        rows = self.source.rows
        step = block or rows.step * max(1, _BLOCK // rows.step)
        report("calling", rows.shape[0])

        def about(mine: range) -> tuple[Cells, Scored | None]:
            here = slice(mine.start, mine.stop)
            return self.source.cells[here], None if self.scored is None else self.scored[here]

        call = partial(_call_block, self.panels, self.source.kind, self.cohort)
        for mine, calls in each_block(rows, call, about, threads=threads, step=step):
            report.tick(len(mine))
            yield mine, calls


def prepare(
    source: Source,
    library: SignatureSet,
    settings: AnnotateSettings,
    cohort: Cohort | None = None,
    *,
    threads: int,
    report: Progress,
) -> Prepared:
    """Fit a cohort to a data set, or take a ``cohort`` that exists; species ``auto`` stands for human."""
    panels = Panels(library, source.index, source.rows.shape[1], "mouse" if settings.species == "mouse" else "human")
    rows, runs = source.rows, spread_rows(source.rows.shape[0])
    whole = runs == [range(rows.shape[0])]
    with ThreadPoolExecutor(1) as pool:
        if source.cells.given is None or settings.portable or (cohort is not None and cohort.novelty is not None):
            pool.submit(lambda: panels.gate)  # made once, not by each thread or worker, and while cells are read
        if cohort is not None:
            return Prepared(source, panels, cohort)
        report("reading", sum(map(len, runs)))
        sample = _features.taken(rows, runs, threads=threads, tick=report.tick)
    scale = _features.find_scale(sample, source.kind, source.index.ids, threads=threads)
    cells = source.cells if whole else source.cells[[i for run in runs for i in run]]
    learning = replace(source, rows=sample, cells=cells).on_scale(*scale)
    fitted, scored = _fit(learning, panels, settings, threads=threads, report=report, keep_scores=whole)
    source = learning if whole else source.on_scale(*scale)
    return Prepared(source, panels, fitted, scored)


@dataclass(frozen=True)
class _FirstPass(OfCells):
    """What the first pass finds out about each cell."""

    scored: Scored
    compartment: Array
    hashes: Array  # of what macrophages hold; 0 for other cells
    rival: Array  # probability of the strongest other compartment
    lead: Array  # of the gate; 0 if it was not asked for


def _fit(
    source: Source, panels: Panels, settings: AnnotateSettings, *, threads: int, report: Progress, keep_scores: bool
) -> tuple[Cohort, Scored | None]:
    """Fit a cohort to cells; return it with their scores if they are kept. The number of threads changes no result."""
    report("scores", source.rows.shape[0])
    first = _first_pass(source, panels, threads=threads, report=report, with_lead=settings.portable)
    is_macrophage = first.compartment == MACROPHAGE
    brain, reason = settings.tissue == "brain", "as given"
    if settings.tissue == "auto":
        brain, reason = looks_like_brain(first.compartment, first.scored.by_macrophages, is_macrophage)
    found = np.flatnonzero(is_macrophage)
    # A random order by content; copies of a cell share a place in it, and the weight of one cell.
    order = _features.random_order(first.hashes[found], settings.rng)
    _, copy_of, n_copies = np.unique(order, return_inverse=True, return_counts=True)
    z, weight = origin_z(first.scored.by_macrophages)[found], 1.0 / n_copies[copy_of]
    middle = find_middle(z, weight) if brain else 0.0
    nearest = np.where((z[:, 0] - z[:, 1] > middle) & brain, 0, 1)  # microglia, monocyte-derived
    report("states", found.size)
    halves, scale = first.scored.halves[found], first.scored.scale[found]

    def fit_origin(origin: int, _: int) -> list[Activity]:
        here = np.flatnonzero(nearest == origin)
        here = np.sort(here[np.argsort(order[here], kind="stable")[:_MOST_MACROPHAGES]])
        evidence = halves[here], scale[here], weight[here]
        return fit_activities(*evidence, panels.state_genes, BASELINES[origin], _EXPERIMENTAL)

    with threadpool_limits(1):  # the same sums whatever the machine; and threads of BLAS would wait for a busy core
        activities = list(in_order(fit_origin, len(BASELINES), threads=threads, step=1))
    # How far above the baseline each program is, and how far where it is active: what amounts are relative to.
    probability, lift = _state.lifts_of(activities, halves, scale, nearest)
    active = np.where(probability > 0.5, probability, 0.0) * weight[:, None]
    usual = ((active * lift).sum(axis=0) + _USUAL * _USUAL_CELLS) / (active.sum(axis=0) + _USUAL_CELLS)
    states = StateClassifier(activities, usual, np.zeros(len(STATES), bool))
    sample = source.cells[found].sample
    cohort = Cohort(
        brain=brain,
        tissue_reason=reason,
        middle=middle,
        states=states,
        doublet={} if source.cells.given is not None else doublet_thresholds(first.rival[found], sample),
        n_cells=source.rows.shape[0],
        n_macrophages=found.size,
    )
    if settings.portable:  # cells of other data may be unlike these
        features = np.column_stack([whole_z(halves), z, first.lead[found]])
        active = np.where(probability > 0.5, lift, -np.inf)
        state = np.where(np.isfinite(active).any(axis=1), active.argmax(axis=1) + 1, 0)
        cohort = replace(cohort, novelty=fit_novelty(features, 2 * state + nearest))
    known = np.array([panels.coverage[s] >= FEW_GENES and s not in _state.EXPERIMENTAL for s in STATES])
    chosen, state, sure = _state.choose_training(probability, lift, usual, known, order)
    scored = first.scored if keep_scores else None
    del first  # scores of many cells take more memory than the training cells
    if sure[chosen].any() or settings.portable:
        training = (state[chosen], sure[chosen], nearest[chosen])
        cohort = replace(cohort, states=_trained(states, source, found[chosen], order[chosen], training))
    return cohort, scored


def _trained(
    states: StateClassifier, source: Source, cells: Array, order: Array, training: tuple[Array, Array, Array]
) -> StateClassifier:
    """Return the classifier of states, trained on cells of a state, its probability, and an origin."""
    block = CsrRows(_features.take_rows(source.rows, cells)).block(0, cells.size)
    x = expression_of(block, source.kind, source.rows.shape[1])
    genes = _features.variable_genes(x, _N_GENES)
    by_content = np.argsort(order)  # sums are the same whatever the order of the cells
    state, sure, origin = (values[by_content] for values in training)
    return _state.train(sp.csr_array(x[:, genes])[by_content], state, sure, origin, states, genes)


def _first_pass(source: Source, panels: Panels, *, threads: int, report: Progress, with_lead: bool) -> _FirstPass:
    rows, keys = source.rows, _features.gene_keys(panels.index.ids)

    def work(start: int, stop: int) -> _FirstPass:
        block, cells = rows.block(start, stop), source.cells[start:stop]
        scored = panels.score(block)
        x = expression_of(block, source.kind, panels.n_vars)
        call = _compartments_of(x, scored, panels, cells)
        lead = panels.gate.lead(x) if with_lead else np.zeros(stop - start)
        hashes, is_macrophage = np.zeros(stop - start, np.uint64), call.label == MACROPHAGE
        hashes[is_macrophage] = _features.block_hash(block.only(is_macrophage), keys)
        report.tick(stop - start)
        return _FirstPass(scored, call.label, hashes, call.proba[:, panels.rivals], lead)

    return _FirstPass.joined([*in_order(work, rows.shape[0], threads=threads, step=rows.step)])


@dataclass(frozen=True, eq=False)
class Calls:
    """All calls of some cells."""

    scores: NullScores  # of the signatures of the tables
    compartment: Call
    origin: Call
    state: Call
    mixed_lineage: Array
    dual_m1_m2: Array  # the smaller z of the two polarization arms
    programs: Array  # ids of the programs that are present, joined by ``+``


def expression_of(block: RowBlock, kind: str, n_vars: int) -> sp.csr_array:
    """Return what classifiers see, cells × genes: ``log1p`` of 10,000 per cell; log values are unchanged."""
    return block.matrix(n_vars, on_scale(block, 0.0 if kind == "log" else TARGET))


def _compartments_of(x: sp.csr_array, scored: Scored, panels: Panels, cells: Cells) -> Call:
    """Call the compartments of some cells, or take the user's own."""
    if cells.given is not None:
        return given_compartment(cells.given, panels.compartments, cells.mapping)
    margin, detected = panels.gate.log_odds(x)
    return call_compartment(margin, detected, scored.by_cells, panels.compartments, enough=panels.gate.enough)


def _call_block(
    panels: Panels, kind: str, cohort: Cohort, block: RowBlock, cells: Cells, scored: Scored | None = None
) -> Calls:
    """Return the calls of a block of a matrix of some kind; ``scored`` are its scores, if already computed."""
    scored = scored or panels.score(block)
    scores = scored.by_macrophages
    x = expression_of(block, kind, panels.n_vars)
    compartment = _compartments_of(x, scored, panels, cells)
    is_macrophage = compartment.label == MACROPHAGE
    other = rival_z(scored.by_cells, panels.compartments)
    mixed = mixed_lineage(other, is_macrophage)
    z = origin_z(scores)
    origin = call_origin(scores, is_macrophage, panels.origin_genes, brain=cohort.brain, middle=cohort.middle)
    nearest = np.where((z[:, 0] - z[:, 1] > cohort.middle) & cohort.brain, 0, 1)
    products = None
    if (fit := cohort.states.regression) is not None:  # all columns: to select most takes longer than their zeros
        wide = np.zeros((panels.n_vars, len(fit.coef)))
        np.add.at(wide, fit.columns, fit.coef.T)
        products = x @ wide
    coverage = [panels.coverage[s] for s in STATES]
    state = _state.call_state(cohort.states, scored, products, nearest, coverage, mixed).only_macrophages(is_macrophage)
    if cells.given is None:
        doublet = is_macrophage & cohort.is_doublet(compartment.proba[:, panels.rivals], other, cells.sample)
        state = state.set_aside(doublet, _state.MIXED_LINEAGE)
    if (novelty := cohort.novelty) is not None and cohort.lender is not None:
        lead = panels.gate.lead(x)
        away = novelty.distance(np.column_stack([whole_z(scored.halves), z, lead]))
        strange = is_macrophage & ((away > novelty.limit) | (lead < novelty.least_lead))
        origin, state = (call.set_aside(strange, UNFAMILIAR) for call in (origin, state))
    if cohort.lender is not None and cohort.lender.coverage < FEW_GENES:
        state = state.set_aside(is_macrophage, LOW_COVERAGE)
    ids = [*STATES, *panels.ids("overlay")]
    present = np.stack([np.nan_to_num(scores.column("p", i), nan=1.0) < _PRESENT_P for i in ids], axis=1)
    return Calls(
        scores=panels.tables(scored),
        compartment=compartment,
        origin=origin,
        state=state,
        mixed_lineage=mixed,
        dual_m1_m2=np.minimum(scores.column("z", M1), scores.column("z", M2)).astype(np.float32),
        programs=np.array(["+".join(itertools.compress(ids, row)) for row in present], dtype=object),
    )
