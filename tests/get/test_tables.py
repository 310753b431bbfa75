from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


def test_results_are_copies(annotated):
    scores, table = tam.get.scores(annotated), tam.get.annotations(annotated)
    scores.iloc[:] = 0
    table["tam_compartment_prob"] = 0
    assert annotated.obsm["tam_scores"].to_numpy().any()
    assert annotated.obs["tam_compartment_prob"].any()


def test_state_parent_folds_lipid_associated(annotated):
    table = tam.get.annotations(annotated)
    assert (table["tam_state_parent"] != "lipid_associated").all()
    assert (table["tam_state_parent"].astype(str) == "immunoregulatory").sum() == (
        table["tam_state"].isin(["lipid_associated", "immunoregulatory"])
    ).sum()


@pytest.mark.parametrize("call", [tam.get.scores, tam.get.coverage, tam.get.annotations])
def test_absent_results_say_what_to_run(example, call):
    with pytest.raises(ResultNotFoundError, match=r"tl\.annotate"):
        call(example)


def test_unknown_kind(annotated):
    with pytest.raises(ParameterError, match="kind must be one of score, z, p, q, smooth, not 'r'"):
        tam.get.scores(annotated, kind="r")


def by_hand(p):
    """Return the p adjusted by Benjamini and Hochberg: the least of n p / i from each rank i upwards."""
    order = np.argsort(p)
    steps = p[order] * p.size / np.arange(1, p.size + 1)
    q = np.empty_like(p)
    q[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return q


def test_q_is_p_adjusted_over_the_cells_of_each_signature(annotated):
    p, q = (tam.get.scores(annotated, kind=kind) for kind in ("p", "q"))
    pd.testing.assert_frame_equal(q.isna(), p.isna())
    assert p.isna().any(axis=None)
    assert (q.dtypes == np.float32).all()
    for name in p:
        known = p[name].notna()
        np.testing.assert_allclose(q.loc[known, name], by_hand(p.loc[known, name].to_numpy(float)), rtol=1e-6)
        assert (q.loc[known, name] >= p.loc[known, name]).all()


def test_q_of_a_signature_without_p_is_nan_and_needs_a_null(tiny):
    tam.tl.score(tiny, tam.read_signatures({"few": list(tiny.var_names[:3])}), null="matched")
    assert tam.get.scores(tiny, kind="q")["few"].isna().all()
    tam.tl.score(tiny, tam.read_signatures({"few": list(tiny.var_names[:3])}))
    with pytest.raises(ResultNotFoundError, match="No 'tam_p' in obsm"):
        tam.get.scores(tiny, kind="q")


def test_q_of_an_object_without_cells_has_the_same_columns(annotated):
    empty = annotated[:0].copy()
    pd.testing.assert_frame_equal(tam.get.scores(empty, kind="q"), tam.get.scores(empty, kind="p"))


def test_reading_q_changes_no_p(annotated):
    before = annotated.obsm["tam_p"].copy()
    q = tam.get.scores(annotated, kind="q")
    q.iloc[:] = 0
    pd.testing.assert_frame_equal(annotated.obsm["tam_p"], before)


class TestEvidence:
    def test_the_called_labels_are_marked(self, annotated):
        cell = annotated.obs_names[0]
        table = tam.get.evidence(annotated, cell)
        called = set(table.index[table["called"]])
        labels = set(annotated.obs.loc[cell, ["tam_compartment", "tam_origin", "tam_state"]])
        assert called == labels - {"unassigned", "not_macrophage"}

    def test_numbers_are_those_of_the_cell(self, annotated):
        table = tam.get.evidence(annotated, 5)
        np.testing.assert_array_equal(table["z"], annotated.obsm["tam_z"].iloc[5][table.index])

    def test_the_label_comes_first_and_then_what_is_furthest_above_its_baseline(self, annotated):
        table = tam.get.evidence(annotated, 5)
        for _, group in table.groupby("axis"):
            assert group["called"].is_monotonic_decreasing
            rivals = group[~group["called"]]
            assert rivals["above_baseline"].fillna(rivals["z"]).is_monotonic_decreasing

    def test_baselines_are_those_of_the_run_for_the_origin_of_the_cell(self, annotated):
        kept = annotated.uns["tamannot"]["tam"]
        table = kept["baselines"].reset_index().set_index(["origin", "state"])["baseline"]
        for cell in np.flatnonzero(annotated.obs["tam_origin"] == "microglia")[:3]:
            found = tam.get.evidence(annotated, int(cell))
            for state in tam.load_signatures(axis="state"):
                assert found.loc[state, "baseline"] == pytest.approx(table["microglia", state])
            assert found.loc["microglia", "baseline"] == pytest.approx(kept["origin_middle"])
            known = found["baseline"].notna()
            assert set(found.loc[known, "axis"]) == {"origin", "state"}
            np.testing.assert_allclose(found["above_baseline"], found["z"] - found["baseline"])

    def test_probabilities_are_those_of_the_cell(self, annotated):
        table = tam.get.evidence(annotated, 0)
        assert table.loc["macrophage", "probability"] == annotated.obs["tam_compartment_prob"].iloc[0]
        for name in ("inflammatory", "microglia"):
            axis = table.loc[name, "axis"]
            assert table.loc[name, "probability"] == annotated.obsm[f"tam_{axis}_proba"][name].iloc[0]

    def test_a_label_without_the_greatest_z_says_why(self, learned):
        state = learned.obs["tam_state"].astype(str)
        z = learned.obsm["tam_z"][list(tam.load_signatures(axis="state"))]
        called = state.isin(z.columns).to_numpy()
        other = called & (z.idxmax(axis=1) != state).to_numpy()
        assert other.any()
        for cell in np.flatnonzero(other)[:20]:
            table = tam.get.evidence(learned, int(cell)).query("axis == 'state'")
            why, label = table.attrs["why"]["state"], state.iloc[cell]
            assert label in why
            assert not set("{}") & set(why)
            above = table["above_baseline"].idxmax() == label
            assert ("After subtracting the baselines" in why) == above
            assert above or table["probability"].idxmax() == label
        for cell in np.flatnonzero(called & ~other)[:20]:
            table = tam.get.evidence(learned, int(cell))
            states = table[table["axis"] == "state"]
            assert ("state" in table.attrs["why"]) == (states["above_baseline"].idxmax() != state.iloc[cell])

    def test_a_macrophage_without_a_state_says_what_is_nearest(self, learned):
        unassigned = (learned.obs["tam_state_status"] == "low_signal").to_numpy()
        table = tam.get.evidence(learned, int(np.flatnonzero(unassigned)[0]))
        best = table[table["axis"] == "state"]["above_baseline"].idxmax()
        assert table.attrs["why"]["state"].startswith(
            f"unassigned: no active program. Furthest above its baseline is {best}"
        )

    def test_without_baselines_z_stands_alone(self, annotated):
        for name in ("baselines", "origin_middle"):
            del annotated.uns["tamannot"]["tam"][name]
        table = tam.get.evidence(annotated, 0)
        assert table[["baseline", "above_baseline"]].isna().all(axis=None)
        assert table["called"].sum() > 0

    def test_unknown_cell(self, annotated):
        with pytest.raises(ParameterError, match="0 cells are named 'nobody'"):
            tam.get.evidence(annotated, "nobody")
        with pytest.raises(ParameterError, match="no cell number 999"):
            tam.get.evidence(annotated, 999)

    def test_repeated_name(self, annotated):
        annotated.obs_names = ["same"] * annotated.n_obs
        with pytest.raises(ParameterError, match="184 cells are named 'same'"):
            tam.get.evidence(annotated, "same")

    def test_detected_genes_are_counted_and_the_highest_named_first(self, annotated):
        table = tam.get.evidence(annotated, 0)
        values = pd.Series(annotated.X[0].toarray().ravel(), annotated.var_names)
        for name in ("lipid_associated", "hypoxic"):
            genes = [g.symbol for g in tam.load_signature(name).all_genes]
            mine = values.reindex(genes).dropna()
            mine = mine[mine > 0].rename_axis("gene").reset_index(name="value")
            mine = mine.sort_values(["value", "gene"], ascending=[False, True])
            assert table.loc[name, "n_detected"] == len(mine)
            assert table.loc[name, "genes"] == ", ".join(mine["gene"][:8])

    def test_genes_that_speak_against_a_signature_have_a_minus(self, annotated):
        table = tam.get.evidence(annotated, 0)
        down = {g.symbol for g in tam.load_signature("ferroptosis_balance").down}
        shown = table.loc["ferroptosis_balance", "genes"].split(", ")
        assert {g.removeprefix("−") for g in shown if g.startswith("−")} == {g.removeprefix("−") for g in shown} & down

    def test_without_the_matrix_genes_are_missing_values_and_the_rest_stays(self, annotated):
        before = tam.get.evidence(annotated, 0)
        few = annotated[:, :500].copy()
        after = tam.get.evidence(few, 0)
        assert after[["n_detected", "genes"]].isna().all(axis=None)
        pd.testing.assert_frame_equal(
            after.drop(columns=["n_detected", "genes"]), before.drop(columns=["n_detected", "genes"])
        )


# Score adata.


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
        import scanpy as sc

        out = tam.get.score_adata(full, kind="z")
        names = list(out.var_names)
        sc.pl.matrixplot(out, names, groupby="author_label", show=False)
        sc.pl.umap(out, color=[names[0], "author_label"], show=False)

    def test_ranks_signatures_between_groups(self, full):
        import scanpy as sc

        out = tam.get.score_adata(full)
        sc.tl.rank_genes_groups(out, "author_label", method="t-test")  # nothing to compile
        best = sc.get.rank_genes_groups_df(out, group="Microglia/Macrophage")
        assert set(best["names"]) == set(out.var_names)
        assert "rank_genes_groups" not in full.uns
