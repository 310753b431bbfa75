"""What is kept of an enrichment beside its table: the signatures, and what a reader must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from tamannot.tl._clusters import MACROPHAGE
from tamannot.tl._prerank import GeneSet
from tamannot.tl._rankings import MIN_CELLS, Groups, Ranking

# With fewer samples than this the ranking rests on very little.
_FEW_SAMPLES = 4
_MANY_SHOWN = 5


def about_sets(sets: Sequence[GeneSet], rankings: Mapping[str, Ranking]) -> pd.DataFrame:
    """Return version, digest and sizes of the signatures, one row each."""
    first = next(iter(rankings.values()))
    return pd.DataFrame(
        {
            "axis": [s.axis for s in sets],
            "version": [s.version for s in sets],
            "digest": [s.digest for s in sets],
            "n_genes": [s.n_genes for s in sets],
            "n_ranked": [s.ranked_in(first) for s in sets],
            "n_down": [s.n_down for s in sets],
        },
        index=pd.Index([s.id for s in sets], name="signature"),
    )


def cautions_of(
    *,
    groupby: str,
    groups: Groups,
    rankings: Mapping[str, Ranking],
    sets: Sequence[GeneSet],
    key: str,
    sampled: bool,
    logged: bool,
    compared_with_macrophages: bool,
) -> list[str]:
    """Return the sentences that a reader of an enrichment must see.

    Parameters
    ----------
    groupby, groups
        The groups and the column that they are from.
    rankings
        Of the groups that have one.
    sets
        The signatures.
    key
        The ``key_added`` of the run.
    sampled
        Whether samples were given.
    logged
        Whether the matrix has logarithms.
    compared_with_macrophages
        Whether most cells compared are macrophages, or nobody knows.
    """
    said = ["p and q are against random sets of genes, not random samples; genes go together, so they are too small."]
    if by_cells := [name for name, r in rankings.items() if r.unit == "cell"]:
        why = "fewer than two samples have enough cells" if sampled else "no sample_key was given"
        said.append(
            f"Ranked over cells, since {why}: {_some(by_cells)}. One sample of many cells can decide alone, and names "
            "rest on q, which is too small."
        )
    if few := [name for name, r in rankings.items() if 0 < r.n_samples < _FEW_SAMPLES]:
        said.append(f"Fewer than {_FEW_SAMPLES} samples: {_some(few)}.")
    if absent := [name for name in groups.tested if name not in rankings]:
        said.append(f"Fewer than {MIN_CELLS} cells in the group or the rest, no result: {_some(absent)}.")
    if groupby.startswith(f"{key}_"):
        said.append(f"The groups of '{groupby}' were made of signatures: they are enriched for them by construction.")
    if not compared_with_macrophages:
        said.append(
            "Most cells compared are no macrophages, beside which every macrophage stands out by what all of them "
            f"have: no group is named by origin or state. Compare macrophages with compartment='{MACROPHAGE}'."
        )
    if signed := [s.id for s in sets if s.n_down]:
        said.append(f"Down genes are not used: {_some(signed)}.")
    if logged and sampled:
        said.append("There are no counts: samples were compared by the means of log-normalised values.")
    return said


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MANY_SHOWN
    return ", ".join(names[:_MANY_SHOWN]) + (f" and {more} more" if more > 0 else "")
