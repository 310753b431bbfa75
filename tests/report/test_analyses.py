"""Tables of analyses: read from the left, and what never differs said once."""

from __future__ import annotations

import pandas as pd

from tamannot.data import write_analysis
from tamannot.report import InMemory, material_of
from tamannot.report._analyses import analyses


def shown(adata, frame: pd.DataFrame):
    write_analysis(adata, "tam", "claims", {"claims": frame})
    sections = {s.name: s for s in analyses(material_of(InMemory(adata), name="data"))}
    return next(b for b in sections["claims"].blocks if b.kind == "table")


def test_what_is_the_same_in_every_row_is_said_once(cohort):
    frame = pd.DataFrame(
        {"label": ["a", "b", "c"], "contrast": "treated vs control", "left_out": "", "q": [0.1, 0.2, 0.3]}
    )
    table = shown(cohort, frame)
    assert table.columns == ("label", "q")
    assert table.note == "In every row: contrast treated vs control; left out –."


def test_what_is_the_same_in_the_rows_that_are_shown_alone_stays_a_column(cohort):
    frame = pd.DataFrame({"sample": ["s1"] * 300 + ["s2"] * 300, "z": range(600)})
    table = shown(cohort, frame)
    assert table.columns == ("sample", "z")
    assert "In every row" not in table.note


def test_few_rows_and_rows_that_are_all_the_same_are_left_as_they_are(cohort):
    assert shown(cohort, pd.DataFrame({"label": ["a", "b"], "df": 9})).columns == ("label", "df")
    assert shown(cohort, pd.DataFrame({"label": ["a"] * 3})).columns == ("label",)


def test_long_columns_stand_on_the_right(cohort):
    frame = pd.DataFrame({"claim": ["a", "b"], "source": ["x", "y"], "verdict": ["supported", "inconclusive"]})
    assert shown(cohort, frame).columns == ("claim", "verdict", "source")
