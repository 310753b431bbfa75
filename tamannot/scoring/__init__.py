"""Scoring methods: frozen settings that know their kernel; arrays in, arrays out."""

from tamannot.scoring._aucell import AUCell
from tamannot.scoring._contributions import SignedGenes, null_contributions
from tamannot.scoring._engine import (
    depths_by_method,
    null_bins,
    ranked_rows,
    score_rows,
    score_runs,
)
from tamannot.scoring._gseapy import GSVA, SSGSEA, GseapyMethod
from tamannot.scoring._linear import LinearMethod, score_linear
from tamannot.scoring._mean import WeightedMean
from tamannot.scoring._methods import Method, method_of
from tamannot.scoring._module import ModuleScore
from tamannot.scoring._packed import Scorer
from tamannot.scoring._plan import Part, Plan, make_plan
from tamannot.scoring._ranked import RankMethod
from tamannot.scoring._ranked_kernel import RankedRows
from tamannot.scoring._reference import reference_bins, reference_depth
from tamannot.scoring._results import NullBins, NullScores, Run, Scores
from tamannot.scoring._ucell import UCell

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
