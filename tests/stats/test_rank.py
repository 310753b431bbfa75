from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm

from tamannot.stats._correlation import (
    bootstrap_interval,
    leave_one_out,
    smallest_p,
    spearman,
    supports_q,
)
from tamannot.stats._means import benjamini_hochberg


def draw(n, seed, *, ties=False, k=0):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, n)) * 2
    z = rng.standard_normal((n, k))
    return (np.round(x), np.round(y), z) if ties else (x, y, z)


@pytest.mark.parametrize("n", [4, 6])
@pytest.mark.parametrize("ties", [False, True])
def test_exact_p_is_scipys_over_all_permutations(n, ties):
    x, y, _ = draw(n, n, ties=ties)
    found = spearman(x, y)
    expected = scipy.stats.permutation_test(
        (x,),
        lambda v: abs(scipy.stats.spearmanr(v, y).statistic),
        permutation_type="pairings",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=False,
    )
    assert found.exact
    assert abs(found.rho) == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)


def test_many_samples_agree_with_scipys_approximation():
    for seed in range(5):
        x, y, _ = draw(30, seed)
        y = y + 0.4 * x
        found, expected = spearman(x, y), scipy.stats.spearmanr(x, y)
        assert not found.exact
        assert found.rho == pytest.approx(expected.statistic)
        assert found.p == pytest.approx(expected.pvalue, abs=0.015)


def test_the_order_observed_is_one_of_those_that_p_is_the_share_of():
    found = spearman(np.arange(20.0), np.arange(20.0), n_permutations=9)
    assert (found.exact, found.p) == (False, 0.1)


def test_the_best_of_all_orders_has_the_smallest_p():
    x = np.arange(6.0)
    assert spearman(x, x**3).p == pytest.approx(smallest_p(6)) == 2 / 720
    assert spearman(x, -x).rho == pytest.approx(-1)


def test_partial_rho_is_that_of_residuals_of_ranks():
    x, y, z = draw(15, 3, k=3)
    x, y = x + z.sum(axis=1), y + z.sum(axis=1)
    design = sm.add_constant(scipy.stats.rankdata(z, axis=0))
    left = [sm.OLS(scipy.stats.rankdata(side), design).fit().resid for side in (x, y)]
    assert spearman(x, y, z).rho == pytest.approx(np.corrcoef(*left)[0, 1])


def test_exact_partial_p_is_freedman_and_lane_by_hand():
    x, y, z = draw(6, 11, k=1)
    design = sm.add_constant(scipy.stats.rankdata(z, axis=0))
    of_y = sm.OLS(scipy.stats.rankdata(y), design).fit()
    full = np.column_stack([scipy.stats.rankdata(x), design])

    def t(values):
        return abs(sm.OLS(values, full).fit().tvalues[0])

    observed = t(scipy.stats.rankdata(y))
    drawn = [t(of_y.fittedvalues + of_y.resid[list(order)]) for order in permutations(range(6))]
    assert spearman(x, y, z).p == pytest.approx(np.mean(np.array(drawn) >= observed - 1e-9))


def test_without_covariates_partial_is_plain():
    x, y, _ = draw(12, 5)
    assert spearman(x, y, np.empty((12, 0))) == spearman(x, y)


def test_a_common_cause_is_taken_out():
    x, y, z = draw(40, 1, k=1)
    x, y = x + 4 * z[:, 0], y + 4 * z[:, 0]
    assert spearman(x, y).p < 0.001
    assert abs(spearman(x, y, z).rho) < 0.3


@pytest.mark.parametrize(
    ("n", "k"), [(7, 0), pytest.param(8, 1, marks=pytest.mark.nightly), pytest.param(12, 3, marks=pytest.mark.nightly)]
)
def test_few_small_p_where_nothing_is_there(n, k):
    rng = np.random.default_rng(0)
    p = [
        spearman(*rng.standard_normal((2, n)), rng.standard_normal((n, k)), n_permutations=199, rng=i).p
        for i in range(250)
    ]
    assert 0.015 < np.mean(np.array(p) <= 0.05) < 0.09


def test_nothing_is_said_where_one_side_is_constant_or_the_covariates_leave_nothing():
    x, y, z = draw(8, 0, k=6)
    assert np.isnan(spearman(x, np.ones(8)).p)
    assert np.isnan(spearman(x, y, np.column_stack([z, x])).rho)
    assert np.isnan(spearman(x, y, x[:, None]).rho)
    assert np.isnan(bootstrap_interval(x, np.ones(8))).all()
    assert np.isnan(leave_one_out(x, np.ones(8))).all()
    assert np.isnan(bootstrap_interval(x, y, n_bootstrap=0)).all()


def test_bootstrap_is_the_quantiles_of_resamples():
    x, y, z = (side[np.argsort(draw(14, 2, k=2)[0])] for side in draw(14, 2, k=2))
    rows = np.random.default_rng(4).integers(0, 14, (200, 14))
    drawn = [scipy.stats.spearmanr(x[r], y[r]).statistic for r in rows]
    assert bootstrap_interval(x, y, n_bootstrap=200, rng=4) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    partial = [spearman(x[r], y[r], z[r], n_permutations=1).rho for r in rows]
    assert bootstrap_interval(x, y, z, n_bootstrap=200, rng=4) == pytest.approx(np.quantile(partial, [0.025, 0.975]))
    assert bootstrap_interval(x, y, n_bootstrap=200, rng=4) != bootstrap_interval(x, y, n_bootstrap=200, rng=5)


@pytest.mark.parametrize("ties", [False, True])
def test_draws_do_not_depend_on_the_order_of_the_samples(ties):
    sides = draw(14, 2, ties=ties, k=2)
    other = [side[np.random.default_rng(1).permutation(14)] for side in sides]
    assert spearman(*other).p == spearman(*sides).p
    assert bootstrap_interval(*other) == pytest.approx(bootstrap_interval(*sides), rel=1e-12)


def test_leave_one_out_is_the_range_of_n_correlations():
    x, y, _ = draw(9, 8, ties=True)
    each = [scipy.stats.spearmanr(np.delete(x, i), np.delete(y, i)).statistic for i in range(9)]
    assert leave_one_out(x, y) == pytest.approx((min(each), max(each)))


def test_q_is_refused_where_the_smallest_p_is_too_large():
    assert not supports_q(6, 7 * 16)
    assert supports_q(7, 7 * 16)
    assert [supports_q(n, 3) for n in (4, 5)] == [False, True]


def test_adjusted_leaves_out_what_is_not_known():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    q = benjamini_hochberg(p)
    assert np.isnan(q[1])
    assert q[[0, 2, 3]] == pytest.approx(scipy.stats.false_discovery_control([0.01, 0.04, 0.03]))
    assert np.isnan(benjamini_hochberg(np.full(2, np.nan))).all()
