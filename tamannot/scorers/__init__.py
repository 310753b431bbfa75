"""Scoring methods: frozen settings that know their kernel; arrays in, arrays out."""

from tamannot.scorers._engine import NullBins, NullScores, Scores, gene_depths, null_bins, score_rows
from tamannot.scorers._methods import method_of
from tamannot.scorers._plan import Part, Plan, make_plan
from tamannot.scorers._reference import reference_bins
from tamannot.scorers._ucell import UCell

__all__ = [
    "NullBins",
    "NullScores",
    "Part",
    "Plan",
    "Scores",
    "UCell",
    "gene_depths",
    "make_plan",
    "method_of",
    "null_bins",
    "reference_bins",
    "score_rows",
]
