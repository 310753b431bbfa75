"""Which cell is meant."""

from __future__ import annotations

import numpy as np
from anndata import AnnData

from tamannot.data import check_adata
from tamannot.errors import ParameterError


def row_of(adata: AnnData, cell: str | int) -> int:
    """Return the row of a cell given by its name or number.

    Raises
    ------
    ParameterError
        There is no such cell, or several have the name.
    """
    check_adata(adata)
    if isinstance(cell, (int, np.integer)):
        if not -adata.n_obs <= cell < adata.n_obs:
            msg = f"No cell number {cell}: the data have {adata.n_obs} cells."
            raise ParameterError(msg)
        return int(cell) % adata.n_obs
    places = np.flatnonzero(np.asarray(adata.obs_names == cell))
    if places.size != 1:
        msg = f"{places.size} cells are named '{cell}'. Give the number of the cell, 0 to {adata.n_obs - 1}."
        raise ParameterError(msg)
    return int(places[0])
