"""``tl.smooth`` against UCell's ``SmoothKNN`` written out as a loop."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


@pytest.fixture
def scored(tiny) -> ad.AnnData:
    """Twelve scored cells with four neighbours each; no two distances of a cell are equal."""
    signatures = tam.read_signatures({"a": list(tiny.var_names[:8]), "b": list(tiny.var_names[20:30])})
    tam.tl.score(tiny, signatures, method=tam.UCell(max_rank=30))
    return with_graph(tiny, np.random.default_rng(3).random((12, 12)) + 0.1, n=4)


def with_graph(adata, distances, n):
    """Keep the n nearest of each cell as the graph that scanpy's slots hold."""
    np.fill_diagonal(distances, np.inf)
    kept = np.where(distances <= np.sort(distances, axis=1)[:, [n - 1]], distances, 0)
    adata.obsp["distances"] = sp.csr_matrix(kept)
    adata.uns["neighbors"] = {"distances_key": "distances", "connectivities_key": "connectivities"}
    return adata


def by_loop(values, distances, decay):
    """Return SmoothKNN: the cell itself weighs 1, its i-th nearest neighbour (1 - decay)^i."""
    out = np.empty(values.shape)
    for cell in range(values.shape[0]):
        row = distances[cell].toarray().ravel()
        near = [cell, *sorted(np.flatnonzero(row), key=lambda i: row[i])]
        weights = [(1 - decay) ** i for i in range(len(near))]
        out[cell] = np.average(values[near], axis=0, weights=weights)
    return out


def smoothed(adata, **choices):
    tam.tl.smooth(adata, **choices)
    return tam.get.scores(adata, kind="smooth")


@pytest.mark.parametrize("decay", [0.0, 0.1, 0.5, 1.0])
def test_is_the_formula(scored, decay):
    expected = by_loop(tam.get.scores(scored).to_numpy(float), scored.obsp["distances"], decay)
    table = smoothed(scored, decay=decay)
    np.testing.assert_allclose(table, expected, atol=1e-6)
    assert table.columns.tolist() == ["a", "b"]
    assert (table.dtypes == np.float32).all()


def test_decay_of_0_is_the_mean_and_of_1_the_cell_alone(scored):
    scores = tam.get.scores(scored).to_numpy()
    near = scored.obsp["distances"].toarray() > 0
    mean = np.array([scores[near[i] | (np.arange(12) == i)].mean(axis=0) for i in range(12)])
    np.testing.assert_allclose(smoothed(scored, decay=0), mean, atol=1e-6)
    np.testing.assert_array_equal(smoothed(scored, decay=1), scores)


def test_neighbours_at_the_same_distance_share_their_weights(scored):
    distances = np.zeros((12, 12))
    distances[0, [3, 5, 7, 9]] = 1.0, 2.0, 2.0, 3.0
    scored.obsp["distances"] = sp.csr_matrix(distances)
    scores = tam.get.scores(scored).to_numpy(float)
    shared = (0.9**2 + 0.9**3) / 2
    expected = np.average(scores[[0, 3, 5, 7, 9]], axis=0, weights=[1, 0.9, shared, shared, 0.9**4])
    table = smoothed(scored)
    np.testing.assert_allclose(table.iloc[0], expected, atol=1e-6)
    np.testing.assert_array_equal(table.iloc[1:], scores[1:].astype(np.float32))  # cells without neighbours


def test_up_only_lowers_no_score(scored):
    scores, both = tam.get.scores(scored), smoothed(scored)
    up = smoothed(scored, up_only=True)
    pd.testing.assert_frame_equal(up, np.maximum(scores, both))
    assert (both < scores).any(axis=None)


def test_a_cell_that_is_its_own_neighbour_counts_once(scored):
    before = smoothed(scored)
    distances = scored.obsp["distances"].tolil()
    distances.setdiag(1e-9)
    scored.obsp["distances"] = distances.tocsr()
    pd.testing.assert_frame_equal(smoothed(scored), before)


def test_order_of_cells_does_not_matter(scored):
    order = np.random.default_rng(0).permutation(12)
    shuffled = scored[order].copy()
    pd.testing.assert_frame_equal(smoothed(shuffled), smoothed(scored).iloc[order], rtol=0, atol=1e-6)


