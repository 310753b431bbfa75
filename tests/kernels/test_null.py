"""The matched null against enumeration, scipy and simulation."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tamannot.kernels._null import expression_bins, merge_bins, null_moments, z_and_p

FEW = settings(max_examples=50, deadline=None, derandomize=True)


def moments_of(bins):
    return np.array([[[d.sum(), (d**2).sum(), (d**3).sum(), (d > 0).sum()] for d in map(np.asarray, bins)]], float)


def null_of(groups, moments, function=null_moments):
    out = np.full((moments.shape[0], groups.start.size - 1, 4), np.nan)
    g = groups
    function(moments, g.start, g.first_bin, g.last_bin, g.size, g.w1, g.w2, g.w3, g.members, out)
    return out


def one_bin_null(depths, weights):
    groups = merge_bins(
        np.array([len(depths)]), [np.arange(len(weights))], [np.array(weights, float)], np.zeros(len(depths), np.int32)
    )
    return null_of(groups, moments_of([depths]))[0, 0]


def enumerated(depths, weights):
    return np.array([np.dot(weights, drawn) for drawn in permutations(depths, len(weights))])


def central(values):
    deviation = values - values.mean()
    return values.mean(), (deviation**2).mean(), (deviation**3).mean()


SIX = [0.0, 0.0, 1.5, 4.0, 9.0, 10.0]


@pytest.mark.parametrize(
    "weights",
    [[1], [1, 1], [1, 1, 1, 1, 1, 1], [1, 1, -1], [0.25, -2.0, 1.0], [-1, -1], [3, 0.5, 0.5, -0.5, 1], [2, -2]],
    ids=str,
)
def test_moments_are_those_of_all_draws_without_replacement(weights):
    np.testing.assert_allclose(one_bin_null(SIX, weights)[:3], central(enumerated(SIX, weights)), atol=1e-9)


def test_expected_detected_is_the_mean_over_all_draws():
    detected = [np.count_nonzero(drawn) for drawn in permutations(SIX, 3)]
    assert one_bin_null(SIX, [1, -1, 0.5])[3] == pytest.approx(np.mean(detected))


def test_moments_of_several_groups_are_those_of_independent_draws():
    rng = np.random.default_rng(0)
    high, low = rng.integers(0, 40, 12) / 2, rng.integers(0, 6, 14) / 2
    bin_of = np.repeat([0, 1], [12, 14]).astype(np.int32)
    groups = merge_bins(np.array([12, 14]), [np.array([3, 12, 20])], [np.array([2.0, 1.0, -0.5])], bin_of)
    assert groups.first_bin.tolist() == [0, 1]
    sums = np.array([a + b for a, b in product(enumerated(high, [2.0]), enumerated(low, [1.0, -0.5]))])
    np.testing.assert_allclose(null_of(groups, moments_of([high, low]))[0, 0, :3], central(sums), atol=1e-9)


def test_merged_bins_count_as_one_bin():
    depths = np.array(SIX * 5)
    bin_of = np.repeat([0, 1, 2], [4, 6, 20]).astype(np.int32)
    split = merge_bins(np.array([4, 6, 20]), [np.array([0, 5])], [np.ones(2)], bin_of)
    whole = merge_bins(np.array([30]), [np.array([0, 5])], [np.ones(2)], np.zeros(30, np.int32))
    got = null_of(split, moments_of([depths[:4], depths[4:10], depths[10:]]))
    np.testing.assert_allclose(got, null_of(whole, moments_of([depths])), rtol=1e-12)


def test_null_moments_compiled_equal_plain_python():
    rng = np.random.default_rng(2)
    bin_of = rng.integers(0, 6, 200).astype(np.int32)
    depths = rng.integers(0, 3000, (4, 200)) / 2
    moments = np.concatenate([moments_of([d[bin_of == b] for b in range(6)]) for d in depths])
    columns = [rng.choice(200, 12, replace=False) for _ in range(3)]
    groups = merge_bins(np.bincount(bin_of), columns, [rng.normal(size=12) for _ in columns], bin_of)
    assert null_of(groups, moments).tobytes() == null_of(groups, moments, null_moments.py_func).tobytes()


@st.composite
def binned_signatures(draw):
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    bin_of = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    used = [draw(st.integers(0, size)) for size in sizes]
    used[0] += sum(used) == 0
    return np.array(sizes), np.concatenate([np.flatnonzero(bin_of == b)[:n] for b, n in enumerate(used)]), bin_of


def members_by_group(groups):
    return list(zip(groups.first_bin, groups.last_bin, groups.size, groups.members, strict=True))


@FEW
@given(binned_signatures())
def test_groups_are_large_enough_unless_all_bins_are_one(case):
    sizes, columns, bin_of = case
    groups = merge_bins(sizes, [columns], [np.ones(columns.size)], bin_of)
    for first, last, size, members in members_by_group(groups):
        assert size >= 2 * members + 10 or (first, last) == (0, sizes.size - 1)


@FEW
@given(binned_signatures())
def test_every_gene_is_in_exactly_one_group(case):
    sizes, columns, bin_of = case
    groups = merge_bins(sizes, [columns], [np.ones(columns.size)], bin_of)
    spans = members_by_group(groups)
    assert all(sum(f <= bin_of[c] <= last for f, last, _, _ in spans) == 1 for c in columns)
    assert groups.members.sum() == groups.w1.sum() == columns.size


@FEW
@given(binned_signatures())
def test_size_of_a_group_is_that_of_its_bins(case):
    sizes, columns, bin_of = case
    groups = merge_bins(sizes, [columns], [np.ones(columns.size)], bin_of)
    assert all(size == sizes[first : last + 1].sum() for first, last, size, _ in members_by_group(groups))


def test_left_over_bins_do_not_crowd_the_group_they_join():
    sizes = np.array([40, 10, 10])
    bin_of = np.repeat([0, 1, 2], sizes).astype(np.int32)
    columns = np.arange(50, 60)
    groups = merge_bins(sizes, [columns], [np.ones(10)], bin_of)
    assert (groups.size >= 2 * groups.members + 10).all()


def test_groups_of_signatures_are_kept_apart():
    bin_of = np.repeat([0, 1], 30).astype(np.int32)
    columns = [np.array([0, 40]), np.array([], np.int64), np.array([1])]
    groups = merge_bins(np.array([30, 30]), columns, [np.ones(c.size) for c in columns], bin_of)
    assert groups.start.tolist() == [0, 2, 2, 3]


def test_first_bin_holds_the_fifty_deepest_genes():
    bins = expression_bins(np.arange(2000, 0, -1.0))
    assert (bins == 0).sum() == 50
    assert (bins[:50] == 0).all()


def test_bins_follow_depth_downwards():
    depth = np.random.default_rng(0).permutation(3000).astype(float)
    assert (np.diff(expression_bins(depth)[np.argsort(-depth)]) >= 0).all()


def test_there_are_at_most_26_bins_numbered_without_gaps():
    bins = expression_bins(np.random.default_rng(0).random(20000))
    assert np.unique(bins).tolist() == list(range(bins.max() + 1))
    assert bins.max() < 26


def test_genes_of_equal_depth_share_a_bin():
    depth = np.random.default_rng(0).integers(0, 30, 3000).astype(float)
    bins = expression_bins(depth)
    assert all(np.unique(bins[depth == d]).size == 1 for d in range(30))


@pytest.mark.parametrize("n", [1, 2, 49, 50])
def test_few_genes_are_one_bin(n):
    assert expression_bins(np.arange(n, dtype=float)).tolist() == [0] * n


def test_bins_do_not_depend_on_the_order_of_genes():
    rng = np.random.default_rng(0)
    depth, order = rng.poisson(3.0, 2000).astype(float), rng.permutation(2000)
    np.testing.assert_array_equal(expression_bins(depth)[order], expression_bins(depth[order]))


def z_p(sums, mean=0.0, variance=1.0, third=0.0, expected=10.0, n_present=20):
    null = np.array([[[mean, variance, third, expected]]] * len(sums))
    z, p = z_and_p(np.array(sums, float)[:, None], null, np.array([n_present]))
    return z[:, 0], p[:, 0]


SUMS = [-6.0, -1.5, 0.0, 0.3, 1.64, 3.0, 6.0, 12.0]


@pytest.mark.parametrize("skew", [0.011, 0.1, 0.5, 1.0, 2.5])
def test_p_is_the_upper_tail_of_pearson_iii(skew):
    _, p = z_p(SUMS, third=skew)
    np.testing.assert_allclose(p, scipy.stats.pearson3.sf(SUMS, skew), rtol=1e-8, atol=1e-300)


@pytest.mark.parametrize("skew", [0.0, 0.0099, -0.5])
def test_p_is_normal_without_positive_skew(skew):
    _, p = z_p(SUMS, third=skew)
    np.testing.assert_allclose(p, scipy.stats.norm.sf(SUMS), rtol=1e-12)


def test_p_below_the_support_is_one():
    assert z_p([-5.0], third=2.0)[1][0] == 1.0


def test_z_is_the_distance_from_the_mean_in_deviations():
    z, _ = z_p([10.0, 4.0], mean=4.0, variance=9.0)
    np.testing.assert_allclose(z, [2.0, 0.0])


@pytest.mark.parametrize(
    ("n_present", "expected", "known"), [(4, 10, False), (5, 10, True), (5, 1.99, False), (5, 2.0, True), (0, 0, False)]
)
def test_p_needs_five_genes_and_two_expected(n_present, expected, known):
    z, p = z_p([1.0], n_present=n_present, expected=expected)
    assert np.isfinite(p[0]) == known
    assert z[0] == 1.0


@pytest.mark.parametrize("variance", [0.0, -1e-12, 1e-20])
def test_no_variance_is_z_zero_and_no_p(variance):
    z, p = z_p([3.0], variance=variance)
    assert z[0] == 0
    assert np.isnan(p[0])


@FEW
@given(st.floats(-1e3, 1e3), st.floats(-20, 20))
def test_p_is_a_probability(z, skew):
    _, p = z_p([z], third=skew)
    assert 0 <= p[0] <= 1
