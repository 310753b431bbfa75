from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from tamannot._model_file import read_file
from tamannot.classify import Classifier, check_classes, classifier_of, predict_labels
from tamannot.classify._labels import similarity_of
from tamannot.errors import ModelFormatError, OutputError, ParameterError
from tamannot.scoring._expression import TARGET
from tamannot.scoring._features import content_hash, find_scale, recognise_base, take_rows, to_features
from tamannot.scoring._rows import CsrRows, DenseRows, rows_in_memory
from tamannot.stats._classifiers import calibrate, judge, lower_bound, probabilities

GENES = [f"G{i}" for i in range(200)]


@pytest.fixture
def classifier() -> Classifier:
    """Two classes told apart by two of three genes."""
    return Classifier(
        classes=("a", "b"),
        symbols=("CD14", "CD3E", "ALB"),
        ensembl=("ENSG00000170458", "", ""),
        coef=np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]),
        intercept=np.zeros(2),
        centroids=np.array([[5.0, 0.0, 1.0], [0.0, 5.0, 1.0]]),
        slope=1.0,
        offset=np.zeros(2),
        depth=np.array([0.0]),
        similarity=np.array([-0.5]),
        threshold=0.9,
        scale="log1p_cp10k",
        species="human",
        labels="type",
        training={"n_cells": {"a": 5, "b": 6}},
        metrics={"ece": 0.01},
    )


@pytest.fixture
def counts() -> sp.csr_array:
    rng = np.random.default_rng(0)
    return sp.csr_array(rng.poisson(rng.gamma(0.5, 1.0, 200), (30, 200)).astype(np.float64))


def read_model(path):
    return read_file(path, {Classifier.kind: classifier_of})


def predicted(model, values, columns=(0, 1, 2)):
    return predict_labels(model, CsrRows(sp.csr_array(np.array(values, float))), np.array(columns), base=None)


def test_labels_probabilities_and_reasons(classifier):
    found = predicted(classifier, [[9, 0, 1], [0, 9, 1], [5, 5, 1], [0, 0, 0]])
    assert found.label.tolist() == ["a", "b", "unassigned", "unassigned"]
    assert found.status.tolist() == ["assigned", "assigned", "ambiguous", "unfamiliar"]
    np.testing.assert_allclose(found.proba.sum(axis=1), 1)
    margin = np.log1p(9e3)
    assert found.proba[0, 0] == pytest.approx(1 / (1 + np.exp(-2 * margin)))


def test_cells_unlike_every_class_are_unfamiliar_by_their_depth(classifier):
    strict = replace(classifier, depth=np.array([1.0, np.log2(3)]), similarity=np.array([-1.0, 0.5]))
    assert predicted(strict, [[9, 0, 1], [1, 0, 99], [0, 0, 9]]).status.tolist() == [
        "assigned",
        "unfamiliar",
        "ambiguous",
    ]


def test_without_a_threshold_no_label_is_given(classifier):
    found = predicted(replace(classifier, threshold=None), [[9, 0, 1]])
    assert found.status.tolist() == ["ambiguous"]
    assert found.proba[0, 0] > 0.99


def test_a_label_is_given_from_the_threshold_on(classifier):
    cell = [[8.0, 7.9, 1]]
    prob = float(predicted(classifier, cell).proba.max())
    for threshold, status in ((prob, "assigned"), (np.nextafter(prob, 1), "ambiguous")):
        assert predicted(replace(classifier, threshold=threshold), cell).status.tolist() == [status]


def test_missing_genes_lower_confidence_then_forbid_a_label(classifier):
    weighty = replace(classifier, coef=np.array([[1.0, -0.5, 0.1], [-1.0, 0.5, 0.1]]))
    part = predicted(weighty, [[9, 0, 1]], (0, -1, 2))
    assert part.coverage == pytest.approx(1.1 / 1.6)
    assert part.status.tolist() == ["assigned"]
    assert part.proba[0, 0] < predicted(weighty, [[9, 0, 1]]).proba[0, 0]
    low = predicted(weighty, [[9, 0, 1]], (-1, 1, 2))
    assert low.status.tolist() == ["low_coverage"]
    assert low.label.tolist() == ["unassigned"]


