"""The rows of a matrix in any container, for the kernels; rows that were not inspected are checked when read."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import zarr
from anndata.abc import CSCDataset, CSRDataset

from tamannot.data._kind import LARGEST_LOG, Kind, fault_of
from tamannot.data._stored import CsrRowsOnDisk, RowsFromColumns, Slices, dense_rows, name_of
from tamannot.errors import MatrixError
from tamannot.scoring._njit import Array
from tamannot.scoring._rows import DenseRows, RowBlock, RowSource, SomeColumns, is_sparse, rows_in_memory
from tamannot.scoring._survey import seen_in

# Rows read at once from what is sliced, where every read has its price.
_ROWS_A_READ = 4096


def row_source(
    matrix: Any, genes: Array | None = None, *, check: Check | None = None, rows: RowSource | None = None
) -> RowSource:
    """Return the rows of a matrix in any container, of some columns or all; no second matrix is made in memory.

    Those of a file or of dask are checked when read, if there is a ``check``; ``rows`` are the same unchecked, if they
    are at hand.
    """
    if is_dask(matrix):
        from tamannot.data._dask import DaskRows  # noqa: PLC0415 - brings dask

        return DaskRows(genes_of(matrix, genes), check)
    if rows is None:
        if isinstance(matrix, CSRDataset | CSCDataset):
            group, kind = matrix.group, CsrRowsOnDisk if isinstance(matrix, CSRDataset) else RowsFromColumns
            values, indices, indptr = Slices(group["data"]), Slices(group["indices"]), Slices(group["indptr"])[:]
            rows = kind(values, indices, indptr, matrix.shape, name_of(group))
        elif is_on_disk(matrix):
            rows = dense_rows(matrix)
        elif is_sparse(matrix) or isinstance(matrix, np.ndarray):
            rows = rows_in_memory(matrix)
        else:
            rows = DenseRows(matrix, step=_ROWS_A_READ)
        rows = rows if genes is None else SomeColumns(rows, genes)
    return CheckedRows(rows, check) if check is not None and is_on_disk(matrix) else rows


def genes_of(matrix: Any, genes: Array | None) -> Any:
    """Return a dask array of the columns that are genes; neighbours as a slice, which costs nothing."""
    if genes is None:
        return matrix
    neighbours = genes[-1] - genes[0] == genes.size - 1
    return matrix[:, genes[0] : genes[-1] + 1] if neighbours else matrix[:, genes]


def is_on_disk(matrix: Any) -> bool:
    """Return whether a matrix is a part of an HDF5 file or a zarr store."""
    return isinstance(matrix, CSRDataset | CSCDataset | h5py.Dataset | zarr.Array)


def is_dask(matrix: Any) -> bool:
    """Return whether a matrix is a dask array, without importing dask."""
    dask = sys.modules.get("dask.array")
    return dask is not None and isinstance(matrix, dask.Array)


@dataclass(frozen=True)
class Check:
    """Whether rows are of the kind that a sample of the matrix was found to be of."""

    name: str  # X, raw, or the name of a layer
    kind: Kind  # what every value must agree with

    def __call__(self, block: RowBlock, start: int, stop: int) -> None:
        """Refuse rows ``start`` to ``stop`` if they have a value that a matrix of this kind has not."""
        if not block.values.size:
            return
        seen, problem = seen_in(block.values), ""
        if fault := fault_of(seen, signed=self.kind == "signed"):
            problem = f"have {fault}"
        elif self.kind == "counts" and not seen.whole:
            problem = "have values that are not integers"
        elif self.kind == "log" and seen.high > LARGEST_LOG:
            problem = f"have values of {seen.high:.3g}, too large for log values"
        if problem:
            msg = (
                f"Rows {start:,} to {stop:,} of {self.name} {problem}, but values sampled from the whole matrix are "
                f"{self.kind}. Fix these rows, or use another matrix with layer=."
            )
            raise MatrixError(msg)


class CheckedRows:
    """Rows of a matrix that are checked as they are read."""

    def __init__(self, rows: RowSource, check: Check) -> None:
        self._rows, self._check = rows, check
        self.shape, self.step, self.in_memory = rows.shape, rows.step, rows.in_memory

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        block = self._rows.block(start, stop)
        self._check(block, start, stop)
        return block
