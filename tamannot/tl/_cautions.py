"""What a reader of a comparison must know: sentences beside its table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.classify import UNASSIGNED
from tamannot.tl._cohort import Cohort
from tamannot.tl._design import Design
from tamannot.tl._samples import Samples

Array = NDArray[Any]

_FEW_SAMPLES, _FEW_FREE, _CONFOUNDED, _FEW_CELLS = 4, 4, 0.8, 5
_BLANK_DIFFERS, _P = 0.1, 0.05
_STEROIDS = "immunoregulatory"


def on_samples(cohort: Cohort, samples: Samples, sample_key: str) -> list[str]:
    """Name the cells and samples that are left out."""
    notes = []
    if nameless := int((samples.codes < 0).sum()):
        notes.append(f"{nameless:,} cells have no value of {sample_key} and are left out.")
    out = cohort.table[~cohort.used]
    if len(out):
        named = "; ".join(f"{name} ({why})" for name, why in out["left_out"].items())
        notes.append(f"{len(out)} of {len(cohort.table)} samples are not compared: {named}.")
    return notes


def on_design(design: Design) -> list[str]:
    """Say where samples are few."""
    sizes = np.bincount(design.codes)
    few = [f"{name} ({n})" for name, n in zip(design.conditions, sizes, strict=True) if n < _FEW_SAMPLES]
    notes = []
    if few:
        notes.append(
            f"Fewer than {_FEW_SAMPLES} samples in {', '.join(few)}: only large differences can be found, and a single "
            "odd sample can make one."
        )
    if design.df < _FEW_FREE:
        notes.append(f"{design.df} residual degrees of freedom: the variation between samples is hardly known.")
    return notes


def on_depth(log_depth: Array, design: Design) -> list[str]:
    """Say where depth goes with the condition."""
    fitted = np.zeros(len(log_depth))
    for i in range(len(design.conditions)):
        fitted[design.codes == i] = log_depth[design.codes == i].mean()
    explained = fitted.var() / log_depth.var()
    if explained < _CONFOUNDED:
        return []
    msg = (
        f"The condition explains {explained:.0%} of the variance of log depth between samples: an effect of the "
        "condition cannot be told from one of depth."
    )
    return [msg]


def on_tests(tests: pd.DataFrame, total: Array) -> list[str]:
    """Say where abstention differs, where steroids may be the reason, and which labels are rare."""
    differs = (tests["p"] < _P) | ((tests["share"] - tests["share_reference"]).abs() > _BLANK_DIFFERS)
    blank = tests[(tests["label"] == UNASSIGNED) & differs]
    columns = (blank["condition"], blank["reference"], blank["share"], blank["share_reference"])
    notes = [
        f"The unassigned share differs, {share:.2f} in {condition} and {before:.2f} in {reference}. Unassigned are "
        "cells of no label and cells that cannot be told: look at whether depth or quality differs, too."
        for condition, reference, share, before in zip(*columns, strict=True)
    ]
    steroids = tests[(tests["label"] == _STEROIDS) & (tests["p"] < _P)]
    if len(steroids):
        notes.append(
            "Dexamethasone raises immunoregulatory programs: if exposure differs between the conditions, give it as a "
            "covariate before believing the difference."
        )
    usual = np.maximum(tests["share"], tests["share_reference"]) * np.median(total)
    rare = tests[(usual < _FEW_CELLS) & tests["p"].notna() & (tests["label"] != UNASSIGNED)]["label"].unique()
    if len(rare):
        notes.append(f"Fewer than {_FEW_CELLS} cells in the usual sample: {', '.join(rare)}. Their p is rough.")
    return notes
