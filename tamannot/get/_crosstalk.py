"""What `tl.crosstalk` found, as tables."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot.errors import ParameterError


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
    A copy. Of tests: ``measure`` (share or program), ``tam``, ``malignant``, ``expected`` (the sign written down before
    the data were seen), ``rho``, ``p``, ``low``, ``high``, ``loo_low``, ``loo_high``, the same adjusted with
    ``adjusted_for``, each covariate alone, ``n_samples``, ``q``, ``q_adjusted``. Of samples: numbers of cells, shares,
    programs, covariates, and ``used``. ``attrs`` has ``cautions``, a list of sentences, and ``parameters``. An
    association is no cause and has no direction.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.crosstalk` has not run.
    """
    if kind not in ("tests", "samples"):
        msg = f"kind is 'tests' or 'samples', not {kind!r}."
        raise ParameterError(msg)
    record = slots.read_analysis(adata, key, "crosstalk", call="tl.crosstalk(adata, sample_key, malignant=…)")
    table = pd.DataFrame(record[kind]).copy()
    table.attrs = {"cautions": [str(c) for c in record["cautions"]], "parameters": dict(record["parameters"])}
    return table
