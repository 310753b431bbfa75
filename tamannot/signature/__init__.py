"""Signatures: values, files, the bundled library; and genes: which column of the data is which gene."""

from tamannot.signature._gene_ids import OURS, UNKNOWN, Ids, Sighting, human_genes, read_ids, recognise_species
from tamannot.signature._gene_index import GeneIndex, Substitution
from tamannot.signature._library import bundled_species, load_signature, load_signatures
from tamannot.signature._model import AXES, Gene, Reference, Signature, SignatureSet
from tamannot.signature._read import (
    Signatures,
    as_signatures,
    chosen_signatures,
    read_signatures,
    signatures_named,
    write_signatures,
)

__all__ = [
    "AXES",
    "OURS",
    "UNKNOWN",
    "Gene",
    "GeneIndex",
    "Ids",
    "Reference",
    "Sighting",
    "Signature",
    "SignatureSet",
    "Signatures",
    "Substitution",
    "as_signatures",
    "bundled_species",
    "chosen_signatures",
    "human_genes",
    "load_signature",
    "load_signatures",
    "read_ids",
    "read_signatures",
    "recognise_species",
    "signatures_named",
    "write_signatures",
]
