"""What was learned of a question, put to blocks of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tamannot.classify._call import Array
from tamannot.kernels._linear import fold_sums
from tamannot.models._question import Question


@dataclass(frozen=True)
class Amounts:
    """What a question found in every cell."""

    names: tuple[str, ...]
    amount: Array
    """Cells × heads: background 0, anchors 1."""

    def column(self, name: str) -> Array:
        """Return the amounts of one head."""
        return np.asarray(self.amount[:, self.names.index(name)])


class Asker:
    """A question made ready to be put to blocks of rows."""

    def __init__(self, question: Question, n_vars: int) -> None:
        self._heads = dict(question.heads)
        self._place = np.full(n_vars, -1, np.int64)
        self._place[question.columns] = np.arange(question.columns.size)
        self._weights = np.ascontiguousarray(np.stack([h.weights for h in self._heads.values()], axis=2))
        self._intercepts = np.stack([h.intercepts for h in self._heads.values()], axis=1)

    def ask(self, expression: Array, indices: Array, indptr: Array, fold: Array) -> Amounts:
        """Return the amounts of the heads in every cell, each by the fold that did not see it.

        Parameters
        ----------
        expression, indices, indptr
            The rows; values as logarithms, float64.
        fold
            Fold of each cell.
        """
        sums, norm = np.empty((fold.size, len(self._heads))), np.empty(fold.size)
        fold_sums(expression, indices, indptr, self._place, self._weights, fold, sums, norm)
        sums += self._intercepts[fold]
        amount = np.stack([h.amount(sums[:, i]) for i, h in enumerate(self._heads.values())], axis=1)
        return Amounts(tuple(self._heads), amount)
