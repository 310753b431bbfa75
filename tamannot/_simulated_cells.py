"""The cells of `simulate`: samples, conditions, shares, usages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats

from tamannot.errors import ParameterError
from tamannot.scoring._njit import Array
from tamannot.signature import load_signatures

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
            raise ParameterError(
                f"shift raises {', '.join(shifted)} to {after:.2f} of all cells: shares must be below 1."
            )
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