def test_similarity_is_the_cosine_from_the_middle_of_the_classes(counts):
    cells, centroids = counts.toarray()[:5], counts.toarray()[10:12]
    middle = centroids.mean(axis=0)
    a, b = cells - middle, centroids - middle
    wanted = (a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))).max(axis=1)
    similarity, detected = similarity_of(counts[:5], centroids)
    np.testing.assert_allclose(similarity, wanted)
    assert detected.tolist() == (cells > 0).sum(axis=1).tolist()


# --- scale


@pytest.mark.parametrize("base", [np.e, 2.0, 10.0])
def test_a_base_is_recognised_by_one_target_or_by_whole_counts(counts, base):
    target = sp.diags_array(1e4 / counts.sum(axis=1)) @ counts
    logged = sp.csr_array(target).log1p() / np.log(base)
    assert recognise_base(sp.csr_array(logged)) == base
    # of a part of the genes, so that sums differ
    assert recognise_base(sp.csr_array(sp.csr_array(logged)[:, :120])) == base
    assert recognise_base(sp.csr_array(logged)[:1]) == base


def test_other_logarithms_are_not_recognised(counts):
    rng = np.random.default_rng(1)
    odd = sp.csr_array(counts, copy=True)
    odd.data = rng.gamma(2.0, 1.0, odd.nnz)
    assert recognise_base(odd) is None
    assert find_scale(CsrRows(odd), "log", GENES) == ("ranks", None)
    assert find_scale(CsrRows(odd), "linear", GENES) == ("log1p_cp10k", None)


def test_a_file_that_is_learned_from_whole_is_not_loaded_to_find_its_scale(counts, monkeypatch):
    rows, wanted = CsrRows(counts), find_scale(CsrRows(counts), "log", GENES)
    rows.in_memory = False
    monkeypatch.setattr("tamannot.scoring._features.taken", lambda *_, **__: pytest.fail("rows are taken"))
    assert find_scale(rows, "log", GENES) == wanted


def test_logarithms_undone_give_the_features_of_counts(counts):
    wanted = sp.csr_array(sp.diags_array(TARGET / counts.sum(axis=1)) @ counts).log1p().data
    logged = np.log2(1 + np.expm1(wanted) / 7)
    np.testing.assert_allclose(to_features(logged, counts.indptr, "log1p_cp10k", 2.0), wanted)
    np.testing.assert_allclose(to_features(counts.data, counts.indptr, "log1p_cp10k", None), wanted)


def test_features_of_a_cell_do_not_depend_on_the_cells_beside_it(counts):
    logged = sp.csr_array(sp.diags_array(TARGET / counts.sum(axis=1)) @ counts).log1p()
    values, indptr = logged.data.astype(np.float32), logged.indptr
    values[indptr[3] : indptr[4]] *= np.float32(0.5)  # of another total
    whole = to_features(values, indptr, "log1p_cp10k", np.e)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(np.expm1(whole[indptr[3] : indptr[4]]).sum(), TARGET)
    for i in range(6):
        row = values[indptr[i] : indptr[i + 1]]
        alone = to_features(row, np.array([0, row.size]), "log1p_cp10k", np.e)
        assert alone.dtype == np.float64
        np.testing.assert_array_equal(alone, whole[indptr[i] : indptr[i + 1]])


def test_a_cell_with_nan_has_no_features():
    values, indptr = np.array([1.0, np.nan, 2.0]), np.array([0, 2, 3])
    assert np.isnan(to_features(values, indptr, "log1p_cp10k", np.e)).tolist() == [True, True, False]


def test_ranks_are_those_of_the_detected_genes():
    values, indptr = np.array([3.0, 1.0, 3.0, 0.0, 2.0, 5.0]), np.array([0, 4, 4, 6])
    got = to_features(values, indptr, "ranks", None)
    np.testing.assert_allclose(got, [2 / 3, 0.5 / 3, 2 / 3, 0, 0.25, 0.75])
    np.testing.assert_array_equal(got, to_features(np.log1p(values), indptr, "ranks", None))


# --- content


