"""Shares of labels compared between conditions: the table of tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.classify import UNASSIGNED
from tamannot.stats._adjust import benjamini_hochberg
from tamannot.stats._composition import centred_log_ratios, compare_means, compare_shares
from tamannot.tl._counted import Counted
from tamannot.tl._design import Design

Array = NDArray[Any]

TOO_FEW = 10
"""Cells of a label, in all samples, below which it is not tested."""
_BY_CONTRAST = ("log_odds", "low", "high", "t", "p")
_BY_LABEL = ("p_overall", "dispersion", "rho")
_COLUMNS = (
    *("label", "contrast", "condition", "reference", "share", "share_reference"),
    *("log_odds", "odds_ratio", "low", "high", "t", "df", "p", "q", "p_logratio", "p_overall"),
    *("dispersion", "rho", "n_samples", "counts", "note"),
)


def compare(counted: Counted, kept: Array, design: Design, *, expected: bool) -> pd.DataFrame:
    """Return the tests of every label, all of them by expected counts or all of them as called.

    Parameters
    ----------
    counted
        The counts of all samples.
    kept
        Which of them are compared, in the order of the design.
    design
        Its terms.
    expected
        Whether to count a cell by its probabilities, which there must be then.
    """
    total, counts = counted.total[kept], "called"
    table, parts = counted.called[kept], counted.called[kept].to_numpy(float)
    if expected and counted.expected is not None:
        table, counts = counted.expected[kept], "expected"
        parts = np.column_stack([table.to_numpy(float), counted.rest[kept]])
    k = table.to_numpy(float)
    found = compare_shares(k.T, np.maximum(total, k.T), design.matrix, design.n_contrasts)
    ratios = centred_log_ratios(parts)[:, : k.shape[1]]
    by_ratio = compare_means(ratios, design.matrix, design.n_contrasts)
    share = k / total[:, None]
    means = np.stack([share[design.codes == i].mean(axis=0) for i in range(len(design.conditions))])
    few = k.sum(axis=0) < TOO_FEW
    rows = []
    for i, label in enumerate(table.columns):
        for c, condition in enumerate(design.conditions[1:]):
            row = {
                "label": str(label),
                "contrast": f"{condition} vs {design.conditions[0]}",
                "condition": condition,
                "reference": design.conditions[0],
                "share": means[c + 1, i],
                "share_reference": means[0, i],
            }
            figures = {name: getattr(found, name)[i, c] for name in _BY_CONTRAST}
            figures |= {name: getattr(found, name)[i] for name in _BY_LABEL}
            figures |= {"odds_ratio": np.exp(figures["log_odds"]), "p_logratio": by_ratio[i, c]}
            figures |= {
                name: np.exp(figures[name]) for name in ("low", "high")
            }  # of the odds ratio, beside which they stand
            row |= {name: np.nan if few[i] else value for name, value in figures.items()}
            row |= {
                "df": found.df,
                "n_samples": len(total),
                "counts": counts,
                "note": _note(bool(few[i]), bool(found.half_added[i])),
            }
            rows.append(row)
    tests = pd.DataFrame(rows)
    # Whether abstention differs is to be known, but is no finding among the others.
    tests["q"] = benjamini_hochberg(tests["p"].where(tests["label"] != UNASSIGNED).to_numpy(float))
    return tests[list(_COLUMNS)]


def _note(few: bool, half: bool) -> str:
    if few:
        return f"fewer than {TOO_FEW} cells in all: not tested"
    return "a condition has none or nothing else: half a cell added to either side of each sample" if half else ""
