"""How many ranks count in the null of an annotation: as many as its macrophages have detected genes."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import ParameterError
from tamannot.tl._malignant_values import read_malignant

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

PROGRAMS = ["state", "overlay", "polarization", "ferroptosis"]


def max_rank(adata: ad.AnnData) -> int:
    return int(adata.uns["tamannot"]["tam"]["null"]["max_rank"])


def detected(adata: ad.AnnData) -> np.ndarray:
    return np.asarray((adata.X > 0).sum(axis=1)).ravel()


@pytest.fixture(scope="module")
def deep() -> ad.AnnData:
    """Macrophages of three samples, most with more than 1,500 detected genes."""
    return tam.datasets.simulate(150, n_samples=3, depth=8000, composition={"macrophage": 0.9, "t_nk": 0.1}, rng=0)


@pytest.fixture(scope="module")
def called(deep) -> ad.AnnData:
    return tam.tl.annotate(deep, tissue="brain", copy=True)


def test_it_is_the_median_of_the_macrophages(deep, called):
    macrophages = (called.obs["tam_compartment"] == "macrophage").to_numpy()
    assert max_rank(called) == int(np.median(detected(deep)[macrophages])) > 1500


def test_with_few_macrophages_it_is_that_of_all_cells(annotated, example):
    assert (annotated.obs["tam_compartment"] == "macrophage").sum() < 20
    assert max_rank(annotated) == int(np.median(detected(example)))


def test_in_shallow_cells_it_is_that_of_the_scores(learned):
    assert np.median(detected(learned)) < 1500
    assert max_rank(learned) == 1500


def test_where_every_gene_is_detected_it_is_that_of_the_scores(example):
    noise = np.random.default_rng(0).random((example.n_obs, 4000)) * 0.01
    bulk = ad.AnnData(np.hstack([np.asarray(example.X.todense()), noise]) + 0.01)
    bulk.var_names = [*example.var_names, *(f"LNC{i}" for i in range(4000))]
    tam.tl.annotate(bulk)
    assert max_rank(bulk) == 1500


def test_explicit_zeros_are_no_detected_genes(example, annotated):
    spelled = example.copy()
    spelled.X = sp.csr_matrix(example.X.shape, dtype=np.float32)
    whole = np.arange(example.n_vars, dtype=np.int32)
    dense = np.asarray(example.X.todense(), np.float32)
    indptr = np.arange(example.n_obs + 1, dtype=np.int32) * example.n_vars
    spelled.X = sp.csr_matrix((dense.ravel(), np.tile(whole, example.n_obs), indptr), shape=example.X.shape)
    tam.tl.annotate(spelled)
    assert max_rank(spelled) == max_rank(annotated)
    pd.testing.assert_frame_equal(spelled.obsm["tam_z"], annotated.obsm["tam_z"])


def test_scores_are_ucells_own_whatever_counts_in_the_null(deep, called):
    tam.tl.score(deep, tam.load_signatures(PROGRAMS), min_coverage=0, key_added="own")
    own = tam.get.scores(deep, "own")
    pd.testing.assert_frame_equal(tam.get.scores(called)[list(own)], own)
    assert called.uns["tamannot"]["tam"]["method"]["max_rank"] == 1500


def test_z_and_p_are_those_of_so_many_ranks(example, annotated):
    """Of the example all cells are the reference, as they are in `tl.score`."""
    method = tam.UCell(max_rank=max_rank(annotated))
    states = tam.load_signatures(axis="state")
    tam.tl.score(example, states, method=method, null="matched", min_coverage=0)
    for kind in ("z", "p"):
        own = tam.get.scores(example, kind=kind)
        pd.testing.assert_frame_equal(tam.get.scores(annotated, kind=kind)[list(own)], own)


def test_genes_of_a_call_sum_to_its_z(annotated):
    found = tam.get.contributions(annotated, 0, axis="origin", label="microglia", n=None)
    assert found["contribution"].sum() == pytest.approx(annotated.obsm["tam_z"]["microglia"].iloc[0], abs=1e-3)


def test_an_annotated_reference_is_for_its_own_ranks(annotated, example):
    states, alone = tam.load_signatures(axis="state"), example[[3]].copy()
    ranks = max_rank(annotated)
    given = {"null": "matched", "null_reference": annotated, "min_coverage": 0}
    with pytest.raises(ParameterError, match=rf"max_rank={ranks}\), not ucell\(.*max_rank=1500\)"):
        tam.tl.score(alone, states, **given)
    tam.tl.score(alone, states, method=tam.UCell(max_rank=ranks), **given)
    z = tam.get.scores(alone, kind="z")
    pd.testing.assert_frame_equal(z, tam.get.scores(annotated, kind="z")[list(z)].iloc[[3]])


def test_malignant_cells_are_ranked_as_the_macrophages_they_are_held_against(deep, called):
    chosen = (deep.obs["truth_compartment"] == "t_nk").to_numpy()
    alone, programs = deep[chosen].copy(), tam.load_signatures(axis="ferroptosis")
    tam.tl.score(alone, programs, method=tam.UCell(max_rank=max_rank(called)), null="matched", min_coverage=0)
    z = tam.get.scores(alone, kind="z")
    found = read_malignant(called, "tam", chosen).programs[chosen]
    np.testing.assert_array_equal(found[list(z)], z)


def test_a_model_keeps_it(deep, called, tmp_path):
    model = tam.tl.train(deep, tissue="brain")
    assert model.max_rank == max_rank(called)
    model.save(tmp_path / "m.npz")
    again = tam.tl.annotate(deep, model=tam.load_model(tmp_path / "m.npz"), copy=True)
    assert max_rank(again) == model.max_rank
    macrophages = called.obs["tam_compartment"] == "macrophage"
    for name in ("tam_scores", "tam_z"):
        pd.testing.assert_frame_equal(again.obsm[name][macrophages], called.obsm[name][macrophages])


def test_a_file_gives_what_the_object_gives(deep, called, tmp_path):
    deep.write_h5ad(tmp_path / "in.h5ad")
    tam.annotate_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", tissue="brain", chunk_size=50)
    out = ad.read_h5ad(tmp_path / "out.h5ad")
    assert max_rank(out) == max_rank(called)
    for name in ("tam_scores", "tam_z", "tam_p", "tam_state_proba"):
        pd.testing.assert_frame_equal(out.obsm[name], called.obsm[name])
