"""Signatures: values, files, the bundled library; and genes: which column of the data is which gene."""

from tamannot.signature._gene_ids import OURS, UNKNOWN, Ids, Sighting, human_genes, read_ids, recognise_species
from tamannot.signature._gene_index import GeneIndex
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
