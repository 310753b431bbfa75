"""AUCell: the area under the recovery curve of a cell's best genes, without its lottery of ties."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.scoring._choice import check_choice
from tamannot.scoring._plan import Arm, Part
from tamannot.scoring._ranked import reachable
from tamannot.scoring._ranks import EXPECTED
from tamannot.scoring._weights import Weights, check_weights, weights_in_use

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class AUCell:
    """Settings of AUCell.

    The score is the area under the curve that counts how many genes of the signature are among the best
    ``top`` share of a cell's genes. R, decoupler and pySCENIC break ties at random, or by the order of
    genes; here a tie is worth its expectation over all orders, so that the score depends on no seed and
    no order.

    Parameters
    ----------
    variant
        ``"r"``: as the R package, over the area that as many genes can reach. ``"pyscenic"``: as ctxcore,
        over the whole area, so that even the best possible set stays below 1.
    top
        Share of all genes that count, 0 to 1.
    weights
        ``"use"`` the weights of genes (all 1: AUCell), or ``"ignore"`` them.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Input: non-negative values of any scale. Output: [0, 1]. Genes that are not in the data are left out;
    R drops a set with less than a fifth of its genes, ctxcore one with less than four fifths: here
    ``min_coverage`` of `tl.score` says. Down genes: ``max(0, up - down)``.
    Source: Aibar et al. 2017, doi:10.1038/nmeth.4463.
    """

    variant: Literal["r", "pyscenic"] = "r"
    top: float = 0.05
    weights: Weights = "use"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.top <= 1:
            msg = f"top is a share of genes above 0, up to 1, not {self.top}."
            raise ParameterError(msg)
        check_choice("variant", self.variant, ("r", "pyscenic"))
        check_weights(self.weights)

    @property
    def name(self) -> str:
        """Name of the method in provenance."""
        return "aucell" if self.variant == "r" else "aucell_pyscenic"

    @property
    def ties(self) -> int:
        """A tie is worth its expectation."""
        return EXPECTED

    @property
    def down_weight(self) -> float:
        """Down genes count in full."""
        return 1.0

    def rank_cap(self, n_vars: int) -> int:
        """Return K: the rank from which on genes do not count."""
        exact = self.top * n_vars
        return max(math.ceil(round(exact, 9)) if self.variant == "r" else round(exact), 1)

    def arm_weights(self, arm: Arm) -> Array:
        """Return the weights of an arm's present genes as this method uses them."""
        return weights_in_use(arm, self.weights)

    def limits(self, arm: Arm, cap: int) -> tuple[float, float]:
        """Return what is added to an arm's sum where it is not zero, and what the result is divided by."""
        weights = self.arm_weights(arm)
        return 0.0, reachable(weights, cap) if self.variant == "r" else float(cap * weights.sum())

    def check(self, part: Part, n_vars: int) -> None:
        """Refuse data of so few genes that none can score.

        Raises
        ------
        SignatureFormatError
            Fewer than two ranks count.
        """
        if self.rank_cap(n_vars) < 2:
            msg = (
                f"AUCell looks at {self.rank_cap(n_vars)} of {n_vars} genes (top is {self.top:g}), too few to score "
                f"'{part.signature.id}'. Use AUCell(top=…) with a larger share, or UCell."
            )
            raise SignatureFormatError(msg)
