"""The ferroptosis programs by sample and label as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
from anndata import AnnData

from tamannot.get._analysis import analysis_table

_TABLES = {"samples": "samples", "effects": "effects", "genes": "genes"}


def ferroptosis(
    adata: AnnData,
    key: str = "tam",
    *,
    kind: Literal["samples", "effects", "genes"] = "samples",
    groupby: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return what `tl.ferroptosis_summary` found.

    Parameters
    ----------
    adata
        A summarised object.
    key
        The ``key_added`` of the run.
    kind
        ``"samples"``, ``"effects"`` or ``"genes"``, as below.
    groupby
        The labels that were summarised; None takes those that were summarised last.

    Returns
    -------
    ``samples``: one row a sample, label and program: ``z`` (mean over the cells, against the matched null),
    ``n_cells``, ``n_genes_detected`` (of the program's genes, median over the cells), ``low_signal`` (share of the
    cells with fewer than three of them), ``effect_self`` and ``effect_neighbour`` (drives, restrains, context, none:
    what the program does to ferroptosis of the cell itself and of its neighbours).

    ``effects``: one row a label and program: ``difference`` of the mean z within samples between the label's cells and
    those of ``against``, its interval ``low``, ``high`` (95 %, Student's t over samples), ``hedges_g``, ``p``, ``q``
    (Benjamini and Hochberg over all rows), ``n_samples``, ``n_same_direction``, and ``shared_genes``, by which both
    the label was called and the program is scored. Fewer than three samples have no interval.

    ``genes``: one row a label, program and gene: ``share_detected`` of the label's cells, ``hardly_detected`` below
    1 %. Genes of a program that are not in the data have no row.

    ``kind`` of a row is ``program`` (the sixteen), ``summary`` (drive, defence, balance: the signed, de-duplicated
    sets) or ``theme`` (iron, glutathione, pufa, lipid_peroxide: mean z of programs). ``attrs`` has the parameters and
    ``cautions``, sentences that a reader should see.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.ferroptosis_summary` was not run.
    """
    call = "tl.ferroptosis_summary(adata, sample_key)"
    of = groupby if groupby is None or isinstance(groupby, str) else list(groupby)
    return analysis_table(adata, key, "ferroptosis_summary", kind, _TABLES, call=call, of=of)
