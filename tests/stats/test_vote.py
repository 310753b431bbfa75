"""The vote of groups and neighbourhoods: properties, on codes alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tamannot.stats._vote import ABSENT, NO_LABEL, vote_among_neighbours, vote_in_groups

FEW = settings(max_examples=100, deadline=None, derandomize=True)
CODES = st.integers(ABSENT, 3)
CELLS = st.lists(st.tuples(CODES, st.integers(-1, 3)), min_size=1, max_size=30)
SHARES = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])


def in_groups(codes, group, min_share=0.5):
    found = vote_in_groups(np.array(codes, np.int64), np.array(group, np.int64), min_share=min_share)
    return found.winner.tolist(), found.share


def by_loop(codes, group, min_share):
    """Return the vote as its definition reads."""
    winner, share = [], []
    for code, mine in zip(codes, group, strict=True):
        voters = [c for c, g in zip(codes, group, strict=True) if g == mine != -1 and c != ABSENT]
        ranking = Counter(c for c in voters if c >= 0).most_common()
        first, second = [*(n for _, n in ranking), 0, 0][:2]
        clear = first > second and first / max(len(voters), 1) >= min_share
        winner.append(ABSENT if code == ABSENT else ranking[0][0] if clear else NO_LABEL)
        share.append(first / len(voters) if voters and code != ABSENT else np.nan)
    return winner, np.array(share, np.float32)


def weights_of(n, seed):
    """Return rows that sum to 1, of three neighbours and the cell itself, with weights that tie and that do not."""
    rng = np.random.default_rng(seed)
    dense = np.eye(n)
    for row in range(n):
        near = rng.permutation(n)[:3]
        dense[row, near] = rng.choice([0.9, 0.81, 0.81, 1.0], near.size)
    return sp.csr_array(dense / dense.sum(axis=1, keepdims=True))


@FEW
@given(CELLS, SHARES)
def test_is_its_definition(cells, min_share):
    codes, group = zip(*cells, strict=True)
    winner, share = in_groups(codes, group, min_share)
    expected, expected_share = by_loop(codes, group, min_share)
    assert winner == expected
    np.testing.assert_array_equal(share, expected_share)


@FEW
@given(CELLS, st.randoms(use_true_random=False))
def test_order_of_cells_and_names_of_groups_do_not_matter(cells, random):
    codes, group = (np.array(x) for x in zip(*cells, strict=True))
    order = np.array(random.sample(range(len(cells)), len(cells)))
    winner, share = in_groups(codes, group)
    shuffled, shuffled_share = in_groups(codes[order], np.where(group < 0, -1, 7 - group)[order])
    assert shuffled == np.array(winner)[order].tolist()
    np.testing.assert_array_equal(shuffled_share, share[order])


@FEW
@given(st.integers(0, 3), st.integers(1, 20), SHARES)
def test_those_of_one_mind_have_a_share_of_1(label, n, min_share):
    for found in (
        vote_in_groups(np.full(n, label), np.zeros(n, int), min_share=min_share),
        vote_among_neighbours(np.full(n, label), weights_of(n, n), min_share=min_share),
    ):
        assert (found.winner == label).all()
        assert (found.share == 1).all()


@FEW
@given(CELLS, CELLS)
def test_other_groups_say_nothing_of_this_one(here, there):
    (codes, group), (others, elsewhere) = (map(np.array, zip(*cells, strict=True)) for cells in (here, there))
    elsewhere = np.where(elsewhere < 0, -1, elsewhere + 10)
    together, share = in_groups(np.r_[codes, others], np.r_[group, elsewhere])
    first, first_share = in_groups(codes, group)
    second, second_share = in_groups(others, elsewhere)
    assert together == first + second
    np.testing.assert_array_equal(share, np.r_[first_share, second_share])


@FEW
@given(st.lists(CODES, min_size=3, max_size=12), st.lists(CODES, min_size=3, max_size=12))
def test_blocks_of_a_graph_vote_on_their_own(here, there):
    graphs = weights_of(len(here), 1), weights_of(len(there), 2)
    whole = vote_among_neighbours(np.array(here + there), sp.csr_array(sp.block_diag(graphs)), min_share=0.5)
    parts = [vote_among_neighbours(np.array(c), g, min_share=0.5) for c, g in zip((here, there), graphs, strict=True)]
    np.testing.assert_array_equal(whole.winner, np.r_[parts[0].winner, parts[1].winner])
    np.testing.assert_array_equal(whole.share, np.r_[parts[0].share, parts[1].share])


@FEW
@given(st.lists(CODES, min_size=3, max_size=20), st.integers(0, 10), st.randoms(use_true_random=False))
def test_order_of_cells_does_not_matter_to_a_graph(codes, seed, random):
    codes, weights = np.array(codes), weights_of(len(codes), seed)
    order = np.array(random.sample(range(codes.size), codes.size))
    found = vote_among_neighbours(codes, weights, min_share=0.4)
    shuffled = vote_among_neighbours(codes[order], sp.csr_array(weights[order][:, order]), min_share=0.4)
    np.testing.assert_array_equal(shuffled.winner, found.winner[order])
    np.testing.assert_allclose(shuffled.share, found.share[order], rtol=1e-6)


@FEW
@given(CELLS, SHARES)
def test_a_group_is_a_neighbourhood_of_equals(cells, min_share):
    codes, group = (np.array(x) for x in zip(*cells, strict=True))
    same = (group[:, None] == group) & (group >= 0)
    weights = sp.csr_array(same / np.maximum(same.sum(axis=1, keepdims=True), 1))
    grouped = vote_in_groups(codes, group, min_share=min_share)
    near = vote_among_neighbours(codes, weights, min_share=min_share)
    np.testing.assert_array_equal(near.winner, grouped.winner)
    np.testing.assert_allclose(near.share, grouped.share, rtol=1e-6)


@FEW
@given(CELLS)
def test_a_greater_share_asked_for_changes_labels_only_to_none(cells):
    codes, group = zip(*cells, strict=True)
    lenient, share = in_groups(codes, group, 0.3)
    strict, same = in_groups(codes, group, 0.8)
    assert all(s in (w, NO_LABEL) for s, w in zip(strict, lenient, strict=True))
    np.testing.assert_array_equal(share, same)


@pytest.mark.parametrize(
    ("codes", "winner", "share"),
    [
        ([0, 0, 1], 0, 2 / 3),
        ([0, 1], NO_LABEL, 1 / 2),  # a tie
        ([0, 0, 1, 1, 2], NO_LABEL, 2 / 5),
        ([0, 1, NO_LABEL, 1], 1, 2 / 4),  # the share asked for is enough
        ([0, 0, NO_LABEL, NO_LABEL, NO_LABEL], NO_LABEL, 2 / 5),  # voters without a vote are in the denominator
        ([0, 0, ABSENT, ABSENT, ABSENT], 0, 1),  # the absent are not
        ([NO_LABEL, NO_LABEL], NO_LABEL, 0),
    ],
)
def test_small_votes(codes, winner, share):
    found, shares = in_groups(codes, np.zeros(len(codes), int))
    assert [w for w, c in zip(found, codes, strict=True) if c != ABSENT] == [winner] * sum(c != ABSENT for c in codes)
    np.testing.assert_allclose(shares, [np.nan if c == ABSENT else share for c in codes], rtol=1e-6)


def test_fractions_that_sum_to_the_same_tie():
    codes = np.array([0, 0, 0, 1])  # 0.1 + 0.2 is a little more than 0.3
    weights = sp.csr_array(np.array([[0.1, 0.2, 0.0, 0.3]] * 4))
    assert 0.1 + 0.2 > 0.3
    assert (vote_among_neighbours(codes, weights, min_share=0).winner == NO_LABEL).all()


def test_no_cells_is_no_error():
    winner, share = in_groups([], [])
    assert winner == []
    assert share.dtype == np.float32
