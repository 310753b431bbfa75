"""Scoring methods: frozen settings that know their kernel; arrays in, arrays out."""

from tamannot.kernels._ranked import RankedRows
from tamannot.scorers._aucell import AUCell
from tamannot.scorers._contributions import SignedGenes, null_contributions
from tamannot.scorers._engine import (
    depths_by_method,
    null_bins,
    ranked_rows,
    score_rows,
    score_runs,
)
from tamannot.scorers._gseapy import GSVA, SSGSEA, GseapyMethod
from tamannot.scorers._linear import LinearMethod, score_linear
from tamannot.scorers._mean import WeightedMean
from tamannot.scorers._methods import Method, method_of
from tamannot.scorers._module import ModuleScore
from tamannot.scorers._packed import Scorer
from tamannot.scorers._plan import Part, Plan, make_plan
from tamannot.scorers._ranked import RankMethod
from tamannot.scorers._reference import reference_bins, reference_depth
from tamannot.scorers._results import NullBins, NullScores, Run, Scores
from tamannot.scorers._ucell import UCell

__all__ = [
    "GSVA",
    "SSGSEA",
    "AUCell",
    "GseapyMethod",
    "LinearMethod",
    "Method",
    "ModuleScore",
    "NullBins",
    "NullScores",
    "Part",
    "Plan",
    "RankMethod",
    "RankedRows",
    "Run",
    "Scorer",
    "Scores",
    "SignedGenes",
    "UCell",
    "WeightedMean",
    "depths_by_method",
    "make_plan",
    "method_of",
    "null_bins",
    "null_contributions",
    "ranked_rows",
    "reference_bins",
    "reference_depth",
    "score_linear",
    "score_rows",
    "score_runs",
]
