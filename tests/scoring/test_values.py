"""Weighted means and sums against numpy."""

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
from tamannot.scoring import ModuleScore, WeightedMean, make_plan, score_linear
from tamannot.scoring._rows import CscRows, CsrRows, DenseRows
from tamannot.signature import Gene, GeneIndex, Signature, SignatureSet, read_signatures

COLUMNS, WEIGHTS = [3, 17, 40, 8, 25], np.array([1.0, 0.25, 3.0, -2.0, -0.5])


ROWS = {"csr": lambda x: CsrRows(sp.csr_matrix(x)), "csc": lambda x: CscRows(sp.csc_matrix(x)), "dense": DenseRows}


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.lognormal(0, 1, 50), (30, 50)).astype(float)
    counts[4] = 0
    counts[:, 25] = 0  # a gene without spread
    return counts


def signature(columns, weights, signature_id="x"):
    genes = [
        Gene(symbol=f"g{c}", weight=abs(float(w)), direction="up" if w > 0 else "down")
        for c, w in zip(columns, weights, strict=True)
    ]
    return Signature(id=signature_id, genes=tuple(genes))


WEIGHTED = signature(COLUMNS, WEIGHTS)


def score(values, *signatures, kind="log", rows="csr", **settings):
    ids = [f"g{i}" for i in range(values.shape[1])]
    plan = make_plan(SignatureSet(signatures or [WEIGHTED]), GeneIndex(ids).locate, len(ids))
    return score_linear(ROWS[rows](values), plan, WeightedMean(**settings), kind=kind, threads=1).score


def log_of(counts):
    total = counts.sum(axis=1, keepdims=True)
    return np.log1p(counts / np.where(total > 0, total, 1) * 1e4)


def standardised(values):
    sd = values.std(axis=0)
    return np.divide(values - values.mean(axis=0), sd, out=np.zeros_like(values), where=sd > 0)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("weights", ["use", "ignore"])
@pytest.mark.parametrize(
    ("form", "of"),
    [
        ("mean", lambda x, w: x @ w / np.abs(w).sum()),
        ("sum", lambda x, w: x @ w),
        ("zmean", lambda x, w: standardised(x) @ w / np.abs(w).sum()),
    ],
)
def test_scores_are_those_of_numpy(counts, rows, weights, form, of):
    w = WEIGHTS if weights == "use" else np.sign(WEIGHTS)
    for values, kind in [(counts, "counts"), (counts * 0.3, "linear"), (log_of(counts), "log")]:
        logs = values if kind == "log" else log_of(values)
        got = score(values, kind=kind, rows=rows, form=form, weights=weights)
        np.testing.assert_allclose(got[:, 0], of(logs[:, COLUMNS], w), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["counts", "linear", "log", "signed"])
def test_values_are_taken_as_they_are_if_asked(counts, kind):
    got = score(counts - 3, kind=kind, scale="as_is", form="sum", rows="dense")
    np.testing.assert_allclose(got[:, 0], (counts - 3)[:, COLUMNS] @ WEIGHTS, rtol=1e-6)


CELL = np.array([[1.0, 2.0, 4.0, 0.0]])


@pytest.mark.parametrize(
    ("form", "weights", "expected"),
    [
        ("mean", [1, 1, 1], 7 / 3),
        ("mean", [2, 1, 0.5], (2 + 2 + 2) / 3.5),
        ("mean", [1, 1, -3], (1 + 2 - 12) / 5),
        ("sum", [2, 1, -0.5], 2 + 2 - 2),
        ("zmean", [1, 1, 1], 0.0),
    ],
)
def test_scores_by_hand(form, weights, expected):
    assert score(CELL, signature([0, 1, 2], weights), form=form)[0, 0] == pytest.approx(expected, abs=1e-6)


def test_missing_genes_are_left_out_of_the_mean():
    assert score(CELL, signature([0, 2, 77], [1, 1, 9]))[0, 0] == pytest.approx(2.5)


@pytest.mark.parametrize("form", ["mean", "sum", "zmean"])
def test_a_signature_without_genes_in_the_data_is_zero(form):
    assert score(CELL, signature([77], [1]), form=form)[0, 0] == 0


def test_a_composite_is_the_greatest_of_its_parts(counts):
    parts = (signature([1, 2], [1, 1], "a"), signature([5, 9], [1, -2], "b"))
    got = score(counts, Signature(id="both", modules=parts), *parts)
    np.testing.assert_array_equal(got[:, 0], got[:, 1:].max(axis=1))


@pytest.mark.parametrize(
    ("settings", "says"), [({"form": "median"}, "'median'"), ({"weights": "no"}, "'no'"), ({"scale": "raw"}, "'raw'")]
)
def test_setting_out_of_range_is_refused(settings, says):
    with pytest.raises(ParameterError, match=says):
        WeightedMean(**settings)


# Module scores against scanpy, and against their own definition.


N_GENES = 500


IDS = np.array([f"g{i}" for i in range(N_GENES)])


CONTAINERS = {"csr": (sp.csr_matrix, CsrRows), "csc": (sp.csc_matrix, CscRows), "dense": (np.asarray, DenseRows)}


EXAMPLES = settings(max_examples=15, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def few_counts():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.lognormal(-0.7, 1.3, N_GENES), (60, N_GENES)).astype(float)


@pytest.fixture(scope="module")
def logs(few_counts):
    return np.log1p(few_counts / few_counts.sum(axis=1, keepdims=True) * 1e4)


