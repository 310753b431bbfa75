"""``tam.pl``: pictures of results. Nothing here writes into the data or to disk."""

from tamannot.pl._enrichment import enrichment
from tamannot.pl._evidence import evidence
from tamannot.pl._reliability import reliability
from tamannot.pl._spatial import spatial
from tamannot.pl._states import states

__all__ = ["enrichment", "evidence", "reliability", "spatial", "states"]
