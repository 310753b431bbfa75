"""Module scores against scanpy, and against their own definition."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.scoring import ModuleScore, make_plan, score_linear
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet, read_signatures

N_GENES = 500
IDS = np.array([f"g{i}" for i in range(N_GENES)])
CONTAINERS = {"csr": (sp.csr_matrix, CsrRows), "csc": (sp.csc_matrix, CscRows), "dense": (np.asarray, DenseRows)}
EXAMPLES = settings(max_examples=15, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.lognormal(-0.7, 1.3, N_GENES), (60, N_GENES)).astype(float)


@pytest.fixture(scope="module")
def logs(counts):
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)


@pytest.fixture(scope="module")
def sets(counts):
    rng, high = np.random.default_rng(1), np.argsort(-counts.mean(axis=0), kind="stable")
    return {
        "one": ["g7"],
        "drawn": IDS[rng.choice(N_GENES, 20, replace=False)].tolist(),
        "high": IDS[high[:60:4]].tolist(),
        "low": IDS[high[-60::4]].tolist(),
        "many": IDS[rng.choice(N_GENES, 120, replace=False)].tolist(),
        "missing": ["g3", "absent", "g99", "g200"],
    }


def score(values, sets, ids=IDS, container="csr", kind="log", **settings):
    make, rows = CONTAINERS[container]
    signatures = sets if isinstance(sets, SignatureSet) else read_signatures(sets)
    plan = make_plan(signatures, GeneIndex(list(ids)).locate, len(ids))
    found = score_linear(rows(make(values)), plan, ModuleScore(**settings), kind=kind, threads=1)
    return pd.DataFrame(found.score, columns=found.ids)


def scanpy_scores(values, sets, container, *, rng=0, **settings):
    """Return scanpy's scores; it seeds numpy's global generator, which is put back."""
    state = np.random.get_state()  # noqa: NPY002
    data = ad.AnnData(CONTAINERS[container][0](values), var=pd.DataFrame(index=IDS))
    for name, genes in sets.items():
        sc.tl.score_genes(data, genes, score_name=name, random_state=rng, **settings)
    np.random.set_state(state)  # noqa: NPY002
    return data.obs.reset_index(drop=True)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("ctrl_as_ref", [True, False])
@pytest.mark.parametrize(
    "more",
    [{}, {"rng": 7}, {"ctrl_size": 5}, {"ctrl_size": 1, "rng": 3}, {"n_bins": 8, "ctrl_size": 20}, {"ctrl_size": 400}],
    ids=str,
)
def test_scores_are_those_of_scanpy(logs, sets, container, ctrl_as_ref, more):
    how = {"ctrl_size": 50, "n_bins": 25, "ctrl_as_ref": ctrl_as_ref} | more
    got = score(logs, sets, container=container, scale="as_is", **how)
    np.testing.assert_allclose(got, scanpy_scores(logs, sets, container, **how), rtol=0, atol=1e-5)


def test_counts_are_scored_as_scanpy_scores_their_logarithms(counts, logs, sets):
    got = score(counts, sets, kind="counts")
    np.testing.assert_allclose(got, scanpy_scores(logs, sets, "csr"), rtol=0, atol=1e-5)


def test_scaled_values_are_scored_as_they_are(logs, sets):
    scaled = (logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), 0.1)
    scaled += np.linspace(0, 1, N_GENES)  # means apart, so that rounding decides no bin
    got = score(scaled, sets, kind="signed", scale="as_is", container="dense")
    np.testing.assert_allclose(got, scanpy_scores(scaled, sets, "dense"), rtol=0, atol=1e-5)


def test_global_random_numbers_of_numpy_are_left_alone(logs, sets):
    before = np.random.get_state()  # noqa: NPY002
    score(logs, sets, rng=5)
    after = np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    assert before[1].tobytes() == after[1].tobytes()
    assert before[2:] == after[2:]


def test_a_signature_draws_the_controls_that_it_draws_alone(logs, sets):
    together = score(logs, sets)
    for name, genes in sets.items():
        assert score(logs, {name: genes})[name].equals(together[name])


def test_down_genes_are_a_signature_of_their_own_subtracted(logs, sets):
    up, down = sets["drawn"][:12], sets["high"][:9]
    got = score(logs, {"both": up + [f"{g}-" for g in down], "up": up, "down": down, "only": [f"{g}-" for g in down]})
    np.testing.assert_allclose(got["both"], got["up"] - got["down"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(got["only"], -got["down"], rtol=0, atol=1e-6)


def test_a_signature_without_genes_in_the_data_is_zero(logs):
    assert (score(logs, {"x": ["absent"]}) == 0).all(axis=None)


def controls_of_seurat(mean, columns, ctrl_size, n_bins, rng):
    """Return the controls of AddModuleScore: ``ctrl_size`` for every gene from its bin, the genes left out."""
    random, n_items = np.random.RandomState(rng), round(mean.size / (n_bins - 1))
    bins, drawn = scipy.stats.rankdata(mean, "min") // n_items, set()
    for column in sorted(columns):
        pool = np.flatnonzero(bins == bins[column])
        if ctrl_size < pool.size:
            pool = pool[random.choice(pool.size, ctrl_size, replace=False)]
        drawn |= set(pool.tolist())
    return sorted(drawn - set(columns))


@pytest.mark.parametrize(("ctrl_size", "n_bins", "rng"), [(3, 25, 0), (5, 10, 4), (100, 25, 0)])
def test_seurat_variant_takes_controls_for_every_gene_from_its_bin(logs, sets, ctrl_size, n_bins, rng):
    how = {"ctrl_size": ctrl_size, "n_bins": n_bins, "rng": rng}
    got = score(logs, sets, variant="seurat", **how)
    for name, genes in sets.items():
        columns = [int(g[1:]) for g in genes if g != "absent"]
        controls = controls_of_seurat(logs.sum(axis=0) / 60, columns, **how)
        expected = logs[:, columns].mean(axis=1) - logs[:, controls].mean(axis=1)
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=1e-6)


def test_seurat_variant_differs_from_scanpy_where_genes_share_a_bin(logs, sets):
    one, other = (score(logs, sets, ctrl_size=3, variant=v) for v in ("scanpy", "seurat"))
    assert one["one"].equals(other["one"])
    assert np.abs(one["high"] - other["high"]).max() > 0.01


def test_with_whole_bins_as_controls_both_variants_are_one(logs, sets):
    assert score(logs, sets, ctrl_size=None, variant="seurat").equals(score(logs, sets, ctrl_size=None))


@EXAMPLES
@given(st.randoms(use_true_random=False), st.sampled_from(["scanpy", "seurat"]))
def test_whole_bins_as_controls_do_not_depend_on_the_order_of_genes(logs, sets, random, variant):
    order = np.array(random.sample(range(N_GENES), N_GENES))
    how = {"ctrl_size": None, "variant": variant}
    np.testing.assert_allclose(
        score(logs[:, order], sets, ids=IDS[order], **how), score(logs, sets, **how), rtol=0, atol=1e-6
    )


def test_weights_count_in_the_mean_of_the_genes_not_of_the_controls(logs):
    genes = (Gene(symbol="g7", weight=3.0), Gene(symbol="g40"), Gene(symbol="g80", weight=0.5))
    weighted = SignatureSet([Signature(id="x", genes=genes)])
    plain = score(logs, {"x": ["g7", "g40", "g80"]})["x"]
    columns, weights = [7, 40, 80], np.array([3.0, 1.0, 0.5])
    moved = logs[:, columns] @ (weights / weights.sum() - 1 / 3)
    np.testing.assert_allclose(score(logs, weighted)["x"], plain + moved, rtol=0, atol=1e-6)
    assert score(logs, weighted, weights="ignore")["x"].equals(plain)


def test_too_many_bins_for_the_genes_are_refused_with_what_to_do():
    plan = make_plan(read_signatures({"x": ["g1"]}), GeneIndex(IDS[:10]).locate, 10)
    with pytest.raises(SignatureFormatError, match=r"10 genes cannot be cut into 25 bins of controls for 'x'\. Use"):
        ModuleScore().check(plan.parts[0], 10)
    ModuleScore(n_bins=5).check(plan.parts[0], 10)


def test_a_signature_that_is_its_own_bins_is_refused_with_what_to_do(logs):
    with pytest.raises(SignatureFormatError, match=r"No control genes for 'x'.* Use"):
        score(logs[:, :30], {"x": [f"g{i}" for i in range(30)]}, ids=IDS[:30])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"variant": "Seurat"}, "'Seurat'"),
        ({"ctrl_size": 0}, "ctrl_size"),
        ({"ctrl_size": 2.5}, "ctrl_size"),
        ({"n_bins": 1}, "n_bins"),
        ({"n_bins": 2.5}, "n_bins"),
        ({"weights": "no"}, "'no'"),
        ({"scale": "counts"}, "'counts'"),
        ({"rng": -1}, "rng"),
        ({"rng": None}, "rng"),
    ],
)
def test_setting_out_of_range_is_refused(settings, says):
    with pytest.raises(ParameterError, match=says):
        ModuleScore(**settings)
