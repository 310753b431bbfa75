"""UCell: settings, weights, missing genes, composites."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.scoring import Run, UCell, depths_by_method, make_plan, null_bins, score_runs
from tamannot.scoring._rows import CsrRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet, read_signatures

# Ranks: g0 1, g1 2, g2 and g3 3.5, g4 5, the five zeros 8.
CELL = np.array([[9, 7, 4, 4, 1, 0, 0, 0, 0, 0]], np.float32)


IDS = [f"g{i}" for i in range(CELL.shape[1])]


def signature(genes, signature_id="x"):
    """Make a signature of ``{symbol: weight}``, negative for down genes."""
    members = [Gene(symbol=s, weight=abs(w), direction="up" if w > 0 else "down") for s, w in genes.items()]
    return Signature(id=signature_id, genes=tuple(members))


def plan_of(*signatures, ids=IDS):
    return make_plan(SignatureSet(signatures), GeneIndex(ids).locate, len(ids))


def score(*signatures, cells=CELL, **settings):
    return score_runs(CsrRows(sp.csr_matrix(cells)), plan_of(*signatures), [Run(UCell(**settings))], threads=1)[0].score


def one_score(genes, **settings):
    return float(score(signature(genes), **settings)[0, 0])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_rank": 0}, "max_rank"),
        ({"max_rank": -5}, "max_rank"),
        ({"w_neg": -0.1}, "w_neg"),
        ({"w_neg": float("nan")}, "w_neg"),
        ({"w_neg": float("inf")}, "w_neg"),
        ({"missing": "drop"}, "'drop'"),
        ({"weights": "yes"}, "'yes'"),
        ({"max_rank": 10.5}, "max_rank"),
    ],
)
def test_setting_out_of_range_is_refused(settings, says):
    with pytest.raises(ParameterError, match=says):
        UCell(**settings)


def test_settings_are_keyword_only():
    with pytest.raises(TypeError):
        UCell(500)


def test_misspelt_setting_is_refused():
    with pytest.raises(TypeError, match="maxrank"):
        UCell(maxrank=500)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        UCell().max_rank = 3


@pytest.mark.parametrize(("max_rank", "n_vars", "cap"), [(1500, 30000, 1500), (1500, 300, 300), (300, 300, 300)])
def test_rank_cap_is_at_most_the_number_of_genes(max_rank, n_vars, cap):
    assert UCell(max_rank=max_rank).rank_cap(n_vars) == cap


@pytest.mark.parametrize(
    ("settings", "genes", "fits"),
    [
        ({"max_rank": 3}, ["g0", "g1", "g2"], True),
        ({"max_rank": 3}, ["g0", "g1", "g2", "g3"], False),
        ({"max_rank": 3}, ["g0", "g1", "g2-", "g3-"], False),
        ({"max_rank": 3}, ["g0", "g1", "x1", "x2"], False),
        ({"max_rank": 3, "missing": "skip"}, ["g0", "g1", "x1", "x2"], True),
        ({}, [f"x{i}" for i in range(11)], False),
    ],
)
def test_signature_larger_than_the_cap_is_refused(settings, genes, fits):
    part = make_plan(read_signatures({"big": genes}), GeneIndex(IDS).locate, 10).parts[0]
    if fits:
        UCell(**settings).check(part, 10)
    else:
        with pytest.raises(SignatureFormatError, match=r"'big' has \d+ genes, more than the \d+ ranks"):
            UCell(**settings).check(part, 10)


@pytest.mark.parametrize(
    ("genes", "expected"),
    [
        pytest.param({"g0": 1}, 9 / 9, id="the highest"),
        pytest.param({"g0": 1, "g1": 1}, 1.0, id="the two highest"),
        pytest.param({"g2": 1}, 6.5 / 9, id="tied"),
        pytest.param({"g5": 1}, 2 / 9, id="zero within the cap"),
        pytest.param({"g0": 1, "g4": 1, "g9": 1}, (9 + 5 + 2) / (9 + 8 + 7), id="three"),
        pytest.param({"g0": 1, "absent": 1}, 9 / 17, id="missing is imputed"),
        pytest.param({"absent": 1}, 0.0, id="all missing"),
        pytest.param({"g0": 1, "g4": -1}, 1 - 5 / 9, id="signed"),
        pytest.param({"g4": 1, "g0": -1}, 0.0, id="signed, never below zero"),
        pytest.param({"g0": -1, "g1": -1}, 0.0, id="down genes only"),
    ],
)
def test_scores_by_hand(genes, expected):
    assert one_score(genes) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("genes", "expected"),
    [
        pytest.param({"g0": 0.5, "g4": 2.0}, (0.5 * 9 + 2 * 5) / (2 * 9 + 0.5 * 8), id="heavier takes the first rank"),
        pytest.param({"g0": 2.0, "g4": 0.5}, (2 * 9 + 0.5 * 5) / (2 * 9 + 0.5 * 8), id="order of weights"),
        pytest.param(
            {"g0": 1, "g1": 0.25, "absent": 3}, (9 + 0.25 * 8) / (3 * 9 + 8 + 0.25 * 7), id="missing keeps weight"
        ),
        pytest.param({"g0": 3.0}, 1.0, id="one weight is no weight"),
        pytest.param(
            {"g0": 1, "g1": -0.5, "g4": -2}, 1 - (0.5 * 8 + 2 * 5) / (2 * 9 + 0.5 * 8), id="weighted down genes"
        ),
    ],
)
def test_weighted_scores_by_hand(genes, expected):
    assert one_score(genes) == pytest.approx(expected, rel=1e-6)


def test_missing_genes_may_be_skipped():
    assert one_score({"g0": 1, "g4": 1, "absent": 5}, missing="skip") == one_score({"g0": 1, "g4": 1})


def test_all_missing_and_skipped_is_zero():
    assert one_score({"absent": 1}, missing="skip") == 0


@pytest.mark.parametrize(("w_neg", "expected"), [(0.0, 1.0), (0.5, 1 - 2.5 / 9), (2.0, 0.0)])
def test_w_neg_weighs_the_down_genes(w_neg, expected):
    assert one_score({"g0": 1, "g4": -1}, w_neg=w_neg) == pytest.approx(expected)


def test_rank_cap_of_one_scores_zero():
    assert one_score({"g0": 1}, max_rank=1) == 0


def test_ranks_beyond_the_cap_count_nothing():
    assert one_score({"g4": 1}, max_rank=5) == 0


@pytest.mark.parametrize("value", [0, 1], ids=["empty", "constant"])
def test_cell_of_ties_scores_the_same_for_every_gene(value):
    cell = np.full((1, 10), value, np.float32)
    got = score(signature({"g0": 1}), signature({"g7": 1}, "y"), cells=cell)
    np.testing.assert_allclose(got, 4.5 / 9)


def test_two_names_of_one_gene_score_as_one():
    ids = ["CXCL8", *IDS[1:]]
    plan = make_plan(read_signatures({"one": ["CXCL8"], "two": ["CXCL8", "IL8"]}), GeneIndex(ids).locate, 10)
    got = score_runs(CsrRows(sp.csr_matrix(CELL)), plan, [Run(UCell())], threads=1)[0].score
    assert got[0, 0] == got[0, 1]


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.lognormal(-1, 1.2, 400), (60, 400)).astype(np.float32)


def full(cells, *signatures, **settings):
    ids = [f"g{i}" for i in range(cells.shape[1])]
    method, rows = UCell(**settings), CsrRows(sp.csr_matrix(cells))
    bins = null_bins(depths_by_method(rows, [method], threads=1)[0])
    return score_runs(rows, plan_of(*signatures, ids=ids), [Run(method, bins)], threads=1)[0]


def same_bits(a, b):
    return all(getattr(a, t).tobytes() == getattr(b, t).tobytes() for t in ("score", "z", "p", "detected", "expected"))


def drawn(seed, signature_id, *weights, size=12):
    rng = np.random.default_rng(seed)
    columns, values = rng.choice(400, size, replace=False), rng.choice(weights, size)
    return signature({f"g{c}": float(w) for c, w in zip(columns, values, strict=True)}, signature_id)


def test_weights_of_one_are_the_bits_of_no_weights(cells):
    signatures = [drawn(s, f"s{s}", 1, -1) for s in range(4)]
    assert same_bits(full(cells, *signatures), full(cells, *signatures, weights="ignore"))


def test_ignored_weights_are_the_bits_of_no_weights(cells):
    weighted = drawn(1, "x", 0.3, 2.0, -0.7)
    plain = signature({g.symbol: 1 if g.direction == "up" else -1 for g in weighted.genes})
    assert same_bits(full(cells, weighted, weights="ignore"), full(cells, plain))
    assert not same_bits(full(cells, weighted), full(cells, plain))


def test_scale_of_weights_does_not_matter(cells):
    one = drawn(1, "x", 0.25, 1.0, 2.0)
    four = signature({g.symbol: g.weight * 4 for g in one.genes})
    assert same_bits(full(cells, one), full(cells, four))


PARTS = [drawn(1, "a", 1.0), drawn(2, "b", 1.0, 0.5), drawn(3, "c", 1.0, -1.0)]


@pytest.mark.parametrize("table", ["score", "z"])
def test_composite_is_the_greatest_of_its_parts(cells, table):
    got = full(cells, Signature(id="both", modules=tuple(PARTS)), *PARTS)
    values = getattr(got, table)
    np.testing.assert_array_equal(values[:, 0], values[:, 1:].max(axis=1))


def test_composite_p_is_sidak_corrected(cells):
    got = full(cells, Signature(id="both", modules=tuple(PARTS)), *PARTS)
    known = np.isfinite(got.p[:, 1:]).all(axis=1)
    assert known.sum() > 30
    np.testing.assert_allclose(got.p[known, 0], 1 - (1 - got.p[known, 1:].min(axis=1).astype(float)) ** 3, rtol=1e-5)


def test_composite_p_corrects_for_the_parts_that_have_one(cells):
    small = drawn(5, "small", 1.0, size=3)
    got = full(cells, Signature(id="both", modules=(PARTS[0], small)), PARTS[0], small)
    assert np.isnan(got.column("p", "small")).all()
    np.testing.assert_array_equal(got.column("p", "both"), got.column("p", "a"))


def test_composite_of_parts_without_p_has_none(cells):
    parts = tuple(drawn(s, f"s{s}", 1.0, size=3) for s in range(2))
    assert np.isnan(full(cells, Signature(id="both", modules=parts)).p).all()


def test_composite_shows_the_detected_genes_of_the_part_with_the_greatest_z(cells):
    got = full(cells, Signature(id="both", modules=tuple(PARTS)), *PARTS)
    best = got.z[:, 1:].argmax(axis=1)[:, None] + 1
    np.testing.assert_array_equal(got.detected[:, 0], np.take_along_axis(got.detected, best, axis=1)[:, 0])


def test_composite_of_one_part_is_that_part(cells):
    got = full(cells, Signature(id="alone", modules=(PARTS[2],)), PARTS[2])
    for table in ("score", "z", "p", "detected"):
        np.testing.assert_array_equal(got.column(table, "alone"), got.column(table, "c"))


def test_detected_counts_up_and_down_genes_above_zero(cells):
    columns = [int(g.symbol[1:]) for g in PARTS[2].genes]
    np.testing.assert_array_equal(full(cells, PARTS[2]).detected[:, 0], (cells[:, columns] > 0).sum(axis=1))


def test_tables_are_float32_and_int16(cells):
    got = full(cells, *PARTS)
    assert [getattr(got, t).dtype.name for t in ("score", "z", "p", "detected")] == ["float32"] * 3 + ["int16"]


def test_no_null_leaves_z_and_p_out():
    got = score_runs(CsrRows(sp.csr_matrix(CELL)), plan_of(signature({"g0": 1})), [Run(UCell())], threads=1)[0]
    assert not hasattr(got, "z")
    assert not hasattr(got, "p")


def test_no_cells_give_empty_tables(cells):
    bins = null_bins(np.arange(10.0))
    plan = plan_of(signature({"g0": 1}))
    got = score_runs(CsrRows(sp.csr_matrix((0, 10), dtype=np.float32)), plan, [Run(UCell(), bins)], threads=2)[0]
    assert got.score.shape == got.z.shape == got.p.shape == (0, 1)


def test_no_signatures_give_no_columns():
    got = score_runs(CsrRows(sp.csr_matrix(CELL)), plan_of(), [Run(UCell(), null_bins(np.arange(10.0)))], threads=1)[0]
    assert got.score.shape == got.z.shape == (1, 0)


# UCell as in its paper of 2021, before R's version 2.7.6.


# Ranks: g0 1, g1 2, g2 and g3 3.5, g4 5, the five zeros 8.
TIED = np.array([[9, 7, 4, 4, 1, 0, 0, 0, 0, 0]], float)


def legacy(some, sets, **settings):
    ids = [f"g{i}" for i in range(some.shape[1])]
    plan = make_plan(read_signatures(sets), GeneIndex(ids).locate, len(ids))
    method = UCell(variant="legacy", **settings)
    return score_runs(CsrRows(sp.csr_matrix(some)), plan, [Run(method)], threads=1)[0].score


def written_out(rank, genes, max_rank, *, impute=True):
    """``insig = r > M``; 0 if all; their rank is M + 1; ``1 - (sum(r) - n (n + 1) / 2) / (n M)``."""
    most = min(max_rank, rank.size)
    r = np.array([rank[g] if g < rank.size else np.inf for g in genes if impute or g < rank.size])
    if (r > most).all():
        return 0.0
    r[r > most] = most + 1
    return 1 - (r.sum() - r.size * (r.size + 1) / 2) / (r.size * most)


@pytest.fixture(scope="module")
def some():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.lognormal(-1, 1.2, 400), (40, 400)).astype(float)


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(1)  # columns from 400 on are missing genes
    return [rng.choice(420, n, replace=False) for n in (1, 2, 7, 20, 20, 60)]


@pytest.mark.parametrize("max_rank", [60, 150, 1500])
@pytest.mark.parametrize("missing", ["impute", "skip"])
def test_scores_are_those_of_the_formula_on_ranks_of_scipy(some, sets, max_rank, missing):
    got = legacy(some, {f"s{i}": [f"g{g}" for g in s] for i, s in enumerate(sets)}, max_rank=max_rank, missing=missing)
    ranks = [scipy.stats.rankdata(-cell) for cell in some]
    expected = [[written_out(r, s, max_rank, impute=missing == "impute") for s in sets] for r in ranks]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("w_neg", [0.0, 0.4, 1.0])
def test_down_genes_are_a_set_of_their_own_subtracted(some, sets, w_neg):
    up, down = sets[2], np.setdiff1d(sets[3], sets[2])
    got = legacy(some, {"x": [f"g{g}" for g in up] + [f"g{g}-" for g in down]}, max_rank=150, w_neg=w_neg)
    ranks = [scipy.stats.rankdata(-cell) for cell in some]
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
def test_legacy_scores_by_hand(genes, max_rank, expected):
    assert legacy(TIED, {"x": genes}, max_rank=max_rank)[0, 0] == pytest.approx(expected, rel=1e-6)


def test_it_is_named_apart():
    assert (UCell().name, UCell(variant="legacy").name) == ("ucell", "ucell_legacy")
