"""The samples of a comparison: which are compared, and which not and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.errors import ParameterError
from tamannot.tl._counted import Counted
from tamannot.tl._samples import Samples, table_of_samples

Array = NDArray[Any]

_SHOWN = 8


@dataclass(frozen=True)
class Cohort:
    """Samples and what is known of them."""

    table: pd.DataFrame
    """One row a sample: ``condition`` (text, empty where it is not known), ``n_cells``, ``n_macrophages``,
    ``log_depth`` if it is known, ``used``, ``left_out`` (why)."""
    covariates: pd.DataFrame
    """Samples × covariates."""
    order: tuple[str, ...]
    """The conditions in the order of their column."""

    @property
    def used(self) -> Array:
        """Which samples are compared, bool."""
        return self.table["used"].to_numpy()


def make_cohort(
    adata: AnnData,
    sample_key: str,
    samples: Samples,
    counted: Counted,
    condition: str | None,
    covariates: Sequence[str],
    min_cells: int,
) -> Cohort:
    """Return the samples with their condition and covariates.

    Raises
    ------
    ParameterError
        Cells as samples; no such column, or it varies within a sample.
    """
    _refuse_cells(samples, sample_key)
    known = table_of_samples(adata, samples, [*([condition] if condition else []), *covariates])
    reason = np.full(len(known), "", dtype=object)
    for name in reversed(known.columns):
        reason[known[name].isna().to_numpy()] = f"no value of {name}"
    few = counted.total < min_cells
    reason[few] = [f"{int(n):,} {counted.unit}, fewer than {min_cells}" for n in counted.total[few]]
    table = pd.DataFrame(index=known.index)
    order: tuple[str, ...] = ()
    if condition is not None:
        table["condition"] = known[condition].astype(str).where(known[condition].notna(), "").astype(object)
        order = _order(slots.obs_column(adata, condition))
    table["n_cells"] = samples.total(np.ones(len(samples.codes))).astype(int)
    table["n_macrophages"] = counted.n_macrophages.astype(int)
    if counted.log_depth is not None:
        table["log_depth"] = counted.log_depth
    table["used"] = reason == ""
    table["left_out"] = reason
    return Cohort(table, known[list(covariates)], order)


def refuse_few(cohort: Cohort, counted: Counted, condition: str, min_cells: int) -> None:
    """Refuse a comparison for which too few samples have enough cells, before anything else is blamed.

    Raises
    ------
    ParameterError
        No sample has a condition, or there is none to compare with, or no second sample, for want of cells.
    """
    table = cohort.table
    known = table[table["condition"] != ""]
    if known.empty:
        msg = f"obs['{condition}'] has no value in any sample: there is nothing to compare."
        raise ParameterError(msg)
    enough = pd.Series(counted.total >= min_cells, index=table.index)[known.index]
    by = pd.DataFrame({"all": known.groupby("condition").size(), "enough": enough.groupby(known["condition"]).sum()})
    alone = (by["enough"] == 1) & (by["all"] > 1)
    if not alone.any() and ((by["enough"] > 0).sum() > 1 or len(by) == 1):
        return  # whatever else is wrong, it is not for cells
    cells = pd.Series(counted.total, index=table.index).sort_values(kind="stable")
    least = ", ".join(f"{name} {int(n):,}" for name, n in cells[cells < min_cells].head(_SHOWN).items())
    more = f" and {n - _SHOWN} more" if (n := int((cells < min_cells).sum())) > _SHOWN else ""
    of_each = ", ".join(f"{name} {int(row['enough'])} of {int(row['all'])}" for name, row in by.iterrows())
    msg = (
        f"{int(enough.sum())} of {len(known)} samples have {min_cells} {counted.unit} (min_cells), and each condition "
        f"needs two such samples: {of_each}. Too few {counted.unit} are in {least}{more}. Lower min_cells, or add "
        "samples."
    )
    raise ParameterError(msg)


def _refuse_cells(samples: Samples, sample_key: str) -> None:
    cells = np.bincount(samples.codes[samples.codes >= 0], minlength=len(samples.names))
    if (single := int((cells == 1).sum())) * 2 >= len(cells):
        msg = (
            f"obs['{sample_key}'] tells cells apart, not samples: {single:,} of {len(cells):,} values have one cell. "
            "Cells of one tumour are no replicates: name the column with the tumour or donor of each cell."
        )
        raise ParameterError(msg)


def _order(column: pd.Series) -> tuple[str, ...]:
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else sorted(set(column.dropna()))
    return tuple(map(str, values))
