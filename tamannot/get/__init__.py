"""``tam.get``: results as tables. Nothing here writes."""

from tamannot.get._contributions import contributions
from tamannot.get._crosstalk import crosstalk
from tamannot.get._evidence import evidence
from tamannot.get._score_adata import score_adata
from tamannot.get._tables import annotations, coverage, scores

__all__ = ["annotations", "contributions", "coverage", "crosstalk", "evidence", "score_adata", "scores"]
