"""States and origins sample by sample, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.stats

from tamannot.report._blocks import Block, Section, Text
from tamannot.report._counts import crossed
from tamannot.report._material import Material
from tamannot.report._pictures import pictures_of
from tamannot.report._tables import pretty, table_of
from tamannot.stats._shares import wilson

_LEVEL = 0.95
_FEWEST_SAMPLES = 3
_OF_COUNTING = (
    "Shares are of cells as called, of all macrophages of a sample, those without a label included. low and high are "
    "the ends of Wilson's 95 % interval: the error of counting cells, as if samples did not differ; they do."
)
_OF_SAMPLES = (
    "Shares are of cells as called; every sample counts the same. low and high are the ends of the 95 % interval of "
    "Student's t over samples."
)


def by_sample(material: Material) -> Section:
    """Return the share of each state and origin among the macrophages of each sample, and their mean over samples."""
    counts = crossed(material)
    if counts.empty:
        blocks: tuple[Block, ...] = (Text("There are no macrophages."),)
    else:
        shares = _shares(counts)
        over = [
            table_of(_over_samples(counts, axis), f"{axis.capitalize()}s over samples", note=_OF_SAMPLES)
            for axis in ("state", "origin")
        ]
        one = table_of(_readable(shares), "State × origin by sample", note=_OF_COUNTING)
        blocks = (*(over if material.samples is not None else ()), one)
    return Section("samples", "States and origins by sample", (*blocks, *pictures_of(material, "samples")))


def _shares(counts: pd.DataFrame) -> pd.DataFrame:
    total = counts.groupby("sample", observed=True)["n"].transform("sum").to_numpy()
    low, high = wilson(counts["n"].to_numpy(), total)
    return counts.assign(n_macrophages=total, share=counts["n"] / total, low=low, high=high)


def _over_samples(counts: pd.DataFrame, axis: str) -> pd.DataFrame:
    wide = counts.pivot_table(index="sample", columns=axis, values="n", aggfunc="sum", fill_value=0, observed=True)
    shares = wide.div(wide.sum(axis=1), axis=0)
    n = len(shares)
    mean, spread = shares.mean(), shares.std(ddof=1)
    reach = scipy.stats.t.ppf((1 + _LEVEL) / 2, n - 1) * spread / np.sqrt(n) if n >= _FEWEST_SAMPLES else mean * np.nan
    table = pd.DataFrame(
        {"n_samples": n, "mean_share": mean, "low": (mean - reach).clip(0), "high": (mean + reach).clip(upper=1)}
    )
    table["least"], table["most"] = shares.min(), shares.max()
    table.index = pd.Index([pretty(str(i)) for i in table.index], name=axis)
    return table.sort_values("mean_share", ascending=False, kind="stable")


def _readable(shares: pd.DataFrame) -> pd.DataFrame:
    return shares.assign(origin=shares["origin"].map(pretty), state=shares["state"].map(pretty))
