"""Settings of the scores that gseapy computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tamannot.errors import ParameterError
from tamannot.scoring._choice import check_choice
from tamannot.scoring._linear import Scale, check_scale
from tamannot.scoring._plan import Part
from tamannot.scoring._weights import Weights, check_weights, refuse_weights


class _Enrichment:
    """What the methods share; each has these fields among its own."""

    _title: ClassVar[str]
    exponent: float
    weights: Weights
    scale: Scale

    @property
    def name(self) -> str:
        """Name of the method in provenance."""
        return self._title.lower()

    def check(self, part: Part, n_vars: int) -> None:  # noqa: ARG002 - as other methods
        """Refuse a signature with weights, unless they are to be ignored.

        Raises
        ------
        SignatureFormatError
            A gene has another weight than 1.
        """
        if self.weights == "use":
            refuse_weights(part.signature, self._title)

    def _check_shared(self) -> None:
        if not self.exponent >= 0:
            msg = f"exponent must not be negative, not {self.exponent}."
            raise ParameterError(msg)
        check_weights(self.weights)
        check_scale(self.scale)


@dataclass(frozen=True, kw_only=True)
class SSGSEA(_Enrichment):
    """Settings of ssGSEA, computed by gseapy.

    Parameters
    ----------
    exponent
        Weight of ranks in the running sum; 0.25 is the authors'.
    norm
        How gseapy normalises a sample before ranking.
    weights
        ssGSEA has no place for weights of genes: ``"use"`` refuses a signature that has them,
        ``"ignore"`` scores it without.
    scale
        ``"log"``: counts and linear values are brought to ``log1p`` of 10,000 per cell. ``"as_is"``: not.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Meant for pseudobulk: it takes the whole column of a sample, zeros and all, and in single cells follows
    the number of detected genes. Output: the enrichment score (gseapy's ``ES``), any sign; down genes are a
    set of their own, subtracted. Source: Barbie et al. 2009, doi:10.1038/nature08460; gseapy, Fang et al.
    2023, doi:10.1093/bioinformatics/btac757.
    """

    _title = "ssGSEA"
    exponent: float = 0.25
    norm: Literal["rank", "log", "log_rank", "custom"] = "rank"
    weights: Weights = "use"
    scale: Scale = "log"

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_choice("norm", self.norm, ("rank", "log", "log_rank", "custom"))
        self._check_shared()

    @property
    def options(self) -> dict[str, Any]:
        """What gseapy is called with."""
        return {"sample_norm_method": self.norm, "weight": self.exponent}


@dataclass(frozen=True, kw_only=True)
class GSVA(_Enrichment):
    """Settings of GSVA, computed by gseapy.

    Parameters
    ----------
    kcdf
        Kernel of the distribution function of each gene over the samples.
    max_diff
        Difference of the greatest deviations (True) or the greatest alone.
    exponent
        Weight of ranks in the running sum.
    weights, scale
        As in `SSGSEA`.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Meant for pseudobulk; a sample's score depends on all others. Output: [-1, 1]; down genes are a set of
    their own, subtracted. Source: Hänzelmann et al. 2013, doi:10.1186/1471-2105-14-7; gseapy.
    """

    _title = "GSVA"
    kcdf: Literal["Gaussian", "Poisson"] | None = "Gaussian"
    max_diff: bool = True
    exponent: float = 1.0
    weights: Weights = "use"
    scale: Scale = "log"

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_choice("kcdf", self.kcdf, ("Gaussian", "Poisson", None))
        self._check_shared()

    @property
    def options(self) -> dict[str, Any]:
        """What gseapy is called with."""
        return {"kcdf": self.kcdf, "mx_diff": self.max_diff, "weight": self.exponent}


GseapyMethod = SSGSEA | GSVA
