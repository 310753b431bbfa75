"""Figures of calibration, against scikit-learn's and published ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from tamannot.stats._classifiers import reliability
from tamannot.stats._shares import wilson


def logit_line(p, truth):
    found = reliability(p, truth)
    return found.slope, found.intercept


def cells(n=1500, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 3, n)
    return p, rng.random(n) < p**1.5


@pytest.mark.parametrize("n_bins", [1, 10, 15])
def test_bins_are_those_of_scikit_learn(n_bins):
    p, truth = cells()
    observed, stated = calibration_curve(truth, p, n_bins=n_bins, strategy="quantile")
    found = reliability(p, truth, n_bins)
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.stated, stated)
    assert (found.count == 1500 // n_bins).all()


def test_brier_is_that_of_scikit_learn():
    p, truth = cells()
    assert reliability(p, truth).brier == pytest.approx(brier_score_loss(truth, p))


def test_the_line_is_that_of_scikit_learn():
    p, truth = cells()
    model = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(np.log(p / (1 - p))[:, None], truth)
    assert logit_line(p, truth) == pytest.approx((model.coef_[0, 0], model.intercept_[0]), abs=1e-5)


def test_slope_of_what_is_too_sure_is_below_one():
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, 20_000)
    truth = rng.random(logit.size) < 1 / (1 + np.exp(-logit))
    for factor in (0.5, 1, 2):
        slope, intercept = logit_line(1 / (1 + np.exp(-factor * logit)), truth)
        assert slope == pytest.approx(1 / factor, rel=0.05)
        assert intercept == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("p", "truth"),
    [
        ([0.2, 0.7], [True, True]),
        ([0.5, 0.5, 0.5], [True, False, True]),
        ([0.1, 0.2, 0.8], [False, False, True]),
        ([0.1, 0.2, 0.8], [True, True, False]),
    ],
)
def test_no_line_where_there_is_none(p, truth):
    assert np.isnan(logit_line(np.array(p), np.array(truth))).all()


def test_the_line_stands_certain_and_impossible():
    assert np.isfinite(logit_line(np.array([0.0, 0.0, 1.0, 1.0, 0.5]), np.array([0, 1, 1, 0, 1]))).all()


# Newcombe (1998, Statistics in Medicine 17:857), table I, method 3.
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_the_published_ones(hits, n, low, high):
    got = wilson(np.array([hits]), np.array([n]))
    np.testing.assert_allclose(np.ravel(got), [low, high], atol=5e-5)


def test_equal_probabilities_share_a_bin_whatever_the_order():
    p = np.repeat([0.0, 0.3, 1.0], [70, 20, 10])
    truth = np.random.default_rng(0).random(100) < 0.4
    assert reliability(p, truth, 15).count.tolist() == [70, 20, 10]
    order = np.random.default_rng(1).permutation(100)
    assert reliability(p, truth).ece == pytest.approx(reliability(p[order], truth[order]).ece)


def test_perfect_and_worst():
    sure, right = np.array([1.0, 1.0, 0.0]), np.array([True, True, False])
    assert (reliability(sure, right).ece, reliability(sure, right).brier) == (0, 0)
    assert (reliability(sure, ~right).ece, reliability(sure, ~right).brier) == (1, 1)


def test_calibration_error_weighs_bins_by_their_cells():
    p, truth = np.array([0.2] * 8 + [0.9] * 2), np.array([True] * 2 + [False] * 6 + [True] * 2)
    found = reliability(p, truth, 2)
    assert found.count.tolist() == [8, 2]
    assert found.ece == pytest.approx(0.8 * 0.05 + 0.2 * 0.1)
