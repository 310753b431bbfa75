"""Cells that are no macrophages are not called so, and get no state."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.analysis._samples import scores_in
from tamannot.errors import ParameterError, TamannotWarning

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")


STATES = ["lipid_associated", "interferon_primed", "pro_angiogenic", "inflammatory", "immunoregulatory"]


ORIGINS = ["microglia", "monocyte_derived", "border_associated"]


def macrophages(adata: ad.AnnData) -> np.ndarray:
    return (adata.obs["tam_compartment"] == "macrophage").to_numpy()


def test_finds_the_macrophages_of_the_example(annotated):
    truth = (annotated.obs["author_label"] == "Microglia/Macrophage").to_numpy()
    assert macrophages(annotated)[truth].sum() >= 18
    assert macrophages(annotated)[~truth].sum() <= 1


def test_oligodendrocytes_of_the_example_are_called_so(annotated):
    truth = annotated.obs["author_label"].str.startswith("Oligodendrocytes")
    assert (annotated.obs.loc[truth, "tam_compartment"] == "oligodendrocyte").mean() > 0.9


def test_labels_are_of_the_contract(annotated):
    obs = annotated.obs
    for name, order in (("state", [*STATES, "transitional"]), ("origin", ORIGINS)):
        occur = set(obs[f"tam_{name}"])
        expected = [label for label in (*order, "unassigned", "not_macrophage") if label in occur]
        assert list(obs[f"tam_{name}"].cat.categories) == expected
        assert len(annotated.uns[f"tam_{name}_colors"]) == len(expected)
    assert list(obs["tam_compartment"].cat.categories)[-1] == "unassigned"
    statuses = {"assigned", "low_signal", "ambiguous", "low_coverage", "unfamiliar", "not_applicable", "not_macrophage"}
    statuses |= {"mixed_lineage"}
    for name in ("origin", "state", "compartment"):
        assert set(obs[f"tam_{name}_status"].unique()) <= statuses
        assert obs[f"tam_{name}_prob"].dtype == np.float32


def test_unassigned_and_status_agree(annotated):
    for name in ("origin", "state", "compartment"):
        label, status = annotated.obs[f"tam_{name}"], annotated.obs[f"tam_{name}_status"]
        assert ((label == "unassigned") == (~status.isin(["assigned", "not_macrophage"]))).all()
        assert ((label == "not_macrophage") == (status == "not_macrophage")).all()


def test_probabilities_are_finite_for_every_cell_and_their_maximum_is_the_column(annotated):
    for name, columns in (("state", STATES), ("origin", ORIGINS)):
        table = annotated.obsm[f"tam_{name}_proba"]
        assert list(table.columns) == columns
        assert np.isfinite(table.to_numpy()).all()
        prob = annotated.obs[f"tam_{name}_prob"].to_numpy()
        here = macrophages(annotated)
        np.testing.assert_array_equal(prob[here], table.max(axis=1).to_numpy()[here])
        assert np.isnan(prob[~here]).all()
    np.testing.assert_allclose(annotated.obsm["tam_origin_proba"].sum(axis=1), 1, rtol=1e-5)


def test_tables_have_the_axes_in_order(annotated):
    axes = ("compartment", "origin", "state", "overlay", "polarization", "ferroptosis")
    ids = [i for axis in axes for i in tam.load_signatures(axis=axis)]
    for name in ("scores", "z", "p"):
        table = annotated.obsm[f"tam_{name}"]
        assert list(table.columns) == ids
        assert set(table.dtypes) == {np.dtype("float32")}
    scores = annotated.obsm["tam_scores"].to_numpy()
    assert (scores >= 0).all()
    assert (scores <= 1).all()


def test_composite_is_the_greatest_of_its_modules(example):
    names = ["interferon_primed", "interferon_primed_type_i", "interferon_primed_ifng"]
    tam.tl.score(example, tam.SignatureSet(map(tam.load_signature, names)), null="matched", min_coverage=0)
    for kind in ("score", "z"):
        whole, *modules = tam.get.scores(example, kind=kind)[names].to_numpy().T
        np.testing.assert_array_equal(whole, np.maximum(*modules))


def test_ferroptosis_has_sixteen_programs_and_three_summaries(annotated):
    programs = annotated.obsm["tam_ferroptosis"]
    assert programs.shape[1] == 16
    pd.testing.assert_frame_equal(programs, annotated.obsm["tam_z"][list(programs.columns)])
    for name in ("drive", "defence", "balance"):
        column = annotated.obs[f"tam_ferroptosis_{name}"]
        np.testing.assert_array_equal(column, annotated.obsm["tam_z"][f"ferroptosis_{name}"])


def test_programs_are_those_with_small_p_in_fixed_order(annotated):
    order = [*STATES, *tam.load_signatures(axis="overlay")]
    p = annotated.obsm["tam_p"][order]
    expected = ["+".join(c for c in order if row[c] < 0.01) for _, row in p.iterrows()]
    assert annotated.obs["tam_programs"].astype(str).tolist() == expected


def test_cell_ontology_terms_are_those_that_signatures_cite(annotated):
    obs = annotated.obs
    term = obs["tam_cell_ontology_term_id"].astype(str)
    compartment, origin = obs["tam_compartment"].astype(str), obs["tam_origin"].astype(str)
    expected = np.select(
        [origin == "microglia", compartment == "macrophage", compartment == "monocyte"],
        ["CL:0000129", "CL:0000235", "CL:0000576"],
        "unknown",
    )
    assert term.tolist() == expected.tolist()
    assert {"CL:0000129", "unknown"} <= set(term)


def test_the_steps_write_the_same_terms(example):
    tam.tl.gate(example)
    assert set(example.obs["tam_cell_ontology_term_id"]) <= {"CL:0000235", "CL:0000576", "unknown"}
    tam.tl.classify_origin(example, tissue="brain")
    assert "CL:0000129" in set(example.obs["tam_cell_ontology_term_id"])


def test_nothing_else_changes(example):
    before = example.copy()
    tam.tl.annotate(example)
    assert (example.X != before.X).nnz == 0
    pd.testing.assert_frame_equal(example.var, before.var)
    pd.testing.assert_frame_equal(example.obs[before.obs.columns], before.obs)
    assert set(example.uns) - set(before.uns) == {
        "tamannot",
        *(f"tam_{a}_colors" for a in ("compartment", "origin", "state")),
    }
    assert not example.obsp
    assert not example.layers
    assert all(k.startswith("tam_") for k in set(example.obs) - set(before.obs))


def test_copy_leaves_the_original_alone(example):
    out = tam.tl.annotate(example, copy=True)
    assert "tam_state" in out.obs
    assert "tam_state" not in example.obs
    assert "tamannot" not in example.uns


def test_writes_to_h5ad_and_reads_back(annotated, tmp_path):
    annotated.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(tam.get.annotations(back), tam.get.annotations(annotated))
    pd.testing.assert_frame_equal(tam.get.coverage(back), tam.get.coverage(annotated), check_dtype=False)
    record = back.uns["tamannot"]["tam"]
    assert record["calibration_source"].startswith("states: empirical Bayes on the split halves")
    assert record["matrix"]["name"] == "X"
    assert record["signatures"].loc["microglia", "version"] == tam.load_signature("microglia").version
    assert record["signatures"].loc["microglia", "digest"] == tam.load_signature("microglia").digest


def test_order_of_cells_and_genes_changes_no_bit(example):
    rng = np.random.default_rng(0)
    cells, genes = rng.permutation(example.n_obs), rng.permutation(example.n_vars)
    shuffled = example[cells][:, genes].copy()
    tam.tl.annotate(example)
    tam.tl.annotate(shuffled)
    pd.testing.assert_frame_equal(tam.get.annotations(shuffled), tam.get.annotations(example).iloc[cells])
    for name in ("tam_scores", "tam_z", "tam_p"):
        pd.testing.assert_frame_equal(shuffled.obsm[name], example.obsm[name].iloc[cells])


def test_threads_change_no_bit(example, monkeypatch):
    other = example.copy()
    monkeypatch.setattr(tam.settings, "threads", 1)
    tam.tl.annotate(example)
    monkeypatch.setattr(tam.settings, "threads", 3)
    tam.tl.annotate(other)
    for name in ("tam_scores", "tam_z", "tam_p"):
        pd.testing.assert_frame_equal(other.obsm[name], example.obsm[name])


@pytest.mark.parametrize("container", [sp.csc_matrix, sp.csr_array, sp.csc_array, lambda x: x.toarray()])
def test_container_changes_no_bit(annotated, example, container):
    example.X = container(example.X)
    tam.tl.annotate(example)
    pd.testing.assert_frame_equal(tam.get.annotations(example), tam.get.annotations(annotated))
    pd.testing.assert_frame_equal(example.obsm["tam_z"], annotated.obsm["tam_z"])


def test_backed_file_gives_the_same(annotated, example_file):
    backed = ad.read_h5ad(example_file, backed="r")
    tam.tl.annotate(backed)
    pd.testing.assert_frame_equal(tam.get.annotations(backed), tam.get.annotations(annotated))


@pytest.mark.parametrize("rows", [slice(None), slice(50)], ids=["whole", "view"])
def test_what_is_backed_is_not_copied(example_file, rows):
    backed = ad.read_h5ad(example_file, backed="r")[rows]
    with pytest.raises(ParameterError, match=r"backed by .*Load it first, adata\.to_memory\(\)"):
        tam.tl.annotate(backed, copy=True)
    with pytest.raises(ParameterError, match="a view of it cannot take results"):
        tam.tl.score(ad.read_h5ad(example_file, backed="r")[:50], ["CD68"])


def test_dask_gives_the_same(annotated, example):
    da = pytest.importorskip("dask.array")
    example.X = da.from_array(example.X.toarray(), chunks=(50, -1))
    tam.tl.annotate(example)
    pd.testing.assert_frame_equal(tam.get.annotations(example), tam.get.annotations(annotated))


def test_log_of_the_values_changes_no_call(annotated, example):
    example.X = example.X.log1p()
    tam.tl.annotate(example)
    assert example.uns["tamannot"]["tam"]["matrix"]["kind"] == "log"
    assert (macrophages(example) == macrophages(annotated)).all()
    assert (example.obs["tam_state"].astype(str) == annotated.obs["tam_state"].astype(str)).all()


def test_view_is_annotated_without_touching_its_parent(example):
    view = example[:100]
    with pytest.warns(ad.ImplicitModificationWarning, match="initializing view as actual"):
        tam.tl.annotate(view)
    assert "tam_state" in view.obs
    assert "tam_state" not in example.obs


def test_macrophages_alone_are_still_macrophages(example):
    """Compartments are told by a reference, not by the cells at hand."""
    alone = example[example.obs["author_label"] == "Microglia/Macrophage"].copy()
    tam.tl.annotate(alone)
    assert macrophages(alone).sum() >= 18


def test_outside_the_brain_there_are_no_microglia(example):
    tam.tl.annotate(example, tissue="other")
    assert not example.obs["tam_origin"].isin(["microglia", "border_associated"]).any()
    assert (example.obs["tam_origin_status"] == "not_applicable").sum() >= 10


def test_tissue_is_logged_in_one_line(example, caplog):
    tam.tl.annotate(example)
    (line,) = (m for m in caplog.messages if "Tissue" in m)
    assert line.startswith("Tissue set to brain: 131 neural or glial cells")


def test_compartment_key_replaces_the_gate(example, monkeypatch):
    monkeypatch.setattr("tamannot.classify._panels.Gate", None)  # it is not even trained
    names = {"Microglia/Macrophage": "macrophage", "Oligodendrocytes (non-malignant)": "oligodendrocyte"}
    tam.tl.annotate(example, compartment_key=("author_label", names))
    truth = example.obs["author_label"] == "Microglia/Macrophage"
    assert ((example.obs["tam_compartment"] == "macrophage") == truth).all()
    assert (example.obs["tam_compartment"] == "unassigned").sum() == 142


def test_compartment_key_with_unknown_names_is_refused(example):
    with pytest.raises(ParameterError, match=r"Unknown compartments: Microglia/Macrophage.*macrophage, mast"):
        tam.tl.annotate(example, compartment_key="author_label")


def test_own_signatures_replace_bundled_ones(example):
    own = tam.read_signatures({"lipid_associated": ["GPNMB", "APOC1", "LGALS3", "CTSD", "CD9", "CD63"]})
    tam.tl.annotate(example, signatures=own)
    assert tam.get.coverage(example).loc["lipid_associated", "n_genes"] == 6


def test_steps_write_their_slots_only(example):
    tam.tl.gate(example)
    assert "tam_compartment" in example.obs
    assert "tam_state" not in example.obs
    tam.tl.classify_origin(example)
    tam.tl.classify_state(example)
    tam.tl.ferroptosis(example)
    whole = tam.tl.annotate(example, copy=True)
    pd.testing.assert_frame_equal(tam.get.annotations(example), tam.get.annotations(whole))


def test_key_added_names_everything(example):
    tam.tl.annotate(example, key_added="mine")
    assert "mine_state" in example.obs
    assert "mine_scores" in example.obsm
    assert not any(str(k).startswith("tam_") for k in example.obs)
    assert list(example.uns["tamannot"]) == ["mine"]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"tissue": "lung"}, "tissue must be 'auto'"),
        ({"target_accuracy": 1.5}, "between 0 and 1"),
        ({"sample_key": "nothing"}, "No column 'nothing' in obs.*author_label"),
        ({"compartment_key": "nothing"}, "No column 'nothing' in obs"),
        ({"key_added": "a/b"}, "without '/'"),
        ({"key_added": 3}, "must be a string"),
        ({"species": "rat"}, "species must be 'auto'"),
    ],
)
def test_parameters_out_of_range_are_refused_before_anything_is_written(example, choices, message):
    with pytest.raises(ParameterError, match=message):
        tam.tl.annotate(example, **choices)
    assert "tamannot" not in example.uns


def test_another_target_accuracy_is_not_silently_ignored(example):
    with pytest.warns(TamannotWarning, match=r"% of the called states are right; target_accuracy is 0.99"):
        tam.tl.annotate(example, target_accuracy=0.99)


def test_repeated_cell_names_do_not_matter(example):
    example.obs_names = ["same"] * example.n_obs
    tam.tl.annotate(example)
    assert macrophages(example).sum() == 19


def test_one_cell_is_enough(example):
    one = example[0].copy()
    tam.tl.annotate(one)
    assert one.obs["tam_compartment"].tolist() == ["macrophage"]


def test_few_genes_give_low_coverage_not_labels(tiny):
    few = tiny[:, :15].copy()
    tam.tl.annotate(few)
    assert (few.obs["tam_compartment"] == "unassigned").all()
    assert (few.obs["tam_compartment_status"] == "low_coverage").all()
    assert (few.obs["tam_state"] == "not_macrophage").all()


def test_mouse_data_get_mouse_signatures(example, annotated):
    """Title case makes most symbols of the human example those of their mouse orthologues."""
    example.var_names = example.var_names.str.title()
    tam.tl.annotate(example, tissue="brain")
    record = example.uns["tamannot"]["tam"]
    assert record["matrix"]["species"] == "mouse"
    assert record["signatures"].loc["microglia", "digest"] == tam.load_signature("microglia", species="mouse").digest
    truth = (example.obs["author_label"] == "Microglia/Macrophage").to_numpy()
    # Genes whose orthologue has another name are lost by the change of case.
    assert macrophages(example)[truth].sum() >= 13
    assert macrophages(example)[~truth].sum() <= 1


def test_saying_the_species_overrides_the_ids(example):
    example.var_names = example.var_names.str.title()
    tam.tl.annotate(example, species="human", tissue="brain")
    assert example.uns["tamannot"]["tam"]["matrix"]["species"] == "human"
    assert not macrophages(example).any()


def test_sets_that_are_not_read_per_cell_get_no_p(example):
    own = tam.load_signature("lipid_associated").model_copy(update={"id": "panel", "axis": "custom", "per_cell": False})
    tam.tl.annotate(example, signatures=tam.SignatureSet([own]))
    assert example.obsm["tam_p"]["panel"].isna().all()
    assert example.obsm["tam_p"]["lipid_associated"].notna().any()


# Cells that are no macrophages are not called so, and get no state.


NO_STATE = ["unassigned", "not_macrophage"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.nightly)])
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


# The null of an annotation: expression bins of the macrophages of the reference.


PROGRAMS = ["state", "overlay", "polarization", "ferroptosis"]


def test_explicit_zeros_are_no_detected_genes(example, annotated):
    spelled = example.copy()
    whole = np.arange(example.n_vars, dtype=np.int32)
    dense = np.asarray(example.X.todense(), np.float32)
    indptr = np.arange(example.n_obs + 1, dtype=np.int32) * example.n_vars
    spelled.X = sp.csr_matrix((dense.ravel(), np.tile(whole, example.n_obs), indptr), shape=example.X.shape)
    tam.tl.annotate(spelled)
    pd.testing.assert_frame_equal(spelled.obsm["tam_z"], annotated.obsm["tam_z"])


def test_scores_are_those_of_score(learned):
    tam.tl.score(learned, tam.load_signatures(PROGRAMS), min_coverage=0, key_added="own")
    own = tam.get.scores(learned, "own")
    pd.testing.assert_frame_equal(tam.get.scores(learned)[list(own)], own)


@pytest.mark.parametrize("rows", [[3], [0, 50, 51, 120]])
def test_scores_of_cells_do_not_depend_on_the_others(annotated, example, rows):
    """The reference decides, not the cells at hand."""
    few = example[rows].copy()
    tam.tl.annotate(few)
    for name in ("tam_scores", "tam_z", "tam_p"):
        pd.testing.assert_frame_equal(few.obsm[name], annotated.obsm[name].iloc[rows])


def test_an_annotated_reference_gives_its_z(annotated, example):
    alone = example[[3]].copy()
    tam.tl.score(alone, tam.load_signatures(axis="state"), null="matched", null_reference=annotated, min_coverage=0)
    z = tam.get.scores(alone, kind="z")
    pd.testing.assert_frame_equal(z, tam.get.scores(annotated, kind="z")[list(z)].iloc[[3]])


def test_malignant_cells_are_scored_as_the_macrophages_they_are_held_against(learned):
    chosen = (learned.obs["truth_compartment"] == "t_nk").to_numpy()
    alone = learned[chosen].copy()
    programs = tam.load_signatures(axis="ferroptosis")
    tam.tl.score(alone, programs, null="matched", min_coverage=0, key_added="own")
    z = tam.get.scores(alone, "own", kind="z")
    found = scores_in(learned, "tam", chosen, programs)[0][chosen]
    np.testing.assert_array_equal(found[list(z)], z)


def test_the_record_names_the_reference(annotated):
    null = annotated.uns["tamannot"]["tam"]["null"]
    assert null["origin"] == null["other_axes"] == "macrophages of 18 human tissues, Cell Profile Library"
    assert "max_rank" not in null


def test_a_mouse_has_a_reference_too(example):
    example.var_names = example.var_names.str.title()
    one = example[[0]].copy()
    tam.tl.annotate(example, tissue="brain")
    tam.tl.annotate(one, tissue="brain")
    pd.testing.assert_frame_equal(one.obsm["tam_z"], example.obsm["tam_z"].iloc[[0]])


def test_a_file_gives_what_the_object_gives(learned, tmp_path):
    plain = ad.AnnData(learned.X, obs=learned.obs[["sample"]], var=learned.var[[]])
    plain.write_h5ad(tmp_path / "in.h5ad")
    tam.annotate_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", tissue="brain", chunk_size=50)
    out = ad.read_h5ad(tmp_path / "out.h5ad")
    for name in ("tam_scores", "tam_z", "tam_p", "tam_state_proba"):
        pd.testing.assert_frame_equal(out.obsm[name], learned.obsm[name])
