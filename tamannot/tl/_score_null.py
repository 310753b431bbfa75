"""What the matched null of `tl.score` rests on: expression bins of the genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.data import Unpacked
from tamannot.errors import ParameterError
from tamannot.scoring import NullBins, RankedRows, RankMethod, depths_by_method, null_bins


def bins_of(
    data: Unpacked,
    methods: Mapping[str, RankMethod],
    reference: AnnData | None,
    ranked: RankedRows,
    progress: Progress,
) -> dict[str, NullBins | None]:
    """Return the expression bins of each method: those of a reference, or of the cells at hand.

    Raises
    ------
    ParameterError
        The reference was not scored in the same way, or has other genes.
    """
    if reference is not None:
        return {key: _aligned(reference, key, data.index.ids, how) for key, how in methods.items()}
    progress("expression bins", data.rows.shape[0])
    found = depths_by_method(
        data.rows, list(methods.values()), threads=settings.n_threads(), tick=progress.tick, ranked=ranked
    )
    return {key: null_bins(depth) for key, depth in zip(methods, found, strict=True)}


def _aligned(reference: AnnData, key: str, ids: list[str], method: RankMethod) -> NullBins:
    record = slots.read_record(reference, key)
    if not record.has("null_reference"):
        msg = f"null_reference has scores under '{key}', but without a null. Score it with null='matched' first."
        raise ParameterError(msg)
    # Of `tl.annotate` more ranks may count in the null than in the scores.
    their_ranks = {} if record.null.max_rank is None else {"max_rank": record.null.max_rank}
    of_both = ({"name": method.name, **asdict(method)}, record.method | their_ranks)
    ours, theirs = map(_ranking, of_both)
    if ours != theirs:
        msg = f"null_reference was scored with {theirs}, not {ours}. Use that method, or score it by yours."
        raise ParameterError(msg)
    bins = pd.Series(record.bins, index=record.gene_ids.astype(str))
    bins = bins[~bins.index.duplicated()].reindex(ids)
    if bins.isna().mean() > 0.5:
        msg = "null_reference shares fewer than half of the genes of the data. Use cells with the same gene ids."
        raise ParameterError(msg)
    # A gene the reference never saw is taken as one that it hardly expresses.
    return NullBins(bins.fillna(record.bins.max()).to_numpy(np.int32))


def _ranking(method: Mapping[str, Any]) -> str:
    """Say what of a method decides how deep a gene ranks, and thus its bin."""
    told = {name: method[name] for name in ("variant", "max_rank", "top") if name in method}
    return f"{method['name']}({', '.join(f'{name}={value}' for name, value in told.items())})"
