"""Scores that gseapy computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tamannot._progress import Tick
from tamannot.data import Unpacked
from tamannot.errors import TamannotWarning, tell
from tamannot.scoring import GSVA, SSGSEA, GseapyMethod, Plan, Scores
from tamannot.scoring._expression import expression

MANY_CELLS = 2000
# ssGSEA scores each cell on its own, so a dense table of a few cells at a time is enough.
_CELLS_AT_ONCE = 500


def score_with_gseapy(data: Unpacked, plan: Plan, method: GseapyMethod, *, threads: int, tick: Tick) -> Scores:
    """Score every cell for every output of a plan by ssGSEA or GSVA.

    Warns above 2,000 cells: these methods are meant for pseudobulk, and GSVA needs a dense table.
    """
    n_obs = data.rows.shape[0]
    if n_obs > MANY_CELLS:
        msg = (
            f"{method.name} is meant for pseudobulk; {n_obs:,} cells will take long, and its score follows the "
            "number of detected genes. Sum the counts of each sample and label first, or use ucell."
        )
        tell({msg: TamannotWarning})
    sets = {
        f"{p}{side}": [f"g{c}" for c in arm.columns]
        for p, part in enumerate(plan.parts)
        for side, arm in (("u", part.up), ("d", part.down))
        if arm.columns.size
    }
    at_once = _CELLS_AT_ONCE if isinstance(method, SSGSEA) else max(n_obs, 1)
    parts = np.zeros((n_obs, len(plan.parts)), np.float32)
    for start in range(0, n_obs if sets else 0, at_once):
        import gseapy  # noqa: PLC0415 - slow to import, rarely used

        stop = min(start + at_once, n_obs)
        table = pd.DataFrame(expression(data.rows, method.scale, data.kind, start, stop).T)
        table.index = [f"g{i}" for i in table.index]
        table.columns = [f"c{i}" for i in table.columns]
        how: dict[str, Any] = {"outdir": None, "min_size": 1, "max_size": len(table), "threads": threads}
        score = gseapy.gsva if isinstance(method, GSVA) else gseapy.ssgsea
        found = score(data=table, gene_sets=sets, verbose=False, **how, **method.options)
        wide = found.res2d.pivot_table(index="Name", columns="Term", values="ES", aggfunc="first").astype(float)
        wide = wide.reindex(index=table.columns)
        zero = pd.Series(0.0, index=wide.index)
        for p in range(len(plan.parts)):  # down genes are subtracted
            parts[start:stop, p] = (wide.get(f"{p}u", zero) - wide.get(f"{p}d", zero)).fillna(0.0)
        tick(stop - start)
    out = np.stack([parts[:, list(members)].max(axis=1) for members in plan.parts_of], axis=1)
    return Scores(tuple(plan.ids), np.ascontiguousarray(out))
