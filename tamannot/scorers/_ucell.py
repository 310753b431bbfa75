"""UCell: a rank score of one cell, from that cell alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.scorers._plan import Arm, Part

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class UCell:
    """Settings of UCell as R's package computes it since version 2.7.6.

    The score of a signature in a cell is its Mann-Whitney U statistic, scaled to [0, 1]: 1 where the
    signature's genes are the most expressed of the cell, near 0 where they are not. It depends on no
    other cell, on no normalisation that keeps the order of a cell's genes, and on no order of genes.

    Parameters
    ----------
    max_rank
        Ranks beyond this are one; at most the number of genes in the data.
    w_neg
        Weight of the down genes: ``max(0, u(up) - w_neg * u(down))``.
    missing
        ``"impute"`` counts genes that are not in the data as not expressed; ``"skip"`` leaves them out.
    weights
        ``"use"`` the weights of genes, over the greatest sum they can reach (all 1: UCell to the bit);
        or ``"ignore"`` them.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Input: non-negative values of any scale; only their order within a cell counts. Output: [0, 1].
    Source: Andreatta & Carmona 2021, doi:10.1016/j.csbj.2021.06.043.
    """

    max_rank: int = 1500
    w_neg: float = 1.0
    missing: Literal["impute", "skip"] = "impute"
    weights: Literal["use", "ignore"] = "use"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not isinstance(self.max_rank, int) or self.max_rank < 1:
            msg = f"max_rank must be a whole number of at least 1, not {self.max_rank!r}."
            raise ParameterError(msg)
        if not 0 <= self.w_neg < np.inf:
            msg = f"w_neg must not be negative, not {self.w_neg}."
            raise ParameterError(msg)
        if self.missing not in ("impute", "skip") or self.weights not in ("use", "ignore"):
            msg = f"missing is 'impute' or 'skip', weights 'use' or 'ignore', not {self.missing!r}, {self.weights!r}."
            raise ParameterError(msg)

    @property
    def name(self) -> str:
        """Name of the method in provenance."""
        return "ucell"

    def rank_cap(self, n_vars: int) -> int:
        """Return K: the rank from which on all ranks are one."""
        return min(self.max_rank, n_vars)

    def arm_weights(self, arm: Arm) -> Array:
        """Return the weights of an arm's present genes as this method uses them."""
        return arm.weights if self.weights == "use" else np.ones_like(arm.weights)

    def check(self, part: Part, n_vars: int) -> None:
        """Refuse a signature that does not fit under the rank cap, as UCell does.

        Raises
        ------
        SignatureFormatError
            The signature has more genes than ``max_rank``, or than the data.
        """
        size, cap = self._size(part.up) + self._size(part.down), self.rank_cap(n_vars)
        if size > cap:
            msg = (
                f"Signature '{part.signature.id}' has {size} genes, more than the {cap} ranks that count "
                f"(max_rank={self.max_rank}, {n_vars} genes in the data). "
                "Use UCell(max_rank=…), or UCell(missing='skip') if most of its genes are not in the data."
            )
            raise SignatureFormatError(msg)

    def score(self, part: Part, up: Array, down: Array, n_vars: int) -> Array:
        """Return the scores of a part, shape ``(n_cells,)``, from the sums of depths of its two arms."""
        cap = self.rank_cap(n_vars)
        u_up, u_down = self._u(part.up, up, cap), self._u(part.down, down, cap)
        return np.asarray(np.maximum(u_up - self.w_neg * u_down, 0.0))

    def _size(self, arm: Arm) -> int:
        return int(arm.all_weights.size if self.missing == "impute" else arm.weights.size)

    def _u(self, arm: Arm, sums: Array, cap: int) -> Array:
        weights = arm.all_weights if self.missing == "impute" else arm.weights
        if self.weights == "ignore":
            weights = np.ones_like(weights)
        most = float(np.sum(np.sort(weights)[::-1] * (cap - np.arange(1, weights.size + 1))))
        return sums / most if most > 0 else np.zeros_like(sums)
