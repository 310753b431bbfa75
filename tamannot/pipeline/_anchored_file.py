"""Anchored models as files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot import models
from tamannot.classify._container import (
    Arrays,
    Meta,
    check,
    check_members,
    check_shapes,
    genes_of,
    number,
    refuse,
    text_of,
    texts,
    write_file,
)
from tamannot.classify._scale import SCALES
from tamannot.kernels._ranks import LARGEST_NULL_CAP
from tamannot.pipeline._anchored import Anchored
from tamannot.pipeline._inputs import MACROPHAGE
from tamannot.pipeline._resemblance import Resemblance

Array = NDArray[Any]

KIND = "anchored"

_HEADS = {"compartment": (MACROPHAGE,), **models.HEADED}
_BINS = ("everyone", "macrophages")
_OF_QUESTION = ("genes", "weights", "intercepts", "zero", "one", "background")
_OF_RESEMBLANCE = ("like_genes", "like_depth", "like_least", "like_usual")
_MAX_BINS, _MAX_KNOTS, _MAX_SIGNATURES, _MAX_COUNT = 1000, 1000, 10_000, 2**53
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def write_anchored(model: Anchored, path: Path, *, overwrite: bool) -> None:
    """Write a model; see `write_file`."""
    write_file(path, KIND, _meta(model), _arrays(model), overwrite=overwrite)


def digest_of(model: Anchored) -> str:
    """Return the sha256 of what a model holds: equal models have equal digests."""
    found = hashlib.sha256(text_of(KIND, _meta(model)).encode())
    for name, values in sorted(_arrays(model).items()):
        content = np.ascontiguousarray(values, "<f8")
        found.update(f"{name} {content.shape}".encode())
        found.update(content.tobytes())
    return found.hexdigest()


def as_anchored(meta: Meta, arrays: Arrays) -> Anchored:
    """Return the model that a file holds.

    Raises
    ------
    ModelFormatError
        Something in it is wrong.
    """
    symbols, ensembl = genes_of(meta)
    asked = _table(meta, "questions")
    check(set(asked) <= set(_HEADS), f"'questions' are of {', '.join(_HEADS)}")
    check(isinstance(meta.get("resemblance"), bool), "'resemblance' is true or false")
    of_questions = [f"{axis}_{name}" for axis in asked for name in _OF_QUESTION]
    check_members(arrays, [*_BINS, *of_questions, *(_OF_RESEMBLANCE if meta["resemblance"] else ())])
    check_shapes(arrays, dict.fromkeys(_BINS, (len(symbols),)))
    folds = _n_folds(arrays, asked)
    check(isinstance(meta.get("brain"), bool), "'brain' is true or false")
    check(meta.get("of_microglia") in (None, True, False), "'of_microglia' is true, false or null")
    unseen = meta.get("unseen")
    check(isinstance(unseen, list) and all(s in models.STATES for s in unseen), "'unseen' names states")
    check(meta.get("species") in ("human", "mouse"), "'species' is human or mouse")
    check(meta.get("scale") in SCALES, f"'scale' is one of {', '.join(SCALES)}")
    return Anchored(
        symbols=symbols,
        ensembl=ensembl,
        everyone=_whole(arrays, "everyone", _MAX_BINS).astype(np.int32),
        macrophages=_whole(arrays, "macrophages", _MAX_BINS).astype(np.int32),
        questions={a: _question(a, _table(asked, a), arrays, len(symbols), folds) for a in _HEADS if a in asked},
        resemblance=_resemblance(arrays, len(symbols)) if meta["resemblance"] else None,
        brain=meta["brain"],
        tissue_reason=_line(meta, "tissue_reason"),
        of_microglia=meta["of_microglia"],
        max_rank=_count(meta, "max_rank", 1, LARGEST_NULL_CAP),
        unseen=tuple(meta["unseen"]),
        species=meta["species"],
        scale=meta["scale"],
        signatures=_signatures(meta),
        target_accuracy=number(meta, "target_accuracy", 0, 1),
        rng=_count(meta, "rng", -_MAX_COUNT),
        n_cells=_count(meta, "n_cells"),
        n_macrophages=_count(meta, "n_macrophages"),
        training=_table(meta, "training"),
        metrics=_table(meta, "metrics"),
    )


def _meta(model: Anchored) -> dict[str, Any]:
    return {
        "max_rank": model.max_rank,
        "symbols": list(model.symbols),
        "ensembl": list(model.ensembl),
        "questions": {axis: _question_meta(q) for axis, q in model.questions.items()},
        "resemblance": model.resemblance is not None,
        "brain": model.brain,
        "tissue_reason": model.tissue_reason,
        "of_microglia": model.of_microglia,
        "unseen": list(model.unseen),
        "species": model.species,
        "scale": model.scale,
        "signatures": {i: list(pair) for i, pair in model.signatures.items()},
        "target_accuracy": model.target_accuracy,
        "rng": model.rng,
        "n_cells": model.n_cells,
        "n_macrophages": model.n_macrophages,
        "training": model.training,
        "metrics": model.metrics,
    }


def _question_meta(q: models.Question) -> dict[str, Any]:
    return {
        "heads": list(q.heads),
        "present": [*q.present.slopes, q.present.offset],
        "winner": q.winner and [*q.winner.slopes, q.winner.offset],
        "present_at": q.present_at,
        "winner_at": q.winner_at,
        "optional": q.optional,
        "accuracy": q.accuracy if np.isfinite(q.accuracy) else None,
    }


def _arrays(model: Anchored) -> dict[str, Array]:
    out = {"everyone": model.everyone, "macrophages": model.macrophages}
    for axis, q in model.questions.items():
        heads = list(q.heads.values())
        values = (
            q.columns,
            np.stack([h.weights for h in heads]),
            np.stack([h.intercepts for h in heads]),
            np.array([h.zero for h in heads]),
            np.array([h.one for h in heads]),
            q.background,
        )
        out |= {f"{axis}_{name}": value for name, value in zip(_OF_QUESTION, values, strict=True)}
    if model.resemblance is not None:
        like = model.resemblance
        out |= dict(zip(_OF_RESEMBLANCE, (like.genes, like.depth, like.least, like.usual), strict=True))
    return out


def _n_folds(arrays: Arrays, asked: Mapping[str, Any]) -> int:
    """Return the number of folds, the same for all questions."""
    shapes = [arrays[f"{axis}_weights"].shape for axis in asked]
    found = {shape[1] for shape in shapes if len(shape) == 3}
    check(not shapes or (len(found) == 1 and 1 < min(found) <= models.FOLDS), f"heads of 2 to {models.FOLDS} folds")
    return found.pop() if found else 0


def _question(axis: str, meta: Meta, arrays: Arrays, n_genes: int, n_folds: int) -> models.Question:
    names = texts(meta, "heads", len(_HEADS[axis]), unique=True)
    check(bool(names) and set(names) <= set(_HEADS[axis]), f"heads of {axis} are of {', '.join(_HEADS[axis])}")
    mine = {name: arrays[f"{axis}_{name}"] for name in _OF_QUESTION}
    n, m, k = len(names), mine["genes"].size, n_folds
    shapes = {"genes": (m,), "weights": (n, k, m), "intercepts": (n, k), "zero": (n,), "one": (n,), "background": (m,)}
    check_shapes(arrays, {f"{axis}_{name}": shape for name, shape in shapes.items()})
    check(bool((mine["one"] > mine["zero"]).all()), f"'{axis}_one' is above '{axis}_zero'")
    check(isinstance(meta.get("optional"), bool), "'optional' is true or false")
    heads = {
        name: models.Head(mine["weights"][i], mine["intercepts"][i], float(mine["zero"][i]), float(mine["one"][i]))
        for i, name in enumerate(names)
    }
    present = _sigmoid(meta, "present", 1)
    if present is None:
        refuse("damaged, or changed by hand: 'present' is missing.")
    winner = _sigmoid(meta, "winner", 2)
    check(n > 1 or winner is None, "a single head has no 'winner'")
    return models.Question(
        columns=_places(arrays, f"{axis}_genes", n_genes),
        heads=heads,
        present=present,
        winner=winner,
        present_at=number(meta, "present_at", 0, 1),
        winner_at=None if meta.get("winner_at") is None else number(meta, "winner_at", 0, 1),
        optional=meta["optional"],
        accuracy=float("nan") if meta.get("accuracy") is None else number(meta, "accuracy", 0, 1),
        background=mine["background"],
    )


def _sigmoid(meta: Meta, name: str, n_slopes: int) -> models.Sigmoid | None:
    values = meta.get(name)
    if values is None:
        return None
    good = isinstance(values, list) and len(values) == n_slopes + 1
    check(good, f"'{name}' is a list of {n_slopes + 1} numbers")
    numbers = [number({name: v}, name, -1e9, 1e9) for v in values]
    return models.Sigmoid(tuple(numbers[:-1]), numbers[-1])


def _resemblance(arrays: Arrays, n_genes: int) -> Resemblance:
    n = arrays["like_depth"].size
    check(1 <= n <= _MAX_KNOTS, f"'like_depth' has 1 to {_MAX_KNOTS} numbers")
    check_shapes(arrays, dict.fromkeys(("like_depth", "like_least", "like_usual"), (n,)))
    check_shapes(arrays, {"like_genes": (arrays["like_genes"].size,)})
    check(bool((np.diff(arrays["like_depth"]) > 0).all()), "'like_depth' rises")
    return Resemblance(_places(arrays, "like_genes", n_genes), *(arrays[name] for name in _OF_RESEMBLANCE[1:]))


def _places(arrays: Arrays, name: str, n_genes: int) -> Array:
    values = _whole(arrays, name, n_genes)
    check(0 < values.size == np.unique(values).size, f"'{name}' names genes, none twice")
    return values


def _whole(arrays: Arrays, name: str, limit: int) -> Array:
    values = arrays[name]
    good = bool(((values >= 0) & (values < limit) & (values == np.floor(values))).all())
    check(good, f"'{name}' holds whole numbers from 0 to {limit - 1}")
    return values.astype(np.int64)


def _signatures(meta: Meta) -> dict[str, tuple[str, str]]:
    table = _table(meta, "signatures")
    check(len(table) <= _MAX_SIGNATURES, f"'signatures' has at most {_MAX_SIGNATURES:,} entries")
    out = {}
    for name, pair in table.items():
        good = isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) for p in pair)
        check(
            good and name.isprintable() and len(name) <= 1000, "'signatures' holds a version and a digest for each id"
        )
        check(bool(pair[0].isprintable() and len(pair[0]) <= 100), "'signatures' holds versions")
        check(bool(_DIGEST.fullmatch(pair[1])), "'signatures' holds digests of 64 hexadecimal digits")
        out[name] = (pair[0], pair[1])
    return out


def _table(meta: Meta, name: str) -> Mapping[str, Any]:
    value = meta.get(name)
    check(isinstance(value, dict), f"'{name}' is a table")
    return value  # type: ignore[return-value]


def _line(meta: Meta, name: str) -> str:
    value = meta.get(name)
    good = isinstance(value, str) and value.isprintable() and len(value) <= 1000
    check(good, f"'{name}' is one line of text")
    return str(value)


def _count(meta: Meta, name: str, low: int = 0, high: int = _MAX_COUNT) -> int:
    value = meta.get(name)
    good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    check(good, f"'{name}' is a whole number" + (f" from {low} to {high}" if high < _MAX_COUNT else ""))
    return int(value)  # type: ignore[arg-type]
