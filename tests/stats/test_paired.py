from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tamannot.stats._means import between_groups, over_samples


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


def test_two_groups_of_which_one_is_small():
    found = between_groups(np.array([1.0, 2.0]), np.array([0.0, 0.1, 0.2]))
    assert found.mean == pytest.approx(1.4)
    assert np.isnan(found.low)
