"""From values and scores to labels with a reason: arrays in, arrays out.

A cohort's macrophages are found (`Gate`), told apart by origin and state (`fit`), and any block of cells is called by
what was fitted (`Prepared.blocks`). Beside it: a classifier on the user's own labels (`fit_labels`, `predict_labels`),
model files, votes, and whether probabilities come true.
"""

from tamannot.classify._annotate import Prepared, Source, prepare
from tamannot.classify._calibration import Reliability, reliability, wilson
from tamannot.classify._call import (
    ASSIGNED,
    FEW_GENES,
    NOT_APPLICABLE,
    NOT_MACROPHAGE,
    UNASSIGNED,
    UNFAMILIAR,
    Array,
    Call,
)
from tamannot.classify._cells import content_hash
from tamannot.classify._cohort import Cohort, Lender
from tamannot.classify._cohort_file import (
    COHORT,
    CohortModel,
    as_cohort_model,
    digest_of,
    keep_cohort,
    lend,
    write_cohort,
)
from tamannot.classify._container import check_model_target, read_file
from tamannot.classify._fit_labels import check_classes, fit_labels
from tamannot.classify._gate import FEWEST_REFERENCE_GENES, MACROPHAGE, n_reference_genes
from tamannot.classify._inputs import PROGRAM_AXES, SUMMARIES, Cells, Settings, Tissue
from tamannot.classify._label_file import KIND as LABELS
from tamannot.classify._label_file import as_classifier, read_model, write_model
from tamannot.classify._labels import MIN_COVERAGE, STATUSES, Classifier, Prediction, predict_labels
from tamannot.classify._origin import ORIGINS
from tamannot.classify._panels import METHOD, Panels, ranking_of
from tamannot.classify._predict import Calls, expressed, expression_of
from tamannot.classify._reference import NAME as MACROPHAGE_REFERENCE
from tamannot.classify._sample import MOST_CELLS, learning_rows, taken
from tamannot.classify._scale import SCALES, Scale, find_scale, to_features
from tamannot.classify._scaled import ScaledRows
from tamannot.classify._state import MIXED_LINEAGE, STATES, TRANSITIONAL, Regression
from tamannot.classify._vote import ABSENT, NO_LABEL, Votes, vote_among_neighbours, vote_in_groups

__all__ = [
    "ABSENT",
    "ASSIGNED",
    "COHORT",
    "FEWEST_REFERENCE_GENES",
    "FEW_GENES",
    "LABELS",
    "MACROPHAGE",
    "MACROPHAGE_REFERENCE",
    "METHOD",
    "MIN_COVERAGE",
    "MIXED_LINEAGE",
    "MOST_CELLS",
    "NOT_APPLICABLE",
    "NOT_MACROPHAGE",
    "NO_LABEL",
    "ORIGINS",
    "PROGRAM_AXES",
    "SCALES",
    "STATES",
    "STATUSES",
    "SUMMARIES",
    "TRANSITIONAL",
    "UNASSIGNED",
    "UNFAMILIAR",
    "Array",
    "Call",
    "Calls",
    "Cells",
    "Classifier",
    "Cohort",
    "CohortModel",
    "Lender",
    "Panels",
    "Prediction",
    "Prepared",
    "Regression",
    "Reliability",
    "Scale",
    "ScaledRows",
    "Settings",
    "Source",
    "Tissue",
    "Votes",
    "as_classifier",
    "as_cohort_model",
    "check_classes",
    "check_model_target",
    "content_hash",
    "digest_of",
    "expressed",
    "expression_of",
    "find_scale",
    "fit_labels",
    "keep_cohort",
    "learning_rows",
    "lend",
    "n_reference_genes",
    "predict_labels",
    "prepare",
    "ranking_of",
    "read_file",
    "read_model",
    "reliability",
    "taken",
    "to_features",
    "vote_among_neighbours",
    "vote_in_groups",
    "wilson",
    "write_cohort",
    "write_model",
]
