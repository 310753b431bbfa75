"""Tables of analyses: read from the left, and what never differs said once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tamannot.data import write_analysis
from tamannot.report import material_of
from tamannot.report._analyses import analyses
from tamannot.report._blocks import number, percent, table_of


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_numbers_keep_what_they_are_sorted_by():
    table = table_of(pd.DataFrame({"q": [0.000012, np.nan], "n_cells": [12345, 3], "ok": [True, False]}), "t")
    assert table.columns == ("q", "n cells", "ok")
    assert table.numeric == (True, True, False)
    assert texts(table) == [["1.20e-05", "12,345", "yes"], ["–", "3", "no"]]
    assert [row[0].value for row in table.rows] == [0.000012, None]


@pytest.mark.parametrize("index", [[0, 1], ["0", "1"], [1, 0]])
def test_row_numbers_are_not_shown(index):
    assert table_of(pd.DataFrame({"a": ["x", "y"]}, index=index), "t").columns == ("a",)


def test_named_rows_are_shown():
    named = pd.DataFrame({"a": [1]}, index=pd.Index(["s"], name="sample"))
    assert table_of(named, "t").columns == ("sample", "a")
    assert table_of(named.rename_axis("a"), "t").columns == ("a_", "a")
    assert texts(table_of(pd.DataFrame({"a": [1]}, index=["s"]), "t")) == [["s", "1"]]


def test_of_a_long_table_the_smallest_p_stay():
    frame = pd.DataFrame({"p": np.linspace(1, 0, 1000)})
    table = table_of(frame, "t", most=5)
    assert len(table.rows) == 5
    assert table.rows[0][0].value == 0
    assert table.note == "Shown are 5 of 1,000 rows: the smallest p."
    assert table_of(frame.rename(columns={"p": "x"}), "t", most=5).rows[0][0].value == 1


def test_of_a_wide_table_the_first_columns_stay():
    table = table_of(pd.DataFrame(np.ones((1, 50))), "t")
    assert len(table.columns) == len(table.rows[0]) == 40
    assert "40 of 50 columns" in table.note


def test_whatever_a_record_holds_has_a_text():
    frame = pd.DataFrame({"a": [None, pd.NA, "x" * 1000, 3]}, dtype=object)
    frame["b"] = pd.Categorical(["u", None, "v", "v"])
    frame["c"] = pd.array([1, None, 2, 3], dtype="Int64")
    found = texts(table_of(frame, "t"))
    assert [row[0][:3] for row in found] == ["–", "–", "xxx", "3"]
    assert len(found[2][0]) < 410
    assert [row[1:] for row in found] == [["u", "1"], ["–", "–"], ["v", "2"], ["v", "3"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (1234.5, "1,234"), (0.25, "0.25"), (0.0005, "0.0005"), (2e-9, "2.00e-09"), (np.inf, "inf")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.0001, "< 0.1 %"), (0.034, "3.4 %"), (0.5, "50 %"), (1, "100 %")]
)
def test_shares_in_per_cent(share, text):
    assert percent(share).replace("\u00a0", " ") == text


def test_lines_break_between_genes_and_digests_are_short():
    genes = ";".join(f"GENE{i}" for i in range(10))
    frame = pd.DataFrame(
        {"edge": [genes], "missing": [genes.replace(";", ",")], "short": ["A;B"], "digest": ["0a" * 32]}
    )
    edge, missing, short, digest = texts(table_of(frame, "t"))[0]
    assert edge == genes.replace(";", "; ")
    assert missing == genes.replace(";", ", ")
    assert (short, digest) == ("A;B", "0a" * 6)


# Tables of analyses: read from the left, and what never differs said once.


def shown(adata, frame: pd.DataFrame):
    write_analysis(adata, "tam", "claims", {"claims": frame})
    sections = {s.name: s for s in analyses(material_of(adata, name="data"))}
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


def test_results_of_other_cells_are_a_caution(cohort):
    write_analysis(cohort, "tam", "claims", {"claims": pd.DataFrame({"label": ["a", "b"]})})
    part = cohort[:50].copy()
    (section,) = analyses(material_of(part, name="data"))
    (caution,) = section.blocks[0].points
    assert (
        caution.text == f"These results are of {cohort.n_obs} cells, not of the cells of this report. Run them again."
    )
