"""The null of an annotation: expression bins of the macrophages of the reference."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.analysis._crosstalk_values import read_malignant

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

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
    tam.tl.score(alone, tam.load_signatures(axis="ferroptosis"), null="matched", min_coverage=0, key_added="own")
    z = tam.get.scores(alone, "own", kind="z")
    found = read_malignant(learned, "tam", chosen).programs[chosen]
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
