"""From values and scores to labels with a reason: arrays in, arrays out.

A classifier on the user's own labels (`fit_labels`, `predict_labels`), its files, votes, and whether probabilities
come true.
"""

from tamannot.classify._calibration import Reliability, reliability, wilson
from tamannot.classify._call import (
    FEW_GENES,
    NOT_APPLICABLE,
    NOT_MACROPHAGE,
    UNASSIGNED,
    UNFAMILIAR,
    Array,
    Call,
)
from tamannot.classify._cells import content_hash, variable_genes
from tamannot.classify._container import check_model_target, read_file
from tamannot.classify._fit_labels import check_classes, fit_labels
from tamannot.classify._label_file import KIND as LABELS
from tamannot.classify._label_file import as_classifier, read_model, write_model
from tamannot.classify._labels import MIN_COVERAGE, STATUSES, Classifier, Prediction, predict_labels
from tamannot.classify._scale import Scale, find_scale, to_features
from tamannot.classify._vote import ABSENT, NO_LABEL, Votes, vote_among_neighbours, vote_in_groups

__all__ = [
    "ABSENT",
    "FEW_GENES",
    "LABELS",
    "MIN_COVERAGE",
    "NOT_APPLICABLE",
    "NOT_MACROPHAGE",
    "NO_LABEL",
    "STATUSES",
    "UNASSIGNED",
    "UNFAMILIAR",
    "Array",
    "Call",
    "Classifier",
    "Prediction",
    "Reliability",
    "Scale",
    "Votes",
    "as_classifier",
    "check_classes",
    "check_model_target",
    "content_hash",
    "find_scale",
    "fit_labels",
    "predict_labels",
    "read_file",
    "read_model",
    "reliability",
    "to_features",
    "variable_genes",
    "vote_among_neighbours",
    "vote_in_groups",
    "wilson",
    "write_model",
]