@pytest.fixture(scope="module")
def sets(few_counts):
    rng, high = np.random.default_rng(1), np.argsort(-few_counts.mean(axis=0), kind="stable")
    return {
        "one": ["g7"],
        "drawn": IDS[rng.choice(N_GENES, 20, replace=False)].tolist(),
        "high": IDS[high[:60:4]].tolist(),
        "low": IDS[high[-60::4]].tolist(),
        "many": IDS[rng.choice(N_GENES, 120, replace=False)].tolist(),
        "missing": ["g3", "absent", "g99", "g200"],
    }


def module(values, sets, ids=IDS, container="csr", kind="log", **settings):
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
    got = module(logs, sets, container=container, scale="as_is", **how)
    np.testing.assert_allclose(got, scanpy_scores(logs, sets, container, **how), rtol=0, atol=1e-5)


def test_counts_are_scored_as_scanpy_scores_their_logarithms(few_counts, logs, sets):
    got = module(few_counts, sets, kind="counts")
    np.testing.assert_allclose(got, scanpy_scores(logs, sets, "csr"), rtol=0, atol=1e-5)


def test_scaled_values_are_scored_as_they_are(logs, sets):
    scaled = (logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), 0.1)
    scaled += np.linspace(0, 1, N_GENES)  # means apart, so that rounding decides no bin
    got = module(scaled, sets, kind="signed", scale="as_is", container="dense")
    np.testing.assert_allclose(got, scanpy_scores(scaled, sets, "dense"), rtol=0, atol=1e-5)


def test_global_random_numbers_of_numpy_are_left_alone(logs, sets):
    before = np.random.get_state()  # noqa: NPY002
    module(logs, sets, rng=5)
    after = np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    assert before[1].tobytes() == after[1].tobytes()
    assert before[2:] == after[2:]


def test_a_signature_draws_the_controls_that_it_draws_alone(logs, sets):
    together = module(logs, sets)
    for name, genes in sets.items():
        assert module(logs, {name: genes})[name].equals(together[name])


def test_down_genes_are_a_signature_of_their_own_subtracted(logs, sets):
    up, down = sets["drawn"][:12], sets["high"][:9]
    got = module(logs, {"both": up + [f"{g}-" for g in down], "up": up, "down": down, "only": [f"{g}-" for g in down]})
    np.testing.assert_allclose(got["both"], got["up"] - got["down"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(got["only"], -got["down"], rtol=0, atol=1e-6)


def test_a_module_without_genes_in_the_data_is_zero(logs):
    assert (module(logs, {"x": ["absent"]}) == 0).all(axis=None)


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
    got = module(logs, sets, variant="seurat", **how)
    for name, genes in sets.items():
        columns = [int(g[1:]) for g in genes if g != "absent"]
        controls = controls_of_seurat(logs.sum(axis=0) / 60, columns, **how)
        expected = logs[:, columns].mean(axis=1) - logs[:, controls].mean(axis=1)
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=1e-6)


def test_seurat_variant_differs_from_scanpy_where_genes_share_a_bin(logs, sets):
    one, other = (module(logs, sets, ctrl_size=3, variant=v) for v in ("scanpy", "seurat"))
    assert one["one"].equals(other["one"])
    assert np.abs(one["high"] - other["high"]).max() > 0.01


def test_with_whole_bins_as_controls_both_variants_are_one(logs, sets):
    assert module(logs, sets, ctrl_size=None, variant="seurat").equals(module(logs, sets, ctrl_size=None))


@EXAMPLES
@given(st.randoms(use_true_random=False), st.sampled_from(["scanpy", "seurat"]))
def test_whole_bins_as_controls_do_not_depend_on_the_order_of_genes(logs, sets, random, variant):
    order = np.array(random.sample(range(N_GENES), N_GENES))
    how = {"ctrl_size": None, "variant": variant}
    np.testing.assert_allclose(
        module(logs[:, order], sets, ids=IDS[order], **how), module(logs, sets, **how), rtol=0, atol=1e-6
    )


def test_weights_count_in_the_mean_of_the_genes_not_of_the_controls(logs):
    genes = (Gene(symbol="g7", weight=3.0), Gene(symbol="g40"), Gene(symbol="g80", weight=0.5))
    weighted = SignatureSet([Signature(id="x", genes=genes)])
    plain = module(logs, {"x": ["g7", "g40", "g80"]})["x"]
    columns, weights = [7, 40, 80], np.array([3.0, 1.0, 0.5])
    moved = logs[:, columns] @ (weights / weights.sum() - 1 / 3)
    np.testing.assert_allclose(module(logs, weighted)["x"], plain + moved, rtol=0, atol=1e-6)
    assert module(logs, weighted, weights="ignore")["x"].equals(plain)


def test_too_many_bins_for_the_genes_are_refused_with_what_to_do():
    plan = make_plan(read_signatures({"x": ["g1"]}), GeneIndex(IDS[:10]).locate, 10)
    with pytest.raises(
        SignatureFormatError, match=r"10 genes cannot be divided into 25 bins of control genes for 'x'\. Use"
    ):
        ModuleScore().check(plan.parts[0], 10)
    ModuleScore(n_bins=5).check(plan.parts[0], 10)


def test_a_signature_that_is_its_own_bins_is_refused_with_what_to_do(logs):
    with pytest.raises(SignatureFormatError, match=r"No control genes for 'x'.* Use"):
        module(logs[:, :30], {"x": [f"g{i}" for i in range(30)]}, ids=IDS[:30])


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
def test_module_setting_out_of_range_is_refused(settings, says):
    with pytest.raises(ParameterError, match=says):
        ModuleScore(**settings)
