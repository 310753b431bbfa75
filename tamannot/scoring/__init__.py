"""Scoring methods: frozen settings that know their kernel; arrays in, arrays out."""

from tamannot.scoring._engine import NullScores, OfCells, Run, Scorer, Scores, depths_by_method, ranked_rows, score_runs
from tamannot.scoring._expression_methods import GSVA, SSGSEA, GseapyMethod, ModuleScore, WeightedMean
from tamannot.scoring._linear import score_linear
from tamannot.scoring._methods import AUCell, Method, UCell, method_of
from tamannot.scoring._null import NullBins, SignedGenes, null_bins, null_contributions, reference_depth
from tamannot.scoring._plan import Part, Plan, RankMethod, make_plan
from tamannot.scoring._ranks import RankedRows

__all__ = [
    "GSVA",
    "SSGSEA",
    "AUCell",
    "GseapyMethod",
    "Method",
    "ModuleScore",
    "NullBins",
    "NullScores",
    "OfCells",
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
    "reference_depth",
    "score_linear",
    "score_runs",
]
