"""``tam.tl``: tools that write their results into an AnnData."""

from tamannot.tl._annotate import annotate, classify_origin, classify_state, ferroptosis, gate
from tamannot.tl._claims import claims
from tamannot.tl._composition import composition
from tamannot.tl._crosstalk import crosstalk
from tamannot.tl._enrich import enrich
from tamannot.tl._ferroptosis_summary import ferroptosis_summary
from tamannot.tl._ligand_receptor import ligand_receptor
from tamannot.tl._regions import regions
from tamannot.tl._score import score
from tamannot.tl._smooth import smooth
from tamannot.tl._train import train
from tamannot.tl._vote import vote

__all__ = [
    "annotate",
    "claims",
    "classify_origin",
    "classify_state",
    "composition",
    "crosstalk",
    "enrich",
    "ferroptosis",
    "ferroptosis_summary",
    "gate",
    "ligand_receptor",
    "regions",
    "score",
    "smooth",
    "train",
    "vote",
]