def test_the_hash_is_of_the_content_alone(counts):
    wanted = content_hash(CsrRows(counts), GENES)
    assert wanted.dtype == np.uint64
    assert np.unique(wanted).size == 30
    order, genes = np.random.default_rng(2).permutation(30), np.random.default_rng(3).permutation(200)
    mixed = sp.csr_array(counts[order][:, genes])
    np.testing.assert_array_equal(content_hash(CsrRows(mixed), [GENES[g] for g in genes]), wanted[order])
    for same in (counts.astype(np.int32), counts.astype(np.float32), counts.tocsc(), counts.toarray()):
        np.testing.assert_array_equal(content_hash(rows_in_memory(same), GENES), wanted)
    with_zeros = sp.csr_array(counts, copy=True)
    with_zeros.data[::7] = 0
    np.testing.assert_array_equal(
        content_hash(CsrRows(with_zeros), GENES),
        content_hash(DenseRows(with_zeros.toarray(), step=7), GENES, threads=2),
    )


def test_the_hash_tells_genes_and_amounts_apart():
    cells = sp.csr_array(np.array([[1, 2, 0], [2, 1, 0], [1, 0, 2], [0, 0, 0], [0, 0, 0], [1, 2, 0.5]]))
    found = content_hash(CsrRows(cells), ["A", "B", "C"])
    assert found[3] == found[4]
    assert np.unique(found).size == 5
    assert (content_hash(CsrRows(cells), ["A", "B", "D"])[:2] == found[:2]).all()
    assert content_hash(CsrRows(cells), ["A", "B", "D"])[2] != found[2]


def test_rows_are_taken_in_the_order_asked_for(counts):
    wanted = np.array([17, 3, 29, 0])
    for rows in (CsrRows(counts), DenseRows(counts.toarray(), step=4), rows_in_memory(counts.tocsc())):
        np.testing.assert_array_equal(take_rows(rows, wanted).toarray(), counts.toarray()[wanted])
    assert take_rows(CsrRows(counts), np.array([], int)).shape == (0, 200)


# --- held out


