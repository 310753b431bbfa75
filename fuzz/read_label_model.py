"""Files of models of labels; what can be read is applied to a few cells."""

import anndata as ad
import numpy as np
from _fuzz import as_file, instrumented, main, only_our_errors
from _models import built, seeds_of, written

instrumented("tamannot.classify", "tamannot.tl")

from tamannot import load_model
from tamannot.classify import Classifier

_MODEL = Classifier(
    classes=("a", "b"),
    symbols=("CD14", "CD3E", "ALB"),
    ensembl=("ENSG00000170458", "", ""),
    coef=np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]),
    intercept=np.zeros(2),
    centroids=np.array([[5.0, 0.0, 1.0], [0.0, 5.0, 1.0]]),
    slope=1.0,
    offset=np.zeros(2),
    depth=np.array([0.0, 1.0]),
    similarity=np.array([0.5, 0.6]),
    threshold=0.9,
    scale="log1p_cp10k",
    species="human",
    labels="type",
    training={"n_cells": {"a": 5, "b": 6}},
    metrics={"ece": 0.01},
)
_CELLS = ad.AnnData(np.array([[9, 0, 1, 2], [5, 5, 1, 0], [0, 0, 0, 3]], np.float32))
_CELLS.var_names = ["CD14", "CD3E", "ALB", "FTL"]
_SEEDS, _ARRAYS = seeds_of(written(_MODEL))


def seeds() -> list[bytes]:
    return _SEEDS


def one(data: bytes) -> None:
    with as_file(built(data, _ARRAYS), ".npz") as path, only_our_errors():
        model = load_model(path)
        str(model), repr(model)
        model.predict(_CELLS, copy=True)


if __name__ == "__main__":
    main(one, seeds())
