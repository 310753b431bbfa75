"""Files of anchored models; what can be read is written again, to the same bytes."""

import numpy as np
from _fuzz import agrees, as_file, instrumented, main, only_our_errors
from _models import built, seeds_of, written

instrumented("tamannot.classify", "tamannot.models", "tamannot.pipeline._anchored_file")

from tamannot.pipeline._resemblance import Resemblance

from tamannot import load_model, models
from tamannot.classify import KIND, Anchored, as_anchored, digest_of, write_anchored
from tamannot.classify._container import read_file


def _question(*names: str, winner: models.Sigmoid | None = None) -> models.Question:
    rng = np.random.default_rng(0)
    heads = {
        n: models.Head(rng.normal(size=(models.FOLDS, 4)), rng.normal(size=models.FOLDS), -1.0, 2.0) for n in names
    }
    present, at = models.Sigmoid((3.0,), -1.0), None if winner else 0.0
    return models.Question(np.array([0, 2, 3, 5]), heads, present, winner, 0.6, at, True, 0.9, rng.random(4))


_MODEL = Anchored(
    symbols=("CD14", "CD3E", "ALB", "SPP1", "IL1B", "APOE"),
    ensembl=("ENSG00000170458", "", "", "", "", ""),
    everyone=np.arange(6, dtype=np.int32),
    macrophages=np.arange(6, dtype=np.int32)[::-1],
    questions={
        "origin": _question("microglia"),
        "state": _question("lipid_associated", "inflammatory", winner=models.Sigmoid((1.0, 0.5), 0.1)),
    },
    resemblance=Resemblance(np.array([0, 5]), np.array([1.0, 2.0]), np.array([1.0, 1.6]), np.array([4.0, 9.0])),
    brain=True,
    tissue_reason="as given",
    of_microglia=None,
    max_rank=1500,
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
_SEEDS, _ARRAYS = seeds_of(written(write_anchored, _MODEL))


def seeds() -> list[bytes]:
    return _SEEDS


def one(data: bytes) -> None:
    with as_file(built(data, _ARRAYS), ".npz") as path, only_our_errors():
        model = load_model(path)
        str(model), repr(model)
        inner = read_file(path, {KIND: as_anchored})
        path.write_bytes(written(write_anchored, inner))
        agrees(digest_of(read_file(path, {KIND: as_anchored})), digest_of(inner), "written and read again")


if __name__ == "__main__":
    main(one, seeds())
