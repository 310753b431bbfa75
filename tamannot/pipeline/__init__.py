"""Gate, origin, state, ferroptosis: the whole line on rows of a matrix."""

from tamannot.pipeline._anchored import Anchored, keyed
from tamannot.pipeline._anchored_file import KIND, as_anchored, digest_of, write_anchored
from tamannot.pipeline._annotate import Prepared, Source, prepare
from tamannot.pipeline._call import Calls, expressed
from tamannot.pipeline._fitted import fitted
from tamannot.pipeline._inputs import MACROPHAGE, PROGRAM_AXES, SUMMARIES, TABLE_AXES, Cells, Settings, Tissue
from tamannot.pipeline._knowledge import Knowledge, Lender
from tamannot.pipeline._panels import METHOD, Panels, ranking_of
from tamannot.pipeline._scaled import ScaledRows

__all__ = [
    "KIND",
    "MACROPHAGE",
    "METHOD",
    "PROGRAM_AXES",
    "SUMMARIES",
    "TABLE_AXES",
    "Anchored",
    "Calls",
    "Cells",
    "Knowledge",
    "Lender",
    "Panels",
    "Prepared",
    "ScaledRows",
    "Settings",
    "Source",
    "Tissue",
    "as_anchored",
    "digest_of",
    "expressed",
    "fitted",
    "keyed",
    "prepare",
    "ranking_of",
    "write_anchored",
]
