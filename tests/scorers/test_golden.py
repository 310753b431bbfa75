"""Scores against numbers made by R's UCell 2.17.0 (`tests/golden/golden.R`, `versions.txt`)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from tamannot.genes import GeneIndex
from tamannot.kernels._rows import CsrRows
from tamannot.scorers import UCell, make_plan, score_rows
from tamannot.signature import read_signatures, write_signatures

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = 2e-6


def lines(name):
    return (GOLDEN / name).read_text().split()


def golden(table):
    return pd.read_csv(GOLDEN / f"{table}.csv", index_col=0)


@pytest.fixture(scope="module")
def counts():
    return sp.csr_matrix(scipy.io.mmread(GOLDEN / "pbmc80_counts.mtx"))


def scored(counts, genes, signatures, method):
    index = GeneIndex(genes)
    plan = make_plan(read_signatures(json.loads((GOLDEN / signatures).read_text())), index.locate, len(genes))
    for part in plan.parts:
        method.check(part, len(genes))
    scores = score_rows(CsrRows(counts), plan, method, null=None, threads=1)
    assert index.substitutions == ()
    return pd.DataFrame(scores.score, index=lines("pbmc80_cells.txt"), columns=scores.ids)


def assert_same(got, expected):
    assert list(got.columns) == list(expected.columns)
    assert list(got.index) == list(expected.index)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("table", "method"),
    [
        ("ucell_maxrank1500", UCell()),
        ("ucell_maxrank500", UCell(max_rank=500)),
        ("ucell_wneg0.5", UCell(w_neg=0.5)),
        ("ucell_skip_missing", UCell(missing="skip")),
    ],
)
def test_scores_are_those_of_r(counts, table, method):
    assert_same(scored(counts, lines("pbmc80_genes.txt"), "signatures.json", method), golden(table))


def test_scores_of_a_panel_where_zeros_count_are_those_of_r(counts):
    genes, panel = lines("pbmc80_genes.txt"), lines("panel300_genes.txt")
    columns = [genes.index(g) for g in panel]
    assert_same(scored(counts[:, columns], panel, "panel_signatures.json", UCell()), golden("ucell_panel300"))


def test_numbers_are_of_the_version_named_above():
    assert "UCell 2.17.0" in (GOLDEN / "versions.txt").read_text()


@pytest.mark.parametrize("table", ["ucell_maxrank1500", "ucell_panel300"])
def test_golden_scores_are_not_trivial(table):
    assert (golden(table).to_numpy() > 0).mean() > 0.4


@pytest.mark.parametrize("name", ["ucell", "json", "network", "gmt"])
def test_sets_that_went_through_a_file_score_the_same(counts, tmp_path, name):
    """R's numbers again, the sets written and read back in between."""
    path = tmp_path / f"sets{'.csv' if name in ('ucell', 'network') else '.' + name}"
    sets = read_signatures(json.loads((GOLDEN / "signatures.json").read_text()))
    if name == "gmt":  # a set of down genes alone is no GMT; that is said, and tested with the formats
        sets = type(sets)(s for s in sets.values() if s.up)
    write_signatures(sets, path, format=name)
    genes = lines("pbmc80_genes.txt")
    read = read_signatures(path)
    plan = make_plan(read, GeneIndex(genes).locate, len(genes))
    scores = score_rows(CsrRows(counts), plan, UCell(), null=None, threads=1)
    got = pd.DataFrame(scores.score, index=lines("pbmc80_cells.txt"), columns=scores.ids)
    assert_same(got, golden("ucell_maxrank1500")[list(sets)])
