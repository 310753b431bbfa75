"""When a group gets a name by enrichment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tamannot.analysis._enrichment import compared_with_macrophages, name_clusters
from tamannot.analysis._gene_rankings import Groups

GROUPS = Groups(("a",), np.array([0, 0, 0, -1]), ("a",))
GOOD = {"nes": 2.0, "q": 0.01, "difference": 1.0, "p_samples": 0.01, "n_samples": 5, "unit": "sample"}


def _named(calls: dict[str, list[str]] | None = None, **figures: object) -> pd.Series:
    table = pd.DataFrame([{"group": "a", "signature": "inflammatory", **GOOD, **figures}])
    series = {axis: pd.Series(own) for axis, own in (calls or {}).items()}
    return name_clusters(table, {"inflammatory": "state"}, GROUPS, series).iloc[0]


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ({}, True),
        ({"q": 0.06}, False),
        ({"nes": -2.0}, False),
        ({"difference": 0.3}, False),
        ({"p_samples": 0.2}, False),
        ({"p_samples": 0.2, "n_samples": 3}, True),
        ({"unit": "cell", "n_samples": 0, "difference": np.nan, "p_samples": np.nan}, True),
    ],
)
def test_name_needs_q_and_samples_that_agree(figures, named):
    assert _named(**figures)["state"] == ("inflammatory" if named else "unassigned")


def test_labels_of_the_cells_stand_beside():
    row = _named({"state": ["inflammatory", "unassigned", "lipid_associated", "inflammatory"]})
    assert row["n_cells"] == 3
    assert (row["state_cells"], row["state_share"]) == ("inflammatory", 0.5)
    assert row["state_agree"]


def test_state_is_not_asked_of_other_cells():
    row = _named({"compartment": ["t_nk", "t_nk", "macrophage", "t_nk"]})
    assert row["state"] == "not_macrophage"
    calls = {"compartment": pd.Series(["t_nk", "t_nk", "macrophage", "macrophage"])}
    assert not compared_with_macrophages(GROUPS, calls)
    assert compared_with_macrophages(GROUPS, {})
