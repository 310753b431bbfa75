"""The only package that accesses AnnData: its matrices, genes, slots and keys."""

from tamannot.data._kind import KINDS, Kind
from tamannot.data._matrix import MatrixInspection
from tamannot.data._open import without_matrices
from tamannot.data._record import JOINED, UNS, RunRecord, variant_of
from tamannot.data._rows import row_source
from tamannot.data._runs import (
    RunNames,
    add_scores,
    add_to_record,
    evidence_of,
    forget_run,
    is_annotated,
    names_of_run,
    other_n_cells,
    read_analysis,
    read_record,
    runs_of,
    to_work_on,
    write_analysis,
    write_record,
)
from tamannot.data._slots import (
    AXES,
    LABELS,
    check_adata,
    check_key,
    labels_of,
    obs_column,
    read_colors,
    read_obs,
    read_obsm,
    read_table,
    slot,
    texts_of,
    write_colors,
    write_obs,
    write_obsm,
    write_tables,
)
from tamannot.data._unpack import RunMatrix, Unpacked, data_species, gene_ids_of, matrix_of_run, species_of, unpack
from tamannot.scoring._njit import Array
