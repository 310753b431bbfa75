"""UCell as in its paper of 2021, before R's version 2.7.6.

There is no table made by that version: the formula of its source is written out densely, on scipy's ranks.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

from tamannot.scoring import UCell, make_plan, score_rows
from tamannot.scoring._rows import CsrRows
from tamannot.signature import GeneIndex, read_signatures

# Ranks: g0 1, g1 2, g2 and g3 3.5, g4 5, the five zeros 8.
CELL = np.array([[9, 7, 4, 4, 1, 0, 0, 0, 0, 0]], float)


def score(cells, sets, **settings):
    ids = [f"g{i}" for i in range(cells.shape[1])]
    plan = make_plan(read_signatures(sets), GeneIndex(ids).locate, len(ids))
    method = UCell(variant="legacy", **settings)
    return score_rows(CsrRows(sp.csr_matrix(cells)), plan, method, null=None, threads=1).score


def written_out(rank, genes, max_rank, *, impute=True):
    """``insig = r > M``; 0 if all; their rank is M + 1; ``1 - (sum(r) - n (n + 1) / 2) / (n M)``."""
    most = min(max_rank, rank.size)
    r = np.array([rank[g] if g < rank.size else np.inf for g in genes if impute or g < rank.size])
    if (r > most).all():
        return 0.0
    r[r > most] = most + 1
    return 1 - (r.sum() - r.size * (r.size + 1) / 2) / (r.size * most)


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.lognormal(-1, 1.2, 400), (40, 400)).astype(float)


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(1)  # columns from 400 on are missing genes
    return [rng.choice(420, n, replace=False) for n in (1, 2, 7, 20, 20, 60)]


@pytest.mark.parametrize("max_rank", [60, 150, 1500])
@pytest.mark.parametrize("missing", ["impute", "skip"])
def test_scores_are_those_of_the_formula_on_ranks_of_scipy(cells, sets, max_rank, missing):
    got = score(cells, {f"s{i}": [f"g{g}" for g in s] for i, s in enumerate(sets)}, max_rank=max_rank, missing=missing)
    ranks = [scipy.stats.rankdata(-cell) for cell in cells]
    expected = [[written_out(r, s, max_rank, impute=missing == "impute") for s in sets] for r in ranks]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("w_neg", [0.0, 0.4, 1.0])
def test_down_genes_are_a_set_of_their_own_subtracted(cells, sets, w_neg):
    up, down = sets[2], np.setdiff1d(sets[3], sets[2])
    got = score(cells, {"x": [f"g{g}" for g in up] + [f"g{g}-" for g in down]}, max_rank=150, w_neg=w_neg)
    ranks = [scipy.stats.rankdata(-cell) for cell in cells]
    expected = [max(written_out(r, up, 150) - w_neg * written_out(r, down, 150), 0) for r in ranks]
    np.testing.assert_allclose(got[:, 0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("genes", "max_rank", "expected"),
    [
        pytest.param(["g0"], 1500, (11 - 1) / 10, id="the highest"),
        pytest.param(["g0", "g1"], 1500, (10 + 9 + 1) / 20, id="the two highest"),
        pytest.param(["g5"], 1500, (11 - 8) / 10, id="a zero within the cap"),
        pytest.param(["g0", "g4"], 3, (3 + 1) / 6, id="one inside, one at M + 1"),
        pytest.param(["g4"], 3, 0.0, id="none inside is zero"),
        pytest.param(["g4", "g5", "g6"], 3, 0.0, id="none of several inside is zero, not (n - 1) / 2M"),
        pytest.param(["g4"], 5, 1 / 5, id="rank M is inside"),
        pytest.param(["g2"], 4, 1.5 / 4, id="a tie of mean rank inside"),
        pytest.param(["g2"], 3, 0.0, id="a tie of mean rank beyond M is out"),
        pytest.param(["g0", "absent"], 3, (3 + 1) / 6, id="missing is at M + 1"),
        pytest.param(["absent"], 3, 0.0, id="all missing"),
    ],
)
def test_scores_by_hand(genes, max_rank, expected):
    assert score(CELL, {"x": genes}, max_rank=max_rank)[0, 0] == pytest.approx(expected, rel=1e-6)


def test_it_is_named_apart():
    assert (UCell().name, UCell(variant="legacy").name) == ("ucell", "ucell_legacy")
