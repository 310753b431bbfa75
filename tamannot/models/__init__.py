"""From scores to labels: arrays in, arrays out.

The fixed rule reads one cell's z and p against the matched null and looks at no other cell. Where there are
enough cells, heads trained on those beyond doubt take its place (`learn`, `ask`); they return the same `Call`.
"""

from tamannot.classify._call import (
    FEW_GENES,
    LOW_COVERAGE,
    NOT_MACROPHAGE,
    UNASSIGNED,
    UNFAMILIAR,
    Call,
    for_want_of_genes,
    set_aside,
)
from tamannot.classify._labels import MIN_COVERAGE
from tamannot.classify._scale import TARGET, Scale, find_scale, to_features
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
from tamannot.models._gate import call_compartment, given_compartment, mixed_lineage
from tamannot.models._heads import Head
from tamannot.models._mixtures import SOURCE, SOURCE_OF_MODEL, Sigmoid, stricter
from tamannot.models._origin import CLASSES as ORIGINS
from tamannot.models._origin import call_origin, looks_like_brain, mostly_microglia, origin_among_macrophages
from tamannot.models._pool import FOLDS, at_most, draw_pool, folds, lottery, number_of_folds, sample_folds
from tamannot.models._question import Question, Sure, learn
from tamannot.models._rescue import are_exceptions, learn_macrophages, only_rescued, rescued
from tamannot.models._state import STATES, TRANSITIONAL, call_state, dual_program, programs, rule_signatures

__all__ = [
    "FEW_GENES",
    "FOLDS",
    "HEADED",
    "LOW_COVERAGE",
    "MIN_CELLS",
    "MIN_COVERAGE",
    "NOT_MACROPHAGE",
    "ORIGINS",
    "RULES",
    "SOURCE",
    "SOURCE_OF_MODEL",
    "STATES",
    "TARGET",
    "TRANSITIONAL",
    "UNASSIGNED",
    "UNFAMILIAR",
    "Amounts",
    "Asker",
    "Call",
    "Head",
    "Question",
    "Scale",
    "Sigmoid",
    "Sure",
    "are_exceptions",
    "ask",
    "at_most",
    "call_compartment",
    "call_origin",
    "call_origins",
    "call_state",
    "call_states",
    "draw_pool",
    "dual_program",
    "find_scale",
    "folds",
    "for_want_of_genes",
    "given_compartment",
    "learn",
    "learn_macrophages",
    "looks_like_brain",
    "lottery",
    "mixed_lineage",
    "mostly_microglia",
    "number_of_folds",
    "only_rescued",
    "origin_among_macrophages",
    "programs",
    "rescued",
    "rule_signatures",
    "sample_folds",
    "set_aside",
    "stricter",
    "sure_origins",
    "sure_states",
    "to_features",
    "unseen_states",
    "without_unseen_rivals",
]
