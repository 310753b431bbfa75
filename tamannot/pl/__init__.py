"""``tam.pl``: pictures of results. Nothing here writes into the data or to disk."""

from tamannot.pl._composition import composition
from tamannot.pl._composition_tests import composition_tests
from tamannot.pl._evidence import evidence
from tamannot.pl._reliability import reliability
from tamannot.pl._states import states

__all__ = ["composition", "composition_tests", "evidence", "reliability", "states"]
