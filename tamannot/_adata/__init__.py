"""The only place that knows AnnData: which matrix, which genes, which slots and keys."""

from tamannot._adata._again import RunMatrix, matrix_of_run
from tamannot._adata._matrix import KINDS, Kind
from tamannot._adata._slots import (
    UNS,
    check_key,
    drop_obs,
    read_colors,
    read_obs,
    read_obsm,
    read_provenance,
    read_table,
    slot,
    write_colors,
    write_obs,
    write_obsm,
    write_provenance,
    write_tables,
    write_vote_record,
)
from tamannot._adata._unpack import Look, SpeciesChoice, Unpacked, look_around, species_of, unpack

__all__ = [
    "KINDS",
    "UNS",
    "Kind",
    "Look",
    "RunMatrix",
    "SpeciesChoice",
    "Unpacked",
    "check_key",
    "drop_obs",
    "look_around",
    "matrix_of_run",
    "read_colors",
    "read_obs",
    "read_obsm",
    "read_provenance",
    "read_table",
    "slot",
    "species_of",
    "unpack",
    "write_colors",
    "write_obs",
    "write_obsm",
    "write_provenance",
    "write_tables",
    "write_vote_record",
]
