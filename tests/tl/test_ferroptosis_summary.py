"""Small objects with slots written by hand, so that what is planted is known to the digit."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError

PLANTED = "iron_export"


@pytest.fixture(scope="module")
def _cohort() -> ad.AnnData:
    adata = tam.datasets.simulate(60, n_samples=4, n_genes=1500, composition={"macrophage": 0.7, "malignant": 0.3})
    tam.tl.annotate(
        adata,
        compartment_key=("truth_compartment", {"macrophage": "macrophage", "malignant": "glial_like"}),
        tissue="brain",
    )
    state = adata.obs["truth_state"].astype(str).replace({"unclear": "unassigned"})
    adata.obs["tam_state"] = pd.Categorical(state, categories=adata.obs["tam_state"].cat.categories)
    for name in ("tam_z", "tam_ferroptosis"):
        z = adata.obsm[name].copy()
        z[PLANTED] = np.where(state == "lipid_associated", 2.0, 0.0)
        adata.obsm[name] = z
    return adata


@pytest.fixture
def cohort(_cohort) -> ad.AnnData:
    return _cohort.copy()


def effects(adata, label, program):
    table = tam.get.ferroptosis(adata, kind="effects")
    return table[(table["label"] == label) & (table["program"] == program)].iloc[0]


def test_planted_difference_is_found_within_samples(cohort):
    tam.tl.ferroptosis_summary(cohort, "sample", min_cells=3)
    row = effects(cohort, "lipid_associated", PLANTED)
    assert row["difference"] == pytest.approx(2.0)
    assert row["n_samples"] == row["n_same_direction"] == 4
    other = effects(cohort, "inflammatory", PLANTED)
    assert other["difference"] < 0  # the others hold the lipid-associated ones
    assert {"drives"} == {row["effect_neighbour"]}


def test_a_shift_of_whole_samples_is_no_difference_between_labels(cohort):
    z = cohort.obsm["tam_z"].copy()
    z[PLANTED] = cohort.obs["sample"].cat.codes.to_numpy(float) * 10
    cohort.obsm["tam_z"] = z
    tam.tl.ferroptosis_summary(cohort, "sample", min_cells=3)
    assert effects(cohort, "lipid_associated", PLANTED)["difference"] == pytest.approx(0.0, abs=1e-5)


def test_rows_are_means_over_the_cells_of_a_sample_and_label(cohort):
    tam.tl.ferroptosis_summary(cohort, "sample")
    rows = tam.get.ferroptosis(cohort)
    row = rows[(rows["program"] == "gpx4_axis") & (rows["label"] == "inflammatory")].iloc[0]
    cells = (cohort.obs["sample"] == row["sample"]) & (cohort.obs["tam_state"] == "inflammatory")
    assert row["n_cells"] == cells.sum()
    assert row["z"] == pytest.approx(cohort.obsm["tam_z"].loc[cells, "gpx4_axis"].mean(), abs=1e-5)
    genes = [g.symbol for g in tam.load_signature("gpx4_axis").genes if g.symbol in cohort.var_names]
    detected = np.asarray((cohort[cells, genes].X.toarray() > 0).sum(axis=1))
    assert row["n_genes_detected"] == np.median(detected)
    assert row["low_signal"] == pytest.approx((detected < 3).mean())
    assert rows.groupby(["sample", "label"]).size().eq(23).all()


def test_themes_are_signed_means_of_programs(cohort):
    tam.tl.ferroptosis_summary(cohort, "sample")
    rows = tam.get.ferroptosis(cohort)
    one = rows[rows["sample"] == "s01"].pivot_table(index="label", columns="program", values="z", observed=True)
    want = (one["lipid_peroxidation_enzymes"] - one["lipid_peroxide_detox"]) / 2
    np.testing.assert_allclose(one["lipid_peroxide"], want, atol=1e-5)


def test_share_of_cells_with_a_gene(cohort):
    tam.tl.ferroptosis_summary(cohort, "sample", groupby="origin")
    genes = tam.get.ferroptosis(cohort, kind="genes")
    row = genes[(genes["gene"] == "FTH1") & (genes["label"] == "microglia")].iloc[0]
    cells = cohort.obs["tam_origin"] == "microglia"
    assert row["share_detected"] == pytest.approx((cohort[cells, "FTH1"].X.toarray() > 0).mean())
    np.testing.assert_array_equal(genes["hardly_detected"], genes["share_detected"] < 0.01)


def test_malignant_cells_are_the_users(cohort):
    cohort.obs["cnv"] = cohort.obs["truth_compartment"] == "malignant"
    tam.tl.ferroptosis_summary(cohort, "sample", malignant="cnv")
    rows = tam.get.ferroptosis(cohort)
    n = rows[rows["program"] == PLANTED].groupby("label")["n_cells"].sum()
    assert n["malignant"] == cohort.obs["cnv"].sum()
    assert n.drop("malignant").sum() == (~cohort.obs["cnv"]).sum()
    assert effects(cohort, "malignant", PLANTED)["against"] == "macrophages"
    again = cohort.copy()
    tam.tl.ferroptosis_summary(again, "sample", malignant=("truth_compartment", "malignant"))
    pd.testing.assert_frame_equal(tam.get.ferroptosis(again), rows)


def test_compartments_side_by_side_and_crossed_columns(cohort):
    tam.tl.ferroptosis_summary(cohort, "sample", groupby="compartment")
    rows = tam.get.ferroptosis(cohort)
    assert set(rows["label"]) == {"macrophage", "glial_like"}
    assert rows.loc[rows["program"] == PLANTED, "n_cells"].sum() == cohort.n_obs
    tam.tl.ferroptosis_summary(cohort, "sample", groupby=("state", "origin"))
    crossed = tam.get.ferroptosis(cohort)
    assert "lipid_associated | microglia" in set(crossed["label"])
    assert crossed.attrs["groupby"] == ["state", "origin"]


def test_genes_that_made_the_label_are_named(cohort):
    tam.tl.ferroptosis_summary(cohort, "sample")
    assert effects(cohort, "lipid_associated", "gch1_bh4")["shared_genes"] == "GCHFR"
    assert any("shared_genes" in c for c in tam.get.ferroptosis(cohort).attrs["cautions"])


def test_two_samples_have_no_interval(cohort):
    few = cohort[cohort.obs["sample"].isin(["s01", "s02"])].copy()
    tam.tl.ferroptosis_summary(few, "sample", min_cells=3)
    row = effects(few, "lipid_associated", PLANTED)
    assert row["difference"] == pytest.approx(2.0)
    assert np.isnan(row[["low", "high", "p", "q", "hedges_g"]].astype(float)).all()
    assert any("Fewer than 3 samples" in c for c in tam.get.ferroptosis(few).attrs["cautions"])


def test_written_and_read_back(cohort, tmp_path):
    tam.tl.ferroptosis_summary(cohort, "sample")
    cohort.write_h5ad(tmp_path / "a.h5ad")
    again = ad.read_h5ad(tmp_path / "a.h5ad")
    for kind in ("samples", "effects", "genes"):
        now, was = tam.get.ferroptosis(again, kind=kind), tam.get.ferroptosis(cohort, kind=kind)
        assert now.to_csv(index=False, float_format="%.6g") == was.to_csv(index=False, float_format="%.6g")
        assert now.attrs == was.attrs


def test_copy_leaves_the_object_alone(cohort):
    out = tam.tl.ferroptosis_summary(cohort, "sample", copy=True)
    assert len(tam.get.ferroptosis(out))
    with pytest.raises(ResultNotFoundError, match=r"tl\.ferroptosis_summary"):
        tam.get.ferroptosis(cohort)


def test_refusals(cohort, example):
    with pytest.raises(ResultNotFoundError):
        tam.tl.ferroptosis_summary(example, "patient")
    with pytest.raises(ParameterError, match="min_cells"):
        tam.tl.ferroptosis_summary(cohort, "sample", min_cells=0)
    with pytest.raises(ParameterError, match="groupby is empty"):
        tam.tl.ferroptosis_summary(cohort, "sample", groupby=())
    with pytest.raises(ParameterError, match="has no value tumour"):
        tam.tl.ferroptosis_summary(cohort, "sample", malignant=("truth_compartment", "tumour"))
    with pytest.raises(ParameterError, match="is not boolean"):
        tam.tl.ferroptosis_summary(cohort, "sample", malignant="sample")
    with pytest.raises(MatrixError, match="genes"):
        tam.tl.ferroptosis_summary(cohort[:, :100].copy(), "sample")
    tam.tl.ferroptosis_summary(cohort, "sample")
    with pytest.raises(ParameterError, match="kind must be one of"):
        tam.get.ferroptosis(cohort, kind="cells")
