"""Settings of rank-based methods, and all methods by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tamannot.errors import ParameterError, SignatureFormatError, among
from tamannot.scoring._expression import LinearMethod
from tamannot.scoring._expression_methods import GSVA, SSGSEA, GseapyMethod, ModuleScore, WeightedMean
from tamannot.scoring._njit import Array
from tamannot.scoring._plan import Arm, Part, RankMethod, Weights, check_choice, refuse_weights
from tamannot.scoring._ranks import AVERAGE, EXPECTED, LEGACY


@dataclass(frozen=True, kw_only=True)
class UCell(RankMethod):
    """Settings of UCell.

    The score of a signature in a cell is its Mann-Whitney U statistic, scaled to [0, 1]: 1 if the
    signature's genes have the highest expression in the cell, close to 0 if they have low ranks. It does not depend
    on other cells, on the order of genes, or on normalisation that preserves the ranks within a cell.

    Parameters
    ----------
    variant
        ``"today"``: as in the R package since version 2.7.6. ``"legacy"``: as in the paper and earlier versions, where
        all ranks beyond K count as K + 1 and a set without a gene within K gets 0; it does not support weights.
    max_rank
        Maximal rank: ranks beyond it are equal. At most the number of genes in the data.
    w_neg
        Weight of the down genes: ``max(0, u(up) - w_neg * u(down))``.
    missing
        ``"impute"`` counts genes that are not in the data as not expressed; ``"skip"`` leaves them out.
    weights
        ``"use"`` the weights of genes, relative to their largest possible sum (all 1: identical to UCell);
        or ``"ignore"`` them.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Input: non-negative values of any scale; only their order within a cell matters. Output: [0, 1].
    Source: Andreatta & Carmona 2021, doi:10.1016/j.csbj.2021.06.043. If zeros are among the first K
    ranks (panels, variable genes only), they count with their mean rank, as in R; pyUCell leaves them out.
    """

    variant: Literal["today", "legacy"] = "today"
    max_rank: int = 1500
    w_neg: float = 1.0
    missing: Literal["impute", "skip"] = "impute"
    weights: Weights = "use"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not isinstance(self.max_rank, int) or self.max_rank < 1:
            raise ParameterError(f"max_rank must be an integer of at least 1, not {self.max_rank!r}.")
        if not 0 <= self.w_neg < np.inf:
            raise ParameterError(f"w_neg must not be negative, not {self.w_neg}.")
        check_choice("missing", self.missing, ("impute", "skip"))
        check_choice("variant", self.variant, ("today", "legacy"))
        check_choice("weights", self.weights, ("use", "ignore"))

    @property
    def name(self) -> str:
        """Name of the method in provenance."""
        return "ucell" if self.variant == "today" else "ucell_legacy"

    @property
    def ties(self) -> int:
        """Ties share their mean rank."""
        return AVERAGE if self.variant == "today" else LEGACY

    @property
    def down_weight(self) -> float:
        """Weight of the down genes."""
        return self.w_neg

    def rank_cap(self, n_vars: int) -> int:
        """Return K: the rank from which on all ranks are one."""
        return min(self.max_rank, n_vars)

    def limits(self, arm: Arm, cap: int) -> tuple[float, float]:
        """Return what is added to an arm's sum where it is not zero, and what the result is divided by."""
        weights = arm.all_weights if self.missing == "impute" else arm.weights
        n = weights.size
        if self.variant == "legacy":
            return n * (n - 1) / 2, float(n * cap)
        return 0.0, _reachable(weights if self.weights == "use" else np.ones(n), cap)

    def check(self, part: Part, n_vars: int) -> None:
        """Refuse a signature that does not fit under the rank cap, as UCell does."""
        if self.variant == "legacy" and self.weights == "use":
            refuse_weights(part.signature, "UCell(variant='legacy')")
        arms, cap = (part.up, part.down), self.rank_cap(n_vars)
        size = sum((arm.all_weights if self.missing == "impute" else arm.weights).size for arm in arms)
        if size > cap:
            raise SignatureFormatError(
                f"Signature '{part.signature.id}' has {size} genes, more than the {cap} ranks used "
                f"(max_rank is {self.max_rank}; the data have {n_vars} genes). "
                "Use UCell(max_rank=…), or UCell(missing='skip') if most of its genes are not in the data."
            )


