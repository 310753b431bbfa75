"""Gate, origin, state, ferroptosis: the whole line on rows of a matrix."""

from tamannot.pipeline._anchored import Anchored, keyed
from tamannot.pipeline._anchored_file import KIND, as_anchored, digest_of, write_anchored
from tamannot.pipeline._annotate import Annotation, Prepared, Source, annotate_rows, prepare
from tamannot.pipeline._call import Calls
from tamannot.pipeline._fitted import fitted
from tamannot.pipeline._inputs import MACROPHAGE, PROGRAM_AXES, SUMMARIES, TABLE_AXES, Cells, Settings, Tissue
from tamannot.pipeline._knowledge import Knowledge, Lender
from tamannot.pipeline._panels import METHOD, Panels
from tamannot.pipeline._scaled import ScaledRows

__all__ = [
    "KIND",
    "MACROPHAGE",
    "METHOD",
    "PROGRAM_AXES",
    "SUMMARIES",
    "TABLE_AXES",
    "Anchored",
    "Annotation",
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
    "annotate_rows",
    "as_anchored",
    "digest_of",
    "fitted",
    "keyed",
    "prepare",
    "write_anchored",
]
