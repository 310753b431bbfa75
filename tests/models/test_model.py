from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.errors import ModelFormatError, OutputError, ParameterError
from tamannot.kernels._rows import CsrRows
from tamannot.models import Classifier, check_classes, find_scale, predict_rows, read_model, write_model
from tamannot.models._held_out import HeldOut, _lower_bound, calibrate, crossed, group_folds, measure
from tamannot.models._model import Calibration, Familiar, likeness
from tamannot.models._pool import lottery, to_expression
from tamannot.models._scale import recognise_base, to_features


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
        calibration=Calibration(1.0, np.zeros(2)),
        familiar=Familiar(np.array([0.0]), np.array([0.5]), np.array([0.0])),
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


def predicted(model, values, columns=(0, 1, 2)):
    return predict_rows(model, CsrRows(sp.csr_array(np.array(values, float))), np.array(columns), base=None, threads=1)


def test_labels_probabilities_and_reasons(classifier):
    found = predicted(classifier, [[9, 0, 1], [0, 9, 1], [5, 5, 1], [0, 0, 9], [0, 0, 0]])
    assert found.label.tolist() == ["a", "b", "unassigned", "unassigned", "unassigned"]
    assert found.status.tolist() == ["assigned", "assigned", "ambiguous", "unfamiliar", "unfamiliar"]
    np.testing.assert_allclose(found.proba.sum(axis=1), 1)
    margin = np.log1p(9e3)
    assert found.proba[0, 0] == pytest.approx(1 / (1 + np.exp(-2 * margin)))


def test_without_a_threshold_no_label_is_given(classifier):
    found = predicted(replace(classifier, threshold=None), [[9, 0, 1]])
    assert found.status.tolist() == ["ambiguous"]
    assert found.proba[0, 0] > 0.99


def test_missing_genes_lower_confidence_then_forbid_a_label(classifier):
    weighty = replace(classifier, coef=np.array([[1.0, -0.5, 0.1], [-1.0, 0.5, 0.1]]))
    part = predicted(weighty, [[9, 0, 1]], (0, -1, 2))
    assert part.coverage == pytest.approx(1.1 / 1.6)
    assert part.status.tolist() == ["assigned"]
    assert part.proba[0, 0] < predicted(weighty, [[9, 0, 1]]).proba[0, 0]
    low = predicted(weighty, [[9, 0, 1]], (-1, 1, 2))
    assert low.status.tolist() == ["low_coverage"]
    assert low.label.tolist() == ["unassigned"]


def test_likeness_is_the_cosine(counts):
    cells, centroids = counts.toarray()[:5], counts.toarray()[10:12]
    plain, centred = likeness(cells @ centroids.T, np.linalg.norm(cells, axis=1), centroids)

    def cosine(a, b):
        return (a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))).max(axis=1)

    np.testing.assert_allclose(plain, cosine(cells, centroids))
    middle = centroids.mean(axis=0)
    np.testing.assert_allclose(centred, cosine(cells - middle, centroids - middle))


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
    names = [f"c{i}" for i in range(30)]
    assert find_scale(CsrRows(odd), "log", names) == ("ranks", None)
    assert find_scale(CsrRows(odd), "linear", names) == ("log1p_cp10k", None)


def test_logarithms_undone_give_the_features_of_counts(counts):
    wanted = to_expression(counts, "counts").data
    logged = np.log2(1 + np.expm1(wanted) / 7)
    np.testing.assert_allclose(to_features(logged, counts.indptr, "log1p_cp10k", 2.0), wanted)
    np.testing.assert_allclose(to_features(counts.data, counts.indptr, "log1p_cp10k", None), wanted)


def test_ranks_are_those_of_the_detected_genes():
    values, indptr = np.array([3.0, 1.0, 3.0, 0.0, 2.0, 5.0]), np.array([0, 4, 4, 6])
    got = to_features(values, indptr, "ranks", None)
    np.testing.assert_allclose(got, [2 / 3, 0.5 / 3, 2 / 3, 0, 0.25, 0.75])
    np.testing.assert_array_equal(got, to_features(np.log1p(values), indptr, "ranks", None))


# --- held out


