"""Counts of cells by sample and label, and tests of their shares between conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis._samples import Samples, depth_of
from tamannot.classify import MACROPHAGE, NOT_MACROPHAGE, UNASSIGNED
from tamannot.data import Array
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError, among
from tamannot.stats._means import benjamini_hochberg
from tamannot.stats._shares import centred_log_ratios, check_design, compare_means, compare_shares

Axis = Literal["state", "origin", "compartment"]
_LEAST = 2  # one sample per condition does not show the variation between samples; a constant covariate is useless
_TOO_FEW = 10  # cells of a label, in all samples, below which it is not tested
_FEW_SAMPLES, _FEW_FREE, _CONFOUNDED, _FEW_CELLS = 4, 4, 0.8, 5
_BLANK_DIFFERS, _P = 0.1, 0.05
_STEROIDS = "immunoregulatory"

_FEW = f"fewer than {_TOO_FEW} cells in all: not tested"
_HALF = "a condition has no such cells, or only such cells: half a cell was added to both counts of each sample"


@dataclass(frozen=True)
class Counted:
    """Cells by sample and label."""

    called: pd.DataFrame  # samples × labels, ``unassigned`` last: numbers of called cells
    expected: pd.DataFrame | None  # samples × labels with a probability: its sum over cells
    rest: Array  # expected number of cells with none of these labels: the sum of one minus the highest probability
    total: Array  # number of counted cells: macrophages, or all cells if the axis is the compartment
    unit: str  # kind of these cells: ``macrophages`` or ``cells``
    n_macrophages: Array  # of each sample
    log_depth: Array | None  # mean logarithm of the depth of these cells; NaN without a cell, None if not known
    depth: str | None  # what depth is, or why it is not known; None if it was not asked for


def count_labels(adata: AnnData, key: str, axis: Axis, samples: Samples, *, depth: bool) -> Counted:
    """Count the labels of an axis in each sample."""
    if axis not in get_args(Axis):
        raise ParameterError(f"axis must be one of {', '.join(get_args(Axis))}, not {axis!r}.")
    label = slots.read_obs(adata, key, (axis,)).iloc[:, 0]
    of = (label.notna() & (label != NOT_MACROPHAGE)).to_numpy()
    macrophage = (label == MACROPHAGE).to_numpy() if axis == "compartment" else of
    index = pd.Index(samples.names, name="sample")
    expected, rest = None, np.zeros(len(samples.names))
    if axis != "compartment" and (name := slots.slot(key, f"{axis}_proba")) in adata.obsm:
        probabilities = slots.read_obsm(adata, name)
        proba = np.where(of[:, None], probabilities.to_numpy(np.float64), 0.0)
        rest = samples.total(np.where(of, 1 - proba.max(axis=1), 0.0))
        expected = pd.DataFrame(samples.total(proba), index=index, columns=list(map(str, probabilities.columns)))
    # Labels that have a probability, other labels that occur, and unassigned cells: a part of an object has lost the
    # categories without cells, so that these cannot say what was offered.
    occur = list(map(str, pd.Categorical(label).remove_unused_categories().categories))
    every = dict.fromkeys([*(() if expected is None else expected), *occur])
    names = [*(name for name in every if name not in (NOT_MACROPHAGE, UNASSIGNED)), UNASSIGNED]
    text = label.astype(str)
    counts = {n: samples.total((of & (text == n)).to_numpy(float)) for n in names}
    log_depth = what = None
    if depth:
        try:
            matrix = slots.matrix_of_run(adata, slots.read_record(adata, key))
            log_depth = samples.mean(np.log(np.maximum(depth_of(matrix, of), 1)), of)
            # A normalised matrix has the same total in every cell, but not the same genes.
            what = "counts" if matrix.kind == "counts" else "genes detected"
        except (ResultNotFoundError, MatrixError) as error:
            what = f"not known: {error}"
    return Counted(
        called=pd.DataFrame(counts, index=index),
        expected=expected,
        rest=rest,
        unit="cells" if axis == "compartment" else "macrophages",
        total=samples.total(of.astype(float)),
        n_macrophages=samples.total(macrophage.astype(float)),
        log_depth=log_depth,
        depth=what,
    )


@dataclass(frozen=True)
class Design:
    """The terms of a comparison."""

    matrix: Array  # samples × terms: intercept, one column a contrast, covariates
    conditions: tuple[str, ...]  # the reference first
    codes: Array  # of each sample the place of its condition in ``conditions``
    df: int  # residual degrees of freedom


def make_design(
    condition: pd.Series, covariates: pd.DataFrame, *, order: Sequence[str], reference: str | None
) -> Design:
    """Return the terms of conditions and covariates; the reference is named, or the first of ``order`` that occurs."""
    here = [name for name in order if (condition == name).any()]
    if reference is not None and reference not in here:
        raise ParameterError(f"No sample has the condition '{reference}'.{among(reference, here)}")
    conditions = here if reference is None else [reference, *(name for name in here if name != reference)]
    if len(conditions) < _LEAST:
        said = f"are of one condition, {conditions[0]}" if conditions else "lack a condition or a covariate"
        raise ParameterError(f"All samples that could be compared {said}, so there is nothing to compare.")
    for name in conditions:
        if (n := int((condition == name).sum())) < _LEAST:
            raise ParameterError(
                f"Only {n} sample of the condition '{name}' can be compared: estimating the variation between samples "
                "takes at least two. Add samples, or leave the condition out. Pass a number such as age as one of the "
                "covariates."
            )
    codes = pd.Categorical(condition, conditions).codes.astype(int)
    columns = [np.ones(len(codes)), *((codes == i).astype(float) for i in range(1, len(conditions)))]
    for title, values in covariates.items():
        if values.nunique() < _LEAST:
            raise ParameterError(f"The covariate '{title}' has the same value in all compared samples. Leave it out.")
        if pd.api.types.is_numeric_dtype(values):
            numbers = values.to_numpy(np.float64)
            columns.append((numbers - numbers.mean()) / numbers.std())
        else:
            of_sample, words = pd.factorize(values.astype(str), sort=True)
            columns += [(of_sample == i).astype(float) for i in range(1, len(words))]
    matrix = np.column_stack(columns)
    return Design(matrix, tuple(conditions), codes, check_design(matrix))


def compare(counted: Counted, kept: Array, design: Design, *, expected: bool) -> pd.DataFrame:
    """Return the tests of every label in the samples of the design, all by expected counts or all as called."""
    total, counts, n_contrasts = counted.total[kept], "called", len(design.conditions) - 1
    table, parts = counted.called[kept], counted.called[kept].to_numpy(float)
    if expected and counted.expected is not None:
        table, counts = counted.expected[kept], "expected"
        parts = np.column_stack([table.to_numpy(float), counted.rest[kept]])
    k = table.to_numpy(float)
    found = compare_shares(k.T, np.maximum(total, k.T), design.matrix, n_contrasts)
    by_ratio = compare_means(centred_log_ratios(parts)[:, : k.shape[1]], design.matrix, n_contrasts)
    share = k / total[:, None]
    means = np.stack([share[design.codes == i].mean(axis=0) for i in range(len(design.conditions))])
    few = k.sum(axis=0) < _TOO_FEW
    with np.errstate(over="ignore"):  # where samples hardly bound it, the end of an interval is infinite
        odds, low, high = map(np.exp, (found.log_odds, found.low, found.high))
    rows = []
    for i, label in enumerate(table.columns):
        for c, condition in enumerate(design.conditions[1:]):
            row = {
                "label": str(label),
                "contrast": f"{condition} vs {design.conditions[0]}",
                "condition": condition,
                "reference": design.conditions[0],
                "share": means[c + 1, i],
                "share_reference": means[0, i],
            }
            # The interval is of the odds ratio, beside which it stands.
            figures = {"log_odds": found.log_odds[i, c], "odds_ratio": odds[i, c], "low": low[i, c], "high": high[i, c]}
            figures |= {"t": found.t[i, c], "df": found.df, "p": found.p[i, c], "q": np.nan}
            figures |= {"p_logratio": by_ratio[i, c], "p_overall": found.p_overall[i]}
            figures |= {"dispersion": found.dispersion[i], "rho": found.rho[i]}
            note = _HALF if found.half_added[i] else ""
            if few[i]:
                figures, note = dict.fromkeys(figures, np.nan) | {"df": found.df}, _FEW
            rows.append(row | figures | {"n_samples": len(total), "counts": counts, "note": note})
    tests = pd.DataFrame(rows)
    # Whether abstention differs is to be known, but is no finding among the others.
    tests["q"] = benjamini_hochberg(tests["p"].where(tests["label"] != UNASSIGNED).to_numpy(float))
    return tests


def cautions_on_tests(tests: pd.DataFrame, design: Design, total: Array, log_depth: Array | None) -> Iterator[str]:
    """Yield the cautions on tests; ``log_depth`` is None if it is not a covariate."""
    sizes = np.bincount(design.codes)
    if log_depth is not None:
        means = np.bincount(design.codes, log_depth) / sizes
        explained = means[design.codes].var() / log_depth.var()
        if explained >= _CONFOUNDED:
            yield (
                f"The condition explains {explained:.0%} of the variance of log depth between samples: an effect of "
                "the condition cannot be separated from an effect of depth."
            )
    if few := [f"{name} ({n})" for name, n in zip(design.conditions, sizes, strict=True) if n < _FEW_SAMPLES]:
        yield (
            f"Fewer than {_FEW_SAMPLES} samples in {', '.join(few)}: only large differences can be detected, and a "
            "single outlier can produce one."
        )
    if design.df < _FEW_FREE:
        yield f"{design.df} residual degrees of freedom: the variation between samples is poorly estimated."
    differs = (tests["p"] < _P) | ((tests["share"] - tests["share_reference"]).abs() > _BLANK_DIFFERS)
    for row in tests[(tests["label"] == UNASSIGNED) & differs].itertuples():
        yield (
            f"The unassigned share differs: {row.share:.2f} in {row.condition}, {row.share_reference:.2f} in "
            f"{row.reference}. Cells are unassigned if they fit none of the labels or have too little signal: check "
            "whether depth or quality differs as well."
        )
    if ((tests["label"] == _STEROIDS) & (tests["p"] < _P)).any():
        yield (
            "Dexamethasone raises immunoregulatory programs: if exposure differs between the conditions, add it as a "
            "covariate before interpreting the difference."
        )
    usual = np.maximum(tests["share"], tests["share_reference"]) * np.median(total)
    rare = tests[(usual < _FEW_CELLS) & tests["p"].notna() & (tests["label"] != UNASSIGNED)]["label"].unique()
    if len(rare):
        yield f"Fewer than {_FEW_CELLS} cells in a typical sample: {', '.join(rare)}. Their p values are approximate."
