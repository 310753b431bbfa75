"""What `tl.regions` found, as tables."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from anndata import AnnData

from tamannot.get._analysis import analysis_table

_TABLES = {"tests": "table", "samples": "samples"}


def regions(
    adata: AnnData, key: str = "tam", *, kind: Literal["tests", "samples"] = "tests", column: str | None = None
) -> pd.DataFrame:
    """Return what `tl.regions` found.

    Parameters
    ----------
    adata
        An object after `tl.regions`.
    key
        The ``key_added`` of the run.
    kind
        ``"tests"``: over samples. ``"samples"``: what was found in each of them.
    column
        The column of regions or distances that was tested; None takes the one that was tested last.

    Returns
    -------
    A copy; parameters and cautions are in ``attrs``. Along a distance one row a signature: ``correlation`` (Spearman,
    mean over samples as Fisher z), ``low`` and ``high`` (95 %), ``p`` (t over samples, two-sided), ``q`` (Benjamini
    and Hochberg over the rows), ``n_samples``, ``n_spots``. Between regions one row a signature and pair, with
    ``region``, ``reference`` and ``difference`` (mean score of the region less that of the reference, mean over
    samples). Of one sample interval, p and q are NaN. Of samples: ``sample``, ``signature``, ``correlation`` or
    ``difference``, ``n_spots``, and the pair.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.regions` has not been run.
    """
    return analysis_table(adata, key, "regions", kind, _TABLES, call="tl.regions(adata, …)", of=column)
