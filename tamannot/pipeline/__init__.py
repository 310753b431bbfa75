"""Gate, origin, state, ferroptosis: the whole line on rows of a matrix."""

from tamannot.pipeline._anchored import Anchored, Fit, fitted, keyed
from tamannot.pipeline._annotate import Annotation, Prepared, Source, annotate_rows, prepare
from tamannot.pipeline._call import Calls
from tamannot.pipeline._inputs import MACROPHAGE, PROGRAM_AXES, SUMMARIES, TABLE_AXES, Cells, Settings, Tissue
from tamannot.pipeline._knowledge import Knowledge
from tamannot.pipeline._panels import METHOD, Panels
from tamannot.pipeline._scaled import ScaledRows

__all__ = [
    "MACROPHAGE",
    "METHOD",
    "PROGRAM_AXES",
    "SUMMARIES",
    "TABLE_AXES",
    "Anchored",
    "Annotation",
    "Calls",
    "Cells",
    "Fit",
    "Knowledge",
    "Panels",
    "Prepared",
    "ScaledRows",
    "Settings",
    "Source",
    "Tissue",
    "annotate_rows",
    "fitted",
    "keyed",
    "prepare",
]
