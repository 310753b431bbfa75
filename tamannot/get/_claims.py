"""The claims of the reviews, as they were found in the data."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from anndata import AnnData

from tamannot.get._analysis import analysis_table

_TABLES = {"claims": "claims", "detection": "detection"}


def claims(adata: AnnData, key: str = "tam", *, kind: Literal["claims", "detection"] = "claims") -> pd.DataFrame:
    """Return what `tl.claims` found.

    Parameters
    ----------
    adata
        An object whose claims were tested.
    key
        The ``key_added`` of the run.
    kind
        ``"claims"`` or ``"detection"``, as below.

    Returns
    -------
    ``claims``: one row a claim and test: ``claim_id`` (the number in the list of claims, and a letter where a claim is
    tested in several ways), ``claim``, ``source``, ``kind``, ``expected`` (positive, negative, detected, or a range),
    ``test`` (what was computed), ``observed`` with its interval ``low``, ``high`` (95 %, over samples), ``n_samples``,
    ``n_cells``, ``verdict`` (supported, not supported, detected, inconclusive, not measurable), ``reason`` and
    ``note``. Of the claim with other genes of equal mean expression in the same cells: ``n_swaps`` (those that gave an
    interval; 0: there is nothing to swap), ``swapped`` (mean of what was observed), ``p_swapped`` (share that goes as
    far in the expected direction, the claim counted among them, so 1/21 at least), ``swapped_same`` (share with the
    same verdict) and ``swapped_supported`` (share that is supported: its sum is what chance would support).
    ``observed`` is a rank correlation for ``within`` and ``across``, a share of cells for ``detection`` and ``share``,
    and a difference of shares for ``difference`` and ``groups``.

    ``detection``: the checkpoint panel by called origin and state of macrophages: ``gene``, ``origin``, ``state``
    (``all``: whichever), ``n_cells`` (the denominator), ``n_detected``, ``share_detected`` over all cells, and
    ``mean``, ``low``, ``high`` over the ``n_samples`` with enough cells. A gene that is not in the data has no row.

    ``attrs`` has the parameters and ``cautions``, sentences that a reader should see.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.claims` was not run.
    """
    return analysis_table(adata, key, "claims", kind, _TABLES, call="tl.claims(adata, sample_key)")
