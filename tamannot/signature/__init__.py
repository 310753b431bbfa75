"""Signatures: values, files, and the bundled library."""

from tamannot.signature._model import Gene, Reference, Signature, SignatureFile, SignatureSet
from tamannot.signature._read import (
    Signatures,
    as_signatures,
    chosen_signatures,
    read_signatures,
    signatures_named,
    write_signatures,
)
from tamannot.signature._store import AXES, bundled_species, load_signature, load_signatures

__all__ = [
    "AXES",
    "Gene",
    "Reference",
    "Signature",
    "SignatureFile",
    "SignatureSet",
    "Signatures",
    "as_signatures",
    "bundled_species",
    "chosen_signatures",
    "load_signature",
    "load_signatures",
    "read_signatures",
    "signatures_named",
    "write_signatures",
]
