"""What a run was made of, as data that h5ad and zarr can hold."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from tamannot._resources import package_version
from tamannot.data import Unpacked
from tamannot.scoring import Method, NullBins, Plan
from tamannot.signature import GeneIndex

# A signature with a smaller share of its genes is named; so many signatures, and so many genes of each.
_WELL_COVERED = 0.8
_SIGNATURES, _GENES = 3, 5


def describe_run(data: Unpacked, plan: Plan, method: Method, bins: NullBins | None) -> dict[str, Any]:
    """Return the record of a scoring run: signatures with digests, matrix, ids, coverage, method."""
    about = [(s.version, s.axis, digest) for s, digest in zip(plan.outputs, plan.digests, strict=True)]
    ids = pd.Index(plan.ids, name="signature")
    record: dict[str, Any] = {
        "tamannot_version": package_version(),
        "method": {"name": method.name, **asdict(method)},
        "signatures": pd.DataFrame(about, columns=["version", "axis", "digest"], index=ids),
        "coverage": coverage_table(plan),
        "matrix": describe_matrix(data),
        "substitutions": pd.DataFrame(
            {"found_as": [s.found_as for s in data.index.substitutions]},
            index=pd.Index([s.symbol for s in data.index.substitutions], name="symbol", dtype=object),
            dtype=object,
        ),
    }
    if bins is not None:
        record["null_reference"] = {"gene_ids": np.array(data.index.ids, dtype=object), "bin": bins.bin_of}
    return record


def describe_matrix(data: Unpacked) -> dict[str, Any]:
    """Return which matrix was used, what it was found to be, and which of its features are not genes."""
    kinds, counts = zip(*data.features.left_out, strict=True) if data.features.left_out else ((), ())
    return {
        "name": data.matrix,
        "kind": data.kind,
        "gene_ids": data.ids_from,
        "species": data.species,
        "n_obs": data.rows.shape[0],
        "n_vars": data.rows.shape[1],
        "candidates": np.array(data.looks, dtype=object),
        "left_out": pd.DataFrame(
            {"n": np.array(counts, np.int64)}, index=pd.Index(kinds, name="feature_type", dtype=object)
        ),
        "left_out_by": data.features.by,
    }


def coverage_table(plan: Plan) -> pd.DataFrame:
    """Return how many genes of each signature are in the data, and which are not."""
    rows = [(c.n_genes, c.n_present, c.share, ",".join(c.missing)) for c in plan.coverage]
    columns = ["n_genes", "n_present", "coverage", "missing"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(plan.ids, name="signature"))


def missing_genes(plan: Plan, index: GeneIndex, only: Collection[str] | None = None) -> str:
    """Say in one line which genes of which signatures are not in the data, and what may be meant; often nothing."""
    found = zip(plan.outputs, plan.coverage, strict=True)
    low = [(s, c) for s, c in found if c.share < _WELL_COVERED and (only is None or s.id in only)]
    if not low:
        return ""
    parts = []
    for signature, c in sorted(low, key=lambda one: one[1].share)[:_SIGNATURES]:
        # The names of the library were checked; those of a user may be slips.
        near = {g: " or ".join(index.nearest(g, slips=signature.species == "any")) for g in c.missing[:_GENES]}
        words = [f"{gene} (did you mean {meant}?)" if meant else gene for gene, meant in near.items()]
        more = f" and {len(c.missing) - _GENES} more" if len(c.missing) > _GENES else ""
        parts.append(f"{len(c.missing)} of {c.n_genes} genes of {signature.id}: {', '.join(words)}{more}")
    if len(low) > _SIGNATURES:
        parts.append(f"and genes of {len(low) - _SIGNATURES} more signatures")
    return f"Missing in the data: {'; '.join(parts)}."
