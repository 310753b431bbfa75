"""Whether a program is active in a macrophage, relative to the background of the macrophages in the data.

A signature is scored by halves of its genes. The difference between the halves gives the noise, and deconvolution
gives the distribution of activities (nonparametric maximum likelihood; Kiefer & Wolfowitz 1956, Koenker & Mizera
2014). Its low end is the baseline. A program is active in a cell if its activity probably exceeds both the baseline
and the reference clearly: one that does not vary beyond noise is active nowhere, however large the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tamannot.classify._reference import Baselines
from tamannot.scoring._njit import Array

# The low end of the activities, which is the baseline: 5 % of the cells and one more are below.
_LOW_END = 0.05
# Distance above the baseline, and z against the reference, from which a program is active.
ABOVE_BASELINE, ABOVE_REFERENCE = 2.5, 2.0
# This far above the baseline the reference is ignored: a matrix of selected genes may lower all z.
FAR_ABOVE = 4.0
# The distance of a signature of 25 genes or more; it is smaller for smaller signatures, like their z.
_FEWEST_GENES, _GENES = 17, 25
# Baselines are shrunk towards that of the reference, from which those of data differ by 1.5, as by this many cells.
_PRIOR_CELLS, _PRIOR_SPREAD = 5, 1.5
# A baseline this close to the highest plausible one may be background or a program that is active everywhere.
# Background is alike in all cells: without any spread of activities, the highest is so much higher. The spread is
# shrunk towards that of active programs as if that had been observed in so many cells.
_NEAR, _ALIKE, _ACTIVE_SPREAD, _SPREAD_CELLS = 0.2, 3.0, 1.0, 20
_LEAST_NOISE, _MOST_NOISE = 0.7, 1.5
GRID = np.arange(-5, 16.01, 0.25)


@dataclass(frozen=True, eq=False)
class Activity:
    """The activities of one signature in macrophages of one origin."""

    baseline: float  # z of macrophages in which it is not active
    reference: float  # the baseline if only the reference is known
    noise: float  # standard deviation of z in cells of equal activity
    share: Array  # how frequent each activity of `GRID` is
    distance: float  # a program is active this far above the baseline

    def probability(self, z: Array, scale: Array) -> Array:
        """Return the probability that the program is active, by its z and the scale of z in each cell."""
        posterior = np.exp(-0.5 * ((z[:, None] - scale[:, None] * GRID) / self.noise) ** 2) * self.share
        reference = min(ABOVE_REFERENCE, self.baseline + FAR_ABOVE)
        active = max(self.baseline + self.distance, reference) < GRID
        return np.asarray(posterior[:, active].sum(axis=1) / np.maximum(posterior.sum(axis=1), 1e-300))


def whole_z(halves: Array) -> Array:
    """Return z of whole signatures from that of their halves, whose noise is independent; last axis: halves."""
    return np.asarray(halves.sum(axis=-1) / np.sqrt(2))


def fit_activities(
    halves: Array, scale: Array, weight: Array, n_genes: Array, reference: Baselines, last: Sequence[int] = ()
) -> list[Activity]:
    """Fit the activities of all signatures in macrophages of one origin.

    ``halves`` are z of the halves, cells × signatures × 2; ``scale`` is that of z in each cell, which falls with depth,
    and ``weight`` that of the cell. ``n_genes`` are the genes of each signature in the data; of a composite, of its
    largest module. If the low end is higher than is likely by the ``reference``, or than the cells with other programs
    show, the program is probably active in all others, and the baseline is shrunk to the typical one. ``last`` are the
    signatures with weak evidence, fitted after the others. Without cells the activities are those of the reference.
    """
    distance = ABOVE_BASELINE * np.sqrt(np.clip(n_genes, _FEWEST_GENES, _GENES) / _GENES)
    if not len(halves):
        shares = np.exp(-0.5 * ((GRID - reference.typical[:, None]) / _PRIOR_SPREAD) ** 2) + 0.02
        by_reference = zip(reference.typical, shares, distance, strict=True)
        return [Activity(float(b), float(b), 1.0, share, float(d)) for b, share, d in by_reference]
    z, total = whole_z(halves), float(weight.sum())
    away = halves - np.average(halves, axis=0, weights=weight)
    apart = np.average((away[..., 0] - away[..., 1]) ** 2, axis=0, weights=weight) / 2
    noise = np.clip(np.sqrt(apart), _LEAST_NOISE, _MOST_NOISE)
    shared = np.average(away[..., 0] * away[..., 1], axis=0, weights=weight)
    variance = (total * 2 * np.maximum(shared, 0) + _SPREAD_CELLS * _ACTIVE_SPREAD**2) / (total + _SPREAD_CELLS)
    plausible = reference.highest + _ALIKE * np.maximum(_ACTIVE_SPREAD - np.sqrt(variance), 0)
    free = np.ones(len(z))
    found: dict[int, Activity] = {}
    # An active program lowers the share of the others, so the baseline of a weaker one is that of the other cells.
    for s in sorted(range(z.shape[1]), key=lambda s: (s in last, -shared[s] / noise[s] ** 2)):
        typical = float(reference.typical[s])
        likelihood = np.exp(-0.5 * ((z[:, s, None] - scale[:, None] * GRID) / noise[s]) ** 2) + 1e-12
        share, low = _deconvolved(likelihood, weight)
        of_all = (total * low + _PRIOR_CELLS * typical) / (total + _PRIOR_CELLS)
        among = weight * np.maximum(free, 1e-3)
        n = float(among.sum())
        low = (n * _deconvolved(likelihood, among)[1] + _PRIOR_CELLS * of_all) / (n + _PRIOR_CELLS)
        rules = 1 / (1 + np.exp(-(low - min(plausible[s], of_all + distance[s])) / _NEAR))
        baseline = float((1 - rules) * low + rules * typical)
        found[s] = Activity(baseline, typical, float(noise[s]), share, float(distance[s]))
        free *= found[s].probability(z[:, s], scale) < 0.5
    return [found[s] for s in range(z.shape[1])]


def _deconvolved(likelihood: Array, weight: Array) -> tuple[Array, float]:
    """Return how frequent each activity is, and the low end of the activities."""
    low = min(_LOW_END + 1 / weight.sum(), 0.5)
    weight = weight / weight.sum()
    share = np.full(GRID.size, 1 / GRID.size)
    for _ in range(150):
        share = share * (likelihood.T @ (weight / (likelihood @ share)))
    below = np.cumsum(share)
    at = int(np.searchsorted(below, low * below[-1]))
    within = (low * below[-1] - (below[at] - share[at])) / max(share[at], 1e-12)
    return share, float(GRID[at] + (within - 0.5) * (GRID[1] - GRID[0]))
