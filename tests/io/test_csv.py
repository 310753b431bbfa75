"""CSV that a spreadsheet can open: names are never formulas, and ordinary ones stay as they are."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from tamannot.io._targets import write_csv


def rows(table, tmp_path):
    write_csv(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x")'])
def test_what_a_spreadsheet_would_run_has_an_apostrophe(tmp_path, name):
    table = pd.DataFrame({"text": [name], "kind": pd.Categorical([name]), name: [0.5]}, index=[name])
    assert rows(table, tmp_path) == [["cell", "text", "kind", f"'{name}"], [f"'{name}", f"'{name}", f"'{name}", "0.5"]]


@pytest.mark.parametrize(
    ("name", "as_"), [("\tx", "\\tx"), ("a\rb", "a\\rb"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J")]
)
def test_what_does_not_print_is_escaped(tmp_path, name, as_):
    assert rows(pd.DataFrame({"text": [name]}, index=[name]), tmp_path)[1] == [as_, as_]


@pytest.mark.parametrize("name", ["AACG-1", "1_AACG", "-1", "+5.2e-3", "", "a=b", "'=x", "é", "x@y"])
def test_others_stay_as_they_are(tmp_path, name):
    table = pd.DataFrame({"text": [name], "kind": pd.Categorical([name])}, index=[name])
    assert rows(table, tmp_path)[1] == [name] * 3


def test_numbers_and_missing_values_stay(tmp_path):
    table = pd.DataFrame({"x": [-1.5, np.nan], "n": [-1, 2], "flag": [True, False], "t": ["a", None]}, index=["a", "b"])
    before = table.copy()
    table.to_csv(tmp_path / "plain.csv", index_label="cell")
    write_csv(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    pd.testing.assert_frame_equal(table, before)


def test_categories_that_become_the_same_as_others_are_refused_by_none(tmp_path):
    table = pd.DataFrame({"kind": pd.Categorical(["=x", "'=x"])}, index=["a", "b"])
    assert [row[1] for row in rows(table, tmp_path)[1:]] == ["'=x", "'=x"]
