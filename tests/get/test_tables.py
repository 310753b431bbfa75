from __future__ import annotations

import numpy as np
import pytest

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
    with pytest.raises(ParameterError, match="kind is one of score, z, p"):
        tam.get.scores(annotated, kind="q")


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

    def test_best_of_each_axis_comes_first(self, annotated):
        table = tam.get.evidence(annotated, 5)
        for _, group in table.groupby("axis"):
            assert group["z"].is_monotonic_decreasing

    def test_unknown_cell(self, annotated):
        with pytest.raises(ParameterError, match="0 cells are named 'nobody'"):
            tam.get.evidence(annotated, "nobody")
        with pytest.raises(ParameterError, match="No cell number 999"):
            tam.get.evidence(annotated, 999)

    def test_repeated_name(self, annotated):
        annotated.obs_names = ["same"] * annotated.n_obs
        with pytest.raises(ParameterError, match="184 cells are named 'same'"):
            tam.get.evidence(annotated, "same")
