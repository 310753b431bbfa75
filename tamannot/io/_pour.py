"""Spooled tables into the file that they belong to, as data frames of one column after the other."""

from __future__ import annotations

import numpy as np

from tamannot.data import slot
from tamannot.io._spool import ROWS_A_READ, SpooledTables
from tamannot.io._store import Node, Store
from tamannot.io._takeover import mark

_INDEX = "_index"


def pour(tables: SpooledTables, store: Store, root: Node, key: str) -> None:
    """Write every table into ``obsm`` of a file that has its ``obs`` already."""
    obs = root["obs"]
    names_of_cells = obs[str(obs.attrs[_INDEX])]
    columns = {}
    for name, names in tables.columns.items():
        group = root["obsm"].create_group(slot(key, name))
        mark(group, "dataframe", "0.2.0")
        group.attrs["column-order"], group.attrs[_INDEX] = names, _INDEX
        store.same_again(names_of_cells, group, _INDEX)
        columns[name] = [store.column(group, c, tables.n_obs, np.float32, ROWS_A_READ) for c in names]
        for column in columns[name]:
            mark(column, "array", "0.2.0")
    for rows, parts in tables.blocks():
        for name, made in columns.items():
            for column, values in zip(made, np.ascontiguousarray(parts[name].T), strict=True):
                column[rows] = values
