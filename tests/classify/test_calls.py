"""Properties of calls, whatever the data: names, order, scale, company, absence and dominance."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import tamannot as tam

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

MIXED = {"macrophage": 0.8, "t_nk": 0.1, "endothelial": 0.1}
AXES = ("compartment", "origin", "state")
NO_STATE = ["unassigned", "not_macrophage"]


def tumour(**choices) -> ad.AnnData:
    return tam.datasets.simulate(400, n_samples=1, conditions=("one",), composition=MIXED, **choices)


def annotated(adata: ad.AnnData, **choices) -> ad.AnnData:
    return tam.tl.annotate(adata, tissue="brain", copy=True, **choices)


def labels(adata: ad.AnnData) -> np.ndarray:
    return adata.obs[[f"tam_{axis}" for axis in AXES]].astype(str).to_numpy()


def called_share(adata: ad.AnnData) -> float:
    return float((~adata.obs["tam_state"][adata.obs["tam_compartment"] == "macrophage"].isin(NO_STATE)).mean())


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    return tumour(rng=0)


@pytest.fixture(scope="module")
def called(cells) -> ad.AnnData:
    return annotated(cells)


def test_names_order_and_copies_of_cells_change_no_label(cells, called):
    order = np.random.default_rng(0).permutation(np.tile(np.arange(cells.n_obs), 2))
    other = ad.AnnData(cells.X[order], var=cells.var)
    other.obs_names = [f"other{i}" for i in range(other.n_obs)]
    np.testing.assert_array_equal(labels(annotated(other)), labels(called)[order])


@pytest.mark.parametrize("scale", ["log1p of CP10k", "log1p of CPM", "log2 of 1 + CP10k"])
def test_the_scale_changes_no_compartment_and_few_states(cells, called, scale):
    total = np.asarray(cells.X.sum(axis=1)).ravel()
    target = 1e6 if "CPM" in scale else 1e4
    x = (sp.diags_array(target / total) @ cells.X).log1p() / (np.log(2) if "log2" in scale else 1.0)
    other = annotated(ad.AnnData(sp.csr_matrix(x.astype(np.float32)), var=cells.var))
    np.testing.assert_array_equal(labels(other)[:, 0], labels(called)[:, 0])
    assert abs(called_share(other) - called_share(called)) <= 0.03


@pytest.mark.parametrize("rows", [[0], [7, 301], list(range(0, 400, 40))], ids=["alone", "two", "ten"])
def test_a_compartment_does_not_depend_on_other_cells(cells, called, rows):
    few = annotated(cells[rows].copy())
    np.testing.assert_array_equal(labels(few)[:, 0], labels(called)[rows, 0])
    np.testing.assert_allclose(few.obs["tam_compartment_prob"], called.obs["tam_compartment_prob"].iloc[rows])


@pytest.mark.parametrize("absent", ["lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory"])
def test_an_absent_state_is_not_called(absent):
    shares = {"lipid_associated": 0.2, "interferon_primed": 0.1, "inflammatory": 0.15, "immunoregulatory": 0.15}
    del shares[absent]
    got = annotated(tumour(states=shares, rng=1))
    macrophages = got.obs["tam_compartment"] == "macrophage"
    assert macrophages.sum() >= 250
    assert (got.obs["tam_state"][macrophages] == absent).mean() <= 0.02
    assert called_share(got) >= 0.2


@pytest.mark.parametrize("state", ["lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory"])
def test_a_state_that_rules_a_tumour_is_found(state):
    got = annotated(tumour(states={state: 0.85}, rng=0))
    truth = (got.obs["truth_state"] == state).to_numpy()
    assert truth.sum() >= 200
    assert (got.obs["tam_state"][truth] == state).mean() >= 0.8
    assert (got.obs["tam_state"][~truth] == state).mean() <= 0.1


def test_given_compartments_replace_the_gate(cells):
    given = cells.copy()
    given.obs["mine"] = np.where(np.arange(given.n_obs) % 3 == 0, "phagocyte", "other")
    got = annotated(given, compartment_key=("mine", {"phagocyte": "macrophage"}))
    is_mine = (given.obs["mine"] == "phagocyte").to_numpy()
    np.testing.assert_array_equal((got.obs["tam_compartment"] == "macrophage").to_numpy(), is_mine)
    np.testing.assert_array_equal((got.obs["tam_state"] == "not_macrophage").to_numpy(), ~is_mine)
    assert not (got.obs["tam_state_status"] == "mixed_lineage").any()


def with_arms(adata: ad.AnnData, arms: list[str], rng: np.random.Generator) -> np.ndarray:
    """Return counts of the cells with the genes of polarization arms raised, to 8 in 10,000 each."""
    counts = adata.X.toarray()
    for arm in arms:
        genes = [adata.var_names.get_loc(g.symbol) for g in tam.load_signature(arm).up]
        level = 8e-4 * np.exp(0.4 * rng.standard_normal(len(genes)))
        counts[:, genes] += rng.poisson(counts.sum(axis=1, keepdims=True) * level)
    return counts


def test_cells_of_both_arms_are_transitional_and_no_others():
    rng = np.random.default_rng(0)
    adata = tam.datasets.simulate(400, n_samples=2, composition={"macrophage": 1}, states={}, rng=0)
    kind = np.arange(adata.n_obs) % 4
    m1, m2 = with_arms(adata, ["m1"], rng), with_arms(adata, ["m2"], rng)
    counts = np.choose(kind[:, None], [adata.X.toarray(), m1, m2, 0])
    both = kind == 3  # half of the counts of an M1-like cell, half of those of an M2-like one
    counts[both] = rng.binomial(m1[both].astype(int), 0.5) + rng.binomial(
        m2[rng.permutation(np.flatnonzero(both))].astype(int), 0.5
    )
    adata.X = sp.csr_matrix(counts, dtype=np.float32)
    transitional = annotated(adata).obs["tam_state"] == "transitional"
    assert transitional[both].mean() >= 0.7
    assert transitional[~both].mean() <= 0.01
