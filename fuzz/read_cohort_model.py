"""Files of fitted cohorts; what can be read is written again, to the same bytes."""

import numpy as np
from _fuzz import agrees, as_file, instrumented, main, only_our_errors
from _models import built, seeds_of, written

instrumented("tamannot.classify", "tamannot.tl")

from tamannot import load_model
from tamannot.classify import STATES, AnchoredModel, Cohort
from tamannot.classify._activity import GRID, Activity
from tamannot.classify._cohort import Novelty
from tamannot.classify._state import Regression, StateClassifier

_N = len(STATES)
_RNG = np.random.default_rng(0)
_ACTIVITY = [Activity(b, b, 1.0, np.exp(-0.5 * (GRID - b) ** 2), 3.0) for b in np.linspace(0, 2, _N).tolist()]
_STATES = StateClassifier(
    activities=[_ACTIVITY, _ACTIVITY],
    usual=np.full(_N, 5.0),
    trained=np.array([True, True, False, True, False]),
    regression=Regression(
        np.arange(6), _RNG.normal(size=(_N + 1, 6)), np.zeros((2, _N + 1)), np.full(_N, -2.0), np.full(_N, 2.0)
    ),
)
_MODEL = AnchoredModel(
    symbols=("CD14", "CD3E", "ALB", "SPP1", "IL1B", "APOE"),
    ensembl=("ENSG00000170458", "", "", "", "", ""),
    cohort=Cohort(
        brain=True,
        tissue_reason="as given",
        middle=1.5,
        states=_STATES,
        n_cells=100,
        n_macrophages=60,
        novelty=Novelty(_RNG.random((3, 9)), np.ones(9), 30.0, -1.0),
    ),
    species="human",
    scale="log1p_cp10k",
    signatures={"microglia": ("1.0.0", "0" * 64)},
    target_accuracy=0.95,
    rng=0,
    training={"kind": "counts"},
    metrics={},
)
_SEEDS, _ARRAYS = seeds_of(written(_MODEL))


def seeds() -> list[bytes]:
    return _SEEDS


def one(data: bytes) -> None:
    with as_file(built(data, _ARRAYS), ".npz") as path, only_our_errors():
        model = load_model(path)
        str(model), repr(model)
        if isinstance(model, AnchoredModel):
            path.write_bytes(written(model))
            agrees(load_model(path).digest, model.digest, "written and read again")


if __name__ == "__main__":
    main(one, seeds())
