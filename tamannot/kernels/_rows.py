"""Rows of an expression matrix as the kernels read them: the bits of the non-zero values.

For non-negative numbers the bits of a float, read as an unsigned integer, are in the order of the
numbers. Ranks need nothing else, so one compiled kernel serves every number type of a width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

_WIDTHS = {4: np.uint32, 8: np.uint64}


@dataclass(frozen=True)
class RowBlock:
    """Consecutive rows in CSR form: row ``i`` holds entries ``indptr[i]`` to ``indptr[i + 1]``."""

    bits: NDArray[np.unsignedinteger[Any]]
    indices: NDArray[np.signedinteger[Any]]
    indptr: NDArray[np.signedinteger[Any]]


class RowSource(Protocol):
    """A matrix of ``n_obs`` cells by ``n_vars`` genes that gives out blocks of rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_obs, n_vars)``."""

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""


class CsrRows:
    """Rows of a CSR matrix in memory; blocks share its arrays."""

    def __init__(self, matrix: sp.csr_matrix | sp.csr_array) -> None:
        # A second header over the same arrays: scipy notes what it finds out on the header.
        view = sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape, copy=False)
        if not view.has_canonical_format:
            view = view.copy()
            view.sum_duplicates()
        self._bits, self._indices, self._indptr = order_bits(view.data), view.indices, view.indptr
        self.shape: tuple[int, int] = view.shape

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        return RowBlock(self._bits, self._indices, self._indptr[start : stop + 1])


class DenseRows:
    """Rows of a dense array, or of anything that gives one when sliced; packed a block at a time."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix
        self.shape: tuple[int, int] = matrix.shape

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        rows: Any = self._matrix[start:stop]
        packed: sp.csr_array = sp.csr_array(rows if is_sparse(rows) else np.asarray(rows))
        return CsrRows(packed).block(0, stop - start)


def is_sparse(matrix: object) -> bool:
    """Say whether a matrix is one of scipy's sparse matrices or arrays."""
    return bool(sp.issparse(matrix))


def order_bits(values: NDArray[Any]) -> NDArray[np.unsignedinteger[Any]]:
    """Return non-negative numbers as unsigned integers of the same order, without a copy if possible."""
    if values.dtype.kind not in "fi" or values.dtype.itemsize not in _WIDTHS or not values.dtype.isnative:
        values = values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    return np.ascontiguousarray(values).view(_WIDTHS[values.dtype.itemsize])
