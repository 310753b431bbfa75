"""The fit to the macrophages of a cohort, which is enough to call any block of cells, also of other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tamannot.classify._state import StateClassifier
from tamannot.scoring._njit import Array

# Of the cells fitted to, this share is farther away, and this share has a smaller lead; a distance that one normal cell
# in a hundred has is familiar.
_STRANGE, _LEAST_LIMIT = 0.005, 21.7
_FEWEST_OF_GROUP, _LEAST_SPREAD = 10, 0.7
# A rival lineage is a doublet's above this probability, and above what ambient RNA gives macrophages of the sample, if
# its panel has so great a z.
_DOUBLET, _SURE_DOUBLET, _AMBIENT_SPREAD, _PANEL_Z = 0.02, 0.3, 4.0, 1.64
_UNKNOWN_AMBIENT = 0.1  # of a sample that was not fitted to, as with a model


@dataclass(frozen=True)
class Lender:
    """The model of a cohort, and how it fits the present data."""

    about: Mapping[str, Any]
    """What the record of a run says of it."""
    digests: Mapping[str, str]
    """Of the signatures it was learned with, by id."""
    coverage: float
    """Share of its genes that are in the data, by the size of their weights; with few no state is called."""


@dataclass(frozen=True, eq=False)
class Novelty:
    """The training macrophages: groups by origin and state, by z of states and origins and the lead of the gate."""

    centers: Array
    """Groups × features."""
    spread: Array
    """Of each feature within groups."""
    limit: float
    """Squared distance, in spreads, from the nearest group above which a cell is unfamiliar."""
    least_lead: float
    """So far at least must the gate's margin of macrophages be ahead."""

    def distance(self, features: Array) -> Array:
        """Return the squared distance of each cell from the nearest group."""
        away = (features[:, None, :] - self.centers) / self.spread
        return np.asarray((away**2).sum(axis=2).min(axis=1))


@dataclass(frozen=True, eq=False)
class Cohort:
    """Tissue, origins and states of a cohort: with these, the call of a cell does not depend on other cells."""

    brain: bool
    tissue_reason: str
    middle: float
    """Difference of z at which microglia and monocyte-derived are separated."""
    states: StateClassifier
    doublet: Mapping[str, Array] = field(default_factory=dict)
    """By sample, the probability of each rival lineage above which a cell is a doublet."""
    n_cells: int = 0
    n_macrophages: int = 0
    """Fitted to."""
    novelty: Novelty | None = None
    """None: fitted to the present cells, which are all familiar."""
    lender: Lender | None = field(default=None)
    """None: fitted to the present cells."""

    @property
    def tissue(self) -> str:
        """The word for the tissue."""
        return "brain" if self.brain else "other"

    def is_doublet(self, rival: Array, panel_z: Array, sample: Array | None) -> Array:
        """Return which macrophages are doublets, by `rival_probability` and `rival_z`."""
        names = ["all"] * len(rival) if sample is None else sample
        unknown = np.full(rival.shape[1], _UNKNOWN_AMBIENT)
        level = np.array([self.doublet.get(name, unknown) for name in names]).reshape(rival.shape)
        return np.asarray(((rival > level) & (panel_z > _PANEL_Z)).any(axis=1))


def doublet_thresholds(rival: Array, sample: Array | None) -> dict[str, Array]:
    """Return by sample the probability of each rival lineage above which a macrophage is a doublet.

    Ambient RNA of other lineages is in all macrophages of a sample, so a doublet exceeds this background. ``rival`` is
    the `rival_probability` of the macrophages.
    """
    names = np.asarray(["all"] * len(rival) if sample is None else sample, str)
    found = {}
    for name in np.unique(names):
        of_sample = np.log(np.maximum(rival[names == name], 1e-4))
        middle = np.median(of_sample, axis=0)
        spread = 1.4826 * np.median(np.abs(of_sample - middle), axis=0)
        found[str(name)] = np.clip(np.exp(middle + _AMBIENT_SPREAD * spread), _DOUBLET, _SURE_DOUBLET)
    return found


def fit_novelty(features: Array, group: Array) -> Novelty | None:
    """Return the largest distance of a familiar cell from the training groups; None if there are few cells."""
    names, size = np.unique(group, return_counts=True)
    names = names[size >= _FEWEST_OF_GROUP]
    if not names.size:
        return None
    centers = np.stack([features[group == g].mean(axis=0) for g in names])
    within = np.concatenate([features[group == g] - c for g, c in zip(names, centers, strict=True)])
    least = float(np.quantile(features[:, -1], _STRANGE))
    known = Novelty(centers, np.maximum(within.std(axis=0), _LEAST_SPREAD), 0.0, least)
    return replace(known, limit=max(float(np.quantile(known.distance(features), 1 - _STRANGE)), _LEAST_LIMIT))
