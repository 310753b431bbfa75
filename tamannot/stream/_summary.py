"""What an annotated object holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from tamannot._adata import read_obs, read_provenance, slot

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
    """How origin and state were called, and what their probabilities are calibrated on."""
    notes: tuple[str, ...]
    outputs: tuple[str, ...] = ()

    @property
    def n_macrophages(self) -> int:
        """Cells called macrophage."""
        return self.compartments.get("macrophage", 0)


def summarise(adata: AnnData, path: Path, key: str = "tam", outputs: tuple[str, ...] = ()) -> FileSummary:
    """Return what an annotated object holds, in numbers."""
    record = read_provenance(adata, key)
    coverage = pd.DataFrame(record["coverage"])["coverage"]
    matrix = record["matrix"]
    substitutions = pd.DataFrame(record["substitutions"])["found_as"]
    return FileSummary(
        path=str(path),
        n_obs=adata.n_obs,
        n_vars=int(matrix["n_vars"]),
        matrix=str(matrix["name"]),
        kind=str(matrix["kind"]),
        gene_ids=str(matrix["gene_ids"]),
        species=str(matrix["species"]),
        tissue=str(record["tissue"]["used"]),
        compartments=_counts(adata, key, "compartment"),
        origins=_counts(adata, key, "origin"),
        states=_counts(adata, key, "state"),
        origin_status=_counts(adata, key, "origin_status"),
        state_status=_counts(adata, key, "state_status"),
        low_coverage={str(k): round(float(v), 2) for k, v in coverage[coverage < _LOW_COVERAGE].items()},
        substitutions={str(k): str(v) for k, v in substitutions.items()},
        confidence=_confidence(record),
        notes=tuple(str(w) for w in record["warnings"]),
        outputs=outputs,
    )


def _confidence(record: Mapping[str, Any]) -> str:
    learned = [axis for axis in ("origin", "state") if axis in record["learned"]]
    ruled = [axis for axis in ("origin", "state") if str(record["model"][axis]).startswith("fixed rule")]
    whose = "the model's" if "kind" in record["model"] else "these"
    parts = [f"{' and '.join(learned)} learned from {whose} cells, calibrated on simulated mixtures"] if learned else []
    parts += [f"{' and '.join(ruled)} by the fixed rule, probabilities not calibrated"] if ruled else []
    return "; ".join(parts)


def _counts(adata: AnnData, key: str, name: str) -> dict[str, int]:
    column = read_obs(adata, key, (name,))[slot(key, name)]
    counts = column.astype(str).value_counts()
    return {str(k): int(v) for k, v in counts.items() if str(k) != "not_macrophage"}
