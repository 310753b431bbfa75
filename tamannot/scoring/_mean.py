"""Means and sums of expression, weighted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot.scoring._choice import check_choice
from tamannot.scoring._linear import Combination, GeneStatistics, Scale, check_scale
from tamannot.scoring._plan import Part
from tamannot.scoring._weights import Weights, check_weights, weights_in_use

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class WeightedMean:
    """Settings of the weighted mean of expression.

    Parameters
    ----------
    form
        ``"mean"``: ``sum(w x) / sum(|w|)``, the weights of down genes being negative. ``"sum"``: the plain
        linear score ``sum(w x)``, as for published models with coefficients. ``"zmean"``: the mean of
        genes standardised over the cells at hand, so that a cell's score depends on the others.
    weights
        ``"use"`` the weights of genes, or ``"ignore"`` them.
    scale
        ``"log"``: counts and linear values are brought to ``log1p`` of 10,000 per cell, logarithms are taken
        as they are. ``"as_is"``: whatever the matrix holds, negative values included.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Output: the unit of the values, any sign. Genes that are not in the data are left out. Highly expressed
    genes dominate ``mean`` and ``sum``; scores of different signatures cannot be compared.
    Source: common practice; ``zmean`` as in Lee et al. 2008, doi:10.1371/journal.pcbi.1000217, without
    its choice of genes and over n instead of its square root.
    """

    form: Literal["mean", "sum", "zmean"] = "mean"
    weights: Weights = "use"
    scale: Scale = "log"

    def __post_init__(self) -> None:
        """Check the words."""
        check_choice("form", self.form, ("mean", "sum", "zmean"))
        check_weights(self.weights)
        check_scale(self.scale)

    @property
    def name(self) -> str:
        """Name of the method in provenance."""
        return self.form

    @property
    def looks_at_cells(self) -> bool:
        """Whether genes are standardised."""
        return self.form == "zmean"

    def check(self, part: Part, n_vars: int) -> None:
        """Refuse nothing: any signature has a mean."""

    def combination(self, part: Part, genes: GeneStatistics | None) -> Combination:
        """Return what to add up for a signature."""
        columns = np.concatenate([part.up.columns, part.down.columns])
        weights = np.concatenate([weights_in_use(part.up, self.weights), -weights_in_use(part.down, self.weights)])
        if self.form != "sum":
            weights = weights / max(float(np.abs(weights).sum()), np.finfo(float).tiny)
        if genes is None:
            return Combination(columns, weights)
        sd = genes.sd[columns]
        scaled = np.divide(weights, sd, out=np.zeros_like(weights), where=sd > 0)
        return Combination(columns, scaled, -float((scaled * genes.mean[columns]).sum()))
