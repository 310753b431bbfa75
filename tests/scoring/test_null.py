"""The matched null against enumeration, scipy and simulation."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tamannot.errors import ParameterError
from tamannot.scoring import AUCell, Run, UCell, depths_by_method, make_plan, null_bins, reference_depth, score_runs
from tamannot.scoring._null import Groups, NullZ, merge_bins, null_z, upper_p
from tamannot.scoring._plan import SignedGenes
from tamannot.scoring._rows import CsrRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet

FEW = settings(max_examples=50, deadline=None, derandomize=True)


STEP = 2.0  # steps in a rank: the depths of these tests are halves


def moments_of(bins):
    """Sum depth, depth² and depth³, in whole steps, and the genes detected of each bin of one cell."""
    steps = [np.rint(np.asarray(d) * STEP).astype(np.int64) for d in bins]
    return np.array([[[d.sum(), (d**2).sum(), (d**3).sum(), (d > 0).sum()] for d in steps]])


def null_of(groups, moments, sums, function=null_z, step=STEP):
    """Return z, skewness and expected genes for ``sums``, cells by signatures."""
    out = NullZ(*(np.full((moments.shape[0], groups.start.size - 1), np.nan) for _ in range(3)))
    function(np.asarray(sums, float), moments, step, groups, out)
    return out


def merged(columns, weights, bin_of):
    return merge_bins(bin_of, [SignedGenes(c, w) for c, w in zip(columns, weights, strict=True)])


def one_bin(depths, weights):
    bin_of = np.zeros(len(depths), np.int32)
    groups = merged([np.arange(len(weights))], [np.array(weights, float)], bin_of)
    return groups, moments_of([depths])


def enumerated(depths, weights):
    return np.array([np.dot(weights, drawn) for drawn in permutations(depths, len(weights))])


def assert_null_is_that_of(draws, groups, moments):
    """Assert that z of several sums, and the skewness, are those of all draws."""
    spread = draws.std()
    for total in (0.0, 2.5, 11.0):
        z, skew, _ = null_of(groups, moments, [[total]])
        if spread < 1e-9:
            assert z[0, 0] == 0
            assert np.isnan(skew[0, 0])
        else:
            assert z[0, 0] == pytest.approx((total - draws.mean()) / spread, abs=1e-9)
            assert skew[0, 0] == pytest.approx(((draws - draws.mean()) ** 3).mean() / spread**3, abs=1e-9)


SIX = [0.0, 0.0, 1.5, 4.0, 9.0, 10.0]


@pytest.mark.parametrize(
    "weights",
    [[1], [1, 1], [1, 1, 1, 1, 1, 1], [1, 1, -1], [0.25, -2.0, 1.0], [-1, -1], [3, 0.5, 0.5, -0.5, 1], [2, -2]],
    ids=str,
)
def test_null_is_that_of_all_draws_without_replacement(weights):
    assert_null_is_that_of(enumerated(SIX, weights), *one_bin(SIX, weights))


def test_expected_detected_is_the_mean_over_all_draws():
    detected = [np.count_nonzero(drawn) for drawn in permutations(SIX, 3)]
    assert null_of(*one_bin(SIX, [1, -1, 0.5]), [[0.0]])[2][0, 0] == pytest.approx(np.mean(detected))


def test_null_of_several_groups_is_that_of_independent_draws():
    rng = np.random.default_rng(0)
    high, low = rng.integers(0, 40, 12) / 2, rng.integers(0, 6, 14) / 2
    bin_of = np.repeat([0, 1], [12, 14]).astype(np.int32)
    groups = merged([np.array([3, 12, 20])], [np.array([2.0, 1.0, -0.5])], bin_of)
    assert groups.span_first[groups.span].tolist() == [0, 1]
    sums = np.array([a + b for a, b in product(enumerated(high, [2.0]), enumerated(low, [1.0, -0.5]))])
    assert_null_is_that_of(sums, groups, moments_of([high, low]))


def test_merged_bins_count_as_one_bin():
    depths = np.array(SIX * 5)
    bin_of = np.repeat([0, 1, 2], [4, 6, 20]).astype(np.int32)
    split = merged([np.array([0, 5])], [np.ones(2)], bin_of)
    whole = merged([np.array([0, 5])], [np.ones(2)], np.zeros(30, np.int32))
    got = null_of(split, moments_of([depths[:4], depths[4:10], depths[10:]]), [[7.0]])
    np.testing.assert_allclose(got, null_of(whole, moments_of([depths]), [[7.0]]), rtol=1e-12)


def test_the_unit_of_depths_does_not_matter():
    groups, moments = one_bin(SIX, [1, 1])
    finer = null_of(groups, moments * np.array([8, 64, 512, 1]), [[7.0]], step=STEP * 8)
    np.testing.assert_allclose(finer, null_of(groups, moments, [[7.0]]), rtol=1e-12)


def test_null_compiled_equals_plain_python():
    rng = np.random.default_rng(2)
    bin_of = rng.integers(0, 6, 200).astype(np.int32)
    depths = rng.integers(0, 3000, (4, 200)) / 2
    moments = np.concatenate([moments_of([d[bin_of == b] for b in range(6)]) for d in depths])
    columns = [rng.choice(200, 12, replace=False) for _ in range(3)]
    groups = merged(columns, [rng.normal(size=12) for _ in columns], bin_of)
    sums = rng.normal(size=(4, 3)) * 1000
    compiled, plain = null_of(groups, moments, sums), null_of(groups, moments, sums, null_z.py_func)
    assert [a.tobytes() for a in compiled] == [a.tobytes() for a in plain]


@st.composite
def binned_signatures(draw):
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    bin_of = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    used = [draw(st.integers(0, size)) for size in sizes]
    used[0] += sum(used) == 0
    return np.array(sizes), np.concatenate([np.flatnonzero(bin_of == b)[:n] for b, n in enumerate(used)]), bin_of


def members_by_group(groups):
    spans = (of_span[groups.span] for of_span in (groups.span_first, groups.span_last, groups.span_size))
    return list(zip(*spans, groups.members, strict=True))


@FEW
@given(binned_signatures())
def test_groups_are_large_enough_unless_all_bins_are_one(case):
    sizes, columns, bin_of = case
    groups = merged([columns], [np.ones(columns.size)], bin_of)
    for first, last, size, members in members_by_group(groups):
        assert size >= 2 * members + 10 or (first, last) == (0, sizes.size - 1)


@FEW
@given(binned_signatures())
def test_every_gene_is_in_exactly_one_group(case):
    _, columns, bin_of = case
    groups = merged([columns], [np.ones(columns.size)], bin_of)
    spans = members_by_group(groups)
    assert all(sum(f <= bin_of[c] <= last for f, last, _, _ in spans) == 1 for c in columns)
    assert groups.members.sum() == groups.w1.sum() == columns.size


@FEW
@given(binned_signatures())
def test_size_of_a_group_is_that_of_its_bins(case):
    sizes, columns, bin_of = case
    groups = merged([columns], [np.ones(columns.size)], bin_of)
    assert all(size == sizes[first : last + 1].sum() for first, last, size, _ in members_by_group(groups))


def test_left_over_bins_do_not_crowd_the_group_they_join():
    sizes = np.array([40, 10, 10])
    bin_of = np.repeat([0, 1, 2], sizes).astype(np.int32)
    columns = np.arange(50, 60)
    groups = merged([columns], [np.ones(10)], bin_of)
    assert (groups.span_size[groups.span] >= 2 * groups.members + 10).all()


def test_groups_of_signatures_are_kept_apart():
    bin_of = np.repeat([0, 1], 30).astype(np.int32)
    columns = [np.array([0, 40]), np.array([], np.int64), np.array([1])]
    groups = merged(columns, [np.ones(c.size) for c in columns], bin_of)
    assert groups.start.tolist() == [0, 2, 2, 3]


def test_first_bin_holds_the_fifty_deepest_genes():
    bins = null_bins(np.arange(2000, 0, -1.0))
    assert (bins == 0).sum() == 50
    assert (bins[:50] == 0).all()


def test_bins_follow_depth_downwards():
    depth = np.random.default_rng(0).permutation(3000).astype(float)
    assert (np.diff(null_bins(depth)[np.argsort(-depth)]) >= 0).all()


def test_there_are_at_most_26_bins_numbered_without_gaps():
    bins = null_bins(np.random.default_rng(0).random(20000))
    assert np.unique(bins).tolist() == list(range(bins.max() + 1))
    assert bins.max() < 26


def test_genes_of_equal_depth_share_a_bin():
    depth = np.random.default_rng(0).integers(0, 30, 3000).astype(float)
    bins = null_bins(depth)
    assert all(np.unique(bins[depth == d]).size == 1 for d in range(30))


@pytest.mark.parametrize("n", [1, 2, 49, 50])
def test_few_genes_are_one_bin(n):
    assert null_bins(np.arange(n, dtype=float)).tolist() == [0] * n


def test_bins_do_not_depend_on_the_order_of_genes():
    rng = np.random.default_rng(0)
    depth, order = rng.poisson(3.0, 2000).astype(float), rng.permutation(2000)
    np.testing.assert_array_equal(null_bins(depth)[order], null_bins(depth[order]))


SUMS = [-6.0, -1.5, 0.0, 0.3, 1.64, 3.0, 6.0, 12.0]


def p_of(z, skew=0.0, expected=10.0, n_present=20):
    z = np.array(z, float)[:, None]
    return upper_p(NullZ(z, np.full(z.shape, skew), np.full(z.shape, expected)), np.array([n_present]))[:, 0]


@pytest.mark.parametrize("skew", [0.011, 0.1, 0.5, 1.0, 2.5])
def test_p_is_the_upper_tail_of_pearson_iii(skew):
    np.testing.assert_allclose(p_of(SUMS, skew), scipy.stats.pearson3.sf(SUMS, skew), rtol=1e-8, atol=1e-300)


@pytest.mark.parametrize("skew", [0.0, 0.0099, -0.5])
def test_p_is_normal_without_positive_skew(skew):
    np.testing.assert_allclose(p_of(SUMS, skew), scipy.stats.norm.sf(SUMS), rtol=1e-12)


def test_p_below_the_support_is_one():
    assert p_of([-5.0], 2.0)[0] == 1.0


@pytest.mark.parametrize(
    ("n_present", "expected", "known"), [(4, 10, False), (5, 10, True), (5, 1.99, False), (5, 2.0, True), (0, 0, False)]
)
def test_p_needs_five_genes_and_two_expected(n_present, expected, known):
    assert np.isfinite(p_of([1.0], n_present=n_present, expected=expected)[0]) == known


@pytest.mark.parametrize("variance", [0.0, -1e-12, 1e-20])
def test_no_variance_is_z_zero_and_no_p(variance):
    one = np.array([1])
    groups = Groups(
        *(np.array([0, 1]), one * 1.0, one * variance, one * 0.0, one * 1.0), *(one * 0, one * 0, one * 0, one * 2.0)
    )
    z, skew, _ = null_of(groups, moments_of([[0.0, 2.0]]), [[3.0]])
    assert z[0, 0] == 0
    assert np.isnan(skew[0, 0])
    assert np.isnan(p_of([z[0, 0]], skew[0, 0])[0])


@FEW
@given(st.floats(-1e3, 1e3), st.floats(-20, 20))
def test_p_is_a_probability(z, skew):
    assert 0 <= p_of([z], skew)[0] <= 1


# The null as the engine applies it: calibrated, and the same wherever the bins come from.


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
        [rng.choice(np.flatnonzero(bins < 12), n_high), rng.choice(np.flatnonzero(bins < 20), n_low)]
    )
    wanted = np.bincount(bins[template], minlength=bins.max() + 1)
    for i in range(N_SIGNATURES):
        columns = np.concatenate(
            [rng.choice(np.flatnonzero(bins == b), n, replace=False) for b, n in enumerate(wanted)]
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
    return score_runs(simulated, plan, [Run(UCell(), bins)], threads=2)[0]


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
    got = score_runs(CsrRows(sp.csr_matrix(matrix)), plan, [Run(UCell(), bins)], threads=1)[0]
    assert (got.p[:10] < 1e-3).all()
    assert np.median(got.p[10:]) > 0.2


@pytest.mark.parametrize("size", [1, 4, 5])
def test_p_needs_five_genes_in_the_data(simulated, bins, size):
    columns = np.flatnonzero(bins == 0)[:size]
    genes = [Gene(symbol=f"g{c}") for c in columns] + [Gene(symbol=f"absent{i}") for i in range(5)]
    plan = make_plan(
        SignatureSet([Signature(id="x", genes=tuple(genes))]),
        GeneIndex([f"g{i}" for i in range(N_GENES)]).locate,
        N_GENES,
    )
    got = score_runs(simulated, plan, [Run(UCell(), bins)], threads=1)[0]
    assert np.isfinite(got.p).all() == (size >= 5)
    assert np.isfinite(got.z).all()


def test_each_gene_has_a_bin_and_no_bin_is_empty(bins):
    assert bins.size == N_GENES
    assert np.bincount(bins).min() > 0


def test_reference_bins_do_not_depend_on_the_order_of_genes():
    symbols = ["CD68", "MALAT1", "ACTB", "P2RY12", "my_gene", "TMSB4X", "CD3E", "GAPDH"] + [f"u{i}" for i in range(60)]
    forward = null_bins(reference_depth(GeneIndex(symbols).find, len(symbols), species="human"))
    backward = null_bins(reference_depth(GeneIndex(symbols[::-1]).find, len(symbols), species="human"))
    np.testing.assert_array_equal(forward, backward[::-1])


def test_genes_the_reference_never_saw_share_the_lowest_bin():
    symbols = [f"u{i}" for i in range(80)] + ["ACTB", "TMSB4X", "GAPDH"]
    bin_of = null_bins(reference_depth(GeneIndex(symbols).find, len(symbols), species="human"))
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
    with pytest.raises(
        ParameterError, match=r"a maximal rank of 47,000 has no matched null.* Use a maximal rank of at most 46,000"
    ):
        score_runs(rows, plan, [Run(make(47_000), bins)], threads=1)[0]
    assert score_runs(rows, plan, [Run(make(46_000), bins)], threads=1)[0].z.shape == (1, 1)
    assert score_runs(rows, plan, [Run(make(47_000))], threads=1)[0].score.shape == (1, 1)