@dataclass(frozen=True, kw_only=True)
class AUCell(RankMethod):
    """Settings of AUCell.

    The score is the area under the recovery curve of the signature's genes among the ``top`` share of a cell's genes.
    R, decoupler and pySCENIC break ties randomly or by the order of genes; here a tie gets its expected value over all
    orders, so the score does not depend on a seed or on the order of genes.

    Parameters
    ----------
    variant
        ``"r"``: as the R package, relative to the largest possible area. ``"pyscenic"``: as ctxcore,
        relative to the whole area, so even the best possible set stays below 1.
    top
        Share of top-ranked genes to use, 0 to 1.
    weights
        ``"use"`` the weights of genes (all 1: AUCell), or ``"ignore"`` them.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Input: non-negative values of any scale. Output: [0, 1]. Genes that are not in the data are left out;
    R drops a set with less than a fifth of its genes, ctxcore one with less than four fifths; here use
    ``min_coverage`` of `tl.score`. Down genes: ``max(0, up - down)``.
    Source: Aibar et al. 2017, doi:10.1038/nmeth.4463.
    """

    variant: Literal["r", "pyscenic"] = "r"
    top: float = 0.05
    weights: Weights = "use"
    ties = EXPECTED
    down_weight = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.top <= 1:
            raise ParameterError(f"top must be a share of genes, above 0 and at most 1, not {self.top}.")
        check_choice("variant", self.variant, ("r", "pyscenic"))
        check_choice("weights", self.weights, ("use", "ignore"))

    @property
    def name(self) -> str:
        """Name of the method in provenance."""
        return "aucell" if self.variant == "r" else "aucell_pyscenic"

    def rank_cap(self, n_vars: int) -> int:
        """Return K: the rank from which on genes do not count."""
        exact = self.top * n_vars
        return max(math.ceil(round(exact, 9)) if self.variant == "r" else round(exact), 1)

    def limits(self, arm: Arm, cap: int) -> tuple[float, float]:
        """Return what is added to an arm's sum where it is not zero, and what the result is divided by."""
        weights = self.arm_weights(arm)
        return 0.0, _reachable(weights, cap) if self.variant == "r" else float(cap * weights.sum())

    def check(self, part: Part, n_vars: int) -> None:
        """Refuse data of so few genes that none can score."""
        if self.rank_cap(n_vars) < 2:
            raise SignatureFormatError(
                f"AUCell uses the top {self.rank_cap(n_vars)} of {n_vars} genes (top is {self.top:g}), too few to "
                f"score '{part.signature.id}'. Use AUCell(top=…) with a larger share, or UCell."
            )


def _reachable(weights: Array, cap: int) -> float:
    """Return the greatest weighted sum of depths that genes of these weights can have."""
    if not weights.size:
        return 0.0
    depths = np.maximum(np.arange(cap - 1, cap - 1 - weights.size, -1), 0)
    return float(np.sort(weights)[::-1] @ depths)


Method = RankMethod | LinearMethod | GseapyMethod

METHODS: dict[str, Callable[[], Method]] = {
    "ucell": UCell,
    "ucell_legacy": lambda: UCell(variant="legacy"),
    "aucell": AUCell,
    "aucell_pyscenic": lambda: AUCell(variant="pyscenic"),
    "module": ModuleScore,
    "mean": WeightedMean,
    "ssgsea": SSGSEA,
    "gsva": GSVA,
}


def method_of(method: Method | str) -> Method:
    """Return the settings of a method given by name or as they are."""
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        raise ParameterError(
            f"No method {method!r}.{among(str(method), METHODS)} Or pass settings such as UCell(max_rank=500)."
        )
    return METHODS[method]()
