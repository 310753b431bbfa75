"""What `tl.crosstalk` found, as tables."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from anndata import AnnData

from tamannot.get._analysis import analysis_table

_TABLES = {"tests": "tests", "samples": "samples"}


def crosstalk(adata: AnnData, key: str = "tam", *, kind: Literal["tests", "samples"] = "tests") -> pd.DataFrame:
    """Return the associations between macrophages and malignant cells across samples, or the values behind them.

    Parameters
    ----------
    adata
        An object on which `tl.crosstalk` ran.
    key
        The ``key_added`` of the annotation.
    kind
        ``"tests"``, one row a hypothesis, or ``"samples"``, one row a sample.

    Returns
    -------
    A copy. Of tests: ``measure`` (``share``, ``program`` or ``gene`` of macrophages; ``t_cell``, of T and NK cells),
    ``tam`` (which), ``malignant``, ``expected`` (the sign written down before the data were seen), ``rho``, ``p``,
    ``low``, ``high``, ``loo_low``, ``loo_high``, the same adjusted with ``adjusted_for``, each covariate alone,
    ``n_samples``, ``q``, ``q_adjusted``, ``low_signal_tam``, ``low_signal_malignant`` (share of cells with too little
    signal). Of samples: numbers of cells, shares, programs, covariates, and ``used``. ``attrs`` has ``cautions``, a
    list of sentences, and ``parameters``. An association is no cause and has no direction.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.crosstalk` has not run.
    """
    call = "tl.crosstalk(adata, sample_key, malignant=…)"
    return analysis_table(adata, key, "crosstalk", kind, _TABLES, call=call)
