"""``tam.tl``: tools that write their results into an AnnData."""

from tamannot.tl._annotate import annotate, classify_origin, classify_state, ferroptosis, gate
from tamannot.tl._score import score

__all__ = ["annotate", "classify_origin", "classify_state", "ferroptosis", "gate", "score"]
