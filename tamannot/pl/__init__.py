"""``tam.pl``: pictures of results. Nothing here writes into the data or to disk."""

from tamannot.pl._composition import composition
from tamannot.pl._composition_tests import composition_tests
from tamannot.pl._coverage import coverage
from tamannot.pl._crosstalk import crosstalk
from tamannot.pl._enrichment import enrichment
from tamannot.pl._evidence import evidence
from tamannot.pl._ferroptosis import ferroptosis
from tamannot.pl._markers import markers
from tamannot.pl._origins import origins
from tamannot.pl._polarization import polarization
from tamannot.pl._reliability import reliability
from tamannot.pl._scores import scores
from tamannot.pl._spatial import spatial
from tamannot.pl._state_by_origin import state_by_origin
from tamannot.pl._states import states

__all__ = [
    "composition",
    "composition_tests",
    "coverage",
    "crosstalk",
    "enrichment",
    "evidence",
    "ferroptosis",
    "markers",
    "origins",
    "polarization",
    "reliability",
    "scores",
    "spatial",
    "state_by_origin",
    "states",
]
