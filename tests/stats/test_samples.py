"""Means over samples."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.stats

from tamannot.stats._correlation import classes_of, fisher, matched_difference, partial_rho, spearman_interval
from tamannot.stats._means import between_groups, correlation_over_samples, over_samples


def test_as_scipys_t():
    values = np.random.default_rng(0).normal(0.3, 1, (7, 4))
    values[2:4, 1] = np.nan
    found = over_samples(values)
    for j in range(4):
        own = values[np.isfinite(values[:, j]), j]
        theirs = scipy.stats.ttest_1samp(own, 0)
        interval = theirs.confidence_interval()
        assert found.p[j] == pytest.approx(theirs.pvalue)
        assert (found.low[j], found.high[j]) == pytest.approx((interval.low, interval.high))
        assert found.n[j] == own.size


def test_no_test_of_one_sample_or_of_none():
    found = over_samples(np.array([[0.5, np.nan], [np.nan, np.nan]]), fewest=2)
    assert found.mean[0] == 0.5
    assert np.isnan([found.mean[1], *found.p, *found.low]).all()
    assert found.n.tolist() == [1, 0]
    assert np.isnan(over_samples(np.ones((3, 1))).p).all()


def test_correlations_are_averaged_as_fisher_z():
    r = np.array([[0.2], [0.6], [1.0]])
    found = correlation_over_samples(r[:2], fewest=2)
    assert found.mean[0] == pytest.approx(np.tanh(np.arctanh([0.2, 0.6]).mean()))
    assert -1 < found.low[0] < found.mean[0] < found.high[0] < 1
    assert correlation_over_samples(r).mean[0] < 1


def test_p_is_uniform_without_an_effect():
    values = np.random.default_rng(1).normal(0, 1, (4, 20_000))
    assert np.mean(over_samples(values).p < 0.05) == pytest.approx(0.05, abs=0.005)


# Paired.


def test_interval_is_that_of_the_t_test():
    values = np.array([0.3, 0.8, -0.1, 0.6, 0.5])
    found = over_samples(np.append(values, np.nan))
    want = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((want.low, want.high))
    assert (found.n, found.n_same) == (5, 4)
    assert found.p == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue)


def test_hedges_g_is_smaller_than_cohens_d():
    values = np.array([1.0, 2.0, 3.0])
    # exact correction for two degrees of freedom: gamma(1) / (gamma(1/2) * sqrt(1))
    assert over_samples(values).hedges_g == pytest.approx(2.0 / np.sqrt(np.pi))


@pytest.mark.parametrize("values", [[0.4, 0.6], [np.nan, 0.5]])
def test_few_samples_have_a_mean_and_no_interval(values):
    found = over_samples(np.array(values))
    assert found.mean == pytest.approx(0.5)
    assert np.isnan([found.low, found.high, found.hedges_g]).all()


def test_no_sample_and_equal_samples():
    assert over_samples(np.array([np.nan])).n == 0
    same = over_samples(np.array([0.5, 0.5, 0.5]))
    assert same.low == same.high == 0.5
    assert np.isnan(same.hedges_g)


def test_two_groups_as_welch():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 6), rng.normal(0, 2, 9)
    found = between_groups(a, b)
    want = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((want.low, want.high))
    assert found.n == 15
    assert found.p == pytest.approx(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_groups_of_which_one_does_not_vary_are_compared_without_a_warning():
    constant, other = np.array([0.1, 0.1, 0.1]), np.array([0.2, 0.3, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = between_groups(constant, other)
    assert 0 < found.p < 1


def test_two_groups_of_which_one_is_small():
    found = between_groups(np.array([1.0, 2.0]), np.array([0.0, 0.1, 0.2]))
    assert found.mean == pytest.approx(1.4)
    assert np.isnan(found.low)


# Association.


def test_what_only_depth_makes_is_taken_out():
    rng = np.random.default_rng(0)
    depth = rng.normal(size=2000)
    a, b = depth + rng.normal(size=2000), depth + rng.normal(size=2000)
    assert scipy.stats.spearmanr(a, b).statistic > 0.4
    assert abs(partial_rho(a, b, depth[:, None])) < 0.06


def test_partial_is_the_textbook_formula():
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 50))
    ab, ac, bc = (scipy.stats.spearmanr(x, y).statistic for x, y in ((a, b), (a, c), (b, c)))
    want = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    assert partial_rho(a, b, c[:, None]) == pytest.approx(want)


@pytest.mark.parametrize("one", [np.ones(20), np.arange(20.0)])
def test_no_correlation_of_what_does_not_vary_beside_depth(one):
    assert np.isnan(partial_rho(one, np.random.default_rng(0).normal(size=20), np.arange(20.0)[:, None]))


def test_spearman_over_samples():
    x = np.arange(8.0)
    rho, low, high = spearman_interval(x, x + np.array([0, 0, 3, 0, 0, -2, 0, 0]))
    assert 0 < low < rho < high < 1
    rho, low, _ = spearman_interval(np.arange(4.0), np.arange(4.0))
    assert rho == pytest.approx(1)
    assert np.isnan(low)


def test_five_samples_suffice_only_in_perfect_order():
    x = np.arange(5.0)
    assert spearman_interval(x, x)[1] > 0
    assert spearman_interval(x, np.array([1.0, 0, 2, 3, 4]))[1] < 0


def test_fisher_is_finite():
    assert np.isfinite([fisher(1.0), fisher(-1.0)]).all()


def test_difference_among_cells_of_equal_depth():
    rng = np.random.default_rng(2)
    depth = rng.uniform(size=4000)
    here = rng.uniform(size=4000) < depth  # deeper cells are more often of the first kind
    hit = rng.uniform(size=4000) < depth
    assert hit[here].mean() - hit[~here].mean() > 0.2
    assert abs(matched_difference(hit, here, classes_of(depth, 20))) < 0.04


def test_difference_without_a_common_stratum_is_unknown():
    here = np.array([True, True, False])
    assert np.isnan(matched_difference(here, here, np.array([0, 0, 1])))


def test_classes_keep_equal_values_together():
    assert classes_of(np.array([1.0, 1, 1, 1, 2]), 5).tolist() == [0, 0, 0, 0, 4]
    assert np.bincount(classes_of(np.arange(100.0), 5)).tolist() == [20] * 5
