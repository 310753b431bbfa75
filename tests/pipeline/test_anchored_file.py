"""Files of anchored models: what they keep, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tamannot.pipeline._resemblance import Resemblance

from tamannot import models
from tamannot.classify import KIND, Anchored, as_anchored, digest_of, write_anchored
from tamannot.classify._container import read_file
from tamannot.errors import ModelFormatError

GENES = 6
HEADS = {"state": 2, "origin": 1}


def read(path: Path) -> Anchored:
    return read_file(path, {KIND: as_anchored})


@pytest.fixture
def model() -> Anchored:
    """Six genes, two heads of state, one of origin."""
    rng = np.random.default_rng(0)

    def head() -> models.Head:
        return models.Head(rng.normal(size=(models.FOLDS, 4)), rng.normal(size=models.FOLDS), -1.0, 2.0)

    def question(*names: str, winner: models.Sigmoid | None = None) -> models.Question:
        heads = {name: head() for name in names}
        present = models.Sigmoid((3.0,), -1.0)
        return models.Question(
            np.array([0, 2, 3, 5]), heads, present, winner, 0.6, None if winner else 0.0, True, 0.9, rng.random(4)
        )

    two = question("lipid_associated", "inflammatory", winner=models.Sigmoid((1.0, 0.5), 0.1))
    return Anchored(
        symbols=("CD14", "CD3E", "ALB", "SPP1", "IL1B", "APOE"),
        ensembl=("ENSG00000170458", "", "", "", "", ""),
        everyone=np.arange(GENES, dtype=np.int32),
        macrophages=np.arange(GENES, dtype=np.int32)[::-1],
        questions={"origin": question("microglia"), "state": two},
        resemblance=Resemblance(np.array([0, 5]), np.array([1.0, 2.0]), np.array([1.0, 1.6]), np.array([4.0, 9.0])),
        brain=True,
        tissue_reason="as given",
        of_microglia=None,
        max_rank=2017,
        unseen=("inflammatory",),
        species="human",
        scale="log1p_cp10k",
        signatures={"microglia": ("1.0.0", "0" * 64)},
        target_accuracy=0.95,
        rng=0,
        n_cells=100,
        n_macrophages=60,
        training={"kind": "counts"},
        metrics={"state": {"accuracy_in_mixtures": 0.9}},
    )


def test_round_trip(model, tmp_path):
    write_anchored(model, tmp_path / "m.npz", overwrite=False)
    back = read(tmp_path / "m.npz")
    write_anchored(back, tmp_path / "again.npz", overwrite=False)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()
    assert digest_of(back) == digest_of(model)
    assert back.axes == ("origin", "state")
    assert (back.max_rank, back.n_folds) == (2017, models.FOLDS)
    for axis, asked in model.questions.items():
        got = back.questions[axis]
        assert (got.present, got.winner, got.present_at, got.winner_at) == (
            asked.present,
            asked.winner,
            asked.present_at,
            asked.winner_at,
        )
        np.testing.assert_array_equal(got.background, asked.background)
        for name, head in asked.heads.items():
            np.testing.assert_array_equal(got.heads[name].weights, head.weights)
            assert (got.heads[name].zero, got.heads[name].one) == (head.zero, head.one)
    assert back.everyone.dtype == np.int32
    np.testing.assert_array_equal(back.resemblance.usual, model.resemblance.usual)


def test_what_is_not_known_is_kept_as_such(model, tmp_path):
    unknown = replace(model.questions["state"], accuracy=float("nan"))
    bare = replace(model, resemblance=None, of_microglia=True, questions={"state": unknown})
    write_anchored(bare, tmp_path / "m.npz", overwrite=False)
    back = read(tmp_path / "m.npz")
    assert back.resemblance is None
    assert back.of_microglia is True
    assert np.isnan(back.questions["state"].accuracy)


def test_the_digest_is_of_the_content(model):
    assert digest_of(replace(model, rng=1)) != digest_of(model)
    assert digest_of(replace(model, everyone=model.macrophages)) != digest_of(model)
    assert digest_of(replace(model, training=dict(model.training))) == digest_of(model)


@pytest.fixture
def content(model, tmp_path) -> dict[str, np.ndarray]:
    """The arrays of a model file."""
    write_anchored(model, tmp_path / "good.npz", overwrite=False)
    with np.load(tmp_path / "good.npz") as file:
        return dict(file)


def with_meta(content, **changes):
    meta = json.loads(content["meta"].tobytes().decode()) | changes
    return content | {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}


def with_state(content, **changes):
    asked = json.loads(content["meta"].tobytes().decode())["questions"]
    return with_meta(content, questions=asked | {"state": asked["state"] | changes})


SPOILED = {
    "newer": (lambda c: with_meta(c, schema_version=4), "newer release"),
    "another kind": (lambda c: with_meta(c, kind="labels"), "of the kind 'labels', not anchored"),
    "an array less": (lambda c: {k: v for k, v in c.items() if k != "everyone"}, "it should hold"),
    "an array more": (lambda c: c | {"x": np.ones(3)}, "it should hold"),
    "pickle": (lambda c: c | {"everyone": np.array([{"a": 1}], dtype=object)}, "Python objects"),
    "bins no whole numbers": (lambda c: c | {"everyone": np.full(GENES, 0.5)}, "'everyone' holds whole numbers"),
    "bins beyond": (lambda c: c | {"everyone": np.full(GENES, 1e9)}, "'everyone' holds whole numbers"),
    "bins below": (lambda c: c | {"macrophages": np.full(GENES, -1.0)}, "'macrophages' holds whole numbers"),
    "bins of other genes": (lambda c: c | {"macrophages": np.zeros(3)}, "'macrophages' has the shape"),
    "not finite": (lambda c: c | {"state_weights": np.full((2, 5, 4), np.inf)}, "'state_weights' holds finite"),
    "other folds": (lambda c: c | {"state_weights": np.ones((2, 4, 4))}, "heads of 2 to 5 folds"),
    "one fold": (lambda c: c | {f"{a}_weights": np.ones((n, 1, 4)) for a, n in HEADS.items()}, "heads of 2 to 5 folds"),
    "flat weights": (lambda c: c | {"state_weights": np.ones(40)}, "'state_weights' has the shape"),
    "weights of other genes": (lambda c: c | {"state_weights": np.ones((2, 5, 3))}, "'state_weights' has the shape"),
    "ranks": (lambda c: with_meta(c, max_rank=50_000), "'max_rank' is a whole number from 1 to 46000"),
    "no rank": (lambda c: with_meta(c, max_rank=0), "'max_rank' is a whole number from 1 to 46000"),
    "genes beyond": (lambda c: c | {"state_genes": np.array([0.0, 1, 2, 6])}, "'state_genes' holds whole"),
    "a gene twice": (lambda c: c | {"state_genes": np.array([0.0, 1, 2, 2])}, "'state_genes' names genes, none twice"),
    "one below zero": (lambda c: c | {"state_one": np.array([2.0, -2.0])}, "'state_one' is above"),
    "another axis": (lambda c: with_meta(c, questions={"mood": {}}), "'questions' are of"),
    "no questions": (lambda c: with_meta(c, questions=[]), "'questions' is a table"),
    "another head": (lambda c: with_state(c, heads=["lipid_associated", "b"]), "heads of state are of"),
    "no sigmoid": (lambda c: with_state(c, present=None), "'present' is missing"),
    "a sigmoid too long": (lambda c: with_state(c, winner=[1, 2, 3, 4]), "'winner' is a list of 3"),
    "a sigmoid of text": (lambda c: with_state(c, winner=["1", 2, 3]), "'winner' is a number"),
    "threshold": (lambda c: with_state(c, present_at=2), "'present_at'"),
    "resemblance": (lambda c: with_meta(c, resemblance=1), "'resemblance' is true or false"),
    "knots": (lambda c: c | {"like_depth": np.zeros(2)}, "'like_depth' rises"),
    "like genes": (lambda c: c | {"like_genes": np.zeros((2, 2))}, "'like_genes'"),
    "species": (lambda c: with_meta(c, species="unknown"), "'species'"),
    "scale": (lambda c: with_meta(c, scale="raw"), "'scale'"),
    "tissue": (lambda c: with_meta(c, tissue_reason="a\nb"), "'tissue_reason'"),
    "microglia": (lambda c: with_meta(c, of_microglia="yes"), "'of_microglia'"),
    "unseen": (lambda c: with_meta(c, unseen=["macrophage"]), "'unseen' names states"),
    "digest": (lambda c: with_meta(c, signatures={"a": ["1.0.0", "x"]}), "digests"),
    "signatures": (lambda c: with_meta(c, signatures={"a": "1.0.0"}), "a version and a digest"),
    "seed": (lambda c: with_meta(c, rng=1.5), "'rng' is a whole number"),
    "genes twice": (lambda c: with_meta(c, symbols=["A"] * GENES), "'symbols' has no entry twice"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILED.values(), ids=SPOILED)
def test_wrong_files_are_refused_with_the_reason(content, tmp_path, spoil, said):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, **spoil(content))
    with pytest.raises(ModelFormatError, match=said) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_cut_or_changed_files_are_refused(model, tmp_path):
    write_anchored(model, tmp_path / "m.npz", overwrite=False)
    whole = (tmp_path / "m.npz").read_bytes()
    path, rng = tmp_path / "cut.npz", np.random.default_rng(0)
    for end in rng.integers(0, len(whole) - 1, 30):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelFormatError):
            read(path)
    for at in rng.integers(0, len(whole), 200):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read(path)
        except ModelFormatError as error:
            assert str(error).count("\n") == 0  # noqa: PT017


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
