"""The matrix of an earlier run, found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from tamannot.data._genes import ids_by
from tamannot.data._matrix import MatrixInspection, candidates
from tamannot.data._record import RunRecord
from tamannot.data._rows import one_row, row_source
from tamannot.data._sections import MatrixOfRun
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError
from tamannot.scoring._rows import RowBlock

_NEXT = "Put the matrix of that run back, or run tamannot.tl.annotate(adata) again."


@dataclass(frozen=True)
class RunMatrix:
    """A matrix with the genes that a run saw."""

    name: str
    kind: str
    """``counts``, ``linear`` or ``log``."""
    matrix: Any
    ids: NDArray[Any]
    """Gene ids of the columns."""
    genes: NDArray[Any] | None = None
    """The columns of the matrix that are genes; None if all are."""

    @property
    def n_vars(self) -> int:
        """Genes."""
        return int(self.ids.size)

    def row(self, row: int) -> RowBlock:
        """Return the values of one cell; no other is read, unless a file holds the matrix by columns."""
        return self._checked(one_row(self.matrix, row, self.genes))

    def blocks(self, chosen: NDArray[Any]) -> Iterator[tuple[RowBlock, NDArray[Any]]]:
        """Give out the cells of a mask and their row numbers, block by block."""
        rows = row_source(self.matrix, self.genes)
        for start in range(0, rows.shape[0], rows.step):
            mine = chosen[start : start + rows.step]
            if mine.any():
                block = rows.block(start, start + mine.size).only(mine)
                yield self._checked(block), start + np.flatnonzero(mine)

    def changed(self, how: str) -> MatrixError:
        """Return the error that says how the matrix is not the one that the run saw."""
        return MatrixError(_changed(self.name, how))

    def _checked(self, block: RowBlock) -> RowBlock:
        values = block.values
        if not (np.isfinite(values) & (values >= 0)).all():
            msg = "it has negative or infinite values or NaN now"
            raise self.changed(msg)
        if self.kind == "counts" and not (values == np.rint(values)).all():
            msg = "it held counts and no longer does"
            raise self.changed(msg)
        return block


def matrix_of_run(adata: AnnData, record: RunRecord) -> RunMatrix:
    """Return the matrix that a run used, if it is still there with the same genes in the same order."""
    of_run, seen = record.matrix, record.gene_ids
    name = of_run.name
    found = _candidate(adata, name)
    if len(found.var) != seen.size:
        how = f"it has {len(found.var):,} genes, the run saw {seen.size:,}"
        raise MatrixError(_changed(name, how))
    if not np.array_equal(np.array(ids_by(found.var, of_run.gene_ids), dtype=object), seen):
        raise MatrixError(_changed(name, f"its gene ids by {of_run.gene_ids} are others, or in another order"))
    return RunMatrix(name, of_run.kind, found.matrix, seen, found.features.columns)


def gene_ids_of(adata: AnnData, matrix: MatrixOfRun) -> NDArray[Any]:
    """Return the gene ids that a matrix of a run has now, by the column that the run took them from."""
    found = ids_by(_candidate(adata, matrix.name).var, matrix.gene_ids)
    if not found:
        msg = f"var has no column '{matrix.gene_ids}' any more, from which the run took its gene ids."
        raise ResultNotFoundError(msg)
    return np.array(found, dtype=object)


def _candidate(adata: AnnData, name: str) -> MatrixInspection:
    try:
        return candidates(adata, name)[0]
    except (ParameterError, MatrixError):
        msg = f"The run used the matrix '{name}', which is not in the data any more. {_NEXT}"
        raise ResultNotFoundError(msg) from None


def _changed(name: str, how: str) -> str:
    return f"The matrix '{name}' has changed since the run: {how}. {_NEXT}"
