"""``tl.composition``: shares of labels in samples, and their differences between conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis._composition_tests import Axis, Counted, cautions_on_tests, compare, count_labels, make_design
from tamannot.analysis._samples import Samples, samples_of, table_of_samples
from tamannot.errors import ParameterError, some_of
from tamannot.stats._shares import wilson

Counts = Literal["expected", "called"]
_DEPTH = "mean log depth of the sample"  # no column of obs is likely to have this name


def composition(
    adata: AnnData,
    sample_key: str,
    *,
    condition: str | None = None,
    axis: Axis = "state",
    covariates: Sequence[str] = (),
    reference: str | None = None,
    min_cells: int = 30,
    counts: Counts = "called",
    depth: bool = True,
    key: str = "tam",
    copy: bool = False,
) -> AnnData | None:
    """Compute the share of each label in each sample, and compare conditions with samples as replicates.

    Parameters
    ----------
    adata
        An annotated object.
    sample_key
        Column of ``obs`` with the sample of each cell: the tumour or donor, the unit of the comparison. Several samples
        of one donor are not independent: use the donor.
    condition
        Column of ``obs`` with one value per sample. Each value is compared with the reference. None: shares only.
    axis
        ``"state"`` or ``"origin"``, shares of macrophages, or ``"compartment"``, shares of all cells.
    covariates
        Columns of ``obs`` with one value per sample, such as batch or dexamethasone. Numbers are centred and scaled;
        anything else is treated as categories.
    reference
        The condition to compare with; None uses the first category.
    min_cells
        Number of macrophages (for ``"compartment"``: cells) that a sample needs. Samples with fewer are shown, but not
        compared.
    counts
        What tests and figures use. ``"called"``: cells counted by label. ``"expected"``: sums of probabilities, which
        include unassigned cells; available for states and origins.
    depth
        Use the mean log depth of a sample's cells as a covariate: counts, or detected genes if the matrix has no
        counts.
    key
        The ``key_added`` of the annotation.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The results are in ``uns["tamannot"]["{key}"]["composition"]`` (read them with
    `get.composition`): the tables ``shares`` (of cells as called), ``expected`` (expected shares, if there are
    probabilities), ``samples`` (condition, cells, log depth, whether compared and why not) and, with a condition,
    ``tests``; ``parameters``; ``cautions``. Annotating again removes them.

    Raises
    ------
    ParameterError
        The sample column identifies cells; a condition or covariate varies within a sample; a condition has fewer than
        two samples with enough cells; there are too few samples for the covariates; or a covariate is confounded with
        the condition.
    ResultNotFoundError
        The object is not annotated.

    Notes
    -----
    Each label is tested against all others by a quasi-binomial regression: logit link, variance
    ``p (1 - p) / n (1 + ρ (n - 1))`` with ρ estimated from the samples (Williams 1982, doi:10.2307/2347977), scaled by
    Pearson's X², t with the residual degrees of freedom. ``q`` is by Benjamini and Hochberg over the labels and
    contrasts, without ``unassigned``, whose test only shows whether abstention differs. Shares are compositional: if
    one rises, others fall. ``p_logratio`` is from least squares on the centred log-ratio of the same counts, which
    compares a label with the geometric mean of all. Be careful with results that only one of the two finds.

    Limits. A difference in shares is not a difference in numbers of cells, and not a cause; dissection, dissociation
    and depth also produce differences. The interval of a sample's share (Wilson) reflects the number of its cells,
    not the variation between samples. Called shares depend on depth, as abstention does. Expected shares of states
    need not sum to 1, because a cell may have two programs; they inherit the errors of the probabilities, above all a
    background in cells of other states that shrinks every odds ratio towards 1.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.simulate(60, n_samples=6, n_genes=1000, composition={"macrophage": 1})
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.tl.composition(adata, "sample", condition="condition", axis="origin")
    >>> tam.get.composition(adata)[["label", "contrast", "df", "n_samples"]].head(1).to_dict("records")
    [{'label': 'microglia', 'contrast': 'treated vs control', 'df': 3, 'n_samples': 6}]
    """
    if counts not in ("called", "expected") or min_cells < 1:
        raise ParameterError(
            f"counts must be 'called' or 'expected', and min_cells at least 1, not {counts!r} and {min_cells}."
        )
    if condition is None and (covariates or reference is not None):
        raise ParameterError("A reference and covariates need a comparison: pass condition=, or leave them out.")
    covariates = (covariates,) if isinstance(covariates, str) else covariates
    samples = samples_of(adata, sample_key)
    counted = count_labels(adata, key, axis, samples, depth=depth and condition is not None)
    _refuse_cells(samples, sample_key)
    table, terms, order = _table_of(adata, samples, counted, condition, covariates, min_cells)
    if counts == "expected" and counted.expected is None:
        raise ParameterError(f"The {axis} labels have no probabilities, as expected counts need. Use counts='called'.")
    shares = _by_sample_and_label(counted.called, counted, table).astype({"n_cells": int})
    low, high = wilson(shares["n_cells"].to_numpy(), shares["n_total"].to_numpy())
    record: dict[str, Any] = {"shares": shares.assign(low=low, high=high), "samples": table.reset_index()}
    if counted.expected is not None:
        expected = _by_sample_and_label(counted.expected, counted, table)
        record["expected"] = expected.rename(columns={"n_cells": "expected_cells", "share": "expected_share"})
    cautions, used_reference = [], ""
    if nameless := int((samples.codes < 0).sum()):
        cautions.append(f"{nameless:,} cells have no value of {sample_key} and are left out.")
    if len(out := table[~table["used"]]):
        named = "; ".join(f"{name} ({why})" for name, why in out["left_out"].items())
        cautions.append(f"{len(out)} of {len(table)} samples are not compared: {named}.")
    if condition is not None:
        _refuse_few(table, counted, condition, min_cells)
        used, log_depth = table["used"].to_numpy(), None
        if counted.log_depth is None and counted.depth is not None:
            cautions.append(f"Depth was not used as a covariate: it is {counted.depth}")
        elif counted.log_depth is not None and used.any() and np.ptp(counted.log_depth[used]) > 0:
            terms, log_depth = terms.assign(**{_DEPTH: counted.log_depth}), counted.log_depth[used]
        reference = None if reference is None else str(reference)  # may be a number: conditions are compared as text
        design = make_design(table.loc[used, "condition"], terms[used], order=order, reference=reference)
        record["tests"] = tests = compare(counted, used, design, expected=counts == "expected")
        used_reference = design.conditions[0]
        cautions += cautions_on_tests(tests, design, counted.total[used], log_depth)
        if counts == "expected" and axis not in slots.read_record(adata, key).calibration_source:
            cautions.append(
                f"Probabilities of {axis} labels are not calibrated: expected counts are not numbers of cells."
            )
    record["parameters"] = {
        "sample_key": sample_key,
        "condition": condition or "",
        "axis": axis,
        "covariates": list(covariates),
        "reference": used_reference,
        "min_cells": int(min_cells),
        "counts": counts,
        "depth": counted.depth or "not asked for",
    }
    record["cautions"] = cautions
    adata = slots.to_work_on(adata, copy=copy)
    slots.write_analysis(adata, key, "composition", record, of=axis)
    return adata if copy else None


def _table_of(
    adata: AnnData, samples: Samples, counted: Counted, condition: str | None, covariates: Sequence[str], min_cells: int
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Return the table of samples, their covariates, and the conditions in the order of their column."""
    known = table_of_samples(adata, samples, [*([condition] if condition else []), *covariates])
    reason = np.full(len(known), "", dtype=object)
    for name in reversed(known.columns):
        reason[known[name].isna().to_numpy()] = f"no value of {name}"
    few = counted.total < min_cells
    reason[few] = [f"{int(n):,} {counted.unit}, fewer than {min_cells}" for n in counted.total[few]]
    table, order = pd.DataFrame(index=known.index), tuple[str, ...]()
    if condition is not None:  # text, empty where it is not known
        values = pd.Categorical(slots.obs_column(adata, condition))
        order = tuple(map(str, values.categories))
        codes = pd.Series(values.codes).groupby(samples.codes).first().drop(-1, errors="ignore")
        table["condition"] = np.array([*order, ""], dtype=object)[codes]
    table["n_cells"] = samples.total(np.ones(len(samples.codes))).astype(int)
    table["n_macrophages"] = counted.n_macrophages.astype(int)
    if counted.log_depth is not None:
        table["log_depth"] = counted.log_depth
    table["used"] = reason == ""
    table["left_out"] = reason
    return table, known[list(covariates)], order


