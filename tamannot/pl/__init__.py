"""``tam.pl``: pictures of results. Nothing here writes into the data or to disk."""

from tamannot.pl._crosstalk import crosstalk
from tamannot.pl._evidence import evidence
from tamannot.pl._reliability import reliability
from tamannot.pl._states import states

__all__ = ["crosstalk", "evidence", "reliability", "states"]
