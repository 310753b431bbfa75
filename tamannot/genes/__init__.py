"""Gene ids: which column of the data is which gene."""

from tamannot.genes._index import GeneIndex, Substitution
from tamannot.genes._species import Species, recognise_species, strip_genome_prefix
from tamannot.genes._table import GeneTable, human_genes, without_versions

__all__ = [
    "GeneIndex",
    "GeneTable",
    "Species",
    "Substitution",
    "human_genes",
    "recognise_species",
    "strip_genome_prefix",
    "without_versions",
]