def held(n=3000, spread=1.0, seed=0):
    """Margins, classes and weights of cells of three classes."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    margins = 0.5 * (np.eye(3)[truth] * 2 - 1) * spread + rng.normal(0, 0.7, (n, 3))
    return margins, truth, np.ones(n)


def judged(margins, truth, weight):
    proba = probabilities(margins, *calibrate(margins, truth, weight))
    return judge(proba, truth, weight, np.arange(truth.size) % 10, "abc", 0.9)


def test_calibrated_probabilities_say_how_often_one_is_right():
    margins, truth, weight = held()
    assert judged(margins, truth, weight)["ece"] < 0.03
    assert judged(margins * 50, truth, weight)["ece"] < 0.03


def test_calibration_finds_the_minimum():
    margins, truth, weight = held(300)
    slope, offset = calibrate(margins, truth, weight)
    got = np.r_[np.log(slope), offset]

    def loss(theta):
        p = probabilities(margins, np.exp(theta[0]), theta[1:])
        return -np.log(p[np.arange(300), truth]).sum() + 0.5 * theta @ theta

    for nudge in np.eye(4) * 1e-3:
        assert loss(got + nudge) > loss(got)
        assert loss(got - nudge) > loss(got)


def test_calibration_counts_a_cell_of_weight_two_as_two_cells():
    margins, truth, _ = held(60)
    twice = np.arange(60) % 3 == 0
    slope, offset = calibrate(margins, truth, 1.0 + twice)
    every = np.r_[np.arange(60), np.flatnonzero(twice)]
    of_copies = calibrate(margins[every], truth[every], np.ones(every.size))
    assert slope == pytest.approx(of_copies[0], rel=1e-3)
    np.testing.assert_allclose(offset, of_copies[1], atol=1e-3)


def test_the_threshold_keeps_its_promise_on_new_cells():
    metrics = judged(*held())
    assert metrics["threshold"] is not None
    assert metrics["accuracy_called_lower"] >= 0.9
    margins, truth, _ = held(seed=1)
    proba = probabilities(margins, *calibrate(*held()))
    called = proba.max(axis=1) >= metrics["threshold"]
    assert (proba.argmax(axis=1) == truth)[called].mean() >= 0.9


def test_no_threshold_where_labels_are_noise():
    metrics = judged(*held(spread=0.0))
    assert metrics["threshold"] is None
    assert metrics["called"] == 0
    assert metrics["best_lower"] < 0.9


def test_metrics_are_those_of_scikit_learn():
    margins, truth, weight = held(500)
    weight[truth == 2] = 3.0
    metrics = judged(margins, truth, weight)
    call = probabilities(margins, *calibrate(margins, truth, weight)).argmax(axis=1)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(truth, call, sample_weight=weight))
    assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, call))
    assert metrics["macro_f1"] == pytest.approx(f1_score(truth, call, average="macro", sample_weight=weight))
    assert metrics["per_class"]["c"]["n"] == (truth == 2).sum()


def test_few_samples_that_differ_lower_the_bound():
    right = np.r_[np.ones(500, bool), np.arange(500) < 400]
    all_called, w = np.ones(1000, bool), np.ones(1000)
    alone = lower_bound(right, w, None, all_called)
    assert 0.88 < alone < 0.9
    assert lower_bound(right, w, np.arange(1000) // 500, all_called) < 0.3
    assert lower_bound(right, w, np.arange(1000) // 100, all_called) < 0.87


def test_lower_bound_of_two_samples_is_that_of_korn_and_graubard():
    """Accuracies of 0.9 and 0.8 in two samples of a hundred cells, by hand."""
    right = np.r_[np.arange(100) < 90, np.arange(100) < 80]
    design = (2 * 0.025**2 * 2 / (2 - 1)) / (0.85 * 0.15 / 200)
    t = scipy.stats.t(199).ppf(0.95) / scipy.stats.t(1).ppf(0.95)
    n = 200 / design * t**2
    found = lower_bound(right, np.ones(200), np.repeat([0, 1], 100), np.ones(200, bool))
    assert found == pytest.approx(scipy.stats.beta.ppf(0.05, 0.85 * n, 0.15 * n + 1))


def test_fewer_than_two_classes_are_refused():
    with pytest.raises(ParameterError, match="at least two classes, but the data have only 'a'"):
        check_classes(["a"] * 10 + [None])
    with pytest.raises(ParameterError, match="have no labels"):
        check_classes([None])
    classes, truth = check_classes(["b"] * 6 + [None] + ["a"] * 30)
    assert classes == ("a", "b")
    assert truth[:7].tolist() == [1] * 6 + [-1]


# --- files


def test_round_trip(classifier, tmp_path):
    classifier.save(tmp_path / "m.npz")
    back = read_model(tmp_path / "m.npz")
    back.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()
    cells = [[9, 0, 1], [5, 5, 1]]
    np.testing.assert_array_equal(predicted(back, cells).proba, predicted(classifier, cells).proba)
    assert back.training == classifier.training
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.npz", "m.npz"]


def test_existing_files_stay(classifier, tmp_path):
    path = tmp_path / "m.npz"
    path.write_text("mine")
    with pytest.raises(OutputError, match="overwrite=True"):
        classifier.save(path)
    assert path.read_text() == "mine"
    classifier.save(path, overwrite=True)
    assert read_model(path).classes == ("a", "b")
    for bad, said in (("m.pkl", "must end in .npz"), ("absent/m.npz", "no folder")):
        with pytest.raises(OutputError, match=said):
            classifier.save(tmp_path / bad, overwrite=True)


@pytest.fixture
def content(classifier, tmp_path) -> dict[str, np.ndarray]:
    """The arrays of a model file."""
    classifier.save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as file:
        return dict(file)


def with_meta(content, **changes):
    meta = json.loads(content["meta"].tobytes().decode()) | changes
    return content | {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}


SPOILED = {
    "newer": (lambda c: with_meta(c, schema_version=4), "newer release"),
    "older": (lambda c: with_meta(c, schema_version=2), r"made by an older release of tamannot.*train the model again"),
    "first": (lambda c: with_meta(c, schema_version=1), r"made by an older release of tamannot.*train the model again"),
    "no version": (lambda c: with_meta(c, schema_version="1"), "schema version"),
    "another npz": (lambda c: {"x": np.ones(3)}, "not a model: it must contain"),
    "another format": (lambda c: with_meta(c, format="other"), "does not name the format tamannot-model"),
    "pickle": (lambda c: c | {"coef": np.array([{"a": 1}], dtype=object)}, "Python objects"),
    "not finite": (lambda c: c | {"coef": np.full((2, 3), np.nan)}, "'coef' must be finite"),
    "shape": (lambda c: c | {"coef": np.ones((2, 4))}, "'coef' must have the shape"),
    "type": (lambda c: c | {"coef": np.ones((2, 3), np.float32)}, "'coef' contains float32"),
    "genes twice": (lambda c: with_meta(c, symbols=["A", "A", "B"]), "'symbols': has a duplicate entry"),
    "one class": (lambda c: with_meta(c, classes=["a"]), "'classes'.*at least 2"),
    "classes no list": (lambda c: with_meta(c, classes="ab"), "'classes'.*tuple"),
    "ensembl": (lambda c: with_meta(c, ensembl=["x", "", ""]), "'ensembl'"),
    "scale": (lambda c: with_meta(c, scale="raw"), "'scale'"),
    "species": (lambda c: with_meta(c, species="cat"), "'species'"),
    "threshold": (lambda c: with_meta(c, threshold=2), "'threshold'"),
    "slope": (lambda c: with_meta(c, slope=float("nan")), "contains NaN"),
    "no json": (lambda c: c | {"meta": np.frombuffer(b"{", np.uint8)}, "damaged"),
    "deep json": (lambda c: c | {"meta": np.frombuffer(b"[" * 200_000, np.uint8)}, "damaged"),
    "knots": (lambda c: c | {k: np.zeros(2) for k in ("depth", "similarity")}, "'depth' rises"),
    "controls": (lambda c: with_meta(c, classes=["a", "\x1b[31m"]), "'classes': should be printable"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILED.values(), ids=SPOILED)
def test_wrong_files_are_refused_with_the_reason(content, tmp_path, spoil, said):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, **spoil(content))
    with pytest.raises(ModelFormatError, match=said) as raised:
        read_model(path)
    assert str(path) in str(raised.value)


def test_a_pickle_is_never_run(tmp_path, content):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "run"), "w"))

    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Bomb()))
    np.savez(tmp_path / "inside.npz", **content | {"coef": np.array([Bomb()], dtype=object)})
    for name in ("plain.npz", "inside.npz"):
        with pytest.raises(ModelFormatError):
            read_model(tmp_path / name)
    assert not (tmp_path / "run").exists()


def test_a_model_of_another_kind_is_named(content, tmp_path):
    np.savez_compressed(tmp_path / "m.npz", **with_meta(content, kind="anchored"))
    with pytest.raises(ModelFormatError, match="a 'anchored' model, not labels"):
        read_model(tmp_path / "m.npz")


def test_cut_or_changed_files_are_refused(classifier, check_damaged):
    check_damaged(classifier, read_model)


def test_what_unpacks_to_too_much_is_not_unpacked(content, tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    monkeypatch.setattr("tamannot._model_file._MAX_CONTENT", 1 << 20)
    np.savez_compressed(path, **content | {"coef": np.zeros((2, 1 << 20))})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelFormatError, match="unpacks to more than"):
        read_model(path)


def test_a_header_that_claims_more_than_there_is_allocates_nothing(content, tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1 << 20, 1 << 20)})
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as file:
        for name, values in content.items():
            body = io.BytesIO()
            np.save(body, values)
            file.writestr(f"{name}.npy", head.getvalue() + b"x" * 8 if name == "coef" else body.getvalue())
    with pytest.raises(ModelFormatError, match="size does not agree"):
        read_model(tmp_path / "m.npz")


def test_absent_and_too_large(tmp_path, monkeypatch, classifier):
    with pytest.raises(ModelFormatError, match="no such file"):
        read_model(tmp_path / "absent.npz")
    with pytest.raises(ModelFormatError, match="not a file"):
        read_model(tmp_path)
    classifier.save(tmp_path / "m.npz")
    monkeypatch.setattr("tamannot._model_file._MAX_FILE", 10)
    with pytest.raises(ModelFormatError, match="larger than"):
        read_model(tmp_path / "m.npz")
