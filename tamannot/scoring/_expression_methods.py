"""Settings of methods on expression values: means, module scores, and the scores that gseapy computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.scoring._expression import Combination, GeneStatistics, LinearMethod, Scale
from tamannot.scoring._njit import Array
from tamannot.scoring._plan import Part, Weights, check_choice, refuse_weights, signed_genes, weights_in_use


@dataclass(frozen=True, kw_only=True)
class WeightedMean(LinearMethod):
    """Settings of the weighted mean of expression.

    Parameters
    ----------
    form
        ``"mean"``: ``sum(w x) / sum(|w|)``, the weights of down genes being negative. ``"sum"``: the plain
        linear score ``sum(w x)``, as for published models with coefficients. ``"zmean"``: the mean of
        genes standardised over the cells of the data, so a cell's score depends on the other cells.
    weights
        ``"use"`` the weights of genes, or ``"ignore"`` them.
    scale
        ``"log"``: counts and linear values become ``log1p`` of 10,000 per cell, log values are used
        unchanged. ``"as_is"``: the values of the matrix, including negative ones.

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
        check_choice("weights", self.weights, ("use", "ignore"))
        check_choice("scale", self.scale, ("log", "as_is"))

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
        columns, weights = signed_genes(part, self.weights)
        if self.form != "sum":
            weights = weights / max(float(np.abs(weights).sum()), np.finfo(float).tiny)
        if genes is None:
            return Combination(columns, weights)
        sd = genes.sd[columns]
        scaled = np.divide(weights, sd, out=np.zeros_like(weights), where=sd > 0)
        return Combination(columns, scaled, -float((scaled * genes.mean[columns]).sum()))


@dataclass(frozen=True, kw_only=True)
class ModuleScore(LinearMethod):
    """Settings of the module score: mean expression minus that of control genes of similar expression.

    Parameters
    ----------
    variant
        ``"scanpy"``: ``ctrl_size`` controls from every expression bin that has a gene of the signature; the
        results equal ``scanpy.tl.score_genes``. ``"seurat"``: ``ctrl_size`` controls for every gene, from its
        bin, as ``AddModuleScore`` (the results differ, because R draws other random numbers).
    ctrl_size
        Number of control genes to draw; None uses all genes of a bin, without random draws.
    n_bins
        Number of expression bins.
    ctrl_as_ref
        As in scanpy: draw before the signature's own genes are removed (True), or after.
    weights
        ``"use"`` the weights of genes (all 1: equal to scanpy), or ``"ignore"`` them.
    scale
        As in `WeightedMean`.
    rng
        Seed of the draw; the same for every signature, as if each were scored on its own.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Output: the unit of the values, any sign; down genes are a separate signature that is subtracted. A cell's
    score depends on the other cells (through the bins), and the control genes on the order of genes.
    Source: Tirosh et al. 2016, doi:10.1126/science.aad0501; Satija et al. 2015, doi:10.1038/nbt.3192.
    """

    variant: Literal["scanpy", "seurat"] = "scanpy"
    ctrl_size: int | None = 50
    n_bins: int = 25
    ctrl_as_ref: bool = True
    weights: Weights = "use"
    scale: Scale = "log"
    rng: int = 0
    name = "module"
    looks_at_cells = True  # the bins depend on the other cells

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_choice("variant", self.variant, ("scanpy", "seurat"))
        if self.ctrl_size is not None and not (isinstance(self.ctrl_size, int) and self.ctrl_size >= 1):
            raise ParameterError(f"ctrl_size must be an integer of at least 1, or None, not {self.ctrl_size}.")
        if not (isinstance(self.n_bins, int) and self.n_bins >= 2):
            raise ParameterError(f"n_bins must be an integer of at least 2, not {self.n_bins}.")
        if not (isinstance(self.rng, int) and 0 <= self.rng < 2**32):
            raise ParameterError(f"rng must be a seed, an integer from 0 to 2^32 - 1, not {self.rng!r}.")
        check_choice("weights", self.weights, ("use", "ignore"))
        check_choice("scale", self.scale, ("log", "as_is"))

    def check(self, part: Part, n_vars: int) -> None:
        """Refuse data with too few genes for the bins."""
        if round(n_vars / (self.n_bins - 1)) < 1:
            raise SignatureFormatError(
                f"{n_vars} genes cannot be divided into {self.n_bins} bins of control genes for '{part.signature.id}'. "
                "Use fewer bins, by ModuleScore(n_bins=…)."
            )

    def combination(self, part: Part, genes: GeneStatistics | None) -> Combination:
        """Return what to add up for a signature."""
        columns, weights = [np.empty(0, np.int64)], [np.empty(0)]
        for sign, arm in ((1.0, part.up), (-1.0, part.down)):
            if genes is None or not arm.columns.size:
                continue
            own, controls = weights_in_use(arm, self.weights), self._controls(arm.columns, genes)
            if not controls.size:
                raise SignatureFormatError(
                    f"No control genes for '{part.signature.id}': it contains all genes of its bins. Use "
                    "ModuleScore(ctrl_as_ref=False), fewer bins, or a method without controls."
                )
            columns += [arm.columns, controls]
            weights += [sign * (own / own.sum()), np.full(controls.size, -sign / controls.size)]
        return Combination(np.concatenate(columns), np.concatenate(weights))

    def _controls(self, columns: Array, genes: GeneStatistics) -> Array:
        # Bins are scanpy's: the rank of a gene's mean, cut into parts of equal length.
        n_items = int(np.round(genes.mean.size / (self.n_bins - 1)))
        own, bin_of = np.zeros(genes.mean.size, bool), genes.rank // n_items
        own[columns] = True
        bins = bin_of[np.sort(columns)]
        drawn: list[Array] = []
        random = np.random.RandomState(self.rng)  # scanpy's generator, but our own: the global one is left alone
        for cut in np.unique(bins) if self.variant == "scanpy" else bins:
            pool = np.flatnonzero(bin_of == cut)
            pool = pool if self.ctrl_as_ref else pool[~own[pool]]
            if self.ctrl_size is not None and self.ctrl_size < pool.size:
                pool = pool[random.choice(pool.size, size=self.ctrl_size, replace=False)]
            drawn.append(pool[~own[pool]])
        return np.unique(np.concatenate(drawn)) if drawn else np.empty(0, np.int64)


