"""Files of fitted cohorts: what they keep, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tamannot._model_file import read_file
from tamannot.classify import STATES, AnchoredModel, Cohort, Regression, anchored_of
from tamannot.classify._activity import GRID, Activity
from tamannot.classify._cohort import Novelty
from tamannot.classify._state import StateClassifier
from tamannot.errors import ModelFormatError

GENES = 6


def read(path: Path) -> AnchoredModel:
    return read_file(path, {AnchoredModel.kind: anchored_of})


@pytest.fixture
def model() -> AnchoredModel:
    """Six genes, a classifier of two states."""
    rng = np.random.default_rng(0)
    n = len(STATES)
    of_origin = [Activity(*rng.random(3), share=rng.random(GRID.size), distance=1.0) for _ in STATES]
    fit = Regression(
        np.arange(GENES), rng.normal(size=(n + 1, GENES)), rng.normal(size=(2, n + 1)), -np.ones(n), np.ones(n)
    )
    trained = np.array([True, False, False, True, False])
    states = StateClassifier([of_origin, of_origin[::-1]], rng.random(n), trained, fit)
    novelty = Novelty(rng.random((3, 9)), np.ones(9), 30.0, -1.0)
    cohort = Cohort(True, "as given", 1.5, states, n_cells=100, n_macrophages=60, novelty=novelty)
    return AnchoredModel(
        symbols=("CD14", "CD3E", "ALB", "SPP1", "IL1B", "APOE"),
        ensembl=("ENSG00000170458", "", "", "", "", ""),
        cohort=cohort,
        species="human",
        scale="log1p_cp10k",
        signatures={"microglia": ("1.0.0", "0" * 64)},
        target_accuracy=0.95,
        rng=0,
        training={"kind": "counts"},
        metrics={},
    )


def test_round_trip(model, tmp_path):
    model.save(tmp_path / "m.npz")
    back = read(tmp_path / "m.npz")
    back.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()
    assert back.digest == model.digest
    assert back.axes == ("state",)
    assert (back.n_cells, back.n_macrophages, back.brain) == (100, 60, True)
    mine, theirs = (m.cohort.states for m in (back, model))
    np.testing.assert_array_equal(mine.trained, theirs.trained)
    np.testing.assert_array_equal(mine.regression.coef, theirs.regression.coef)
    for one, other in zip(mine.activities, theirs.activities, strict=True):
        assert [(a.baseline, a.reference, a.noise, a.distance) for a in one] == [
            (a.baseline, a.reference, a.noise, a.distance) for a in other
        ]
    np.testing.assert_array_equal(back.cohort.novelty.centers, model.cohort.novelty.centers)


def test_what_is_not_known_is_kept_as_such(model, tmp_path):
    states = replace(model.cohort.states, regression=None, trained=np.zeros(5, bool))
    bare = replace(model, cohort=replace(model.cohort, novelty=None, states=states), symbols=(), ensembl=())
    bare.save(tmp_path / "m.npz")
    back = read(tmp_path / "m.npz")
    assert back.cohort.novelty is None
    assert back.cohort.states.regression is None
    assert back.axes == ()


def test_the_digest_is_of_the_content(model):
    assert replace(model, rng=1).digest != model.digest
    assert replace(model, cohort=replace(model.cohort, middle=2.0)).digest != model.digest
    assert replace(model, training=dict(model.training)).digest == model.digest


@pytest.fixture
def content(model, tmp_path) -> dict[str, np.ndarray]:
    """The arrays of a model file."""
    model.save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as file:
        return dict(file)


def with_meta(content, **changes):
    meta = json.loads(content["meta"].tobytes().decode()) | changes
    return content | {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}


SPOILED = {
    "newer": (lambda c: with_meta(c, schema_version=4), "newer release"),
    "older": (lambda c: with_meta(c, schema_version=2), "older release"),
    "another kind": (lambda c: with_meta(c, kind="labels"), "a 'labels' model, not cohort"),
    "an array less": (lambda c: {k: v for k, v in c.items() if k != "usual"}, "it must contain"),
    "an array more": (lambda c: c | {"x": np.ones(3)}, "it must contain"),
    "pickle": (lambda c: c | {"usual": np.array([{"a": 1}], dtype=object)}, "Python objects"),
    "not finite": (lambda c: c | {"coef": np.full((6, GENES), np.inf)}, "'coef' must be finite"),
    "other states": (lambda c: c | {"coef": np.ones((4, GENES))}, "'coef' must have the shape"),
    "flat weights": (lambda c: c | {"coef": np.ones(36)}, "'coef' must have the shape"),
    "one origin": (lambda c: c | {"baseline": np.ones((1, 5))}, "'baseline' must have the shape"),
    "no noise": (lambda c: c | {"noise": np.zeros((2, 5))}, "noise and shares are positive"),
    "centers": (lambda c: c | {"spread": np.zeros(2)}, "spread"),
    "half a novelty": (lambda c: with_meta(c, least_lead=None), "both there, or neither"),
    "middle": (lambda c: with_meta(c, middle=1e9), "'middle'"),
    "species": (lambda c: with_meta(c, species="unknown"), "'species'"),
    "scale": (lambda c: with_meta(c, scale="raw"), "'scale'"),
    "brain": (lambda c: with_meta(c, brain="yes"), "'brain'"),
    "digest": (lambda c: with_meta(c, signatures={"a": ["1.0.0", "x"]}), "'signatures'"),
    "signatures": (lambda c: with_meta(c, signatures={"a": "1.0.0"}), "'signatures'"),
    "genes twice": (lambda c: with_meta(c, symbols=["A"] * GENES), "'symbols': has a duplicate entry"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILED.values(), ids=SPOILED)
def test_wrong_files_are_refused_with_the_reason(content, tmp_path, spoil, said):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, **spoil(content))
    with pytest.raises(ModelFormatError, match=said) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_cut_or_changed_files_are_refused(model, check_damaged):
    check_damaged(model, read)


def test_values_of_any_type_are_refused_and_never_crash(content, tmp_path):
    meta = json.loads(content["meta"].tobytes().decode())
    path = tmp_path / "odd.npz"
    for name in set(meta) - {"training", "metrics"}:
        for odd in (None, [], {}, "x", -1.5, [None], {"a": None}, True, 10**30):
            np.savez(path, **with_meta(content, **{name: odd}))
            try:
                read(path)
            except ModelFormatError as error:
                assert "\n" not in str(error)  # noqa: PT017
