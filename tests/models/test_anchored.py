"""Anchored self-training: what is drawn, mixed, calibrated, and what comes out on labelled cells."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
from sklearn.metrics import balanced_accuracy_score, f1_score
from tamannot.models._anchored import sure_states
from tamannot.models._heads import Anchors, amounts, train_head
from tamannot.models._mixtures import fit_sigmoid, mix, stricter, threshold_for
from tamannot.models._pool import (
    FOLDS,
    Pool,
    at_most,
    folds,
    lottery,
    number_of_folds,
    sample_folds,
    to_expression,
)
from tamannot.models._question import MIN_STRONG
from tamannot.models._state import STATES as ALL_STATES

import tamannot as tam
from tamannot.classify import variable_genes
from tamannot.scorers import NullScores

STATES = ["lipid_associated", "interferon_primed", "inflammatory", "immunoregulatory"]
NAMES = [f"cell{i}" for i in range(3000)]


def test_the_lottery_depends_on_name_and_seed_alone():
    tickets = lottery(NAMES, 0)
    np.testing.assert_array_equal(lottery(NAMES[::-1], 0)[::-1], tickets)
    assert not np.array_equal(lottery(NAMES, 1), tickets)
    assert 0 <= tickets.min() <= tickets.max() < 1


def test_who_is_drawn_says_nothing_of_the_fold():
    tickets = lottery(NAMES, 0)
    drawn = at_most(np.arange(3000), 300, tickets)
    counts = np.bincount(folds(tickets, None, {}, FOLDS)[drawn], minlength=FOLDS)
    assert counts.min() > 40


@pytest.mark.parametrize(("n_samples", "n_folds"), [(3, 3), (4, 4), (5, 5), (7, 5)])
def test_folds_keep_samples_together(n_samples, n_folds):
    sample = [f"s{i % n_samples}" for i in range(3000)]
    of_sample = sample_folds(sample)
    assert number_of_folds(of_sample) == n_folds
    fold = folds(lottery(NAMES, 0), sample, of_sample, n_folds)
    assert all(len(set(fold[np.array(sample) == s])) == 1 for s in set(sample))
    assert set(fold) == set(range(n_folds))


@pytest.mark.parametrize("sample", [None, ["a"] * 3000, ["a", "b"] * 1500], ids=["none", "one", "two"])
def test_with_too_few_samples_cells_are_drawn_for_folds(sample):
    of_sample = sample_folds(sample)
    assert number_of_folds(of_sample) == FOLDS
    assert np.bincount(folds(lottery(NAMES, 0), sample, of_sample, FOLDS)).min() > 500


def test_cells_of_an_unknown_sample_are_drawn_for_the_folds_there_are():
    fold = folds(lottery(NAMES, 0), ["new"] * 3000, {"a": 0, "b": 1, "c": 2}, 3)
    assert set(fold) == {0, 1, 2}


def two_kinds(n=300, n_genes=400, seed=0):
    """Counts of cells of two kinds that differ in fifty genes."""
    rng = np.random.default_rng(seed)
    rate = np.full((n, n_genes), 1.0)
    rate[: n // 2, :50] = 4.0
    return sp.csr_array(rng.poisson(rate).astype(float))


def pool_of(values):
    return Pool(np.arange(values.shape[0]), values, "counts")


def test_a_head_puts_background_at_zero_and_anchors_at_one():
    pool = pool_of(two_kinds())
    x = sp.csr_array(pool.expression[:, variable_genes(pool.expression, 3000)])
    fold = np.arange(300) % FOLDS
    head = train_head(x, fold, FOLDS, Anchors(np.arange(150), np.arange(150, 300)), np.arange(150, 300))
    amount = amounts({"a": head}, x, fold)[:, 0]
    assert np.median(amount[150:]) == pytest.approx(0)
    assert np.median(amount[:150]) == pytest.approx(1)


def test_a_head_without_anchors_in_a_fold_is_refused():
    pool = pool_of(two_kinds())
    x = sp.csr_array(pool.expression)
    fold = np.where(np.arange(300) < 150, 0, np.arange(300) % FOLDS)
    assert train_head(x, fold, FOLDS, Anchors(np.arange(150), np.arange(150, 300)), np.arange(150, 300)) is None


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_pseudo_cells_are_mixed_as_said(share):
    pool = pool_of(two_kinds())
    n = 150
    mixed = mix(pool, np.arange(n), np.arange(150, 300), np.full(n, share), np.random.default_rng(0))
    high = np.expm1(mixed[:, :50].toarray()).sum(axis=1).mean() / 1e4
    pure = 200 / 550, 50 / 400
    assert high == pytest.approx(share * pure[0] + (1 - share) * pure[1], abs=0.03)


@pytest.mark.parametrize("kind", ["counts", "linear", "log"])
def test_of_the_genes_that_do_not_count_the_total_stays(kind):
    values = two_kinds()
    pool = Pool(np.arange(300), sp.csr_array(values.log1p()) if kind == "log" else values, kind)
    columns = np.array([3, 60, 61, 399])
    narrow = pool.narrowed(columns)
    assert narrow.values.shape == (300, 5)
    np.testing.assert_allclose(
        narrow.expression[:, :4].toarray(), pool.expression[:, columns].toarray(), rtol=1e-12, atol=1e-12
    )
    first, second, share = np.arange(150), np.arange(150, 300), np.full(150, 0.3)
    whole, few = (mix(p, first, second, share, np.random.default_rng(0)) for p in (pool, narrow))
    close = {"rtol": 1e-9} if kind != "counts" else {"rtol": 0.2}  # other counts are drawn
    np.testing.assert_allclose(few[:, :4].mean(axis=0), whole[:, columns].mean(axis=0), **close)


def states_of(z):
    """Scores of the states as z says, with their normal p; the columns not given are absent."""
    table = np.full((len(z), 5), -1.0, np.float32)
    table[:, [0, 1]] = z
    p = scipy.stats.norm.sf(table).astype(np.float32)
    return NullScores(ALL_STATES, p, np.ones_like(p, np.int64), table, p, p)


def test_anchors_without_clear_cells_lend_their_clearest():
    z = np.full((400, 2), -1.0)
    z[:60, 0], z[:60, 1] = np.linspace(3.5, 9, 60), 1.5  # none is clear: all have something of the rival
    z[60:120, 1] = 6
    sure = sure_states(states_of(z), np.ones(400, bool))
    np.testing.assert_array_equal(sure.strong["lipid_associated"], np.arange(60 - MIN_STRONG, 60))
    np.testing.assert_array_equal(sure.strong["interferon_primed"], np.arange(60, 120))


def test_fewer_genes_allow_fewer_errors():
    assert stricter(0.95, 1.0) == pytest.approx(0.95)
    assert stricter(0.95, 0.4) == pytest.approx(0.98)


def test_the_threshold_keeps_the_accuracy_asked_for():
    rng = np.random.default_rng(0)
    confidence = rng.random(4000)
    right = rng.random(4000) < confidence
    at = threshold_for(0.9, confidence, right)
    assert right[confidence >= at].mean() >= 0.9
    assert threshold_for(0.9999, confidence * 0.5, right & (rng.random(4000) < 0.5)) is None


def test_a_sigmoid_of_one_kind_of_truth_is_none():
    assert fit_sigmoid(np.ones(5, bool), np.arange(5.0)) is None


def test_expression_is_log1p_of_ten_thousand():
    got = to_expression(sp.csr_array(np.array([[1.0, 3.0, 0.0]])), "counts").toarray()
    np.testing.assert_allclose(got, np.log1p([[2500.0, 7500.0, 0.0]]))


@pytest.fixture(scope="module")
def glioma():
    folder = os.environ.get("TAMANNOT_TEST_DATA")
    path = Path(folder or "") / "glioma_myeloid_semisynthetic_dev.h5ad"
    if not folder or not path.is_file():
        pytest.skip("the labelled data are not here (TAMANNOT_TEST_DATA)")
    adata = ad.read_h5ad(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tam.tl.annotate(adata)
    return adata


@pytest.mark.nightly
@pytest.mark.slow
def test_states_of_glioma_macrophages_are_found(glioma):
    truth = glioma.obs["truth_state"].astype(str).to_numpy()
    here = (glioma.obs["truth_compartment"] == "macrophage").to_numpy() & (truth != "unclear")
    best = np.array(STATES)[glioma.obsm["tam_state_proba"][STATES].to_numpy().argmax(axis=1)]
    assert balanced_accuracy_score(truth[here], best[here]) >= 0.93
    call = glioma.obs["tam_state"].astype(str).to_numpy()
    known = here & ~np.isin(call, ["unassigned", "not_macrophage"])
    assert known.sum() >= 0.7 * here.sum()
    assert (call == truth)[known].mean() >= 0.94
    assert f1_score(truth[known], call[known], labels=STATES, average="macro") >= 0.85


@pytest.mark.nightly
@pytest.mark.slow
def test_the_record_says_what_was_learned(glioma):
    record = glioma.uns["tamannot"]["tam"]
    assert record["model"]["state"].startswith("anchored self-training")
    assert record["calibration_source"].startswith("simulated mixtures")
    assert 0.5 <= record["learned"]["state"]["present_at"] <= 1


@pytest.mark.nightly
@pytest.mark.slow
def test_permuting_cells_moves_no_label(glioma):
    order = np.random.default_rng(0).permutation(glioma.n_obs)
    shuffled = ad.AnnData(glioma.X[order], obs=glioma.obs.iloc[order, :0], var=glioma.var)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tam.tl.annotate(shuffled)
    same = shuffled.obs["tam_state"].astype(str).to_numpy() == glioma.obs["tam_state"].astype(str).to_numpy()[order]
    assert same.all()
    one, other = (a.obsm["tam_state_proba"].to_numpy() for a in (shuffled, glioma))
    np.testing.assert_allclose(one, other[order], atol=1e-4)