class GseapyMethod(ABC):
    """Settings of a score that gseapy computes."""

    weights: Weights  # whether weights of genes are refused or ignored
    scale: Scale  # whether counts are brought to logarithms
    exponent: float  # weight of ranks in the running sum
    _title: ClassVar[str]

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """What gseapy is called with."""

    @property
    def name(self) -> str:
        """Name of the method in provenance."""
        return self._title.lower()

    def check(self, part: Part, n_vars: int) -> None:  # noqa: ARG002 - as other methods
        """Refuse a signature with weights, unless they are to be ignored."""
        if self.weights == "use":
            refuse_weights(part.signature, self._title)

    def __post_init__(self) -> None:
        """Check what both have."""
        if not self.exponent >= 0:
            raise ParameterError(f"exponent must not be negative, not {self.exponent}.")
        check_choice("weights", self.weights, ("use", "ignore"))
        check_choice("scale", self.scale, ("log", "as_is"))


@dataclass(frozen=True, kw_only=True)
class SSGSEA(GseapyMethod):
    """Settings of ssGSEA, computed by gseapy.

    Parameters
    ----------
    exponent
        Weight of ranks in the running sum; 0.25 is the authors'.
    norm
        How gseapy normalises a sample before ranking.
    weights
        ssGSEA cannot use weights of genes: ``"use"`` raises for a signature with weights,
        ``"ignore"`` scores it without them.
    scale
        ``"log"``: counts and linear values become ``log1p`` of 10,000 per cell. ``"as_is"``: unchanged.

    Raises
    ------
    ParameterError
        A value outside its range.

    Notes
    -----
    Meant for pseudobulk: it ranks all genes of a sample, including zeros, and in single cells depends on
    the number of detected genes. Output: the enrichment score (gseapy's ``ES``), any sign; down genes are a
    separate set that is subtracted. Source: Barbie et al. 2009, doi:10.1038/nature08460; gseapy, Fang et al.
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
        super().__post_init__()

    @property
    def options(self) -> dict[str, Any]:
        """What gseapy is called with."""
        return {"sample_norm_method": self.norm, "weight": self.exponent}


@dataclass(frozen=True, kw_only=True)
class GSVA(GseapyMethod):
    """Settings of GSVA, computed by gseapy.

    Parameters
    ----------
    kcdf
        Kernel of the distribution function of each gene over the samples.
    max_diff
        Difference of the largest deviations (True) or the largest deviation only.
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
    Meant for pseudobulk; a sample's score depends on all other samples. Output: [-1, 1]; down genes are a
    separate set that is subtracted. Source: Hänzelmann et al. 2013, doi:10.1186/1471-2105-14-7; gseapy.
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
        super().__post_init__()

    @property
    def options(self) -> dict[str, Any]:
        """What gseapy is called with."""
        return {"kcdf": self.kcdf, "mx_diff": self.max_diff, "weight": self.exponent}
