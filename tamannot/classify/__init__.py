"""From values and scores to labels with a status: arrays in, arrays out.

`prepare` finds the macrophages of a cohort and fits their origins and states, and `Prepared.blocks` calls any block of
cells. `fit_labels` and `predict_labels` are a classifier of the user's own labels.
"""

from tamannot.classify._annotate import Prepared, expression_of, prepare
from tamannot.classify._call import (
    ASSIGNED,
    FEW_GENES,
    MACROPHAGE,
    NOT_MACROPHAGE,
    PROGRAM_AXES,
    SUMMARIES,
    UNASSIGNED,
    UNFAMILIAR,
    Call,
    Cells,
    Source,
)
from tamannot.classify._cohort import AnchoredModel, Cohort, Lender, anchored_of, keep_cohort, lend
from tamannot.classify._gate import FEWEST_REFERENCE_GENES, reference_columns
from tamannot.classify._labels import (
    STATUSES,
    Classifier,
    LabelledCells,
    check_classes,
    classifier_of,
    fit_labels,
    predict_labels,
)
from tamannot.classify._origin import ORIGINS
from tamannot.classify._panels import METHOD, Panels, ranking_of
from tamannot.classify._reference import NAME as MACROPHAGE_REFERENCE
from tamannot.classify._state import MIXED_LINEAGE, STATES, TRANSITIONAL, Regression
from tamannot.scoring._njit import Array
