"""Classifiers on the user's labels as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tamannot.models._container import (
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
from tamannot.models._model import Calibration, Classifier, Familiar
from tamannot.models._scale import SCALES

KIND = "labels"

_ARRAYS = ("coef", "intercept", "centroids", "offset", "depth", "plain", "centred")
_MAX_CLASSES, _MAX_KNOTS = 1000, 1000


def write_model(model: Classifier, path: Path, *, overwrite: bool) -> None:
    """Write a classifier; see `write_file`."""
    meta = {
        "classes": list(model.classes),
        "symbols": list(model.symbols),
        "ensembl": list(model.ensembl),
        "scale": model.scale,
        "species": model.species,
        "labels": model.labels,
        "threshold": model.threshold,
        "slope": model.calibration.slope,
        "training": model.training,
        "metrics": model.metrics,
    }
    values = (
        model.coef,
        model.intercept,
        model.centroids,
        model.calibration.offset,
        model.familiar.depth,
        model.familiar.plain,
        model.familiar.centred,
    )
    write_file(path, KIND, meta, dict(zip(_ARRAYS, values, strict=True)), overwrite=overwrite)


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
    check(isinstance(meta.get("labels"), str), "'labels' is a text")
    check(isinstance(meta.get("training"), dict), "'training' is a table")
    check(isinstance(meta.get("metrics"), dict), "'metrics' is a table")
    _check_arrays(arrays, len(classes), len(symbols))
    return Classifier(
        classes=classes,
        symbols=symbols,
        ensembl=ensembl,
        coef=arrays["coef"],
        intercept=arrays["intercept"],
        centroids=arrays["centroids"],
        calibration=Calibration(number(meta, "slope", -1e6, 1e6), arrays["offset"]),
        familiar=Familiar(arrays["depth"], arrays["plain"], arrays["centred"]),
        threshold=None if meta.get("threshold") is None else number(meta, "threshold", 0, 1),
        scale=meta["scale"],
        species=meta["species"],
        labels=meta["labels"],
        training=meta["training"],
        metrics=meta["metrics"],
    )


def _check_arrays(arrays: Arrays, n_classes: int, n_genes: int) -> None:
    n_knots = arrays["depth"].size
    check(1 <= n_knots <= _MAX_KNOTS, f"'depth' has 1 to {_MAX_KNOTS} numbers")
    of_genes = dict.fromkeys(("coef", "centroids"), (n_classes, n_genes))
    check_shapes(arrays, of_genes)
    check_shapes(arrays, dict.fromkeys(("intercept", "offset"), (n_classes,)))
    check_shapes(arrays, dict.fromkeys(("depth", "plain", "centred"), (n_knots,)))
    check(bool((np.diff(arrays["depth"]) > 0).all()), "'depth' rises")
