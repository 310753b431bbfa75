"""What is kept of a run so that `get.contributions` can say which genes made a call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tamannot.classify import METHOD, STATES, Array, Panels, Prepared, Regression, Source
from tamannot.data import Unpacked
from tamannot.scoring import Part


def weights_record(trained: Array, fit: Regression, data: Unpacked, source: Source) -> dict[str, Any]:
    """Return the weights of the states, on the scale on which cells without the state are 0 and training cells 1.

    ``weights`` is float32, genes by states, ``column`` where these genes are in the matrix, ``intercept`` in the order
    of the states, and ``expression`` what is multiplied by the weights; ``base`` is that of logarithms in the matrix.
    """
    known = np.flatnonzero(trained)
    size = fit.one[known] - fit.zero[known]
    weights = (fit.coef[known + 1] - fit.coef[0]) / size[:, None]
    constant = fit.intercept.mean(axis=0)
    return {
        "weights": pd.DataFrame(
            {STATES[s]: w.astype(np.float32) for s, w in zip(known, weights, strict=True)},
            index=pd.Index([data.index.ids[c] for c in fit.columns], name="gene", dtype=object),
        ),
        "column": fit.columns.astype(np.int32),
        "intercept": (constant[known + 1] - constant[0] - fit.zero[known]) / size,
        "expression": source.scale,
    } | ({} if source.base is None else {"base": source.base})


def evidence_record(ready: Prepared) -> dict[str, Any]:
    """Return the parts of each signature, their genes in the data, and the expression bins of the nulls.

    Those of the macrophages of the reference are in the record already, in ``null_reference``.
    """
    plan = ready.panels.public
    outputs = [
        (i, p, plan.parts[p].signature.id) for i, parts in zip(plan.ids, plan.parts_of, strict=True) for p in parts
    ]
    return {
        "parts": pd.DataFrame(
            {"part": np.array([p for _, p, _ in outputs], np.int32), "name": pd.Categorical([n for *_, n in outputs])},
            index=pd.Index([i for i, *_ in outputs], name="signature", dtype=object),
        ),
        "genes": _gene_table(ready.panels),
        "bins": {
            "compartment": _small(ready.panels.reference.bin_of),
        },
    }


def _gene_table(panels: Panels) -> pd.DataFrame:
    """Return the genes of each part, by number, with their columns and signed weights; in the words of the library."""
    parts = panels.public.parts
    symbol = {panels.index.find(g.symbol, g.ensembl): g.symbol for p in parts for g in p.signature.genes}
    signed = [_signed(p) for p in parts]
    columns = np.concatenate([c for c, _ in signed])
    return pd.DataFrame(
        {
            "part": np.repeat(np.arange(len(parts), dtype=np.int32), [c.size for c, _ in signed]),
            "column": columns.astype(np.int32),
            "weight": np.concatenate([w for _, w in signed]),
        },
        index=pd.Index([symbol.get(c, panels.index.ids[c]) for c in columns.tolist()], name="gene", dtype=object),
    )


def _signed(part: Part) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    down = -METHOD.down_weight * METHOD.arm_weights(part.down)
    return np.concatenate([part.up.columns, part.down.columns]), np.concatenate([METHOD.arm_weights(part.up), down])


def _small(bins: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return bins.astype(np.uint8)  # there are 25 bins
