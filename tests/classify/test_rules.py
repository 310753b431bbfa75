"""Rules of a call, one cell at a time: compartments, doublets, origins and states from evidence written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tamannot.classify import ORIGINS, STATES, Cohort
from tamannot.classify._activity import fit_activities
from tamannot.classify._call import Scored
from tamannot.classify._cohort import doublet_thresholds
from tamannot.classify._gate import call_compartment, mixed_lineage, rival_z
from tamannot.classify._origin import SCAVENGER, call_origin, find_middle
from tamannot.classify._reference import Baselines
from tamannot.classify._state import StateClassifier, call_state
from tamannot.scoring import NullScores

LINEAGES = ("macrophage", "monocyte", "t_nk", "b")


def scores_of(z: dict[str, list[float]], detected: dict[str, list[int]] | None = None) -> NullScores:
    """Scores of which the rules read z and the genes detected."""
    values = np.stack([np.asarray(v, np.float32) for v in z.values()], axis=1)
    genes = np.full(values.shape, 9, np.int16)
    for name, n in (detected or {}).items():
        genes[:, list(z).index(name)] = n
    return NullScores(tuple(z), values, detected=genes, z=values, p=values, expected=values)


def compartment(margin, *, z=None, detected=100, enough=True):
    margin = np.atleast_2d(np.asarray(margin, float))
    found = scores_of({i: [v] * len(margin) for i, v in zip(LINEAGES, z or [0.0] * 4, strict=True)})
    return call_compartment(margin, np.full(len(margin), detected), found, LINEAGES, enough=enough)


class TestCompartment:
    def test_greatest_margin_is_called(self):
        call = compartment([[5, 0, 0, 0], [0, 0, 5, 0]])
        assert list(call.label) == ["macrophage", "t_nk"]
        np.testing.assert_allclose(call.proba.sum(axis=1), 1, rtol=1e-6)

    def test_half_a_unit_of_log_odds_is_added_for_each_unit_of_z_of_the_panel(self):
        call = compartment([0, 0, 0, 0], z=[2.0, 0.0, 0.0, 0.0])
        assert call.proba[0, 0] == pytest.approx(np.e / (np.e + 3), rel=1e-5)

    @pytest.mark.parametrize(("z", "limit"), [(100.0, 4.0), (-100.0, -2.0), (np.nan, 0.0)])
    def test_z_of_a_panel_counts_within_limits(self, z, limit):
        one, other = (compartment([1, 0, 0, 0], z=[v, 0.0, 0.0, 0.0]) for v in (z, limit))
        np.testing.assert_array_equal(one.proba, other.proba)

    @pytest.mark.parametrize(("detected", "status"), [(9, "low_signal"), (10, "assigned")])
    def test_ten_detected_genes_are_enough(self, detected, status):
        assert compartment([5, 0, 0, 0], detected=detected).status[0] == status

    @pytest.mark.parametrize(("ahead", "status"), [(0.2, "ambiguous"), (0.3, "assigned")])
    def test_a_probability_of_three_tenths_is_enough(self, ahead, status):
        call = compartment([ahead, 0, 0, 0])
        assert (call.prob[0] >= 0.3) == (status == "assigned")
        assert (call.status[0], call.label[0] == "unassigned") == (status, status != "assigned")

    def test_too_few_genes_of_the_reference_give_no_label(self):
        call = compartment([[50, 0, 0, 0], [0, 50, 0, 0]], enough=False)
        assert set(call.status) == {"low_coverage"}
        assert set(call.label) == {"unassigned"}


class TestOtherLineages:
    def test_kin_of_macrophages_and_panels_of_few_genes_do_not_count(self):
        found = scores_of(
            {"macrophage": [9, 9], "monocyte": [8, 8], "t_nk": [5, 5], "b": [-1, 3]}, detected={"t_nk": [2, 3]}
        )
        np.testing.assert_array_equal(rival_z(found, LINEAGES), [[0, -1], [5, 3]])

    def test_the_greatest_is_the_admixture_of_a_macrophage(self):
        mixed = mixed_lineage(np.array([[1.0, 3.0], [-2.0, -1.0], [5.0, 5.0]]), np.array([True, True, False]))
        np.testing.assert_array_equal(mixed, [3.0, 0.0, np.nan])

    @pytest.mark.parametrize(
        ("sample", "rival", "z", "doublet"),
        [
            ("known", 0.06, 2.0, True),
            ("known", 0.04, 2.0, False),
            ("known", 0.06, 1.6, False),
            ("unknown", 0.09, 2.0, False),
            ("unknown", 0.11, 2.0, True),
        ],
    )
    def test_a_doublet_is_above_the_ambient_of_its_sample_and_has_the_genes(self, sample, rival, z, doublet):
        cohort = Cohort(True, "", 1.5, _classifier(), {"known": np.array([0.05])})
        assert cohort.is_doublet(np.array([[rival]]), np.array([[z]]), [sample])[0] == doublet

    def test_ambient_of_a_sample_is_four_robust_deviations_above_its_median(self):
        logs = np.array([-4.2, -4.0, -3.8, -9.0, -9.0, -9.0, -0.5, -0.5, -0.5])
        found = doublet_thresholds(np.exp(logs)[:, None], ["varied"] * 3 + ["clean"] * 3 + ["soaked"] * 3)
        assert found["varied"][0] == pytest.approx(np.exp(-4 + 4 * 1.4826 * 0.2))
        assert (found["clean"][0], found["soaked"][0]) == (0.02, 0.3)


def origin(microglia, monocyte_derived, border=0.0, scavenger=0.0, *, brain=True, middle=1.5):
    z = dict(zip(ORIGINS, ([microglia], [monocyte_derived], [border]), strict=True)) | {SCAVENGER: [scavenger]}
    call = call_origin(scores_of(z), np.array([True]), np.full(3, 20), brain=brain, middle=middle if brain else 0.0)
    return call.label[0], call.status[0]


class TestOrigin:
    @pytest.mark.parametrize(
        ("z", "label"),
        [
            ((3.0, 0.4), "microglia"),
            ((2.9, 0.5), "unassigned"),
            ((0.6, 0.0), "unassigned"),
            ((0.4, 0.0), "monocyte_derived"),
        ],
    )
    def test_lead_over_the_middle_is_one(self, z, label):
        assert origin(*z) == (label, "ambiguous" if label == "unassigned" else "assigned")

    @pytest.mark.parametrize(
        ("z", "label"),
        [
            ((1.0, 1.0, 3.2), "border_associated"),
            ((1.0, 1.0, 3.0), "monocyte_derived"),
            ((2.3, 1.0, 3.2), "unassigned"),
            ((1.0, 1.0, 3.2, 3.3), "monocyte_derived"),
        ],
    )
    def test_border_associated_is_high_and_ahead_of_all(self, z, label):
        assert origin(*z)[0] == label

    @pytest.mark.parametrize(
        ("z", "label", "status"),
        [
            ((0.0, 1.7), "monocyte_derived", "assigned"),
            ((0.0, 1.6), "unassigned", "low_signal"),
            ((1.0, 1.7), "unassigned", "low_signal"),
            ((3.2, 0.0), "unassigned", "not_applicable"),
            ((0.0, 0.0, 3.2), "unassigned", "not_applicable"),
        ],
    )
    def test_outside_the_brain_only_monocyte_derived_is_offered(self, z, label, status):
        assert origin(*z, brain=False) == (label, status)

    def test_middle_lies_between_the_groups_and_is_drawn_to_that_of_the_reference(self):
        lead = np.array([5.0] * 30 + [1.0] * 30)
        z, weight = np.column_stack([lead, np.zeros(60), np.zeros(60)]), np.ones(60)
        assert find_middle(z, weight) == pytest.approx((30 * 3.0 + 10 * 1.5) / 40)
        assert find_middle(z[:30], weight[:30]) == 1.5


def _classifier() -> StateClassifier:
    """As the reference: a baseline of 0 for all programs, usually 5 where one is active."""
    none, baselines = np.zeros(0), Baselines(np.zeros(5), np.zeros(5))
    activities = [fit_activities(np.zeros((0, 5, 2)), none, none, np.full(5, 25), baselines)] * 2
    return StateClassifier(activities, np.full(5, 5.0), np.zeros(5, bool))


def state(lifts=None, *, own=None, m1=0.0, m2=0.0, anchors=1, mixed=0.0, coverage=1.0, macrophage=True):
    z = np.array([float((lifts or {}).get(s, 0.0)) for s in STATES])
    halves = np.repeat(z[None, :, None], 2, axis=2) / np.sqrt(2)
    of = {s: [z[i] if own is None else own] for i, s in enumerate(STATES)}
    of |= {"m1": [m1], "m2": [m2], "rule:cd86": [0.0], "rule:mrc1": [0.0]}
    scores = scores_of(of, detected={"rule:cd86": [anchors], "rule:mrc1": [0]})
    scored = Scored(scores, scores, halves, np.ones(1))
    call = call_state(_classifier(), scored, None, np.zeros(1, np.int64), [coverage] * 5, np.array([mixed]))
    return call.only_macrophages(np.array([macrophage]))


class TestState:
    def test_the_active_program_is_the_state(self):
        for name in STATES:
            assert state({name: 10.0}).label[0] == name
        assert (state().label[0], state().status[0]) == ("unassigned", "low_signal")

    @pytest.mark.parametrize(("second", "label"), [(9.4, "unassigned"), (9.0, "inflammatory")])
    def test_the_lead_over_the_second_program_is_more_than_an_amount_of_0_15(self, second, label):
        call = state({"inflammatory": 10.0, "immunoregulatory": second})
        assert (call.label[0], call.status[0]) == (label, "ambiguous" if label == "unassigned" else "assigned")

    @pytest.mark.parametrize(("own", "label"), [(1.6, "unassigned"), (1.7, "inflammatory")])
    def test_a_program_near_its_baseline_needs_the_whole_signature(self, own, label):
        assert state({"inflammatory": 3.8}, own=own).label[0] == label

    @pytest.mark.parametrize(("coverage", "status"), [(0.5, "assigned"), (0.49, "low_coverage")])
    def test_half_of_the_genes_are_enough(self, coverage, status):
        assert state({"inflammatory": 10.0}, coverage=coverage).status[0] == status

    def test_the_experimental_state_gives_way_to_any_other(self):
        assert state({"pro_angiogenic": 14.0, "inflammatory": 8.0}).label[0] == "inflammatory"

    @pytest.mark.parametrize(
        ("evidence", "label"),
        [
            ({"m1": 6.0, "m2": 5.0}, "transitional"),
            ({"m1": 6.0, "m2": 3.9}, "unassigned"),
            ({"m1": 15.0, "m2": 4.5}, "unassigned"),
            ({"m1": 6.0, "m2": 5.0, "anchors": 0}, "unassigned"),
            ({"m1": 6.0, "m2": 5.0, "mixed": 4.0}, "unassigned"),
            ({"m1": 6.0, "m2": 5.0, "lifts": {"inflammatory": 10.0}}, "inflammatory"),
        ],
    )
    def test_transitional_has_both_arms_and_no_program(self, evidence, label):
        assert state(**evidence).label[0] == label

    def test_other_cells_have_no_state_and_keep_the_probabilities_of_classes(self):
        call = state({"inflammatory": 10.0}, macrophage=False)
        assert (call.label[0], call.status[0]) == ("not_macrophage", "not_macrophage")
        assert np.isnan(call.prob[0])
        assert call.proba[0].max() > 0.5
