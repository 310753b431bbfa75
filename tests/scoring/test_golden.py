"""Scores against numbers made by other programs; `tests/golden/README.md` says how.

R's UCell 2.17.0 and AUCell 1.25.2 (`golden.R`, `versions.txt`), pyUCell 0.8.0 (`pyucell_golden.py`) and
decoupler 2.2.0 (`decoupler_aucell.py`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from tamannot.scoring import AUCell, Run, UCell, make_plan, score_runs
from tamannot.scoring._rows import CsrRows
from tamannot.signature import GeneIndex, read_signatures, write_signatures

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
    scores = score_runs(CsrRows(counts), plan, [Run(method)], threads=1)[0]
    assert index.substitutions == {}
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


def test_aucell_is_the_mean_of_the_tie_draws_of_r(counts):
    mean, sd = golden("aucell_mean_of_50_tie_draws"), golden("aucell_sd_of_50_tie_draws")
    got = scored(counts, lines("pbmc80_genes.txt"), "signatures.json", AUCell())
    # Five cells have fewer than K = 315 genes: zeros reach the cap, and 50 draws say little of a small set there.
    deep = (counts > 0).sum(axis=1) > 221
    assert deep.sum() == 75
    off = np.abs(got[mean.columns] - mean) / (5 * sd / np.sqrt(50) + 1e-5)
    assert off[np.asarray(deep).ravel()].to_numpy().max() <= 1


def test_r_scores_by_aucell_all_but_the_sets_it_drops(counts):
    """R drops a set without a fifth of its genes; sets with down genes are not for it."""
    unsigned = [name for name in json.loads((GOLDEN / "signatures.json").read_text()) if "signed" not in name]
    assert set(unsigned) - set(golden("aucell_mean_of_50_tie_draws").columns) == {"single", "negative_only"}


def test_scores_are_those_of_pyucell_where_zeros_are_beyond_the_cap(counts):
    got = scored(counts, lines("pbmc80_genes.txt"), "signatures.json", UCell(max_rank=300, w_neg=0.5))
    expected = golden("pyucell_maxrank300_wneg0.5")
    np.testing.assert_allclose(got[list(expected.columns)], expected, rtol=0, atol=1e-5)


def test_aucell_without_ties_is_that_of_decoupler():
    # The values and sets of decoupler_aucell.py
    expected, genes = golden("decoupler_aucell"), np.arange(1, 401)
    values = np.array([(i + 1) * genes**3 % 401 for i in range(30)], float)
    assert all(len(set(cell)) == 400 for cell in values.tolist())
    picks = {"five": genes[3::79], "twenty": genes[0::19], "twenty_one": genes[1::17], "sixty": genes[5::6]}
    sets = {name: [f"g{g}" for g in picks[name]][:n] for name, n in zip(picks, (5, 20, 21, 60), strict=True)}
    assert list(sets) == list(expected.columns)
    plan = make_plan(read_signatures(sets), GeneIndex([f"g{g}" for g in genes]).locate, 400)
    got = score_runs(CsrRows(sp.csr_matrix(values)), plan, [Run(AUCell())], threads=1)[0].score
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("table", "program"),
    [
        ("versions.txt", "UCell 2.17.0"),
        ("versions.txt", "AUCell 1.25.2"),
        ("pyucell_versions.txt", "pyucell 0.8.0"),
        ("decoupler_versions.txt", "decoupler 2.2.0"),
    ],
)
def test_numbers_are_of_the_versions_named_above(table, program):
    assert program in (GOLDEN / table).read_text().splitlines()


@pytest.mark.parametrize(
    "table",
    [
        "ucell_maxrank1500",
        "ucell_panel300",
        "aucell_mean_of_50_tie_draws",
        "pyucell_maxrank300_wneg0.5",
        "decoupler_aucell",
    ],
)
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
    scores = score_runs(CsrRows(counts), plan, [Run(UCell())], threads=1)[0]
    got = pd.DataFrame(scores.score, index=lines("pbmc80_cells.txt"), columns=scores.ids)
    assert_same(got, golden("ucell_maxrank1500")[list(sets)])
