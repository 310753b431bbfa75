"""The claims of the reviews, as they were found in the data."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot.errors import ParameterError

_KINDS = ("claims", "detection")
_PARAMETERS = ("sample_key", "malignant", "primary", "site", "table", "min_cells", "n_samples")


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
    ``n_cells``, ``verdict`` (supported, not supported, inconclusive, not measurable), ``reason`` and ``note``.
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
    if kind not in _KINDS:
        msg = f"kind is one of {', '.join(_KINDS)}, not {kind!r}."
        raise ParameterError(msg)
    record = slots.read_analysis(adata, key, "claims", call="tl.claims(adata, sample_key)")
    table = pd.DataFrame(record[kind]).copy()
    table.attrs = {name: record[name] for name in _PARAMETERS}
    table.attrs["cautions"] = [str(c) for c in record["cautions"]]
    return table
