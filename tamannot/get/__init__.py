"""``tam.get``: results as tables. Nothing here writes."""

from tamannot.get._claims import claims
from tamannot.get._composition import composition
from tamannot.get._contributions import contributions
from tamannot.get._crosstalk import crosstalk
from tamannot.get._enrichment import enrichment
from tamannot.get._evidence import evidence
from tamannot.get._ferroptosis import ferroptosis
from tamannot.get._regions import regions
from tamannot.get._score_adata import score_adata
from tamannot.get._tables import annotations, coverage, scores

__all__ = [
    "annotations",
    "claims",
    "composition",
    "contributions",
    "coverage",
    "crosstalk",
    "enrichment",
    "evidence",
    "ferroptosis",
    "regions",
    "score_adata",
    "scores",
]
