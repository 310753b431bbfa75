"""Comparison of shares: against statsmodels where the two are the same, and by what it finds in simulated cohorts."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.stats.proportion import proportion_confint

from tamannot.errors import ParameterError
from tamannot.stats._means import benjamini_hochberg
from tamannot.stats._shares import centred_log_ratios, compare_means, compare_shares, wilson

TWO = np.repeat([0, 1], 6)
DESIGN = np.column_stack([np.ones(12), TWO]).astype(float)


def draw(rng, n_tests, share, n, *, shift=1.0, rho=0.05):
    """Draw beta-binomial counts of cohorts, 6 samples against 6."""
    mean = np.broadcast_to(share * np.where(TWO == 1, shift, 1.0), (n_tests, 12))
    return rng.binomial(n, rng.beta(mean * (1 / rho - 1), (1 - mean) * (1 / rho - 1)))


def at_most(n, rate):
    """The count that chance exceeds once in a thousand where the rate is this."""
    return scipy.stats.binom.ppf(0.999, n, rate)


def uneven(rng, n_tests):
    return np.exp(rng.uniform(np.log(30), np.log(3000), (n_tests, 12))).astype(int)


def test_wilson_is_that_of_statsmodels():
    k, n = np.array([0, 3, 40, 40]), np.array([10, 12, 100, 40])
    low, high = wilson(k, n)
    expected = [proportion_confint(a, b, method="wilson") for a, b in zip(k, n, strict=True)]
    np.testing.assert_allclose(np.column_stack([low, high]), expected, atol=1e-12)
    assert np.isnan(wilson(0, 0)).all()
    n = np.arange(1, 400)
    assert (wilson(0, n)[0] == 0).all()
    assert (wilson(n, n)[1] == 1).all()


def test_with_samples_of_one_size_it_is_the_quasi_binomial_of_statsmodels():
    rng = np.random.default_rng(0)
    design = np.column_stack([DESIGN, rng.normal(size=12)])
    k = draw(rng, 5, 0.2, 300) + 0.25
    found = compare_shares(k, np.full(12, 300.0), design, 1)
    for i in range(5):
        model = GLM(k[i] / 300, design, family=Binomial(), var_weights=np.full(12, 300.0)).fit(scale="X2")
        t = model.params[1] / model.bse[1]
        assert found.log_odds[i, 0] == pytest.approx(model.params[1], abs=1e-8)
        assert found.t[i, 0] == pytest.approx(t, rel=1e-6)
        assert found.p[i, 0] == pytest.approx(2 * scipy.stats.t.sf(abs(t), 9), rel=1e-5)
        assert found.dispersion[i] == pytest.approx(model.scale, rel=1e-6)
    np.testing.assert_allclose(found.p_overall, found.p[:, 0], rtol=1e-6)
    half = scipy.stats.t.ppf(0.975, 9) * found.log_odds / found.t
    np.testing.assert_allclose(found.high - found.low, 2 * np.abs(half))


def test_samples_with_all_or_none_of_the_cells_are_fitted_as_by_statsmodels():
    design = np.column_stack([np.ones(6), np.tile([0.0, 1.0], 3), np.arange(6.0)])
    k = np.array([[130, 0, 30, 200, 200, 160], [130, 200, 0, 0, 0, 180], [0, 0, 150, 0, 0, 70]])
    found = compare_shares(k, np.full(6, 200.0), design, 1)
    for i in range(3):
        model = GLM(k[i] / 200, design, family=Binomial(), var_weights=np.full(6, 200.0)).fit(scale="X2")
        assert found.log_odds[i, 0] == pytest.approx(model.params[1], abs=1e-6)
        assert found.p[i, 0] == pytest.approx(2 * scipy.stats.t.sf(abs(model.tvalues[1]), 3), rel=1e-5)
    assert not found.half_added.any()


def test_uneven_samples_weigh_by_what_they_know():
    rng = np.random.default_rng(1)
    n = uneven(rng, 1)[0]
    k = draw(rng, 1, 0.2, n)
    found = compare_shares(k, n, DESIGN, 1)
    weights = n / (1 + found.rho[0] * (n - 1))
    model = GLM(k[0] / n, DESIGN, family=Binomial(), var_weights=weights).fit(scale="X2")
    assert found.rho[0] > 0
    assert model.scale == pytest.approx(1, abs=1e-4)  # ρ explains all that is left
    assert found.t[0, 0] == pytest.approx(model.params[1] / model.bse[1], rel=1e-5)


@pytest.mark.parametrize("sizes", ["equal", "uneven"])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_no_effect_is_found_where_there_is_none(sizes, share):
    rng = np.random.default_rng(2)
    n = uneven(rng, 1000) if sizes == "uneven" else np.full((1000, 12), 300)
    p = compare_shares(draw(rng, 1000, share, n), n, DESIGN, 1).p[:, 0]
    assert (p < 0.05).sum() <= at_most(1000, 0.05)
    assert (p < 0.05).sum() >= 1000 - at_most(1000, 0.97)  # nor is it blind


def test_two_fold_shift_is_found():
    rng = np.random.default_rng(3)
    found = compare_shares(draw(rng, 1000, 0.2, 300, shift=2.0), np.full(12, 300), DESIGN, 1)
    assert (found.p < 0.05).mean() >= 0.8
    assert np.median(found.log_odds) == pytest.approx(np.log(0.4 / 0.6 / (0.2 / 0.8)), abs=0.05)
    inside = (found.low < np.log(8 / 3)) & (found.high > np.log(8 / 3))
    assert (~inside).sum() <= at_most(1000, 0.06)


def test_cells_as_replicates_find_what_is_not_there():
    rng = np.random.default_rng(4)
    k = draw(rng, 300, 0.2, 300)
    tables = np.stack([[k[:, s].sum(axis=1), (300 - k[:, s]).sum(axis=1)] for s in (TWO == 0, TWO == 1)])
    p = [scipy.stats.chi2_contingency(tables[:, :, i]).pvalue for i in range(300)]
    assert np.mean(np.array(p) < 0.05) > 0.4


def test_a_label_that_one_condition_lacks_has_an_estimate_that_is_marked():
    k = np.array([[0] * 6 + [9, 14, 3, 20, 11, 6], [0] * 12, [300] * 12, [30] * 12])
    found = compare_shares(k, np.full(12, 300), DESIGN, 1)
    assert found.half_added.tolist() == [True, False, False, False]
    assert found.p[0, 0] < 0.01
    assert 0 < found.log_odds[0, 0] < 10
    assert np.isnan(found.p[1:3]).all()
    assert np.isnan(found.rho[1:3]).all()
    assert found.log_odds[3, 0] == pytest.approx(0, abs=1e-6)


def test_a_share_of_nothing_by_a_covariate_is_marked_too():
    batch = np.tile([0.0, 1.0], 6)
    k = np.where(batch == 1, 0, np.arange(20, 32))
    found = compare_shares(k, np.full(12, 300), np.column_stack([DESIGN, batch]), 1)
    assert found.half_added[0]
    assert np.isfinite(found.p).all()


def test_three_conditions_and_the_test_of_all():
    three = np.repeat([0, 1, 2], 4)
    design = np.column_stack([np.ones(12), three == 1, three == 2]).astype(float)
    rng = np.random.default_rng(5)
    k = rng.binomial(300, np.repeat([0.1, 0.1, 0.5], 4) * rng.uniform(0.8, 1.2, 12))
    found = compare_shares(k, np.full(12, 300), design, 2)
    assert found.df == 9
    assert found.p[0, 1] < 1e-4 < found.p[0, 0]
    model = GLM(k / 300, design, family=Binomial(), var_weights=np.full(12, 300.0)).fit(scale="X2")
    wald = model.wald_test(np.eye(3)[1:], use_f=True, scalar=True)
    assert found.p_overall[0] == pytest.approx(float(wald.pvalue), rel=1e-4)


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (np.column_stack([DESIGN[::6], [0, 1]]), "leave no degrees of freedom"),
        (np.column_stack([DESIGN, 2 * TWO]), "is determined by the condition"),
    ],
)
def test_designs_that_say_nothing_are_refused(design, message):
    with pytest.raises(ParameterError, match=message):
        compare_shares(np.ones(len(design)), np.full(len(design), 10), design, 1)


def test_log_ratios_are_centred_over_the_parts_that_occur():
    counts = np.array([[10, 0, 40], [5, 0, 5]])
    ratios = centred_log_ratios(counts)
    np.testing.assert_allclose(ratios[:, [0, 2]].sum(axis=1), 0, atol=1e-12)
    assert ratios[0, 2] - ratios[0, 0] == pytest.approx(np.log(40.5 / 10.5))


def test_means_are_compared_as_by_the_t_test():
    values = np.random.default_rng(6).normal(size=(12, 2))
    expected = scipy.stats.ttest_ind(values[:6], values[6:]).pvalue
    np.testing.assert_allclose(compare_means(values, DESIGN, 1)[:, 0], expected)
    assert np.isnan(compare_means(np.ones((12, 1)), DESIGN, 1)).all()


def test_adjusted_p_leave_out_the_unknown():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.03, np.nan, 0.04, 0.04])


TWO_BY_FOUR = np.column_stack([np.ones(8), np.repeat([0.0, 1.0], 4)])


def test_half_a_cell_is_added_to_either_side_where_a_condition_has_none():
    found = compare_shares(np.repeat([0, 5], 4)[None, :], np.full(8, 20), TWO_BY_FOUR, 1)
    odds = (5.5 / 15.5) / (0.5 / 20.5)
    assert found.half_added[0]
    assert found.log_odds[0, 0] == pytest.approx(np.log(odds), rel=1e-6)


def test_samples_that_vary_less_than_chance_have_a_narrow_interval():
    found = compare_shares(np.repeat([10, 15], 4)[None, :], np.full(8, 20), TWO_BY_FOUR, 1)
    assert found.low[0, 0] == pytest.approx(found.high[0, 0], abs=1e-6)
