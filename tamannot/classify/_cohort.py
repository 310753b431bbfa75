"""What was fitted to the macrophages of a cohort, and suffices to call any block of cells, of other data, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from tamannot.classify._call import Array
from tamannot.classify._labels import similarity_of
from tamannot.classify._state import StateClassifier

# Of the cells fitted to, this share is unfamiliar.
_STRANGE = 0.01
_FEWEST_FAMILIAR, _FOLDS = 20, 5
_CELLS_A_DEPTH, _MOST_DEPTHS = 400, 8
# A rival lineage is a doublet's above this probability, and above what ambient RNA gives macrophages of the sample.
_DOUBLET, _AMBIENT_SPREAD = 0.1, 4.0


@dataclass(frozen=True)
class Lender:
    """The model that a cohort is from, and how it fits the data at hand."""

    digest: str
    cells: str
    """What it was learned from, in words."""
    trained_with: str
    """Version of the package."""
    target_accuracy: float
    n_genes: int
    """Genes that it knows."""
    n_known: int
    """Of them in the data."""
    coverage: Mapping[str, float]
    """Share of the genes of each axis that are in the data, by the size of their weights."""
    digests: Mapping[str, str]
    """Of the signatures it was learned with, by id."""
    low_coverage: frozenset[str]
    """Axes that have too few of their genes here: they are not called."""


@dataclass(frozen=True, eq=False)
class Novelty:
    """How similar to the macrophages fitted to a cell has to be, by its depth."""

    columns: Array
    centroids: Array
    """Genes × groups of macrophages."""
    depth: Array
    similarity: Array


@dataclass(frozen=True, eq=False)
class Cohort:
    """Tissue, origins and states of a cohort: with these a cell's call depends on no other cell."""

    brain: bool
    tissue_reason: str
    middle: float
    """Difference of z at which microglia and monocyte-derived part."""
    states: StateClassifier
    doublet: Mapping[str, float] = field(default_factory=dict)
    """By sample, the probability of a rival lineage above which a cell is a doublet."""
    n_cells: int = 0
    n_macrophages: int = 0
    """Fitted to."""
    novelty: Novelty | None = None
    """None: fitted to the cells at hand, which are all familiar."""
    lender: Lender | None = field(default=None)
    """None: fitted to the cells at hand."""

    @property
    def tissue(self) -> str:
        """The word for the tissue."""
        return "brain" if self.brain else "other"

    def is_doublet(self, rival: Array, sample: Sequence[str] | None) -> Array:
        """Say which macrophages are doublets, by `rival_probability`."""
        names = ["all"] * rival.size if sample is None else sample
        return np.asarray(rival > np.array([self.doublet.get(n, _DOUBLET) for n in names]))

    def is_unfamiliar(self, x: sp.csr_array) -> Array:
        """Say which cells are unlike those fitted to."""
        if self.novelty is None or self.lender is None:
            return np.zeros(x.shape[0], bool)
        known = self.novelty
        is_feature, centroids = np.zeros(x.shape[1]), np.zeros((x.shape[1], known.centroids.shape[1]))
        is_feature[known.columns], centroids[known.columns] = 1.0, known.centroids
        similarity, detected = similarity_of(x, centroids, is_feature)
        return np.asarray(similarity < np.interp(np.log2(detected + 1), known.depth, known.similarity))


def doublet_thresholds(rival: Array, sample: Sequence[str] | None) -> dict[str, float]:
    """Return by sample the probability of a rival lineage above which a macrophage is a doublet.

    Ambient RNA of other lineages is in all macrophages of a sample, so a doublet stands out from them. ``rival`` is
    what `rival_probability` says of the macrophages.
    """
    names = np.asarray(["all"] * rival.size if sample is None else list(sample), str)
    found = {}
    for name in np.unique(names):
        of_sample = np.log(np.maximum(rival[names == name], 1e-4))
        middle = float(np.median(of_sample))
        spread = 1.4826 * float(np.median(np.abs(of_sample - middle)))
        found[str(name)] = max(_DOUBLET, min(float(np.exp(middle + _AMBIENT_SPREAD * spread)), 3 * np.exp(middle)))
    return found


def fit_novelty(x: sp.csr_array, y: Array, origin: Array, columns: Array, order: Array) -> Novelty | None:
    """Return how similar the cells are to the means of others, by state and origin; None if they are few.

    A fifth of the cells at a time, by ``order``, is held against the means of the rest: among few cells each is
    similar to a mean that it is part of.
    """
    group = 2 * y + origin
    if x.shape[0] < _FEWEST_FAMILIAR or np.unique(group).size < 2:
        return None
    similarity, detected, fold = np.empty(x.shape[0]), np.empty(x.shape[0]), order % np.uint64(_FOLDS)
    for f in np.unique(fold):
        out = fold == f
        similarity[out], detected[out] = similarity_of(x[out], _means(x[~out], group[~out]), np.ones(x.shape[1]))
    by_depth = np.argsort(detected, kind="stable")
    bins = np.array_split(by_depth, min(_MOST_DEPTHS, max(1, by_depth.size // _CELLS_A_DEPTH)))
    depth = np.array([np.median(np.log2(detected[b] + 1)) for b in bins])
    least = np.maximum.accumulate([np.quantile(similarity[b], _STRANGE) for b in bins])
    keep = np.diff(depth, prepend=-1) > 0
    return Novelty(columns, _means(x, group), depth[keep], least[keep])


def _means(x: sp.csr_array, group: Array) -> Array:
    """Return the mean of each group, genes × groups."""
    return np.stack([np.asarray(x[group == g].mean(axis=0)).ravel() for g in np.unique(group)], axis=1)
