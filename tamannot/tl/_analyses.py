"""Public analyses of annotated objects, whose code is in `tamannot.analysis`."""

from tamannot.analysis._claims import claims
from tamannot.analysis._composition import composition
from tamannot.analysis._crosstalk import crosstalk
from tamannot.analysis._enrichment import enrich
from tamannot.analysis._ferroptosis import ferroptosis_summary
from tamannot.analysis._ligand_receptor import ligand_receptor
from tamannot.analysis._spatial import regions, smooth

__all__ = [
    "claims",
    "composition",
    "crosstalk",
    "enrich",
    "ferroptosis_summary",
    "ligand_receptor",
    "regions",
    "smooth",
]
