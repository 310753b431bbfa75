"""Scoring methods: frozen settings that know their kernel; arrays in, arrays out."""

from tamannot.scoring._engine import NullScores, OfCells, Run, Scorer, Scores, depths_by_method, score_runs
from tamannot.scoring._expression import score_linear
from tamannot.scoring._expression_methods import GSVA, SSGSEA, GseapyMethod, ModuleScore, WeightedMean
from tamannot.scoring._methods import AUCell, Method, UCell, method_of
from tamannot.scoring._null import null_bins, null_contributions, reference_depth
from tamannot.scoring._plan import Part, Plan, RankMethod, SignedGenes, make_plan, signed_genes
from tamannot.scoring._ranks import RankedRows
