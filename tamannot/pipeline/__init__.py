"""Gate, origin, state, ferroptosis: the whole line on rows of a matrix."""

from tamannot.pipeline._annotate import Prepared, Source, prepare
from tamannot.pipeline._call import Calls, expressed
from tamannot.pipeline._inputs import MACROPHAGE, PROGRAM_AXES, SUMMARIES, TABLE_AXES, Cells, Settings, Tissue
from tamannot.pipeline._knowledge import Knowledge
from tamannot.pipeline._panels import METHOD, Panels

__all__ = [
    "MACROPHAGE",
    "METHOD",
    "PROGRAM_AXES",
    "SUMMARIES",
    "TABLE_AXES",
    "Calls",
    "Cells",
    "Knowledge",
    "Panels",
    "Prepared",
    "Settings",
    "Source",
    "Tissue",
    "expressed",
    "prepare",
]
