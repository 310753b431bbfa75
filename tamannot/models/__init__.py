"""From scores to labels: arrays in, arrays out.

The fixed rule reads one cell's z and p against the matched null and looks at no other cell. Where there are
enough cells, heads trained on those beyond doubt take its place (`learn`, `ask`); they return the same `Call`.
"""

from tamannot.models._anchored import (
    HEADED,
    MIN_CELLS,
    RULES,
    call_origins,
    call_states,
    sure_origins,
    sure_states,
    unseen_states,
    without_unseen_rivals,
)
from tamannot.models._ask import Amounts, Asker
from tamannot.models._calibration import Reliability, reliability
from tamannot.models._call import (
    FEW_GENES,
    LOW_COVERAGE,
    NOT_MACROPHAGE,
    UNASSIGNED,
    UNFAMILIAR,
    Call,
    for_want_of_genes,
    set_aside,
)
from tamannot.models._container import SCHEMA_VERSION, check_model_target
from tamannot.models._file import read_model, write_model
from tamannot.models._gate import call_compartment, given_compartment, mixed_lineage
from tamannot.models._heads import Head
from tamannot.models._mixtures import SOURCE, SOURCE_OF_MODEL, Sigmoid, stricter
from tamannot.models._model import MIN_COVERAGE, STATUSES, Classifier, Prediction, predict_rows
from tamannot.models._origin import CLASSES as ORIGINS
from tamannot.models._origin import call_origin, looks_like_brain, mostly_microglia, origin_among_macrophages
from tamannot.models._pool import FOLDS, TARGET, at_most, draw_pool, folds, lottery, number_of_folds, sample_folds
from tamannot.models._question import Question, Sure, learn
from tamannot.models._rescue import are_exceptions, learn_macrophages, only_rescued, rescued
from tamannot.models._scale import Scale, find_scale, to_features
from tamannot.models._state import STATES, TRANSITIONAL, call_state, dual_program, programs, rule_signatures
from tamannot.models._train import Learned, check_classes, learn_labels
from tamannot.models._vote import ABSENT, NO_LABEL, Votes, vote_among_neighbours, vote_in_groups

__all__ = [
    "ABSENT",
    "FEW_GENES",
    "FOLDS",
    "HEADED",
    "LOW_COVERAGE",
    "MIN_CELLS",
    "MIN_COVERAGE",
    "NOT_MACROPHAGE",
    "NO_LABEL",
    "ORIGINS",
    "RULES",
    "SCHEMA_VERSION",
    "SOURCE",
    "SOURCE_OF_MODEL",
    "STATES",
    "STATUSES",
    "TARGET",
    "TRANSITIONAL",
    "UNASSIGNED",
    "UNFAMILIAR",
    "Amounts",
    "Asker",
    "Call",
    "Classifier",
    "Head",
    "Learned",
    "Prediction",
    "Question",
    "Reliability",
    "Scale",
    "Sigmoid",
    "Sure",
    "Votes",
    "are_exceptions",
    "ask",
    "at_most",
    "call_compartment",
    "call_origin",
    "call_origins",
    "call_state",
    "call_states",
    "check_classes",
    "check_model_target",
    "draw_pool",
    "dual_program",
    "find_scale",
    "folds",
    "for_want_of_genes",
    "given_compartment",
    "learn",
    "learn_labels",
    "learn_macrophages",
    "looks_like_brain",
    "lottery",
    "mixed_lineage",
    "mostly_microglia",
    "number_of_folds",
    "only_rescued",
    "origin_among_macrophages",
    "predict_rows",
    "programs",
    "read_model",
    "reliability",
    "rescued",
    "rule_signatures",
    "sample_folds",
    "set_aside",
    "stricter",
    "sure_origins",
    "sure_states",
    "to_features",
    "unseen_states",
    "vote_among_neighbours",
    "vote_in_groups",
    "without_unseen_rivals",
    "write_model",
]