def _refuse_cells(samples: Samples, sample_key: str) -> None:
    cells = np.bincount(samples.codes[samples.codes >= 0], minlength=len(samples.names))
    if (single := int((cells == 1).sum())) * 2 >= len(cells):
        raise ParameterError(
            f"obs['{sample_key}'] identifies cells, not samples: {single:,} of {len(cells):,} values have one cell. "
            "Cells of one tumour are not replicates: use the column with the tumour or donor of each cell."
        )


def _refuse_few(table: pd.DataFrame, counted: Counted, condition: str, min_cells: int) -> None:
    """Raise if too few samples have enough cells for a comparison."""
    known = table[table["condition"] != ""]
    if known.empty:
        raise ParameterError(f"obs['{condition}'] has no value in any sample, so there is nothing to compare.")
    enough = pd.Series(counted.total >= min_cells, index=table.index)[known.index]
    by = pd.DataFrame({"all": known.groupby("condition").size(), "enough": enough.groupby(known["condition"]).sum()})
    alone = (by["enough"] == 1) & (by["all"] > 1)
    if not alone.any() and (by["enough"] > 0).sum() >= min(len(by), 2):
        return  # whatever else is wrong, it is not for cells
    cells = pd.Series(counted.total, index=table.index).sort_values(kind="stable")
    least = some_of([f"{name} {int(n):,}" for name, n in cells[cells < min_cells].items()], 8)
    of_each = ", ".join(f"{name} {int(row['enough'])} of {int(row['all'])}" for name, row in by.iterrows())
    raise ParameterError(
        f"{int(enough.sum())} of {len(known)} samples have {min_cells} {counted.unit} (min_cells), but each condition "
        f"needs two such samples: {of_each}. Too few {counted.unit} in {least}. Lower min_cells, or add samples."
    )


def _by_sample_and_label(counts: pd.DataFrame, counted: Counted, samples: pd.DataFrame) -> pd.DataFrame:
    """Return counts, samples × labels, as one row each with their share of the cells of the sample."""
    n_samples, n_labels = counts.shape
    total, k = np.repeat(counted.total, n_labels), counts.to_numpy(float).ravel()
    columns = {
        "sample": np.repeat(np.asarray(counts.index, dtype=object), n_labels),
        "label": np.tile(np.asarray(counts.columns, dtype=object), n_samples),
        "n_cells": k,
        "n_macrophages": np.repeat(counted.n_macrophages.astype(int), n_labels),
        "n_total": total.astype(int),
        "share": np.divide(k, total, out=np.full(k.size, np.nan), where=total > 0),
    }
    table = pd.DataFrame(columns)
    if "condition" in samples:
        table.insert(1, "condition", np.repeat(samples["condition"].to_numpy(dtype=object), n_labels))
    return table
