"""``tam.tl``: tools that write their results into an AnnData."""

from tamannot.tl._annotate import annotate, classify_origin, classify_state, ferroptosis, gate
from tamannot.tl._crosstalk import crosstalk
from tamannot.tl._ligand_receptor import ligand_receptor
from tamannot.tl._score import score
from tamannot.tl._smooth import smooth
from tamannot.tl._train import train
from tamannot.tl._vote import vote

__all__ = [
    "annotate",
    "classify_origin",
    "classify_state",
    "crosstalk",
    "ferroptosis",
    "gate",
    "ligand_receptor",
    "score",
    "smooth",
    "train",
    "vote",
]
