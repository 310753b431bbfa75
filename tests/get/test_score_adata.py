from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import ResultNotFoundError


@pytest.fixture
def full(example) -> ad.AnnData:
    """The example with everything that may hang on cells."""
    tam.tl.score(example, tam.load_signatures(axis="state"), null="matched", min_coverage=0)
    example.obsm["X_umap"] = np.random.default_rng(0).random((184, 2))
    example.obsm["mine"] = pd.DataFrame({"a": 1.0}, index=example.obs_names)
    example.obsp["distances"] = sp.random(184, 184, 0.05, format="csr", random_state=0)
    example.uns["neighbors"] = {"distances_key": "distances", "params": {"n_neighbors": 15}}
    example.uns["author_label_colors"] = np.array(["#000000", "#ffffff"], object)
    example.obs["author_label"] = example.obs["author_label"].astype("category")
    return example


@pytest.mark.parametrize("kind", ["score", "z", "p", "q"])
def test_x_is_the_table(full, kind):
    out = tam.get.score_adata(full, kind=kind)
    np.testing.assert_array_equal(out.X, tam.get.scores(full, kind=kind))
    assert out.X.dtype == np.float32
    assert out.var_names.tolist() == tam.get.scores(full).columns.tolist()


def test_what_hangs_on_cells_comes_along(full):
    out = tam.get.score_adata(full)
    pd.testing.assert_frame_equal(out.obs, full.obs)
    assert set(out.obsm) == {"X_umap", "mine"}
    np.testing.assert_array_equal(out.obsm["X_umap"], full.obsm["X_umap"])
    assert (out.obsp["distances"] != full.obsp["distances"]).nnz == 0
    assert set(out.uns) == set(full.uns) - {"tamannot"}


def test_var_says_what_each_signature_is(full):
    var = tam.get.score_adata(full).var
    lam = tam.load_signature("lipid_associated")
    assert var.loc["lipid_associated", ["version", "axis", "digest"]].tolist() == [lam.version, "state", lam.digest]
    assert (var["coverage"] == tam.get.coverage(full)["coverage"]).all()


def test_nothing_is_shared_with_the_object(full):
    before = full.copy()
    out = tam.get.score_adata(full)
    out.X[:] = 7
    out.obs["patient"] = "nobody"
    out.obsm["X_umap"][:] = 7
    out.obsm["mine"].iloc[:] = 7
    out.obsp["distances"].data[:] = 7
    out.uns["neighbors"]["params"]["n_neighbors"] = 7
    out.uns["author_label_colors"][:] = "#777777"
    out.var["coverage"] = 7.0
    pd.testing.assert_frame_equal(tam.get.scores(full), tam.get.scores(before))
    pd.testing.assert_frame_equal(full.obs, before.obs)
    pd.testing.assert_frame_equal(full.obsm["mine"], before.obsm["mine"])
    np.testing.assert_array_equal(full.obsm["X_umap"], before.obsm["X_umap"])
    assert (full.obsp["distances"] != before.obsp["distances"]).nnz == 0
    assert full.uns["neighbors"]["params"] == {"n_neighbors": 15}
    assert full.uns["author_label_colors"].tolist() == ["#000000", "#ffffff"]
    pd.testing.assert_frame_equal(tam.get.coverage(full), tam.get.coverage(before))


def test_tables_of_other_runs_stay_where_they_are(full):
    tam.tl.score(full, tam.load_signature("m1"), method={"u": "ucell", "m": "mean"}, min_coverage=0)
    assert set(tam.get.score_adata(full, "m").obsm) == {"X_umap", "mine"}
    assert tam.get.score_adata(full, "u").var_names.tolist() == ["m1"]


def test_it_can_be_written(full, tmp_path):
    tam.get.score_adata(full).write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(back.X, tam.get.scores(full))


def test_an_annotated_object_has_one_too(annotated):
    out = tam.get.score_adata(annotated, kind="z")
    assert out.shape == tam.get.scores(annotated).shape
    assert "tam_state" in out.obs
    assert not set(out.obsm)


def test_without_results_it_says_what_to_run(example):
    with pytest.raises(ResultNotFoundError, match=r"tl\.score"):
        tam.get.score_adata(example)


@pytest.mark.filterwarnings("ignore")
class TestScanpy:
    def test_plots_it(self, full):
        import matplotlib.pyplot as plt
        import scanpy as sc

        out = tam.get.score_adata(full, kind="z")
        names = list(out.var_names)
        sc.pl.matrixplot(out, names, groupby="author_label", show=False)
        sc.pl.umap(out, color=[names[0], "author_label"], show=False)
        plt.close("all")

    def test_ranks_signatures_between_groups(self, full):
        import scanpy as sc

        out = tam.get.score_adata(full)
        sc.tl.rank_genes_groups(out, "author_label", method="wilcoxon")
        best = sc.get.rank_genes_groups_df(out, group="Microglia/Macrophage")
        assert set(best["names"]) == set(out.var_names)
        assert "rank_genes_groups" not in full.uns
