"""Cells that are no macrophages are not called so, and get no state."""

from __future__ import annotations

import pytest

import tamannot as tam

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

NO_STATE = ["unassigned", "not_macrophage"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_noise_is_not_called(seed):
    cells = tam.datasets.simulate(200, n_samples=6, n_noise_cells=20, n_unknown_cells=20, rng=seed)
    tam.tl.annotate(cells)
    truth = cells.obs["truth_compartment"].astype(str)
    called = cells.obs["tam_compartment"] == "macrophage"
    has_state = ~cells.obs["tam_state"].isin(NO_STATE)
    for kind in ("noise", "unknown", "t_nk"):
        mine = truth == kind
        assert mine.sum() >= 120
        assert called[mine].mean() <= 0.02, kind
        assert has_state[mine].mean() <= 0.01, kind
    assert called[truth == "macrophage"].mean() >= 0.98


@pytest.mark.slow
def test_macrophages_of_tissue_are_found(labelled):
    cells = labelled("glioma_tissue_semisynthetic_dev")
    tam.tl.annotate(cells)
    truth = cells.obs["truth_compartment"] == "macrophage"
    assert (cells.obs["tam_compartment"] == "macrophage")[truth].sum() >= 774