def test_folds_keep_samples_whole():
    sample = [f"s{i % 7}" for i in range(100)]
    fold = group_folds(lottery(list(map(str, range(100))), 0), sample)
    assert len(set(zip(sample, fold.tolist(), strict=True))) == 7
    assert set(fold) == set(range(5))
    assert set(group_folds(np.zeros(4), ["a", "a", "b", "b"])) == {0, 1}
    assert len(set(group_folds(lottery(list(map(str, range(100))), 0), ["one"] * 100))) == 5


def held(n=3000, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    margins = 0.5 * (np.eye(3)[truth] * 2 - 1) * spread + rng.normal(0, 0.7, (n, 3))
    return HeldOut(margins, truth, np.arange(n) % 5, np.ones(n), np.arange(n) % 10)


def test_calibrated_probabilities_say_how_often_one_is_right():
    _, metrics = measure(held(), crossed(held()), "abc", 0.9)
    assert metrics["ece"] < 0.03
    overconfident = held()
    overconfident = replace(overconfident, margins=overconfident.margins * 50)
    assert measure(overconfident, crossed(overconfident), "abc", 0.9)[1]["ece"] < 0.03


def test_calibration_finds_the_minimum():
    cells = held(300)
    got = calibrate(cells)

    def loss(slope, offset):
        p = Calibration(slope, offset)(cells.margins)
        return -np.log(p[np.arange(300), cells.truth]).sum() + 0.5 * (slope**2 + offset @ offset)

    best = loss(got.slope, got.offset)
    for nudge in np.eye(4) * 1e-3:
        assert loss(got.slope + nudge[0], got.offset + nudge[1:]) > best
        assert loss(got.slope - nudge[0], got.offset - nudge[1:]) > best


def test_the_threshold_keeps_its_promise_on_new_cells():
    at, metrics = measure(held(), crossed(held()), "abc", 0.9)
    assert at is not None
    assert metrics["accuracy_called_lower"] >= 0.9
    new = held(seed=1)
    proba = calibrate(held())(new.margins)
    called = proba.max(axis=1) >= at
    assert (proba.argmax(axis=1) == new.truth)[called].mean() >= 0.9


def test_no_threshold_where_labels_are_noise():
    cells = held(spread=0.0)
    at, metrics = measure(cells, crossed(cells), "abc", 0.9)
    assert at is None
    assert metrics["called"] == 0
    assert metrics["best_lower"] < 0.9


def test_few_samples_that_differ_lower_the_bound():
    right = np.r_[np.ones(500, bool), np.arange(500) < 400]
    all_called, w = np.ones(1000, bool), np.ones(1000)
    alone = _lower_bound(right, w, None, all_called)
    assert 0.88 < alone < 0.9
    assert _lower_bound(right, w, np.arange(1000) // 500, all_called) < 0.3
    assert _lower_bound(right, w, np.arange(1000) // 100, all_called) < 0.87


def test_classes_too_small_are_refused_or_named():
    with pytest.raises(ParameterError, match="at least two classes, and there is only 'a'"):
        check_classes(["a"] * 10 + [None])
    with pytest.raises(ParameterError, match="no label at all"):
        check_classes([None])
    with pytest.raises(ParameterError, match=r"Fewer than 5 cells of 'b' \(4\)"):
        check_classes(["a"] * 10 + ["b"] * 4)
    classes, truth, notes = check_classes(["b"] * 6 + [None] + ["a"] * 30)
    assert classes == ("a", "b")
    assert truth[:7].tolist() == [1] * 6 + [-1]
    assert notes == ["Fewer than 20 cells of 'b' (6): what is learned of them is weak."]


# --- files


def test_round_trip(classifier, tmp_path):
    write_model(classifier, tmp_path / "m.npz", overwrite=False)
    back = read_model(tmp_path / "m.npz")
    write_model(back, tmp_path / "again.npz", overwrite=False)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()
    cells = [[9, 0, 1], [5, 5, 1]]
    np.testing.assert_array_equal(predicted(back, cells).proba, predicted(classifier, cells).proba)
    assert back.training == classifier.training
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.npz", "m.npz"]


def test_existing_files_stay(classifier, tmp_path):
    path = tmp_path / "m.npz"
    path.write_text("mine")
    with pytest.raises(OutputError, match="overwrite=True"):
        write_model(classifier, path, overwrite=False)
    assert path.read_text() == "mine"
    write_model(classifier, path, overwrite=True)
    assert read_model(path).classes == ("a", "b")
    for bad, said in (("m.pkl", "must end in .npz"), ("absent/m.npz", "there is no folder")):
        with pytest.raises(OutputError, match=said):
            write_model(classifier, tmp_path / bad, overwrite=True)


@pytest.fixture
def content(classifier, tmp_path) -> dict[str, np.ndarray]:
    """The arrays of a model file."""
    write_model(classifier, tmp_path / "good.npz", overwrite=False)
    with np.load(tmp_path / "good.npz") as file:
        return dict(file)


def with_meta(content, **changes):
    meta = json.loads(content["meta"].tobytes().decode()) | changes
    return content | {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}


SPOILED = {
    "newer": (lambda c: with_meta(c, schema_version=3), "newer release"),
    "no version": (lambda c: with_meta(c, schema_version="1"), "schema version"),
    "another npz": (lambda c: {"x": np.ones(3)}, "not a model: it should hold"),
    "another format": (lambda c: with_meta(c, format="other"), "does not say tamannot-model"),
    "pickle": (lambda c: c | {"coef": np.array([{"a": 1}], dtype=object)}, "Python objects"),
    "not finite": (lambda c: c | {"coef": np.full((2, 3), np.nan)}, "'coef' holds finite"),
    "shape": (lambda c: c | {"coef": np.ones((2, 4))}, "'coef' has the shape"),
    "type": (lambda c: c | {"coef": np.ones((2, 3), np.float32)}, "'coef' holds float32"),
    "genes twice": (lambda c: with_meta(c, symbols=["A", "A", "B"]), "'symbols' has no entry twice"),
    "one class": (lambda c: with_meta(c, classes=["a"]), "at least two"),
    "classes no list": (lambda c: with_meta(c, classes="ab"), "'classes' is a list"),
    "ensembl": (lambda c: with_meta(c, ensembl=["x", "", ""]), "Ensembl gene ids"),
    "scale": (lambda c: with_meta(c, scale="raw"), "'scale'"),
    "species": (lambda c: with_meta(c, species="cat"), "'species'"),
    "threshold": (lambda c: with_meta(c, threshold=2), "'threshold'"),
    "slope": (lambda c: with_meta(c, slope=float("nan")), "holds NaN"),
    "no json": (lambda c: c | {"meta": np.frombuffer(b"{", np.uint8)}, "damaged"),
    "deep json": (lambda c: c | {"meta": np.frombuffer(b"[" * 200_000, np.uint8)}, "damaged"),
    "knots": (lambda c: c | {k: np.zeros(2) for k in ("depth", "plain", "centred")}, "'depth' rises"),
    "controls": (lambda c: with_meta(c, classes=["a", "\x1b[31m"]), "printable"),
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
    with pytest.raises(ModelFormatError, match="a model of the kind 'anchored', not labels"):
        read_model(tmp_path / "m.npz")


def test_cut_or_changed_files_are_refused(classifier, tmp_path):
    write_model(classifier, tmp_path / "m.npz", overwrite=False)
    whole = (tmp_path / "m.npz").read_bytes()
    path = tmp_path / "cut.npz"
    rng = np.random.default_rng(0)
    for end in rng.integers(0, len(whole) - 1, 30):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelFormatError):
            read_model(path)
    for at in rng.integers(0, len(whole), 200):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read_model(path)
        except ModelFormatError as error:
            assert str(error).count("\n") == 0  # noqa: PT017


def test_what_unpacks_to_too_much_is_not_unpacked(content, tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    monkeypatch.setattr("tamannot.models._container._MAX_CONTENT", 1 << 20)
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
    write_model(classifier, tmp_path / "m.npz", overwrite=False)
    monkeypatch.setattr("tamannot.models._container._MAX_FILE", 10)
    with pytest.raises(ModelFormatError, match="larger than"):
        read_model(tmp_path / "m.npz")
