"""Gene ids: which column of the data is which gene."""

from tamannot.genes._index import GeneIndex, Substitution
from tamannot.genes._species import OURS, UNKNOWN, Sighting, recognise_species
from tamannot.genes._spelling import Ids, read_ids
from tamannot.genes._table import GeneTable, human_genes, without_versions

__all__ = [
    "OURS",
    "UNKNOWN",
    "GeneIndex",
    "GeneTable",
    "Ids",
    "Sighting",
    "Substitution",
    "human_genes",
    "read_ids",
    "recognise_species",
    "without_versions",
]
