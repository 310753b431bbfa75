"""Classifiers on the user's labels as files."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tamannot.classify._container import (
    Arrays,
    Meta,
    check,
    check_members,
    check_shapes,
    genes_of,
    number,
    read_file,
    texts,
    write_file,
)
from tamannot.classify._labels import Classifier
from tamannot.classify._scale import SCALES

KIND = "labels"

_ARRAYS = ("coef", "intercept", "offset", "centroids", "depth", "similarity")
_MAX_CLASSES, _MAX_DEPTHS = 1000, 1000


def write_model(model: Classifier, path: Path, *, overwrite: bool) -> None:
    """Write a classifier; see `write_file`."""
    whole = {f.name: getattr(model, f.name) for f in fields(Classifier)}
    arrays = {name: whole.pop(name) for name in _ARRAYS}
    write_file(path, KIND, whole, arrays, overwrite=overwrite)


def read_model(path: Path) -> Classifier:
    """Read the file of a classifier and look at everything in it; see `read_file`."""
    return read_file(path, {KIND: as_classifier})


def as_classifier(meta: Meta, arrays: Arrays) -> Classifier:
    """Return the classifier that a file holds.

    Raises
    ------
    ModelFormatError
        Something in it is wrong.
    """
    check_members(arrays, _ARRAYS)
    classes = texts(meta, "classes", _MAX_CLASSES, unique=True)
    symbols, ensembl = genes_of(meta)
    check(len(classes) >= 2 and "unassigned" not in classes, "'classes' are at least two, none of them unassigned")
    check(meta.get("scale") in SCALES, f"'scale' is one of {', '.join(SCALES)}")
    check(meta.get("species") in ("human", "mouse", "unknown"), "'species' is human, mouse or unknown")
    for name, kind, what in (("labels", str, "text"), ("training", dict, "table"), ("metrics", dict, "table")):
        check(isinstance(meta.get(name), kind), f"'{name}' is a {what}")
    n_depths = arrays["depth"].size
    check(1 <= n_depths <= _MAX_DEPTHS, f"'depth' has 1 to {_MAX_DEPTHS} numbers")
    check_shapes(arrays, dict.fromkeys(("coef", "centroids"), (len(classes), len(symbols))))
    check_shapes(arrays, dict.fromkeys(("intercept", "offset"), (len(classes),)))
    check_shapes(arrays, dict.fromkeys(("depth", "similarity"), (n_depths,)))
    check(bool((np.diff(arrays["depth"]) > 0).all()), "'depth' rises")
    plain = {name: meta[name] for name in ("scale", "species", "labels", "training", "metrics")}
    threshold = None if meta.get("threshold") is None else number(meta, "threshold", 0, 1)
    known: dict[str, Any] = {**arrays, **plain, "threshold": threshold, "slope": number(meta, "slope", 0, 1e6)}
    return Classifier(classes=classes, symbols=symbols, ensembl=ensembl, **known)
