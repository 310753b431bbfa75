"""What was annotated, and of which quality it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tamannot.analysis._samples import table_of_samples
from tamannot.data import MatrixOfRun
from tamannot.report._blocks import Facts, Section, Table
from tamannot.report._depth import depth_of_macrophages
from tamannot.report._material import Material
from tamannot.report._tables import percent, table_of

_KINDS = {"counts": "counts", "log": "log-normalised values", "linear": "linear values, no counts"}


def input_and_quality(material: Material) -> Section:
    """Return which matrix, gene ids, species and tissue were used, and how deep the cells are."""
    facts = (*_facts(material), *_quality(material))
    tables = tuple(t for t in (_substitutions(material), _samples(material)) if t is not None)
    return Section("input", "Input and quality", (Facts(facts), *tables))


def _facts(material: Material) -> tuple[tuple[str, str], ...]:
    run = material.run
    parameters, tissue = run.parameters, run.tissue
    own = parameters.get("compartment_key")
    own = own["column"] if isinstance(own, dict) else own
    rows = [
        ("data", material.name),
        ("cells", f"{material.cells.n_obs:,}"),
        *(_matrix(run.matrix, parameters) if run.has("matrix") else [("record of the run", "not in these data")]),
        ("tissue", f"{tissue.used}: {tissue.reason}" if tissue else ""),
        ("samples", _samples_in_words(material)),
        ("condition", f"column {material.condition}" if material.condition else "none given"),
    ]
    if own is not None:
        rows.append(("compartments", f"your own, of column {own}"))
    return tuple((name, value) for name, value in rows if value)


def _matrix(matrix: MatrixOfRun, parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("genes", f"{matrix.n_vars:,}, ids by {matrix.gene_ids}"),
        ("matrix used", f"{matrix.name}: {_KINDS.get(matrix.kind, matrix.kind)}"),
        ("matrices looked at", "; ".join(matrix.candidates)),
        ("species", f"{matrix.species} (asked for: {parameters.get('species', 'auto')})"),
    ]


def _samples_in_words(material: Material) -> str:
    samples = material.samples
    return "not known" if samples is None else f"{len(samples.names):,}, by column {material.sample_key}"


def _quality(material: Material) -> list[tuple[str, str]]:
    rows = []
    found = depth_of_macrophages(material)
    if found is not None:
        low, middle, high = np.percentile(found[0], [25, 50, 75])
        what = "counts" if material.run.matrix.kind == "counts" else "detected genes"
        rows.append(
            (
                f"{what} of macrophages",
                f"median {middle:,.0f} (quartiles {low:,.0f} to {high:,.0f}; {found[0].size:,} looked at)",
            )
        )
    if material.has("compartment"):
        left = (material.labels("compartment") == "unassigned").mean()
        rows.append(("cells without a compartment", percent(float(left))))
    return rows


def _substitutions(material: Material) -> Table | None:
    if not material.run.has("substitutions"):
        return None
    table = material.run.substitutions
    return table_of(table, "Former gene symbols that were taken for today's") if len(table) else None


def _samples(material: Material) -> Table | None:
    samples = material.samples
    if samples is None:
        return None
    ones = np.ones(material.cells.n_obs)
    table = pd.DataFrame({"sample": samples.names})
    if material.condition is not None:
        known = table_of_samples(material.cells, samples, [material.condition])
        table[material.condition] = known[material.condition].astype(object).to_numpy()
    table["n_cells"] = samples.total(ones).astype(int)
    table["n_macrophages"] = samples.total(material.macrophages.astype(float)).astype(int)
    table["share_macrophages"] = table["n_macrophages"] / table["n_cells"]
    return table_of(table, "Samples")
