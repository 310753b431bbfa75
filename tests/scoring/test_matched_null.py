"""The null as the engine applies it: calibrated, and the same wherever the bins come from."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.errors import ParameterError
from tamannot.scoring import AUCell, UCell, depths_by_method, make_plan, null_bins, reference_bins, score_rows
from tamannot.scoring._rows import CsrRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet

N_CELLS, N_GENES, N_SIGNATURES = 150, 3000, 200


@pytest.fixture(scope="module")
def simulated():
    rng = np.random.default_rng(11)
    mean = rng.lognormal(-1.5, 1.5, N_GENES)
    depth = rng.lognormal(0, 0.4, (N_CELLS, 1))
    return CsrRows(
        sp.csr_matrix(rng.poisson(mean * depth * rng.gamma(2.0, 0.5, (N_CELLS, N_GENES))).astype(np.float32))
    )


@pytest.fixture(scope="module")
def bins(simulated):
    return null_bins(depths_by_method(simulated, [UCell()], threads=1)[0])


def random_signatures(bins, weights, seed, *, n_high=9, n_low=9):
    """Draw signatures that all have as many genes of each expression bin as one template has."""
    rng = np.random.default_rng(seed)
    template = np.concatenate(
        [rng.choice(np.flatnonzero(bins.bin_of < 12), n_high), rng.choice(np.flatnonzero(bins.bin_of < 20), n_low)]
    )
    wanted = np.bincount(bins.bin_of[template], minlength=bins.sizes.size)
    for i in range(N_SIGNATURES):
        columns = np.concatenate(
            [rng.choice(np.flatnonzero(bins.bin_of == b), n, replace=False) for b, n in enumerate(wanted)]
        )
        signs = rng.choice(weights, columns.size)
        genes = [
            Gene(symbol=f"g{c}", weight=abs(float(w)), direction="up" if w > 0 else "down")
            for c, w in zip(columns, signs, strict=True)
        ]
        yield Signature(id=f"r{i}", genes=tuple(genes))


@pytest.fixture(scope="module", params=[[1.0], [1.0, 0.25, 2.0], [1.0, 1.0, -1.0]], ids=["plain", "weighted", "signed"])
def random_scores(request, simulated, bins):
    index = GeneIndex([f"g{i}" for i in range(N_GENES)])
    plan = make_plan(SignatureSet(random_signatures(bins, request.param, 3)), index.locate, N_GENES)
    return score_rows(simulated, plan, UCell(), null=bins, threads=2)


def test_five_percent_of_random_signatures_have_p_below_five_percent(random_scores):
    assert np.isfinite(random_scores.p).mean() > 0.95
    assert 0.03 < np.nanmean(random_scores.p < 0.05) < 0.07


def test_a_thousandth_of_random_signatures_has_p_below_a_thousandth(random_scores):
    assert np.nanmean(random_scores.p < 0.001) < 0.003


def test_z_of_random_signatures_is_centred_and_scaled(random_scores):
    assert abs(random_scores.z.mean()) < 0.05
    assert 0.9 < random_scores.z.std() < 1.1


def test_expected_is_the_mean_detected_of_random_signatures(random_scores):
    ratio = random_scores.detected.mean() / random_scores.expected.mean()
    assert 0.97 < ratio < 1.03


def test_expressed_signature_stands_out(simulated, bins):
    depth = depths_by_method(simulated, [UCell()], threads=1)[0]
    rng = np.random.default_rng(0)
    matrix = sp.csr_matrix(
        (
            simulated.block(0, N_CELLS).bits.view(np.float32),
            simulated.block(0, N_CELLS).indices,
            simulated.block(0, N_CELLS).indptr,
        ),
        shape=simulated.shape,
    ).toarray()
    columns = rng.choice(np.flatnonzero(depth > np.median(depth)), 15, replace=False)
    matrix[:10, columns] += 4
    signature = Signature(id="x", genes=tuple(Gene(symbol=f"g{c}") for c in columns))
    plan = make_plan(SignatureSet([signature]), GeneIndex([f"g{i}" for i in range(N_GENES)]).locate, N_GENES)
    got = score_rows(CsrRows(sp.csr_matrix(matrix)), plan, UCell(), null=bins, threads=1)
    assert (got.p[:10] < 1e-3).all()
    assert np.median(got.p[10:]) > 0.2


@pytest.mark.parametrize("size", [1, 4, 5])
def test_p_needs_five_genes_in_the_data(simulated, bins, size):
    columns = np.flatnonzero(bins.bin_of == 0)[:size]
    genes = [Gene(symbol=f"g{c}") for c in columns] + [Gene(symbol=f"absent{i}") for i in range(5)]
    plan = make_plan(
        SignatureSet([Signature(id="x", genes=tuple(genes))]),
        GeneIndex([f"g{i}" for i in range(N_GENES)]).locate,
        N_GENES,
    )
    got = score_rows(simulated, plan, UCell(), null=bins, threads=1)
    assert np.isfinite(got.p).all() == (size >= 5)
    assert np.isfinite(got.z).all()


def test_sizes_are_the_genes_of_each_bin(bins):
    assert bins.sizes.sum() == N_GENES
    assert bins.sizes.min() > 0


def test_reference_bins_do_not_depend_on_the_order_of_genes():
    symbols = ["CD68", "MALAT1", "ACTB", "P2RY12", "my_gene", "TMSB4X", "CD3E", "GAPDH"] + [f"u{i}" for i in range(60)]
    forward = reference_bins(GeneIndex(symbols).find, len(symbols), species="human").bin_of
    backward = reference_bins(GeneIndex(symbols[::-1]).find, len(symbols), species="human").bin_of
    np.testing.assert_array_equal(forward, backward[::-1])


def test_genes_the_reference_never_saw_share_the_lowest_bin():
    symbols = [f"u{i}" for i in range(80)] + ["ACTB", "TMSB4X", "GAPDH"]
    bin_of = reference_bins(GeneIndex(symbols).find, len(symbols), species="human").bin_of
    assert set(bin_of[:80]) == {bin_of.max()}


@pytest.mark.parametrize(
    "make",
    [lambda k: UCell(max_rank=k), lambda k: AUCell(top=k / 47_000), lambda k: UCell(variant="legacy", max_rank=k)],
)
def test_null_of_more_ranks_than_its_moments_hold_is_refused_with_what_to_do(make):
    rows = CsrRows(sp.csr_matrix(np.ones((1, 47_000), np.float32)))
    plan = make_plan(
        SignatureSet([Signature(id="x", genes=(Gene(symbol="g1"),))]), GeneIndex(["g0", "g1"]).locate, 47_000
    )
    bins = null_bins(np.arange(47_000.0))
    with pytest.raises(ParameterError, match=r"47,000 ranks that count has no matched null.* Use at most 46,000"):
        score_rows(rows, plan, make(47_000), null=bins, threads=1)
    assert score_rows(rows, plan, make(46_000), null=bins, threads=1).z.shape == (1, 1)
    assert score_rows(rows, plan, make(47_000), null=None, threads=1).score.shape == (1, 1)
