"""Means over samples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tamannot.stats._means import correlation_over_samples, over_samples


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
