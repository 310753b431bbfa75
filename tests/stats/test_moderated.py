"""The moderated t, and what it is taken of."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from scipy.special import polygamma

from tamannot.stats._means import fit_prior, log_cpm, moderated_t, welch_t


def _drawn(n_samples: int, n_genes: int, df_prior: float, prior: float, rng: np.random.Generator) -> np.ndarray:
    variance = prior * df_prior / rng.chisquare(df_prior, n_genes)
    return rng.normal(0, np.sqrt(variance), (n_samples, n_genes))


def test_prior_is_found_again():
    differences = _drawn(6, 20_000, 4.0, 0.09, np.random.default_rng(1))
    df_prior, prior = fit_prior(differences.var(axis=0, ddof=1), 5)
    assert df_prior == pytest.approx(4.0, rel=0.15)
    assert prior == pytest.approx(0.09, rel=0.05)


@pytest.mark.parametrize("n_samples", [2, 3, 8])
def test_t_without_a_difference_has_its_distribution(n_samples):
    differences = _drawn(n_samples, 20_000, 4.0, 0.09, np.random.default_rng(2))
    df_prior, _ = fit_prior(differences.var(axis=0, ddof=1), n_samples - 1)
    p = 2 * scipy.stats.t.sf(np.abs(moderated_t(differences)), n_samples - 1 + df_prior)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.006)
    assert np.mean(p < 0.001) == pytest.approx(0.001, abs=0.001)


def test_equal_variances_are_one():
    differences = np.random.default_rng(3).normal(0, 0.5, (6, 400))
    df_prior, prior = fit_prior(differences.var(axis=0, ddof=1), 5)
    assert df_prior > 50
    np.testing.assert_allclose(moderated_t(differences), differences.mean(axis=0) / np.sqrt(prior / 6), rtol=0.2)


def test_gene_without_variance_has_a_finite_t():
    differences = np.random.default_rng(4).normal(0, 1, (4, 50))
    differences[:, 0] = 1.0
    assert np.isfinite(moderated_t(differences)).all()
    assert moderated_t(np.zeros((3, 5))).tolist() == [0.0] * 5


@pytest.mark.parametrize("spread", [1e-4, 0.3, 7.0])
def test_trigamma_of_half_the_prior_degrees_is_the_excess_of_log_variances(spread):
    away = np.sqrt((spread + float(polygamma(1, 50))) / 2)
    df_prior, _ = fit_prior(np.exp([away, -away]), 100)
    assert float(polygamma(1, df_prior / 2)) == pytest.approx(spread, rel=1e-6)


def test_gene_without_counts_is_equal_in_small_and_large_libraries():
    sums = np.array([[0.0, 90.0, 10.0], [0.0, 90_000.0, 10_000.0]])
    values = log_cpm(sums)
    assert values[0, 0] == pytest.approx(values[1, 0])
    assert values[0, 1] == pytest.approx(values[1, 1])


def test_t_of_cells_is_scanpys():
    import anndata as ad
    import scanpy as sc

    rng = np.random.default_rng(5)
    values = np.log1p(rng.poisson(1.0, (60, 25))).astype(np.float64)
    adata = ad.AnnData(values)
    adata.obs["group"] = np.where(np.arange(60) < 20, "a", "b")
    adata.uns["log1p"] = {"base": None}
    sc.tl.rank_genes_groups(adata, "group", groups=["a"], method="t-test_overestim_var")
    theirs = sc.get.rank_genes_groups_df(adata, "a").set_index("names")["scores"].reindex(adata.var_names)
    a, b = values[:20], values[20:]
    ours = welch_t(20, a.sum(0), (a**2).sum(0), 40, b.sum(0), (b**2).sum(0))
    np.testing.assert_allclose(ours, theirs.to_numpy(), rtol=1e-5)
