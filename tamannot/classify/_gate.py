"""The compartment of a cell, by a classifier of all compartments trained on the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import scipy.sparse as sp

from tamannot.classify._call import AMBIGUOUS, ASSIGNED, LOW_COVERAGE, LOW_SIGNAL, MACROPHAGE, UNASSIGNED, Call
from tamannot.classify._reference import Species, finder, load_profiles
from tamannot.errors import ParameterError
from tamannot.scoring import NullScores
from tamannot.scoring._expression import sums_of_columns
from tamannot.scoring._njit import Array
from tamannot.signature import GeneIndex
from tamannot.stats._classifiers import fit_multinomial

# Monocytes and dendritic cells share most of a macrophage's genes; their score beside it is no admixture.
KIN = (MACROPHAGE, "monocyte", "dendritic", "plasmacytoid")
# Of each profile so many training cells are drawn: of 500 to 20,000 counts, half of them with ambient RNA of their
# tissue, all with genes that another laboratory sees better or worse.
_DRAWN, _FEWEST_COUNTS, _MOST_COUNTS, _AMBIENT, _GENE_NOISE = 4, 500, 20_000, (2, 15), 4.0
_MOST_GENES, _C = 2500, 3.0
# With fewer genes of the reference in the data, no compartment is called.
FEWEST_REFERENCE_GENES = 20
# What one unit of a panel's z adds to the logarithm of the odds.
_PER_Z, _LEAST_Z, _MOST_Z = 0.5, -2.0, 4.0
# One stray count of a rare gene is no lineage.
_FEWEST_PANEL_GENES = 3
_FEWEST_DETECTED, _LEAST_PROB = 10, 0.3


class Gate:
    """The classifier of some compartments, trained on the genes of reference profiles that the data have."""

    def __init__(self, index: GeneIndex, species: Species, ids: Sequence[str]) -> None:
        column, here = reference_columns(index, species)
        self.enough = here.size >= FEWEST_REFERENCE_GENES
        self._macrophage = list(ids).index(MACROPHAGE)
        self._columns, self._intercept = np.zeros(0, np.int64), np.zeros(len(ids))
        self._weights = np.zeros((0, len(ids)))
        if self.enough:
            genes, classes, coef, intercept = _trained(species, here.tobytes())
            at, known = np.array([(k, classes.index(i)) for k, i in enumerate(ids) if i in classes]).T
            self._columns, self._weights = column[genes], np.zeros((genes.size, len(ids)))
            self._weights[:, at] = coef[known].T
            self._intercept[:] = -50.0
            self._intercept[at] = intercept[known]

    def log_odds(self, x: sp.csr_array) -> tuple[Array, Array]:
        """Return the margin of each compartment, cells × compartments, and the features detected in each cell."""
        products, squares, detected = sums_of_columns(x, self._columns, self._weights)
        return products / np.sqrt(np.maximum(squares, 1e-12))[:, None] + self._intercept, detected

    def lead(self, x: sp.csr_array) -> Array:
        """Return the margin of macrophages minus the highest other margin, for each cell."""
        margin = self.log_odds(x)[0]
        return np.asarray(margin[:, self._macrophage] - np.delete(margin, self._macrophage, axis=1).max(axis=1))


def reference_columns(index: GeneIndex, species: Species) -> tuple[Array, Array]:
    """Return the column of each gene of the reference, -1 if there is none, and which genes have one of their own."""
    find = finder(index, species)
    column = np.array([find(s) if s else -1 for s in load_profiles(species)[0]])
    _, first = np.unique(column, return_index=True)
    return column, np.sort(first[column[first] >= 0])


@lru_cache(maxsize=32)
def _trained(species: Species, genes: bytes) -> tuple[Array, list[str], Array, Array]:
    """Train on the profiles with some of their genes; return those used, classes, coefficients and intercepts."""
    here = np.frombuffer(genes, np.int64)
    _, compartment, logs = load_profiles(species)
    logs = logs[:, here]
    classes = sorted(set(compartment.tolist()))
    unit = logs / np.maximum(np.linalg.norm(logs, axis=1, keepdims=True), 1e-9)
    means = np.stack([unit[compartment == c].mean(axis=0) for c in classes])
    apart = means.max(axis=0) - np.median(means, axis=0)
    used = np.sort(np.argsort(-apart, kind="stable")[:_MOST_GENES])
    x, y = _training_cells(np.expm1(logs[:, used]), compartment)
    number = np.searchsorted(classes, y)
    fit = fit_multinomial(x, number, len(classes), C=_C, class_weight="balanced", max_iter=2000)
    return here[used], classes, *fit


def _training_cells(profiles: Array, compartment: Array) -> tuple[sp.csr_matrix, Array]:
    """Draw training cells from profiles of ten thousand per cell; return their unit-length logarithms and labels."""
    rng = np.random.default_rng(0)
    share = np.repeat(profiles / 1e4, _DRAWN, axis=0)
    n = len(share)
    counts = np.exp(rng.uniform(np.log(_FEWEST_COUNTS), np.log(_MOST_COUNTS), n))
    ambient = np.where(rng.random(n) < 0.5, rng.beta(*_AMBIENT, n), 0.0)[:, None]
    share = (1 - ambient) * share + ambient * share.mean(axis=0)
    share *= rng.gamma(_GENE_NOISE, 1 / _GENE_NOISE, share.shape)
    drawn = rng.poisson(share * counts[:, None])
    x = np.log1p(1e4 * drawn / counts[:, None])
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return sp.csr_matrix(x), np.repeat(compartment, _DRAWN)


def call_compartment(margin: Array, detected: Array, scores: NullScores, ids: Sequence[str], *, enough: bool) -> Call:
    """Call the compartment with the best evidence, `Gate.log_odds` and z of the panel, or none without ``enough``."""
    z = np.nan_to_num(scores.z[:, [scores.ids.index(i) for i in ids]].astype(float))
    odds = margin + _PER_Z * np.clip(z, _LEAST_Z, _MOST_Z)
    odds -= odds.max(axis=1, keepdims=True)
    proba = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    label = np.array(ids, dtype=object)[proba.argmax(axis=1)]
    status = np.full(len(label), ASSIGNED, dtype=object)
    status[proba.max(axis=1) < _LEAST_PROB] = AMBIGUOUS
    status[detected < _FEWEST_DETECTED] = LOW_SIGNAL
    if not enough:
        status[:] = LOW_COVERAGE
    label[status != ASSIGNED] = UNASSIGNED
    proba = proba.astype(np.float32)
    return Call(label, status, proba, tuple(ids), proba.max(axis=1))


def given_compartment(labels: Array, ids: Sequence[str], mapping: Mapping[str, str] | None) -> Call:
    """Take the user's cell types; ``mapping`` is from their names to ids, None if they are ids; others: unassigned."""
    values = [str(v) for v in labels]
    known = {i: i for i in (*ids, UNASSIGNED)} if mapping is None else dict(mapping)
    named = set(values) - {"nan"} if mapping is None else set(known.values())
    if unknown := sorted(named - {*ids, UNASSIGNED}):
        raise ParameterError(
            f"Unknown compartments: {', '.join(unknown[:5])}. Use compartment_key=(column, {{your name: id}}) "
            f"with the ids {', '.join(ids)}."
        )
    label = np.array([known.get(v, UNASSIGNED) for v in values], dtype=object)
    proba = (label[:, None] == np.array(ids, dtype=object)[None, :]).astype(np.float32)
    status = np.where(label == UNASSIGNED, LOW_SIGNAL, ASSIGNED).astype(object)
    return Call(label, status, proba, tuple(ids), proba.max(axis=1))


def rival_z(scores: NullScores, ids: Sequence[str]) -> Array:
    """Return z of the lineages unrelated to macrophages, cells × lineages, 0 where few genes of one are detected."""
    columns = [scores.ids.index(i) for i in ids if i not in KIN]
    enough = scores.detected[:, columns] >= _FEWEST_PANEL_GENES
    return np.where(enough, np.nan_to_num(scores.z[:, columns]), 0.0)


def mixed_lineage(rival: Array, is_macrophage: Array) -> Array:
    """Return the greatest of `rival_z`, 0 at least; NaN for other cells."""
    # High in doublets, and where ambient RNA or a phagocytosed cell adds genes of another lineage.
    return np.where(is_macrophage, rival.max(axis=1, initial=0.0), np.nan).astype(np.float32)
