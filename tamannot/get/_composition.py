"""Shares of labels and their comparison as tables."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from anndata import AnnData

from tamannot.get._analysis import analysis_table

_LEFT_OUT = {
    "expected": "There are no probabilities of these labels, or the shares are of an older release. Run "
    "tamannot.tl.composition again.",
    "tests": "No conditions were compared. Run tamannot.tl.composition(adata, sample_key, condition=…), or read the "
    "shares with table='shares'.",
}
_TABLES = {"tests": "tests", "shares": "shares", "expected": "expected", "samples": "samples"}


def composition(
    adata: AnnData,
    key: str = "tam",
    *,
    table: Literal["tests", "shares", "expected", "samples"] = "tests",
    axis: Literal["state", "origin", "compartment"] | None = None,
) -> pd.DataFrame:
    """Return what `tl.composition` found.

    Parameters
    ----------
    adata
        An object of which `tl.composition` was run.
    key
        The ``key_added`` of the annotation.
    table
        ``"tests"``: a row for each label and contrast; ``"shares"`` of cells as called, and ``"expected"`` shares: a
        row for each sample and label; ``"samples"``: for each sample.
    axis
        Of which labels; None takes the comparison that was made last.

    Returns
    -------
    A copy; ``attrs["parameters"]`` and ``attrs["cautions"]`` are those of the run.

    Of ``"tests"``: ``label``, ``contrast``, ``condition``, ``reference``; ``share``, ``share_reference`` (mean over
    samples of the counts tested); ``log_odds``, ``odds_ratio``, ``low``, ``high`` (95 % interval of the odds
    ratio), ``t``, ``df``, ``p``, ``q``; ``p_logratio``, of the centred log-ratio; ``p_overall``, F over all contrasts;
    ``dispersion``, 1 where cells were independent; ``rho``, correlation of two cells of a sample; ``n_samples``;
    ``counts``, ``called`` or ``expected``, the same in all rows; ``note``.

    Of ``"shares"``: ``sample``, ``condition`` if there is one, ``label``, ``n_cells`` called so, ``n_macrophages``,
    ``n_total`` (what it is a share of), ``share``, ``low``, ``high`` (Wilson's 95 %, within this sample alone).

    Of ``"expected"``, of states and origins: the same with ``expected_cells``, the sum of the probabilities, and
    ``expected_share``, their mean, instead of ``n_cells``, ``share`` and its interval.

    Raises
    ------
    ParameterError
        There is no such table.
    ResultNotFoundError
        `tl.composition` was not run, or without a condition, so that nothing was tested.
    """
    call = "tl.composition(adata, sample_key)"
    found = analysis_table(
        adata, key, "composition", table, _TABLES, call=call, of=axis, asked="table", left_out=_LEFT_OUT.get(table)
    )
    return found.reset_index(drop=True)
