from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tamannot.stats._correlation import classes_of, fisher, matched_difference, partial_rho, spearman_interval


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