def test_a_signature_without_scores_stays_without(scored):
    scored.obsm["tam_scores"]["b"] = np.float32(np.nan)
    table = smoothed(scored)
    assert table["b"].isna().all()
    assert table["a"].notna().all()


def test_z_can_be_smoothed(example):
    tam.tl.score(example, tam.load_signature("m1"), null="matched", min_coverage=0)
    with_graph(example, np.random.default_rng(3).random((184, 184)) + 0.1, n=5)
    expected = by_loop(tam.get.scores(example, kind="z").to_numpy(float), example.obsp["distances"], 0.1)
    np.testing.assert_allclose(smoothed(example, kind="z"), expected, atol=1e-5)
    assert example.uns["tamannot"]["tam"]["smooth"]["kind"] == "z"


def test_scoring_again_removes_what_was_smoothed(scored):
    tam.tl.smooth(scored)
    assert "tam_smooth" in scored.obsm
    tam.tl.score(scored, tam.read_signatures({"a": list(scored.var_names[:8])}))
    assert "tam_smooth" not in scored.obsm
    assert "smooth" not in scored.uns["tamannot"]["tam"]


def test_only_its_own_slots_are_written(scored):
    before = scored.copy()
    tam.tl.smooth(scored)
    assert set(scored.obsm) - set(before.obsm) == {"tam_smooth"}
    pd.testing.assert_frame_equal(tam.get.scores(scored), tam.get.scores(before))
    assert (scored.obsp["distances"] != before.obsp["distances"]).nnz == 0


def test_copy_leaves_the_object_alone(scored):
    out = tam.tl.smooth(scored, copy=True)
    assert "tam_smooth" in out.obsm
    assert "tam_smooth" not in scored.obsm


def test_what_was_smoothed_survives_a_file(scored, tmp_path):
    tam.tl.smooth(scored)
    scored.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(tam.get.scores(back, kind="smooth"), tam.get.scores(scored, kind="smooth"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", [None, "mine"])
def test_a_graph_of_scanpy_is_taken(example, key):
    import scanpy as sc

    tam.tl.score(example, tam.load_signature("m1"), min_coverage=0)
    example.obsm["X_my"] = np.log1p(example.X[:, :20].toarray())
    # Distances do not depend on the method, and that of umap is compiled for seconds.
    sc.pp.neighbors(example, n_neighbors=10, use_rep="X_my", method="gauss", **({"key_added": key} if key else {}))
    distances = example.obsp[f"{key}_distances" if key else "distances"]
    table = smoothed(example, **({"neighbors_key": key} if key else {}))
    scores = tam.get.scores(example).to_numpy(float)
    # Cells that are told apart by their distances, so that the loop has one order.
    told = [np.unique(distances[[i]].data).size == distances[[i]].nnz for i in range(example.n_obs)]
    assert np.sum(told) > 100
    np.testing.assert_allclose(table[told], by_loop(scores, sp.csr_matrix(distances), 0.1)[told], atol=1e-6)


@pytest.mark.parametrize("neighbors_key", ["neighbors", "mine"])
def test_without_a_graph_none_is_computed(scored, neighbors_key):
    del scored.obsp["distances"], scored.uns["neighbors"]
    with pytest.raises(ResultNotFoundError, match=rf"under '{neighbors_key}'.*scanpy\.pp\.neighbors"):
        tam.tl.smooth(scored, neighbors_key=neighbors_key)
    assert "tam_smooth" not in scored.obsm


def test_no_other_graph_stands_in_for_the_one_that_is_named(scored):
    with pytest.raises(ResultNotFoundError, match="under 'mine'"):
        tam.tl.smooth(scored, neighbors_key="mine")


def test_without_scores_there_is_nothing_to_smooth(scored):
    with pytest.raises(ResultNotFoundError, match="No 'other_scores' in obsm"):
        tam.tl.smooth(scored, key="other")
    with pytest.raises(ResultNotFoundError, match="No 'tam_z' in obsm"):
        tam.tl.smooth(scored, kind="z")


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"decay": 1.5}, "between 0 and 1"), ({"decay": np.nan}, "between 0 and 1"), ({"kind": "p"}, "'score' or 'z'")],
)
def test_parameters_out_of_range_are_refused(scored, choices, message):
    with pytest.raises(ParameterError, match=message):
        tam.tl.smooth(scored, **choices)
