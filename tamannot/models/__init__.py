"""From scores to labels: arrays in, arrays out.

This release has the fixed rule: it reads one cell's z and p against the matched null and looks at no
other cell. A trained model can take the place of each rule; it returns the same `Call`.
"""

from tamannot.models._call import NOT_MACROPHAGE, UNASSIGNED, Call
from tamannot.models._gate import call_compartment, given_compartment, mixed_lineage
from tamannot.models._origin import call_origin, looks_like_brain
from tamannot.models._state import STATES, TRANSITIONAL, call_state, dual_program, programs, rule_signatures

__all__ = [
    "NOT_MACROPHAGE",
    "STATES",
    "TRANSITIONAL",
    "UNASSIGNED",
    "Call",
    "call_compartment",
    "call_origin",
    "call_state",
    "dual_program",
    "given_compartment",
    "looks_like_brain",
    "mixed_lineage",
    "programs",
    "rule_signatures",
]
