from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.report._pictures import DRAWINGS, drawn, pictures_of

PNG = b"\x89PNG"


def test_only_a_missing_result_is_passed_over():
    def missing():
        raise ResultNotFoundError("none")

    def wrong():
        raise ParameterError("wrong")

    assert drawn(missing) is None
    with pytest.raises(ParameterError):
        drawn(wrong)


def test_figures_are_closed_and_those_of_others_stay():
    mine = plt.figure()
    assert drawn(lambda: plt.subplots()[1]).startswith(PNG)
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)


def test_names_are_no_formulas():
    def draw():
        _, ax = plt.subplots()
        ax.set_title(r"$\frac{$")
        return ax

    assert drawn(draw).startswith(PNG)
    assert plt.rcParams["text.parse_math"]


def test_many_samples_are_left_to_the_table(cohort, of, monkeypatch):
    monkeypatch.setattr("tamannot.report._pictures._MOST_SAMPLES", 3)
    assert "States by sample" not in [p.title for p in pictures_of(of(cohort, sample_key="patient"), "samples")]


def test_every_picture_has_a_text_for_those_who_cannot_see_it():
    assert all(d.alt.endswith(".") and d.title for d in DRAWINGS)
