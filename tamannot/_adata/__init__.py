"""The only place that knows AnnData: which matrix, which genes, which slots and keys."""

from tamannot._adata._again import RunMatrix, matrix_of_run
from tamannot._adata._kind import KINDS, Kind
from tamannot._adata._lazy import to_work_on
from tamannot._adata._matrix import row_source
from tamannot._adata._open import left_on_disk, without_matrices
from tamannot._adata._runs import RunNames, forget_run, names_of_run
from tamannot._adata._slots import (
    UNS,
    check_key,
    drop_obs,
    obs_column,
    read_analysis,
    read_colors,
    read_obs,
    read_obsm,
    read_provenance,
    read_table,
    slot,
    texts_of,
    write_analysis,
    write_colors,
    write_obs,
    write_obsm,
    write_provenance,
    write_tables,
    write_vote_record,
)
from tamannot._adata._species import SpeciesChoice
from tamannot._adata._unpack import Look, Unpacked, data_species, look_around, species_of, unpack

__all__ = [
    "KINDS",
    "UNS",
    "Kind",
    "Look",
    "RunMatrix",
    "RunNames",
    "SpeciesChoice",
    "Unpacked",
    "check_key",
    "data_species",
    "drop_obs",
    "forget_run",
    "left_on_disk",
    "look_around",
    "matrix_of_run",
    "names_of_run",
    "obs_column",
    "read_analysis",
    "read_colors",
    "read_obs",
    "read_obsm",
    "read_provenance",
    "read_table",
    "row_source",
    "slot",
    "species_of",
    "texts_of",
    "to_work_on",
    "unpack",
    "without_matrices",
    "write_analysis",
    "write_colors",
    "write_obs",
    "write_obsm",
    "write_provenance",
    "write_tables",
    "write_vote_record",
]
