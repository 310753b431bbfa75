"""AUCell: the area under the recovery curve, against its formulas written out and all ways to break ties."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.scoring import AUCell, Run, make_plan, score_runs
from tamannot.scoring._rows import CsrRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet


def signature(genes, signature_id="x"):
    """Make a signature of ``{column: weight}``, negative for down genes."""
    members = [Gene(symbol=f"g{c}", weight=abs(w), direction="up" if w > 0 else "down") for c, w in genes.items()]
    return Signature(id=signature_id, genes=tuple(members))


def score(cells, *signatures, **settings):
    cells = np.atleast_2d(np.asarray(cells, float))
    plan = make_plan(
        SignatureSet(signatures), GeneIndex([f"g{i}" for i in range(cells.shape[1])]).locate, cells.shape[1]
    )
    return score_runs(CsrRows(sp.csr_matrix(cells)), plan, [Run(AUCell(**settings))], threads=1)[0].score


def of_r(rank, columns, top):
    """Return the area as R's AUCell computes it from ranks 1, 2, …; weights are not known to it."""
    cap = math.ceil(top * rank.size)

    def area(x):
        x = np.sort(x[x < cap])
        return np.sum(np.diff(np.append(x, cap)) * np.arange(1, x.size + 1))

    return area(rank[columns]) / area(np.arange(1, columns.size + 1))


def of_ctxcore(rank, columns, weights, top):
    """Return the area as ctxcore's `weighted_auc1d` computes it, from ranks 0, 1, …."""
    cutoff = round(top * rank.size) - 1
    inside = rank[columns] - 1 < cutoff
    x, y = rank[columns][inside] - 1, weights[inside]
    order = np.argsort(x)
    curve = np.diff(np.append(x[order], cutoff)) * np.cumsum(y[order])
    return curve.sum() / ((cutoff + 1) * weights.sum())


@pytest.fixture(scope="module")
def ranks():
    """Ranks of 600 genes in 20 cells, no ties."""
    rng = np.random.default_rng(0)
    return np.array([rng.permutation(600) + 1 for _ in range(20)])


@pytest.fixture(scope="module", params=[1, 5, 31, 200])
def columns(request):
    return np.random.default_rng(1).choice(600, request.param, replace=False)


@pytest.mark.parametrize("top", [0.05, 0.0513, 0.5, 1.0])
def test_without_ties_it_is_the_formula_of_r(ranks, columns, top):
    expected = [of_r(rank, columns, top) for rank in ranks]
    got = score(601 - ranks, signature(dict.fromkeys(columns, 1)), top=top)
    np.testing.assert_allclose(got[:, 0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("top", [0.05, 0.0513, 0.0525, 0.5])
@pytest.mark.parametrize("weights", [[1.0], [0.25, 1.0, 3.0]], ids=["plain", "weighted"])
def test_without_ties_the_other_variant_is_the_formula_of_ctxcore(ranks, columns, weights, top):
    drawn = np.random.default_rng(2).choice(weights, columns.size)
    expected = [of_ctxcore(rank, columns, drawn, top) for rank in ranks]
    weighted = signature(dict(zip(columns, drawn, strict=True)))
    got = score(601 - ranks, weighted, top=top, variant="pyscenic")
    np.testing.assert_allclose(got[:, 0], expected, rtol=0, atol=1e-6)


def tie_breaks(cell):
    """Return the ranks of a cell's genes by every way to break its ties."""
    for order in permutations(range(cell.size)):
        if all(cell[a] >= cell[b] for a, b in pairwise(order)):
            rank = np.empty(cell.size, int)
            rank[list(order)] = np.arange(1, cell.size + 1)
            yield rank


@pytest.mark.parametrize("cell", [[5, 3, 3, 3, 0, 0], [1, 1, 0, 0, 0, 0], [2] * 6, [0] * 6], ids=str)
@pytest.mark.parametrize("columns", [[0], [1, 4], [2, 3, 5]], ids=str)
@pytest.mark.parametrize("cap", [2, 3, 6])
def test_a_tie_is_worth_the_mean_over_all_ways_to_break_it(cell, columns, cap):
    cell, columns = np.array(cell, float), np.array(columns)
    expected = np.mean([of_r(rank, columns, cap / 6) for rank in tie_breaks(cell)])
    got = score(cell, signature(dict.fromkeys(columns.tolist(), 1)), top=cap / 6)
    assert got[0, 0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("variant", "top", "n_vars", "cap"),
    [
        ("r", 0.05, 20_000, 1000),
        ("r", 0.05, 6289, 315),
        ("r", 0.05, 6281, 315),
        ("r", 0.07, 100, 7),  # 0.07 * 100 is 7.000000000000001
        ("pyscenic", 0.05, 6289, 314),
        ("pyscenic", 0.05, 50, 2),  # Python rounds a half to even, as ctxcore does
        ("r", 0.01, 5, 1),
        ("pyscenic", 0.01, 5, 1),
    ],
)
def test_rank_cap(variant, top, n_vars, cap):
    assert AUCell(variant=variant, top=top).rank_cap(n_vars) == cap


TEN = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("genes", "settings", "expected"),
    [
        pytest.param({0: 1, 1: 1}, {}, 1.0, id="the best two"),
        pytest.param({0: 1, 1: 1}, {"variant": "pyscenic"}, (4 + 3) / (5 * 2), id="the best two, over the whole area"),
        pytest.param({0: 1, 3: 1}, {}, (4 + 1) / (4 + 3), id="first and fourth"),
        pytest.param({4: 1}, {}, 0.0, id="rank K is out"),
        pytest.param({0: 1, 99: 1}, {}, 1.0, id="missing genes are left out"),
        pytest.param({99: 1}, {}, 0.0, id="all missing"),
        pytest.param({0: 1, 3: -1}, {}, 1 - 1 / 4, id="down genes count in full"),
        pytest.param({3: 1, 0: -1}, {}, 0.0, id="never below zero"),
        pytest.param({0: 1, 3: 3}, {}, (4 + 3 * 1) / (3 * 4 + 1 * 3), id="weights, over the most they reach"),
        pytest.param({0: 1, 3: 3}, {"variant": "pyscenic"}, (4 + 3) / (5 * 4), id="weights, over the whole area"),
        pytest.param({0: 1, 3: 3}, {"weights": "ignore"}, 5 / 7, id="weights ignored"),
        pytest.param(dict.fromkeys(range(10), 1), {}, 1.0, id="more genes than ranks"),
    ],
)
def test_scores_by_hand(genes, settings, expected):
    assert score(TEN, signature(genes), top=0.5, **settings)[0, 0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"top": 0}, "top"),
        ({"top": 1.1}, "top"),
        ({"top": float("nan")}, "top"),
        ({"variant": "R"}, "'R'"),
        ({"weights": "no"}, "'no'"),
    ],
)
def test_setting_out_of_range_is_refused(settings, says):
    with pytest.raises(ParameterError, match=says):
        AUCell(**settings)


@pytest.mark.parametrize("variant", ["r", "pyscenic"])
def test_data_of_too_few_genes_are_refused_with_what_to_do(variant):
    plan = make_plan(SignatureSet([signature({0: 1})]), GeneIndex(["g0", "g1"]).locate, 20)
    with pytest.raises(
        SignatureFormatError, match=r"uses the top 1 of 20 genes \(top is .*too few to score 'x'\. Use AUCell\(top=…\)"
    ):
        AUCell(variant=variant).check(plan.parts[0], 20)
    AUCell(variant=variant, top=0.2).check(plan.parts[0], 20)
