"""What an annotated object holds, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from anndata import AnnData

from tamannot.data import RunRecord, read_obs, read_record, slot

_LOW_COVERAGE = 0.5


@dataclass(frozen=True)
class FileSummary:
    """What was found in a file."""

    path: str
    n_obs: int
    n_vars: int
    matrix: str
    kind: str
    gene_ids: str
    species: str
    tissue: str
    compartments: dict[str, int]
    origins: dict[str, int]
    states: dict[str, int]
    origin_status: dict[str, int]
    """Reasons of the macrophages without an origin."""
    state_status: dict[str, int]
    """Reasons of the macrophages without a state."""
    low_coverage: dict[str, float]
    substitutions: dict[str, str]
    confidence: str
    """How origin and state were called, and what the probabilities are calibrated on."""
    notes: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)
    """Cells with each label of the user's own model; empty without one."""

    @property
    def n_macrophages(self) -> int:
        """Cells called macrophage."""
        return self.compartments.get("macrophage", 0)


def summarise(adata: AnnData, path: Path, key: str = "tam", outputs: tuple[str, ...] = ()) -> FileSummary:
    """Return what an annotated object holds, in numbers."""
    record = read_record(adata, key)
    coverage, matrix = record.coverage["coverage"], record.matrix
    return FileSummary(
        path=str(path),
        n_obs=adata.n_obs,
        n_vars=matrix.n_vars,
        matrix=matrix.name,
        kind=matrix.kind,
        gene_ids=matrix.gene_ids,
        species=matrix.species,
        tissue=record.tissue.used if record.tissue else "",
        compartments=_counts(adata, key, "compartment"),
        origins=_counts(adata, key, "origin"),
        states=_counts(adata, key, "state"),
        origin_status=_counts(adata, key, "origin_status"),
        state_status=_counts(adata, key, "state_status"),
        low_coverage={str(k): round(float(v), 2) for k, v in coverage[coverage < _LOW_COVERAGE].items()},
        substitutions={str(k): str(v) for k, v in record.substitutions["found_as"].items()},
        confidence=_confidence(record),
        notes=tuple(record.warnings),
        outputs=outputs,
        labels=_counts(adata, key, "model_label") if "labels" in record.model else {},
    )


def _confidence(record: RunRecord) -> str:
    said = [f"{axis}: {record.model[axis]}" for axis in ("origin", "state") if axis in record.model]
    if record.calibration_source:
        said.append(f"probabilities of states: {record.calibration_source.removeprefix('states: ')}")
    return "; ".join(said)


def _counts(adata: AnnData, key: str, name: str) -> dict[str, int]:
    column = read_obs(adata, key, (name,))[slot(key, name)]
    counts = column.astype(str).value_counts()
    return {str(k): int(v) for k, v in counts.items() if str(k) != "not_macrophage"}
